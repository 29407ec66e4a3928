"""Which NIC and which switch of a fabric file is which node of a subnet that was found.

NICs are known by GUID, else by the host and device that the adapter's description names. Switches are known by GUID,
else by name, else by their cables: most of the known ports that the file cables to a switch are cabled to it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trafficd_topology.ib_names import adapter_name, nic_name, switch_names
from trafficd_topology.model import FabricSpec, LinkLayer, Nic, PortKey
from trafficd_topology.subnet import IbEnd, IbNode, IbPort, NodeKind, Subnet

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class FoundSubnet:
    """A subnet and what to call it (``Nic.subnet``); the name is empty where there is only one."""

    name: str
    subnet: Subnet


@dataclass(frozen=True, slots=True)
class FoundNic:
    """A port of an adapter. ``known``: it is a NIC of the file; otherwise ``key`` is the name that it gets."""

    key: PortKey
    port: IbPort
    known: bool


@dataclass(frozen=True, slots=True)
class Matched:
    """The names that ports of one subnet go by. ``switches`` by node GUID; ``known_switches`` are the file's."""

    nics: Mapping[IbEnd, FoundNic]
    switches: Mapping[int, str]
    known_switches: frozenset[int]

    def end(self, end: IbEnd) -> PortKey | None:
        """The fabric file's name of a port; None for what no fabric file has (aggregation nodes, routers)."""
        if (nic := self.nics.get(end)) is not None:
            return nic.key
        name = self.switches.get(end.guid)
        return None if name is None else PortKey(name, str(end.port))


def port_number(text: str) -> str:
    """``1``, ``p1``, ``Port 1`` and ``1/1`` speak of port 1: the last number in a name."""
    numbers = _NUMBER.findall(text)
    return str(int(numbers[-1])) if numbers else text


def guid_text(guid: int) -> str:
    return f"0x{guid:016x}"


@dataclass(frozen=True, slots=True)
class Taken:
    """Names that other subnets have given: hosts are in several of them."""

    nics: frozenset[PortKey] = frozenset()
    switches: frozenset[str] = frozenset()

    def also(self, names: Matched) -> Taken:
        nics = self.nics | {n.key for n in names.nics.values()}
        return Taken(nics, self.switches | set(names.switches.values()))


def match(spec: FabricSpec, found: FoundSubnet, taken: Taken = Taken()) -> Matched:
    """Every adapter port with a cable and every switch, named, none as ``taken``."""
    nics = _nics(spec, found, taken.nics)
    known = _switches(spec, found.subnet, nics)
    hosts = {n.key.node for n in nics.values()}
    names = {s.name for s in spec.switches} | {h.name for h in spec.hosts} | hosts | taken.switches
    fresh = switch_names((n for n in found.subnet.nodes if n.guid not in known), names)
    return Matched(nics, {**fresh, **known}, frozenset(known))


def _nics(spec: FabricSpec, found: FoundSubnet, others: frozenset[PortKey]) -> dict[IbEnd, FoundNic]:
    by_guid = {n.guid: PortKey(h.name, n.name) for h in spec.hosts for n in h.nics if n.guid}
    nodes = found.subnet.by_guid()
    named = {PortKey(h.name, n.name): n for h in spec.hosts for n in h.nics if _nameless(n, found.name)}
    named = {key: nic for key, nic in named.items() if key not in others}
    out: dict[IbEnd, FoundNic] = {}
    rest: list[IbPort] = []
    for port in _adapter_ports(found.subnet, nodes):
        key = _by_guid(port, by_guid) or _by_name(nodes[port.end.guid], port, named)
        if key is None:
            rest.append(port)
        else:
            named.pop(key, None)
            out[port.end] = FoundNic(key, port, known=True)
    taken = {PortKey(h.name, n.name) for h in spec.hosts for n in h.nics} | others
    for port in rest:
        key = _fresh(nodes[port.end.guid], port, taken)
        taken.add(key)
        out[port.end] = FoundNic(key, port, known=False)
    return out


def _nameless(nic: Nic, subnet: str) -> bool:
    """An InfiniBand NIC that has no GUID in the file, and is not said to be of another subnet."""
    return nic.link_layer is LinkLayer.INFINIBAND and nic.guid is None and nic.subnet in ("", subnet)


def _adapter_ports(subnet: Subnet, nodes: Mapping[int, IbNode]) -> Iterator[IbPort]:
    cabled = {end for link in subnet.links for end in (link.a, link.b)}
    for port in subnet.ports:
        node = nodes[port.end.guid]
        if node.kind is NodeKind.ADAPTER and not node.aggregation and port.end in cabled:
            yield port


def _by_guid(port: IbPort, by_guid: Mapping[str, PortKey]) -> PortKey | None:
    """By the port's GUID; by its node's where that stands in the file, for a first port."""
    if port.port_guid is not None and (key := by_guid.get(guid_text(port.port_guid))):
        return key
    return by_guid.get(guid_text(port.end.guid)) if port.end.port == 1 or port.port_guid is None else None


def _by_name(node: IbNode, port: IbPort, named: Mapping[PortKey, Nic]) -> PortKey | None:
    said = adapter_name(node.name)
    if said.host is None or not said.device:
        return None
    key = PortKey(said.host, nic_name(said.device, port.end.port, (), node.guid))
    return key if key in named else None


def _fresh(node: IbNode, port: IbPort, taken: set[PortKey]) -> PortKey:
    said = adapter_name(node.name)
    guid = node.system_guid if node.system_guid is not None else node.guid
    host = said.host or f"host-{guid:016x}"
    names = (key.port for key in taken if key.node == host)
    return PortKey(host, nic_name(said.device, port.end.port, names, node.guid))


def _switches(spec: FabricSpec, subnet: Subnet, nics: Mapping[IbEnd, FoundNic]) -> dict[int, str]:
    """Switches of the file, by the GUID of the node that each is."""
    candidates = {s.name: s for s in spec.switches if s.link_layer is LinkLayer.INFINIBAND}
    nodes = {n.guid: n for n in subnet.nodes if n.kind is NodeKind.SWITCH}
    guids = {s.guid: s.name for s in candidates.values() if s.guid}
    out = {guid: guids[text] for guid in nodes if (text := guid_text(guid)) in guids}
    plain = switch_names(nodes.values(), ())
    for guid, node in nodes.items():
        for name in (node.name.strip(), plain[guid]):
            if guid not in out and name in candidates and name not in out.values():
                out[guid] = name
    known = {end: nic.key for end, nic in nics.items() if nic.known}
    for _ in nodes:  # switches that are known make their neighbours known
        before = len(out)
        _by_cables(spec, subnet, known, out)
        if len(out) == before:
            break
    return out


def _by_cables(spec: FabricSpec, subnet: Subnet, known: Mapping[IbEnd, PortKey], out: dict[int, str]) -> None:
    """Add to ``out`` switches that most of the file's cables of known ports name."""
    peers = {end: other for x in spec.links for end, other in ((x.a, x.b), (x.b, x.a))}
    switches = {s.name for s in spec.switches if s.link_layer is LinkLayer.INFINIBAND} - set(out.values())
    numbered = {PortKey(end.node, port_number(end.port)): peer for end, peer in peers.items()}
    votes: dict[int, Counter[str]] = {}
    nodes = {n.guid for n in subnet.nodes if n.kind is NodeKind.SWITCH} - out.keys()
    for link in subnet.links:
        for here, there in ((link.a, link.b), (link.b, link.a)):
            if here.guid in nodes and (peer := _peer(there, known, out, (peers, numbered))):
                votes.setdefault(here.guid, Counter())[peer.node] += 1
    given: set[str] = set()
    for guid, count in sorted(votes.items(), key=lambda x: (-max(x[1].values()), x[0])):
        name, most = min(count.items(), key=lambda x: (-x[1], x[0]))
        if name in switches - given and 2 * most > sum(count.values()):
            out[guid] = name
            given.add(name)


def _peer(
    end: IbEnd,
    known: Mapping[IbEnd, PortKey],
    switches: Mapping[int, str],
    links: tuple[Mapping[PortKey, PortKey], Mapping[PortKey, PortKey]],
) -> PortKey | None:
    """What the file cables this port to; None where the port is not known or the file has no cable there."""
    by_name, by_number = links
    if end in known:
        return by_name.get(known[end])
    return by_number.get(PortKey(switches[end.guid], str(end.port))) if end.guid in switches else None
