"""The fabric as a networkx graph, and what follows from it: paths, equal-cost sets, cuts, attachments, rails.

The graph's nodes are named by kind: ``host:p1``, ``dram:p1``, ``gpu:p1/0``, ``pcie:p1/<label>``, ``nic:p1/c0``,
``port:leaf1/4`` (a switch's port, or a bond's member), ``switch:leaf1`` and ``queue:p1/c0/<lane>``. Nodes and edges
that limit traffic carry ``capacity_bps``. Hosts do not forward: a path leaves one NIC, passes switches, and
enters another NIC.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Any

import networkx as nx

from trafficd_topology.model import FabricSpec, Host, Nic, PortKey, Role
from trafficd_topology.routes import UNLIMITED, Cut, Ends, Reach
from trafficd_topology.wiring import Attachment, Wiring, attachments, wire

__all__ = ["Attachment", "AttachmentPath", "Bottleneck", "EqualCost", "Fabric", "Path", "Queue", "Rail"]

PATHS = 64
"""How many paths of an equal-cost set are written out; the count is always whole."""


@dataclass(frozen=True, slots=True, order=True)
class Queue:
    """One port's queue for one traffic class. ``lane_id`` is the VL or TC number."""

    port: PortKey
    lane_id: int


@dataclass(frozen=True, slots=True)
class Path:
    """The ports that a flow passes, NIC to NIC in order; a bond's cable is named by the member it ends at."""

    ports: tuple[PortKey, ...]

    @property
    def hops(self) -> int:
        """Cables passed."""
        return len(self.ports) // 2


@dataclass(frozen=True, slots=True)
class EqualCost:
    """All shortest paths of a pair: how many, how long (cables), and the first PATHS of them."""

    count: int
    hops: int
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What limits a pair. ``element`` is the narrowest of ``elements``, which together carry ``capacity_bps``.

    ``capacity_bps`` is None and ``element`` empty where no element's capacity is known.
    """

    capacity_bps: int | None
    element: str
    elements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttachmentPath:
    """Between two attachments ``a`` < ``b`` by name; the same both ways. ``hops`` counts cables between switches.

    ``capacity_bps`` is the narrowest cut of the equal-cost set; None where nothing between them limits.
    """

    a: str
    b: str
    hops: int
    equal_cost_paths: int
    capacity_bps: int | None
    bottleneck: str


@dataclass(frozen=True, slots=True)
class Rail:
    """One of the parallel networks of a rail-optimised fabric, and its NICs."""

    index: int
    ports: tuple[PortKey, ...]


class Fabric:
    """A fabric, built once from a valid FabricSpec; nothing a caller can reach changes it.

    Methods that take a port raise KeyError where no NIC has that name. A link of the spec that names no port
    raises ValueError: ``parse_fabric`` never lets one through.
    """

    __slots__ = ("_at", "_attachments", "_graph", "_pairs", "_queues", "_spec", "_wiring")

    def __init__(self, spec: FabricSpec) -> None:
        self._spec = spec
        self._wiring = wire(spec)
        self._attachments = attachments(self._wiring)
        self._at = {port: a for a in self._attachments for port in a.ports}
        self._pairs: tuple[AttachmentPath, ...] | None = None
        self._queues: tuple[Queue, ...] = ()
        self._graph = nx.freeze(_graph(spec, self._wiring))

    @property
    def spec(self) -> FabricSpec:
        return self._spec

    @property
    def graph(self) -> Any:
        """The frozen ``networkx.Graph``; adding or removing raises ``networkx.NetworkXError``."""
        return self._graph

    @property
    def nics(self) -> Mapping[PortKey, Nic]:
        """Every NIC by its port."""
        return MappingProxyType(self._wiring.nics)

    def set_role(self, host: str, role: Role) -> Fabric:
        """This fabric with another role for one host; KeyError when there is no such host."""
        if self._spec.host(host) is None:
            raise KeyError(host)
        hosts = tuple(replace(h, role=role) if h.name == host else h for h in self._spec.hosts)
        other = copy.copy(self)
        other._spec = replace(self._spec, hosts=hosts)  # noqa: SLF001 - our own class
        return other

    def with_lanes(self, lanes: Mapping[PortKey, Iterable[int]]) -> Fabric:
        """This fabric with a queue per port and lane id, in place of those it had.

        Ports are NICs or cabled ports of switches; KeyError names one that is neither.
        """
        queues = tuple(sorted({Queue(port, lane) for port, ids in lanes.items() for lane in ids}))
        graph = nx.Graph(self._graph)
        graph.remove_nodes_from([_queue_name(queue) for queue in self._queues])
        for queue in queues:
            owner = next((n for n in (f"nic:{queue.port}", f"port:{queue.port}") if n in graph), None)
            if owner is None:
                raise KeyError(str(queue.port))
            graph.add_node(_queue_name(queue), kind="queue", lane_id=queue.lane_id)
            graph.add_edge(_queue_name(queue), owner)
        other = copy.copy(self)
        other._queues, other._graph = queues, nx.freeze(graph)  # noqa: SLF001 - our own class
        return other

    def queues(self) -> tuple[Queue, ...]:
        """The queues that ``with_lanes`` attached, by port and lane."""
        return self._queues

    def rate_bps(self, port: PortKey) -> int | None:
        """A NIC's rate, or what the cable at a switch's port or bond's member carries; None where unknown."""
        if nic := self._wiring.nics.get(port):
            return nic.rate_bps
        cable = self._wiring.by_port.get(port)
        return _known(cable.capacity_bps) if cable else None

    def capacities(self) -> Mapping[str, int]:
        """Bits per second by element: ``nic:...``, ``dram:...``, ``link:...``; what has no known limit is absent."""
        nodes = [(name, data.get("capacity_bps")) for name, data in self._graph.nodes(data=True)]
        nodes += [(c.name, _known(c.capacity_bps)) for c in self._wiring.cables]
        return {name: capacity for name, capacity in sorted(nodes) if capacity}

    def paths(self, a: PortKey, b: PortKey, limit: int = PATHS) -> tuple[Path, ...]:
        """The shortest paths from NIC a to NIC b, at most ``limit``; none when b cannot be reached."""
        source, target = self._wiring.attached[a], self._wiring.attached[b]
        if a == b:
            return (Path((a,)),)
        if direct := source.direct.get(b):
            return tuple(Path((c.a, c.b)) for c in direct[:limit])
        found = islice(Reach(self._wiring.network, source.switches).paths(target.switches), limit)
        return tuple(Path(tuple(p for c in cables for p in (c.a, c.b))) for cables in found)

    def equal_cost(self, a: PortKey, b: PortKey, limit: int = PATHS) -> EqualCost:
        """The set of shortest paths from NIC a to NIC b; a count of 0 when b cannot be reached."""
        source, paths = self._wiring.attached[a], self.paths(a, b, limit)
        hops = paths[0].hops if paths else 0
        if a == b or b in source.direct:
            return EqualCost(len(source.direct.get(b, (a,))), hops, paths)
        reach = Reach(self._wiring.network, source.switches)
        return EqualCost(reach.count(self._wiring.attached[b].switches), hops, paths)

    def bottleneck(self, a: PortKey, b: PortKey) -> Bottleneck | None:
        """The narrowest of: NIC a, NIC b, and the narrowest cut through the cables of their equal-cost set.

        Of equally narrow ones a NIC is named before a cable. None when b cannot be reached. A flow from a NIC to
        itself turns round in the NIC.
        """
        cut = self._cut(a, b)
        if cut is None:
            return None
        nics = [Bottleneck(self._wiring.nics[p].rate_bps, f"nic:{p}", (f"nic:{p}",)) for p in (a, b)]
        return min([*nics, _bottleneck(cut)], key=lambda found: found.capacity_bps or UNLIMITED)

    def _cut(self, a: PortKey, b: PortKey) -> Cut | None:
        source, target = self._wiring.attached[a], self._wiring.attached[b]
        if a == b:
            return Cut(UNLIMITED, ())
        if direct := source.direct.get(b):
            return Cut(sum(c.capacity_bps for c in direct), direct)
        reach = Reach(self._wiring.network, source.switches)
        return reach.cut(target.switches) if reach.nearest(target.switches) else None

    def attachments(self) -> tuple[Attachment, ...]:
        """Every NIC is in exactly one; sorted by name."""
        return self._attachments

    def attachment(self, port: PortKey) -> Attachment:
        """The attachment of a NIC."""
        return self._at[port]

    def attachment_paths(self) -> tuple[AttachmentPath, ...]:
        """Pairs of different attachments that can reach each other, once per pair; computed between switches.

        Not listed: NICs within one attachment (the switch, or their cable, joins them and never limits). Computed
        at the first call.
        """
        if self._pairs is None:
            self._pairs = tuple(self._attachment_pairs())
        return self._pairs

    def _attachment_pairs(self) -> Iterator[AttachmentPath]:
        numbers = self._wiring.numbers()
        ends: list[tuple[str, Ends]] = [
            (a.name, {numbers[s]: () for s in a.switches}) for a in self._attachments if a.switches
        ]
        reaches = ((i, a, Reach(self._wiring.network, sources)) for i, (a, sources) in enumerate(ends))
        for i, a, reach in reaches:
            yield from (row for b, targets in ends[i + 1 :] if (row := _pair(a, b, reach, targets)))

    def rails(self) -> tuple[Rail, ...]:
        """NICs by the rail the fabric file gives them; a NIC without a rail is in none."""
        found: dict[int, list[PortKey]] = defaultdict(list)
        for port, nic in sorted(self._wiring.nics.items(), key=lambda item: item[0]):
            if nic.rail is not None:
                found[nic.rail].append(port)
        return tuple(Rail(index, tuple(ports)) for index, ports in sorted(found.items()))

    def components(self) -> tuple[tuple[PortKey, ...], ...]:
        """NICs by the connected part of the network they are in; two parts share no switch and no NIC."""
        names = {f"nic:{p}": p for p in self._wiring.nics}
        wires = nx.Graph(_wires(self._wiring))
        wires.add_nodes_from(names)
        parts = (sorted(names[n] for n in part if n in names) for part in nx.connected_components(wires))
        return tuple(sorted(tuple(part) for part in parts if part))

    def cyclic_buffer_dependencies(self) -> tuple[tuple[str, ...], ...]:
        """Cycles in the channel dependency graph of the shortest-path routes between attachments.

        A lossless fabric (PFC, InfiniBand credits) whose routes have one can deadlock (Dally and Seitz, IEEE
        Trans. Computers C-36(5), 1987). One cycle for each strongly connected part, as channels
        ``leaf1>spine1``. Trees have none; a ring of four switches has.
        """
        used = sorted({s for at in self._wiring.attached.values() for s in at.switches})
        channels = nx.DiGraph()
        for target in used:
            channels.add_edges_from(Reach(self._wiring.network, {target: ()}).dependencies(used))
        parts = [sorted(part) for part in nx.strongly_connected_components(channels) if len(part) > 1]
        cycles = (nx.find_cycle(nx.DiGraph(channels.subgraph(part)), part[0]) for part in parts)
        names = self._wiring.switches
        return tuple(sorted(tuple(f"{names[u]}>{names[v]}" for (u, v), _ in cycle) for cycle in cycles))


def _known(capacity_bps: int) -> int | None:
    return None if capacity_bps >= UNLIMITED else capacity_bps


def _queue_name(queue: Queue) -> str:
    return f"queue:{queue.port}/{queue.lane_id}"


def _bottleneck(cut: Cut) -> Bottleneck:
    names = tuple(cable.name for cable in cut.cables)
    return Bottleneck(_known(cut.capacity_bps), names[0] if names else "", names)


def _pair(a: str, b: str, reach: Reach, targets: Ends) -> AttachmentPath | None:
    nearest = reach.nearest(targets)
    if not nearest:
        return None
    limit, hops = _bottleneck(reach.cut(targets)), reach.distance[nearest[0]]
    return AttachmentPath(a, b, hops, reach.count(targets), limit.capacity_bps, limit.element)


def _port_name(port: PortKey, wiring: Wiring) -> str:
    return f"nic:{port}" if port in wiring.nics else f"port:{port}"


def _wires(wiring: Wiring) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The edges of the network: cables, a switch's ports to the switch, a bond's members to the bond."""
    for cable in wiring.cables:
        a, b = (_port_name(end, wiring) for end in (cable.a, cable.b))
        yield a, b, {"kind": "cable", "name": cable.name, "capacity_bps": _known(cable.capacity_bps)}
        for end in (cable.a, cable.b):
            if end not in wiring.owners:
                yield f"port:{end}", f"switch:{end.node}", {"kind": "port"}
    for port, owner in wiring.owners.items():
        if port != owner:
            yield f"port:{port}", f"nic:{owner}", {"kind": "member"}


def _inside(host: Host) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The edges inside a host: what sits behind which PCIe switch, and the memory behind the host."""
    if host.memory_bytes_per_s is not None:
        yield (
            f"dram:{host.name}",
            f"host:{host.name}",
            {"kind": "memory", "capacity_bps": 8 * host.memory_bytes_per_s},
        )
    gpus = [(f"gpu:{host.name}/{g.index}", g.pcie_switch, None) for g in host.gpus]
    nics = [(f"nic:{host.name}/{n.name}", n.pcie_switch, n.rate_bps) for n in host.nics]
    for name, pcie_switch, capacity in (*gpus, *nics):
        root, behind = f"host:{host.name}", f"pcie:{host.name}/{pcie_switch}"
        if pcie_switch is not None:
            yield behind, root, {"kind": "pcie", "capacity_bps": None}
        yield name, root if pcie_switch is None else behind, {"kind": "pcie", "capacity_bps": capacity}


def _graph(spec: FabricSpec, wiring: Wiring) -> Any:
    graph = nx.Graph()
    graph.add_nodes_from(f"switch:{name}" for name in wiring.switches)
    graph.add_nodes_from(f"host:{host.name}" for host in spec.hosts)
    graph.add_edges_from(edge for host in spec.hosts for edge in _inside(host))
    graph.add_edges_from(_wires(wiring))
    for host in spec.hosts:
        if host.memory_bytes_per_s is not None:
            graph.nodes[f"dram:{host.name}"]["capacity_bps"] = 8 * host.memory_bytes_per_s
    for port, nic in wiring.nics.items():
        graph.nodes[f"nic:{port}"]["capacity_bps"] = nic.rate_bps
    for name, data in graph.nodes(data=True):
        data["kind"] = name.partition(":")[0]
    return graph
