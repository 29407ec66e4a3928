"""A fabric file and the InfiniBand subnets that were found, together: what is cabled as found, the rest the operator's.

Roles, pools, GPUs, kinds, rates and names stay as in the file. Cables of InfiniBand become those that were found; a
cable of the file that was not found stays while both its ports are free (it may be down), and every difference is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trafficd_topology.ib_match import FoundNic, FoundSubnet, Matched, Taken, guid_text, match, port_number
from trafficd_topology.model import FabricSpec, Host, Link, LinkLayer, Nic, NicKind, PortKey, Role, Switch
from trafficd_topology.parsers.units import rate_text
from trafficd_topology.subnet import IbEnd, IbLink, NodeKind


@dataclass(frozen=True, slots=True)
class Merged:
    """``differences`` are where file and subnet disagree; ``left_out`` what has no place in a fabric file."""

    spec: FabricSpec
    differences: tuple[str, ...]
    left_out: tuple[str, ...]

    def comments(self) -> tuple[str, ...]:
        """Both, for the head of a fabric file."""
        parts = (("Not as the file said:", self.differences), ("Left out:", self.left_out))
        return tuple(line for title, rows in parts if rows for line in (title, *(f"  {r}" for r in rows), ""))


def merge(spec: FabricSpec, found: Sequence[FoundSubnet]) -> Merged:
    """``spec`` with what was found. Subnets are kept apart by name, hosts are joined by theirs."""
    taken = Taken()
    matched: list[Matched] = []
    for one in found:
        matched.append(match(spec, one, taken))
        taken = taken.also(matched[-1])
    joined = _hosts(spec, found, matched)
    out = replace(spec, hosts=joined, switches=_switches(spec, matched))
    cables, lost = _cables(out, found, matched)
    links, apart = _links(spec, cables, matched)
    differences = [*apart, *_rates(spec, matched), *_absent(spec, found, matched)]
    left = [*lost, *(row for one in found for row in _not_hosts(one))]
    return Merged(replace(out, links=links), tuple(differences), tuple(left))


def _hosts(spec: FabricSpec, found: Sequence[FoundSubnet], matched: Sequence[Matched]) -> tuple[Host, ...]:
    facts: dict[PortKey, tuple[FoundNic, str]] = {
        nic.key: (nic, one.name)
        for one, names in zip(found, matched, strict=True)
        for nic in names.nics.values()
        if nic.known or nic.port.rate_bps is not None
    }
    hosts = [
        replace(h, nics=tuple(_known(n, facts.get(PortKey(h.name, n.name))) for n in h.nics))
        for h in spec.hosts
    ]
    by_name = {h.name: h for h in hosts}
    fresh: dict[str, list[Nic]] = {}
    for key, (nic, subnet) in sorted(facts.items()):
        if not nic.known:
            fresh.setdefault(key.node, []).append(_new(nic, subnet, by_name.get(key.node)))
    used = {n.guid for h in hosts for n in h.nics}
    for name, nics in fresh.items():
        host = by_name.get(name, Host(name))
        once = [replace(n, guid=None) if n.guid in used else n for n in nics]
        used |= {n.guid for n in nics}
        by_name[name] = replace(host, nics=(*host.nics, *once))
    return tuple(by_name.values())


def _known(nic: Nic, fact: tuple[FoundNic, str] | None) -> Nic:
    if fact is None:
        return nic
    port = fact[0].port
    guid = nic.guid or guid_text(port.port_guid if port.port_guid is not None else port.end.guid)
    return replace(nic, guid=guid, subnet=nic.subnet or fact[1])


def _new(nic: FoundNic, subnet: str, host: Host | None) -> Nic:
    storage = host is not None and host.role is Role.STORAGE
    port = nic.port
    return Nic(
        nic.key.port,
        NicKind.STORAGE if storage else NicKind.COMPUTE,
        LinkLayer.INFINIBAND,
        port.rate_bps or 0,
        guid=guid_text(port.port_guid if port.port_guid is not None else port.end.guid),
        subnet=subnet,
    )


def _switches(spec: FabricSpec, matched: Sequence[Matched]) -> tuple[Switch, ...]:
    guids = {name: guid for names in matched for guid, name in names.switches.items()}
    known = [
        replace(s, guid=s.guid or guid_text(guids[s.name])) if s.name in guids else s for s in spec.switches
    ]
    there = {s.name for s in known}
    fresh = [
        Switch(name, link_layer=LinkLayer.INFINIBAND, guid=guid_text(guid))
        for name, guid in sorted(guids.items())
        if name not in there
    ]
    return (*known, *fresh)


def _cables(
    spec: FabricSpec, found: Sequence[FoundSubnet], matched: Sequence[Matched]
) -> tuple[tuple[Link, ...], tuple[str, ...]]:
    nics = {PortKey(h.name, n.name) for h in spec.hosts for n in h.nics}
    links: list[Link] = []
    left: list[str] = []
    for one, names in zip(found, matched, strict=True):
        ports = one.subnet.by_end()
        for cable in one.subnet.links:
            rate = ports[cable.a].rate_bps or ports[cable.b].rate_bps
            link, reason = _cable(cable, names, rate, nics)
            if link is not None:
                links.append(link)
            elif reason:
                left.append(f"cable {_shown(cable.a, names)} - {_shown(cable.b, names)}: {reason}")
    return tuple(sorted(links, key=lambda x: (x.a, x.b))), tuple(left)


def _cable(cable: IbLink, names: Matched, rate: int | None, nics: set[PortKey]) -> tuple[Link | None, str]:
    """The link, or why it is none; an empty reason where its node is named instead."""
    a, b = names.end(cable.a), names.end(cable.b)
    if a is None or b is None:
        return None, ""
    if cable.a.guid == cable.b.guid and cable.a.guid in names.switches:
        return None, "both ends are on one switch"
    ends = [e for e, end in ((a, cable.a), (b, cable.b)) if end.guid not in names.switches]
    if any(e not in nics for e in ends) or (not ends and rate is None):
        return None, "its rate is not known"
    first, second = (b, a) if b in nics and a not in nics else (a, b)
    return Link(first, second, None if ends else rate), ""


def _shown(end: IbEnd, names: Matched) -> str:
    return str(names.end(end) or end)


def _links(
    spec: FabricSpec, cables: tuple[Link, ...], matched: Sequence[Matched]
) -> tuple[tuple[Link, ...], tuple[str, ...]]:
    """All cables of the result, and where the file's InfiniBand cables differ from those found."""
    by_port = {_plain(end, matched): link for link in cables for end in (link.a, link.b)}
    stay: list[Link] = []
    rates: dict[Link, int] = {}
    notes: list[str] = []
    layers = _layers(spec)
    for link in spec.links:
        if not _is_infiniband(link, layers):
            stay.append(link)
            continue
        here = [by_port.get(_plain(end, matched)) for end in (link.a, link.b)]
        if here[0] is not None and here[0] == here[1]:
            rates |= {here[0]: link.rate_bps} if link.rate_bps else {}
        elif here[0] is None and here[1] is None:
            stay.append(link)
            notes.append(f"the cable {link.a} - {link.b} was not found: it is down, or was taken out")
        else:
            at = ", ".join(f"{x.a} - {x.b}" for x in dict.fromkeys(here) if x is not None)
            notes.append(f"the cable {link.a} - {link.b} is not there: found was {at}")
    kept = tuple(replace(link, rate_bps=rates.get(link, link.rate_bps)) for link in cables)
    return (*stay, *kept), (*notes, *_extra(spec, cables, matched))


def _extra(spec: FabricSpec, cables: tuple[Link, ...], matched: Sequence[Matched]) -> Iterator[str]:
    """Cables between nodes of the file that it does not have. Of new nodes everything is new."""
    if not spec.links:
        return
    said = {_plain(end, matched) for link in spec.links for end in (link.a, link.b)}
    nodes = {h.name for h in spec.hosts} | {s.name for s in spec.switches}
    for link in cables:
        ends = {_plain(link.a, matched), _plain(link.b, matched)}
        if {link.a.node, link.b.node} <= nodes and not ends & said:
            yield f"the cable {link.a} - {link.b} was found and is not in the file"


def _plain(end: PortKey, matched: Sequence[Matched]) -> PortKey:
    """A switch's port by its number, however the file writes it."""
    switch = any(end.node in names.switches.values() for names in matched)
    return PortKey(end.node, port_number(end.port)) if switch else end


def _layers(spec: FabricSpec) -> Mapping[PortKey, LinkLayer]:
    """The link layer of each NIC, and of each switch under the empty port."""
    nics = {PortKey(h.name, n.name): n.link_layer for h in spec.hosts for n in h.nics}
    return {**nics, **{PortKey(s.name, ""): s.link_layer for s in spec.switches}}


def _is_infiniband(link: Link, layers: Mapping[PortKey, LinkLayer]) -> bool:
    ends = (link.a, link.b)
    found = (layers.get(PortKey(e.node, "")) or layers.get(e) for e in ends)
    return LinkLayer.INFINIBAND in found


def _rates(spec: FabricSpec, matched: Iterable[Matched]) -> Iterator[str]:
    nics = {PortKey(h.name, n.name): n for h in spec.hosts for n in h.nics}
    for names in matched:
        for found in names.nics.values():
            rate = found.port.rate_bps
            if found.known and rate is not None and rate != nics[found.key].rate_bps:
                said = rate_text(nics[found.key].rate_bps)
                yield f"{found.key} runs at {rate_text(rate)}, not at {said}"


def _absent(spec: FabricSpec, found: Sequence[FoundSubnet], matched: Sequence[Matched]) -> Iterator[str]:
    """NICs and switches of the file that no subnet has. A subnet nobody gave a dump of is not missed."""
    names = {one.name for one in found}
    seen = {nic.key for one in matched for nic in one.nics.values()}
    for host in spec.hosts:
        for nic in host.nics:
            key = PortKey(host.name, nic.name)
            looked = nic.link_layer is LinkLayer.INFINIBAND and (nic.subnet in names or not nic.subnet)
            if looked and key not in seen:
                yield f"{key} was not found"
    there = {name for one in matched for name in one.switches.values()}
    yield from (
        f"switch {s.name} was not found"
        for s in spec.switches
        if s.link_layer is LinkLayer.INFINIBAND and s.name not in there
    )


def _not_hosts(found: FoundSubnet) -> Iterator[str]:
    """What is in a subnet and in no fabric file, one line a sort."""
    nodes = found.subnet.nodes
    cabled = {end.guid for link in found.subnet.links for end in (link.a, link.b)}
    at = f"subnet {found.name}: " if found.name else ""
    aggregation = sum(n.aggregation for n in nodes)
    if aggregation:
        yield f"{at}{aggregation} aggregation nodes of switches, with their cables"
    for node in nodes:
        if node.kind is NodeKind.ROUTER:
            yield f"{at}router {guid_text(node.guid)} ({node.name}), with its cables"
        elif node.kind is NodeKind.ADAPTER and node.guid not in cabled and not node.aggregation:
            yield f"{at}adapter {guid_text(node.guid)} ({node.name}): it has no cable"
    yield from (f"{at}{note}" for note in found.subnet.notes)
