"""The traffic of KV reads when every storage NIC of the prefill and decode nodes is fully used, NIC by NIC.

An **engine** is a GPU with its paired compute NIC, taken as one for each compute NIC. Tasks are balanced (DualPath,
section 4.2): a node's reads are spread evenly over its engines, and every prefill engine works with every decode
engine alike. Where an engine's own NIC cannot be reached (rails that are networks of their own) the NICs of its
node that can be share its traffic. Storage servers give in proportion to their NICs' rates. Bits per second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trafficd_topology.flows import Flows, Place, Places
from trafficd_topology.model import FabricSpec, Host, NicKind, PortKey, Problem, Role


class Path(StrEnum):
    """The side on which storage is read: prefill (PE) or decode (DE)."""

    PE = "pe"
    DE = "de"


class Amount(StrEnum):
    """What moves through a NIC, bits per second."""

    STORED = "stored"  # read from storage by a storage NIC: its rate
    OWN = "own"  # an engine's part of what its node reads
    SENT = "sent"  # sent by a compute NIC to the other side
    RECEIVED = "received"  # received by a compute NIC from the other side
    LOADED = "loaded"  # received for a decode engine, by whichever NIC


Rates = dict[PortKey, float]


@dataclass(frozen=True, slots=True)
class Node:
    """A prefill or decode node: its engines' NICs, its storage NICs, and what these read together."""

    host: Host
    engines: tuple[PortKey, ...]
    stores: tuple[PortKey, ...]
    read_bps: int

    @property
    def own_bps(self) -> float:
        """What each engine of this node reads."""
        return self.read_bps / len(self.engines)


@dataclass(frozen=True, slots=True)
class ReadSet:
    """Who reads: nodes of both sides (each with an engine), and the NICs of storage servers."""

    prefill: tuple[Node, ...]
    decode: tuple[Node, ...]
    servers: tuple[PortKey, ...]
    without_engine: tuple[str, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.prefill + self.decode


@dataclass(slots=True)
class Reads:
    """Traffic by path. ``flows`` are those on the network, to and from storage servers included.

    ``lost`` counts pairs of engines, and ``unserved`` storage NICs, with no way between them: what they would have
    exchanged is in no flow.
    """

    amounts: dict[tuple[Path, Amount], Rates] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )
    flows: dict[Path, Flows] = field(default_factory=lambda: {path: Flows() for path in Path})
    lost: int = 0
    unserved: int = 0


def read_set(spec: FabricSpec) -> tuple[ReadSet | None, tuple[Problem, ...]]:
    """Who reads in a fabric at its present roles; None with problems where nothing could be read and used."""
    nodes = {role: [_node(h) for h in spec.hosts if h.role is role] for role in (Role.PREFILL, Role.DECODE)}
    prefill, decode = (tuple(n for n in nodes[role] if n.engines) for role in (Role.PREFILL, Role.DECODE))
    problems = [
        Problem("hosts", "", f"no host of role {role} has a NIC of kind compute: name roles and kinds first")
        for role, found in ((Role.PREFILL, prefill), (Role.DECODE, decode))
        if not found
    ]
    if not problems and not any(n.stores for n in prefill + decode):
        problems.append(
            Problem("hosts", "", "no prefill or decode host has a NIC of kind storage to read with")
        )
    servers = tuple(p for h in spec.hosts if h.role is Role.STORAGE for p in _ports(h, NicKind.STORAGE))
    without = tuple(n.host.name for found in nodes.values() for n in found if not n.engines)
    return (None if problems else ReadSet(prefill, decode, servers, without)), tuple(problems)


def _node(host: Host) -> Node:
    read = sum(nic.rate_bps for nic in host.nics if nic.kind is NicKind.STORAGE)
    return Node(host, _ports(host, NicKind.COMPUTE), _ports(host, NicKind.STORAGE), read)


def _ports(host: Host, kind: NicKind) -> tuple[PortKey, ...]:
    return tuple(PortKey(host.name, nic.name) for nic in host.nics if nic.kind is kind)


@dataclass(frozen=True, slots=True)
class _Way:
    """From one place of prefill engines: the decode nodes it reaches, and for how many engines each NIC stands."""

    place: Place
    engines: tuple[PortKey, ...]
    nodes: tuple[Node, ...]
    stands_for: Mapping[PortKey, float]


def reads(found: ReadSet, places: Places) -> Reads:
    """All traffic of a set, on both paths."""
    made = Reads()
    for path, nodes in ((Path.PE, found.prefill), (Path.DE, found.decode)):
        made.amounts[path, Amount.OWN].update({e: node.own_bps for node in nodes for e in node.engines})
        _from_storage(made, path, nodes, _Servers(found.servers, places))
    decode = sum(len(n.engines) for n in found.decode)
    for place, engines in places.by_place(e for n in found.prefill for e in n.engines).items():
        way = _way(place, tuple(engines), found.decode, places)
        made.lost += len(engines) * (decode - sum(len(n.engines) for n in way.nodes))
        _prefill_path(made, way, decode, places)
        _decode_path(made, way, sum(len(n.engines) for n in found.prefill), places)
    for path in Path:
        made.flows[path].sent.update(made.amounts[path, Amount.SENT])
        made.flows[path].received.update(made.amounts[path, Amount.RECEIVED])
    return made


def _way(place: Place, engines: tuple[PortKey, ...], nodes: tuple[Node, ...], places: Places) -> _Way:
    reached: list[Node] = []
    stands_for: Rates = defaultdict(float)
    for node in nodes:
        met = [e for e in node.engines if places.meet(place, places.at[e])]
        for engine in node.engines if met else ():
            for nic in [engine] if engine in met else met:
                stands_for[nic] += 1.0 if engine in met else 1 / len(met)
        reached += [node] if met else []
    return _Way(place, engines, tuple(reached), stands_for)


def _prefill_path(made: Reads, way: _Way, decode_engines: int, places: Places) -> None:
    """From prefill engines of one place to the decode buffers: all KV of their reads."""
    own = made.amounts[Path.PE, Amount.OWN]
    each = sum(own[e] for e in way.engines) / decode_engines
    between = made.flows[Path.PE].between
    received, loaded = made.amounts[Path.PE, Amount.RECEIVED], made.amounts[Path.PE, Amount.LOADED]
    for nic, engines in way.stands_for.items():
        received[nic] += each * engines
        between[way.place, places.at[nic]] += each * engines
    for engine in (e for node in way.nodes for e in node.engines):
        loaded[engine] += each
    reached = sum(way.stands_for.values()) / decode_engines
    made.amounts[Path.PE, Amount.SENT].update({e: own[e] * reached for e in way.engines})


def _decode_path(made: Reads, way: _Way, prefill_engines: int, places: Places) -> None:
    """From the decode buffers to prefill engines of one place: what the decode nodes read."""
    each = {nic: made.amounts[Path.DE, Amount.OWN][nic] / prefill_engines for nic in way.stands_for}
    between, sent = made.flows[Path.DE].between, made.amounts[Path.DE, Amount.SENT]
    for nic, engines in way.stands_for.items():
        rate = each[nic] * engines * len(way.engines)
        sent[nic] += rate
        between[places.at[nic], way.place] += rate
    total = sum(each[nic] * engines for nic, engines in way.stands_for.items())
    made.amounts[Path.DE, Amount.RECEIVED].update(dict.fromkeys(way.engines, total))


class _Servers:
    """Storage servers' NICs by place."""

    def __init__(self, ports: Iterable[PortKey], places: Places) -> None:
        self.places = places
        self.rates = {port: float(places.wiring.nics[port].rate_bps) for port in ports}
        self.at = places.by_place(self.rates)

    def for_place(self, target: Place) -> list[PortKey]:
        """The servers' NICs that reach a place."""
        return [port for place, ports in self.at.items() if self.places.meet(place, target) for port in ports]


def _from_storage(made: Reads, path: Path, nodes: Iterable[Node], servers: _Servers) -> None:
    """From storage servers to the storage NICs of nodes, each at its full rate."""
    places, flows = servers.places, made.flows[path]
    stored = made.amounts[path, Amount.STORED]
    stored.update({port: float(places.wiring.nics[port].rate_bps) for n in nodes for port in n.stores})
    for target, ports in places.by_place(stored).items():
        givers = servers.for_place(target)
        made.unserved += 0 if givers else len(ports)
        wanted, total = sum(stored[port] for port in ports), sum(servers.rates[port] for port in givers)
        for giver in givers:
            rate = wanted * servers.rates[giver] / total
            flows.sent[giver] += rate
            flows.between[places.at[giver], target] += rate
        flows.received.update({port: stored[port] for port in ports if givers})
