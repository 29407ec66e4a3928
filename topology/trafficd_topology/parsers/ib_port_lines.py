"""Output that has a line a port: ``ibnetdiscover -p`` and ``iblinkinfo`` (also with -l). Text in, records out.

These tools name an adapter by the GUID of the port, and ``iblinkinfo`` names the other end by its LID. Ports of one
adapter are put together where their GUIDs follow the port numbers and their descriptions are equal. Never raises.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from trafficd_topology.parsers.subnet_draft import PortRecord, Record, Strange, named_guid, with_nodes
from trafficd_topology.subnet import IbEnd, IbNode, IbPort, NodeKind

_KINDS = {"CA": NodeKind.ADAPTER, "SW": NodeKind.SWITCH, "RT": NodeKind.ROUTER}
_P_END = r"(CA|SW|RT)\s+(\d+)\s+(\d+)\s+0x([0-9a-fA-F]+)"
_P_LINE = re.compile(rf"\s*{_P_END}\s+(\d+|\?+)x\s+(\S+)(?:\s+-\s+{_P_END}(?=\s|$)(.*)|(.*))", re.DOTALL)
_P_NAMES = re.compile(r"\s*\(\s?(.*?)\s?\)\s*", re.DOTALL)
_L_LINE = re.compile(
    r'\s*(?:0x([0-9a-fA-F]+)\s+)?(?:"(.*)"\s+)?(\d+)\s+(\d+)\[\s*\d*\s*\]\s*==\(\s*(.*?)\s*\)==>\s*'
    r'(?:0x([0-9a-fA-F]+)\s+)?(?:(\d+)\s+(\d+))?\s*\[\s*\d*\s*\]\s*(?:"(.*)")?[^"]*'
)
_L_HEAD = re.compile(r"\s*(CA|Switch|Router):\s*(?:0x([0-9a-fA-F]+)\s+)?(.*?):?\s*")
_L_KINDS = {"CA": NodeKind.ADAPTER, "Switch": NodeKind.SWITCH, "Router": NodeKind.ROUTER}
_L_RATE = re.compile(r"(\d+)X\s+([\d.]+)\s*Gbps(?:\s*\((\w+)\))?")
_SPEEDS = {
    "2.5": "SDR", "5.0": "DDR", "10.0": "QDR", "14.0625": "FDR", "25.78125": "EDR",
    "53.125": "HDR", "106.25": "NDR", "212.5": "XDR",
}  # fmt: skip


def is_port_line(line: str) -> bool:
    """Whether a line is of one of these tools."""
    return bool(_P_LINE.fullmatch(line) or ("==(" in line and _L_LINE.fullmatch(line)))


@dataclass(frozen=True, slots=True)
class _Half:
    """One end of a line: what it says of its node and its port."""

    kind: NodeKind | None
    name: str
    port: IbPort

    @property
    def node(self) -> IbNode:
        return IbNode(self.kind or NodeKind.ADAPTER, self.port.end.guid, self.name)


@dataclass(slots=True)
class _Place:
    """The heading that iblinkinfo's lines stand below, and who has which LID."""

    kind: NodeKind | None = None
    guid: int | None = None
    name: str = ""
    lids: dict[int, int] = field(default_factory=dict)
    switches: frozenset[int] = frozenset()
    """GUIDs with lines of several ports: with -l a line does not say what its node is, and an adapter has a GUID a port."""


def read_ports(lines: Iterable[tuple[int, str]]) -> list[Record]:
    """Records of the numbered lines of one output."""
    numbered = list(lines)
    own = list(_own_ports(numbered))
    several = {guid for guid, count in Counter(guid for guid, _ in own).items() if count > 1}
    place = _Place(lids={lid: guid for guid, lid in own if lid}, switches=frozenset(several))
    records: list[Record] = []
    for number, line in numbered:
        if not line.strip():
            continue
        if "==(" not in line and (head := _L_HEAD.fullmatch(line)):
            guid = int(head[2], 16) if head[2] else None
            place.kind, place.guid, place.name = _L_KINDS[head[1]], guid, head[3]
            continue
        found = _p_line(line) or _l_line(line, place)
        records += found or [Strange(number, line)]
    return with_nodes(records, _adapters(records))


def _own_ports(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, int]]:
    """(GUID, LID) of each line of iblinkinfo: other ends may have nothing but a LID."""
    guid: int | None = None
    for _, line in lines:
        if "==(" not in line and (head := _L_HEAD.fullmatch(line)):
            guid = int(head[2], 16) if head[2] else None
        elif "==(" in line and (m := _L_LINE.fullmatch(line)):
            own = int(m[1], 16) if m[1] else guid
            if own is not None:
                yield own, int(m[3])


def _p_line(line: str) -> list[Record] | None:
    m = _P_LINE.fullmatch(line)
    if m is None:
        return None
    names = _names(m[11] or m[12] or "")
    if m[7] is None:
        # Width and speed of a port without a link say nothing.
        port = _P(m[1], m[2], m[3], m[4]).half(names[0], None, None, up=False)
        return [port.node, PortRecord(port.port)]
    width = int(m[5]) if m[5].isdigit() else None
    speed = None if "?" in m[6] else m[6].upper()
    port = _P(m[1], m[2], m[3], m[4]).half(names[0], width, speed, up=True)
    peer = _P(m[7], m[8], m[9], m[10]).half(names[1], None, None, up=True)
    return [port.node, PortRecord(port.port, peer.port, peer.node)]


@dataclass(frozen=True, slots=True)
class _P:
    """The words of one end in a line of ``ibnetdiscover -p``."""

    kind: str
    lid: str
    port: str
    guid: str

    def half(self, name: str, width: int | None, speed: str | None, *, up: bool) -> _Half:
        kind, guid = _KINDS[self.kind], int(self.guid, 16)
        switch = kind is NodeKind.SWITCH
        own = None if switch else guid
        lid = None if switch else int(self.lid)
        return _Half(kind, name, IbPort(IbEnd(guid, int(self.port)), own, lid, width, speed, up))


def _names(text: str) -> tuple[str, str]:
    """``( 'a' - 'b' )``, with quotes or without, or one name alone. A blank at the end of a name belongs to it."""
    both = _P_NAMES.fullmatch(text)
    inner = both[1] if both else text.strip()
    for mark in ("' - '", " - "):
        first, found, second = inner.partition(mark)
        if found:
            quoted = mark == "' - '"
            return (first.removeprefix("'"), second.removesuffix("'")) if quoted else (first, second)
    return (inner[1:-1] if len(inner) > 1 and inner[0] == inner[-1] == "'" else inner), ""


def _l_line(line: str, place: _Place) -> list[Record] | None:
    m = _L_LINE.fullmatch(line)
    own = (int(m[1], 16) if m[1] else place.guid) if m else None
    if m is None or own is None:
        return None
    kind = _kind(own, place)
    rate = _L_RATE.match(m[5])
    width, speed = (int(rate[1]), rate[3] or _SPEEDS.get(rate[2])) if rate else (None, None)
    switch = kind is NodeKind.SWITCH
    up = m[7] is not None
    name = m[2].strip() if m[2] is not None else place.name
    lid, guid = (None, None) if switch else (int(m[3]), own)
    port = IbPort(IbEnd(own, int(m[4])), guid, lid, width, speed, up)
    node = IbNode(kind, own, name)
    if not up:
        return [node, PortRecord(port)]
    other = int(m[6], 16) if m[6] else place.lids.get(int(m[7]), named_guid(f"lid {m[7]}"))
    peer = IbNode(NodeKind.ADAPTER, other, (m[9] or "").strip())
    return [node, PortRecord(port, IbPort(IbEnd(other, int(m[8]))), peer)]


def _kind(guid: int, place: _Place) -> NodeKind:
    if place.kind is not None:
        return place.kind
    return NodeKind.SWITCH if guid in place.switches else NodeKind.ADAPTER


def _adapters(records: list[Record]) -> dict[int, int]:
    """Port GUID -> node GUID, where several ports of one name have GUIDs that follow their numbers."""
    names = {r.guid: r.name for r in records if isinstance(r, IbNode) and r.kind is NodeKind.ADAPTER}
    ports: dict[int, set[int]] = defaultdict(set)
    for r in records:
        if isinstance(r, PortRecord):
            ports[r.port.end.guid].add(r.port.end.port)
    together: dict[tuple[str, int], list[int]] = defaultdict(list)
    for guid, name in names.items():
        numbers = ports[guid]
        if len(numbers) == 1 and name:
            together[name, guid - min(numbers)].append(guid)
    return {guid: base for (_, base), guids in together.items() if len(guids) > 1 for guid in guids}
