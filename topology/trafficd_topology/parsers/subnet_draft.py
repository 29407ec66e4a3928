"""What lines of a dump say, gathered into a Subnet: every node, port and cable that either end names."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from trafficd_topology.subnet import IbEnd, IbLink, IbNode, IbPort, NodeKind, Subnet

MAX_STRANGE = 10
"""Lines that are not understood are shown up to so many; all are counted."""
MAX_TEXT = 100


@dataclass(frozen=True, slots=True)
class PortRecord:
    """One line about a port. ``peer`` is what it is cabled to, with what the line says of it; None without a cable."""

    port: IbPort
    peer: IbPort | None = None
    peer_node: IbNode | None = None


@dataclass(frozen=True, slots=True)
class Strange:
    """A line that is not understood."""

    number: int
    text: str


Record = IbNode | PortRecord | Strange


def named_guid(name: str) -> int:
    """A number for a node that a file knows by name only; the same name, the same number (EUI-64, locally administered)."""
    return 0x02 << 56 | int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


@dataclass(slots=True)
class _Draft:
    nodes: dict[int, IbNode] = field(default_factory=dict)
    seen: dict[int, IbNode] = field(default_factory=dict)
    """Nodes that only a cable's other end names."""
    ports: dict[IbEnd, IbPort] = field(default_factory=dict)
    links: dict[IbLink, set[IbEnd]] = field(default_factory=dict)
    """Cable -> the ends that name it."""
    twice: list[int] = field(default_factory=list)
    disagreeing: set[IbLink] = field(default_factory=set)

    def add_node(self, node: IbNode) -> None:
        known = self.nodes.get(node.guid)
        if known is not None and known != node:
            self.twice.append(node.guid)
        self.nodes[node.guid] = node if known is None else _filled(known, node)

    def add_port(self, port: IbPort) -> None:
        known = self.ports.get(port.end)
        self.ports[port.end] = port if known is None else _joined(known, port)

    def add(self, record: PortRecord) -> None:
        self.add_port(record.port)
        if record.peer is None:
            return
        here, there = record.port.end, record.peer.end
        link = IbLink(min(here, there), max(here, there))
        before = self.ports.get(here if link not in self.links else there)
        if link in self.links and before is not None and _differ(before, record.port):
            self.disagreeing.add(link)
        self.links.setdefault(link, set()).add(here)
        self.add_port(record.peer)
        if record.peer_node is not None:
            self.seen.setdefault(record.peer_node.guid, record.peer_node)


def _differ(a: IbPort, b: IbPort) -> bool:
    pairs = ((a.width, b.width), (a.speed, b.speed))
    return any(x is not None and y is not None and x != y for x, y in pairs)


def _filled(known: IbNode, other: IbNode) -> IbNode:
    return IbNode(
        known.kind,
        known.guid,
        known.name or other.name,
        known.ports if known.ports is not None else other.ports,
        known.system_guid if known.system_guid is not None else other.system_guid,
        known.vendor_id if known.vendor_id is not None else other.vendor_id,
        known.device_id if known.device_id is not None else other.device_id,
    )


def _joined(known: IbPort, other: IbPort) -> IbPort:
    return IbPort(
        known.end,
        known.port_guid if known.port_guid is not None else other.port_guid,
        known.lid if known.lid is not None else other.lid,
        known.width if known.width is not None else other.width,
        known.speed if known.speed is not None else other.speed,
        known.up or other.up,
    )


def subnet(records: Iterable[Record]) -> Subnet:
    """Everything the records say, sorted; what contradicts itself or is not understood becomes a note."""
    draft, strange = _Draft(), []
    for record in records:
        match record:
            case IbNode():
                draft.add_node(record)
            case PortRecord():
                draft.add(record)
            case Strange():
                strange.append(record)
    notes = [*_notes(draft), *_strange(strange)]
    for guid, node in draft.seen.items():
        draft.nodes.setdefault(guid, node)
    for port in draft.ports:
        draft.nodes.setdefault(port.guid, IbNode(NodeKind.ADAPTER, port.guid))
    for link in draft.links:
        draft.ports |= _rated(draft.ports[link.a], draft.ports[link.b])
    return Subnet(
        tuple(draft.nodes[guid] for guid in sorted(draft.nodes)),
        tuple(draft.ports[end] for end in sorted(draft.ports)),
        tuple(sorted(draft.links)),
        tuple(notes),
    )


def _rated(a: IbPort, b: IbPort) -> dict[IbEnd, IbPort]:
    """Width and speed are a cable's: an end that was not described has those of the other."""
    pairs = ((a, b), (b, a))
    return {
        x.end: replace(x, width=y.width, speed=y.speed)
        for x, y in pairs
        if x.width is None and x.speed is None and y.width is not None
    }


def _notes(draft: _Draft) -> Iterator[str]:
    for guid in sorted(set(draft.twice)):
        yield f"node 0x{guid:016x} ({draft.nodes[guid].name}) is described more than once, not alike: the first counts"
    for guid in sorted(draft.seen.keys() - draft.nodes.keys()):
        yield f"node 0x{guid:016x} ({draft.seen[guid].name}) is at the other end of a cable and not described itself"
    for link, ends in sorted(draft.links.items()):
        other = ({link.a, link.b} - ends) or set()
        yield from (
            f"the cable {link.a} - {link.b} is named at {next(iter(ends))} only"
            for end in other
            if end.guid in draft.nodes
        )
    for link in sorted(draft.disagreeing):
        yield f"the ends of the cable {link.a} - {link.b} are given different widths or speeds"
    uses = Counter(end for link in draft.links for end in {link.a, link.b})
    yield from (f"port {end} has {n} cables" for end, n in sorted(uses.items()) if n > 1)
    yield from _lids(draft)


def _lids(draft: _Draft) -> Iterator[str]:
    """Ports of different nodes that have one LID: the dump joins several subnets, or is older than the subnet."""
    owners: dict[int, set[int]] = defaultdict(set)
    for port in draft.ports.values():
        if port.lid:
            owners[port.lid].add(port.end.guid)
    for lid, guids in sorted(owners.items()):
        if len(guids) > 1:
            yield f"LID {lid} is that of {len(guids)} nodes: " + ", ".join(
                f"0x{g:016x}" for g in sorted(guids)[:3]
            )


def _strange(lines: list[Strange]) -> Iterator[str]:
    for line in lines[:MAX_STRANGE]:
        shown = "".join(c if c.isprintable() else "?" for c in line.text.strip())[:MAX_TEXT]
        yield f"line {line.number} is not understood: {shown}"
    if len(lines) > MAX_STRANGE:
        yield f"{len(lines) - MAX_STRANGE} more lines are not understood"


def with_nodes(records: list[Record], moved: dict[int, int]) -> list[Record]:
    """The records with some nodes' GUIDs replaced."""
    if not moved:
        return records
    return [_moved(r, moved) for r in records]


def _moved(record: Record, moved: dict[int, int]) -> Record:
    match record:
        case IbNode():
            return replace(record, guid=moved.get(record.guid, record.guid))
        case PortRecord(port, peer, node):
            return PortRecord(
                _elsewhere(port, moved),
                None if peer is None else _elsewhere(peer, moved),
                None if node is None else replace(node, guid=moved.get(node.guid, node.guid)),
            )
    return record


def _elsewhere(port: IbPort, moved: dict[int, int]) -> IbPort:
    guid = moved.get(port.end.guid)
    return port if guid is None else replace(port, end=IbEnd(guid, port.end.port))
