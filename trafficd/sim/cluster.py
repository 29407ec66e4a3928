"""A fabric as resources, and the routes that KV takes over them (DualPath, figure 4 and section 4.2).

Per NIC two resources, as seen from its host's memory: **read** (sent, or looped back) and **write** (received, or
looped back), each of the link's rate: the PCIe side carries what the wire does and the loopback besides. DRAM is
half-duplex. Storage servers and trunks between switches count where they can limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trafficd.choice.snapshot import Layout
from trafficd.choice.snapshot import NicKind as Kind
from trafficd.choice.snapshot import Role as ChoiceRole
from trafficd.core.frame import make_frame
from trafficd.sim.fluid import Fluid, Resource, Route
from trafficd.sim.lanes import Arbiter, Even, Htb, VlArbiter
from trafficd.sim.trunks import trunks_of
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import FabricSpec, LinkLayer, PortKey, Role
from trafficd_topology.qos.fit import derive_tables
from trafficd_topology.qos.lanes import LaneSet
from trafficd_topology.qos.policy import Policy
from trafficd_topology.wiring import wire

Steps = list[tuple[Resource, float]]
UNLANED = ("default", "kv", "kv-write", "model")
READ, WRITE = 0, 1


@dataclass(frozen=True, slots=True)
class LaneNumbers:
    """Which lane each kind of traffic runs in, by index into ``names``. Without lanes they are counted apart only."""

    names: tuple[str, ...]
    kv: int
    write_back: int
    model: int
    default: int
    laned: bool


@dataclass(frozen=True, slots=True)
class NicPair:
    """A NIC's two resources and the part of its rate that KV is guaranteed where there are lanes."""

    read: Resource
    write: Resource


@dataclass(frozen=True, slots=True)
class Engine:
    """A GPU: ``nic`` is the index of its paired compute NIC in the layout."""

    index: int
    node: int
    rank: int
    nic: int


@dataclass(slots=True)
class Cluster:
    """``nics`` is parallel to ``layout.nics``; ``servers`` are (read, write) of storage hosts by node."""

    spec: FabricSpec
    layout: Layout
    lanes: LaneNumbers
    fluid: Fluid
    nics: list[NicPair]
    dram: dict[int, Resource]
    prefill: tuple[Engine, ...]
    decode: tuple[Engine, ...]
    policy: Policy | None
    goodput: float
    guarantee: float
    full: tuple[float, ...]
    """Every NIC's capacity when nothing is wrong, bytes per second; parallel to ``nics``."""
    trunks: dict[tuple[int, int], tuple[tuple[Resource, float], ...]]
    cables: dict[str, list[tuple[Resource, int, int]]]
    """Cable's name -> trunks it is part of, with its own and the trunk's full capacity, bits per second."""
    servers: dict[str, tuple[int, ...]]
    """Pool -> the NICs that serve it; and per storage node."""
    limits: frozenset[int]
    """Server NICs that can limit."""
    _routes: dict[tuple[int, str, int], Route] = field(default_factory=dict)

    def name(self, node: int) -> str:
        return self.layout.nodes[node].name

    def between(self, a: int, b: int) -> Iterator[tuple[Resource, float]]:
        """What a byte from NIC ``a`` to NIC ``b`` puts on trunks."""
        at = self.layout.index.attachment_of
        yield from self.trunks.get((at[a], at[b]), ())

    def reading(self, nic: int, source: str) -> Route:
        """From a storage pool (or one storage node) into the memory of the NIC's node."""
        return self._storage(nic, source, WRITE)

    def writing(self, nic: int, source: str) -> Route:
        """From the node's memory to a storage pool."""
        return self._storage(nic, source, READ)

    def _storage(self, nic: int, source: str, direction: int) -> Route:
        key = (nic, source, direction)
        found = self._routes.get(key)
        if found is None:
            found = self._routes[key] = Route(self._storage_steps(nic, source, direction))
        return found

    def _storage_steps(self, nic: int, source: str, direction: int) -> Steps:
        pair, node = self.nics[nic], self.layout.nics[nic].node
        steps: Steps = [(pair.write if direction == WRITE else pair.read, 1.0)]
        steps += self.memory(node, 1.0)
        servers = self.servers.get(source, ())
        for server in servers:
            part = 1 / len(servers)
            ends = (server, nic) if direction == WRITE else (nic, server)
            steps += [(trunk, part * w) for trunk, w in self.between(*ends)]
            if server in self.limits:
                steps.append(
                    (self.nics[server].read if direction == WRITE else self.nics[server].write, part)
                )
        return steps

    def streaming(self, nic: int, source: str, out: int, into: int) -> Route:
        """Read on one node and at once sent on to another's GPU."""
        key = (nic, f"{source}>{out}>{into}", WRITE)
        found = self._routes.get(key)
        if found is None:
            on = [(self.nics[out].read, 1.0), (self.nics[into].write, 1.0), *self.between(out, into)]
            found = self._routes[key] = Route([*self._storage_steps(nic, source, WRITE), *on])
        return found

    def memory(self, node: int, weight: float) -> Steps:
        """DRAM, where the fabric file says what it can do."""
        dram = self.dram.get(node)
        return [] if dram is None else [(dram, weight)]


@dataclass(frozen=True, slots=True)
class Options:
    """``policy`` None: no lanes. ``goodput``: payload over rate. ``keep`` names cables, ``servers`` hosts that faults touch."""

    policy: Policy | None = None
    goodput: float = 1.0
    keep: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    unlaned_kinds: tuple[Kind, ...] = ()


def build(spec: FabricSpec, options: Options, fluid: Fluid) -> Cluster:
    """The resources of a valid fabric with engines on both sides."""
    fabric = Fabric(spec)
    layout = make_frame(fabric, None, ()).layout
    lanes, by_layer = _arbiters(options.policy)
    even = Even.of(lanes.names)
    layers = [nic.link_layer for host in spec.hosts for nic in host.nics]
    nics = []
    for i, nic in enumerate(layout.nics):
        arbiter = even if nic.kind in options.unlaned_kinds else by_layer[layers[i]]
        capacity = _rate(spec, layout, i) / 8 * options.goodput
        name = layout.index.nic_names[i]
        nics.append(
            NicPair(*(fluid.resource(f"nic:{name} {d}", capacity, arbiter) for d in ("read", "write")))
        )
    dram = {
        i: fluid.resource(f"dram:{h.name}", float(h.memory_bytes_per_s), even)
        for i, h in enumerate(spec.hosts)
        if h.memory_bytes_per_s is not None
    }
    trunks, cables = _trunks(fabric, options, fluid, by_layer)
    servers = _servers(layout)
    return Cluster(
        spec,
        layout,
        lanes,
        fluid,
        nics,
        dram,
        tuple(_engines(layout, ChoiceRole.PREFILL)),
        tuple(_engines(layout, ChoiceRole.DECODE)),
        options.policy,
        options.goodput,
        _guarantee(options.policy, lanes),
        tuple(p.write.capacity for p in nics),
        trunks,
        cables,
        servers,
        _limits(spec, layout, servers, options.servers),
    )


def _rate(spec: FabricSpec, layout: Layout, i: int) -> int:
    nic = layout.nics[i]
    found = spec.hosts[nic.node].nic(nic.name)
    assert found is not None
    return found.rate_bps


def lane_numbers(lanes: LaneSet | None) -> LaneNumbers:
    """The lanes that KV reads, write-back, collectives and unmarked traffic run in."""
    if lanes is None:
        return LaneNumbers(UNLANED, 1, 2, 3, 0, laned=False)
    names = tuple(lane.name for lane in lanes.lanes)

    def of(*intents: str) -> int:
        classes = (lanes.class_for(intent) for intent in intents)
        return names.index(next((c.lane for c in classes if c), lanes.default.name))

    kv = of("kv-read", "kv")
    write = of("kv-write", "kv-offload", "kv-read", "kv")
    return LaneNumbers(
        names, kv, write, of("collective", "model"), names.index(lanes.default.name), laned=True
    )


def _arbiters(policy: Policy | None) -> tuple[LaneNumbers, Mapping[LinkLayer, Arbiter]]:
    lanes = lane_numbers(policy.lanes if policy else None)
    if policy is None:
        even = Even.of(lanes.names)
        return lanes, dict.fromkeys(LinkLayer, even)
    tables = policy.infiniband or derive_tables(policy.lanes)
    return lanes, {
        LinkLayer.ETHERNET: Htb.of(policy.lanes),
        LinkLayer.INFINIBAND: VlArbiter.of(policy.lanes, tables),
    }


def _guarantee(policy: Policy | None, lanes: LaneNumbers) -> float:
    return Htb.of(policy.lanes).rows[lanes.kv].floor if policy else 0.0


def _engines(layout: Layout, role: ChoiceRole) -> Iterator[Engine]:
    """One per compute NIC of the role's nodes, ranks by NIC in order."""
    count = 0
    for node in layout.index.roles[role]:
        movers = layout.index.movers[node]
        for rank, nic in enumerate(movers):
            yield Engine(count, node, rank, nic)
            count += 1


def _trunks(
    fabric: Fabric, options: Options, fluid: Fluid, by_layer: Mapping[LinkLayer, Arbiter]
) -> tuple[
    dict[tuple[int, int], tuple[tuple[Resource, float], ...]], dict[str, list[tuple[Resource, int, int]]]
]:
    wiring = wire(fabric.spec)
    layers = {s.name: s.link_layer for s in fabric.spec.switches}
    trunks, loads = trunks_of(wiring, fabric.attachments(), options.keep)
    made: list[Resource] = []
    cables: dict[str, list[tuple[Resource, int, int]]] = {}
    for trunk in trunks:
        arbiter = by_layer[layers.get(trunk.cables[0].a.node, LinkLayer.ETHERNET)]
        capacity = trunk.capacity_bps / 8 * options.goodput
        made.append(fluid.resource(f"{trunk.name} from {trunk.cables[0].a.node}", capacity, arbiter))
        for cable in trunk.cables:
            cables.setdefault(cable.name, []).append((made[-1], cable.capacity_bps, trunk.capacity_bps))
    return {pair: tuple((made[t], w) for t, w in rows) for pair, rows in loads.items()}, cables


def _servers(layout: Layout) -> dict[str, tuple[int, ...]]:
    """NICs by pool and by storage node."""
    found = dict(layout.index.pools)
    for node in layout.index.roles[ChoiceRole.STORAGE]:
        found[layout.nodes[node].name] = layout.index.readers[node]
    return found


def _limits(
    spec: FabricSpec, layout: Layout, servers: Mapping[str, Sequence[int]], named: Iterable[str]
) -> frozenset[int]:
    """Server NICs that all readers together could fill, or that a fault names; reads of a pool are striped evenly."""
    readers = [
        i
        for i, nic in enumerate(layout.nics)
        if nic.kind is Kind.STORAGE and layout.nodes[nic.node].role is not ChoiceRole.STORAGE
    ]
    wanted = sum(_rate(spec, layout, i) for i in readers)
    hosts = frozenset(named)
    found: set[int] = set()
    for pool, nics in servers.items():
        if not pool or not nics:
            continue
        whole = spec.host(pool) is None
        for i in nics:
            touched = layout.nodes[layout.nics[i].node].name in hosts
            if touched or (whole and wanted / len(nics) > _rate(spec, layout, i)):
                found.add(i)
    return frozenset(found)


def port_index(layout: Layout, port: PortKey) -> int | None:
    """A NIC's index by its port; None when the fabric has none."""
    return layout.index.nic_ids.get(str(port))


def role_hosts(spec: FabricSpec, role: Role) -> tuple[str, ...]:
    """Names of the hosts of a role."""
    return tuple(h.name for h in spec.hosts if h.role is role)
