"""Dumps of ``ibnetdiscover`` (also with -f, -g, -s) and topology files of ibsim: text in, records out. Never raises.

The format is that of infiniband-diags (ibnetdiscover.c, out_switch, out_ca and the two port lines). A node is a line of
its type, number of ports and id; its ports follow, one a line. Blanks and tabs are alike, a description may hold any
character, and whatever a line lacks is not known. A node of ibsim's files may have a name where others have a GUID.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from trafficd_topology.parsers.subnet_draft import PortRecord, Record, Strange, named_guid
from trafficd_topology.subnet import IbEnd, IbNode, IbPort, NodeKind, Subnet

HEADER = "# Topology file: generated on"
"""The first line of a dump: another one in the same text begins another dump."""
_KINDS = {
    "switch": NodeKind.SWITCH, "ca": NodeKind.ADAPTER, "hca": NodeKind.ADAPTER, "rt": NodeKind.ROUTER,
    "s": NodeKind.SWITCH, "h": NodeKind.ADAPTER, "r": NodeKind.ROUTER,
}  # fmt: skip
_NODE = re.compile(
    r'\s*(Switch|Ca|Hca|Rt)\s+(\d+)\s*"([^"]*)"\s*(?:#\s*"(.*)"(.*)|#.*)?', re.IGNORECASE | re.DOTALL
)
_PORT = re.compile(
    r'\s*\[(\d+)\](?:\[[^\]]*\])?\s*(?:\(\s*([0-9a-fA-F]+)\s*\))?\s*'
    r'"([^"]*)"\s*\[(\d+)\](?:\[[^\]]*\])?\s*(?:\(\s*([0-9a-fA-F]+)\s*\))?\s*(?:#\s*(.*))?', re.DOTALL
)  # fmt: skip
_SAID = re.compile(
    r'(?:lid\s+(\d+)\s+lmc\s+\d+\s+)?"(.*)"(?:\s+lid\s+(\d+))?(?:\s+(\d+)x(\w+|\?+))?.*',
    re.IGNORECASE | re.DOTALL,
)
_KEY = re.compile(
    r"\s*(vendid|devid|sysimgguid|switchguid|caguid|rtguid)\s*=\s*(?:0x)?([0-9a-fA-F]+)(?:\([0-9a-fA-F]*\))?\s*(?:#.*)?"
)
_QUIET = re.compile(r"\s*(#.*|Chassis\s.*|Non-Chassis Nodes.*|DR path .*)?", re.DOTALL)
_ID = re.compile(r"([SHR])-([0-9a-fA-F]{1,16})$")
_PORT0_LID = re.compile(r"\blid\s+(\d+)")


@dataclass(slots=True)
class _Place:
    """The node whose ports come next, and the keys that stand before a node."""

    node: IbNode | None = None
    keys: dict[str, int] = field(default_factory=dict)


def read_dump(lines: list[tuple[int, str]]) -> Iterator[Record]:
    """Records of the numbered lines of one dump."""
    place = _Place()
    for number, line in lines:
        if line.lstrip().startswith("["):
            yield _port(line, place.node) or Strange(number, line)
        elif m := _NODE.fullmatch(line):
            place.node, place.keys = _node(m, place.keys), {}
            yield from _with_port0(place.node, m[5] or "")
        elif m := _KEY.fullmatch(line):
            place.keys[m[1].lower()] = int(m[2], 16)
        elif not _QUIET.fullmatch(line):
            yield Strange(number, line)


def _with_port0(node: IbNode, tail: str) -> Iterator[Record]:
    """A switch's line also says the LID of its own port."""
    yield node
    if node.kind is NodeKind.SWITCH and (lid := _PORT0_LID.search(tail)):
        yield PortRecord(IbPort(IbEnd(node.guid, 0), lid=int(lid[1]), up=False))


def is_dump_line(line: str) -> bool:
    """Whether this line describes a node or one of its ports."""
    return bool(_PORT.fullmatch(line) or _NODE.fullmatch(line))


def _node(m: re.Match[str], keys: dict[str, int]) -> IbNode:
    kind, guid = _KINDS[m[1].lower()], next((keys[k] for k in _OWN_GUID if k in keys), None)
    return IbNode(
        kind,
        _guid(m[3], guid),
        m[4] if m[4] is not None else "" if _ID.match(m[3]) else m[3],
        int(m[2]),
        keys.get("sysimgguid"),
        keys.get("vendid"),
        keys.get("devid"),
    )


_OWN_GUID = ("switchguid", "caguid", "rtguid")


def _guid(text: str, other: int | None = None) -> int:
    """The GUID in a node's id; where it has none, ``other`` or a number for the name."""
    m = _ID.match(text)
    if m:
        return int(m[2], 16)
    return named_guid(text) if other is None or text else other


def _port(line: str, node: IbNode | None) -> PortRecord | None:
    m = _PORT.fullmatch(line)
    if m is None or node is None or int(m[1]) > MAX_PORT or int(m[4]) > MAX_PORT:
        return None
    said = _SAID.match(m[6] or "")
    own_lid, name, peer_lid, width, speed = said.groups() if said else (None,) * 5
    own = int(m[2], 16) if m[2] else None
    rate = (int(width) if width else None, speed.upper() if speed and "?" not in speed else None)
    port = IbPort(IbEnd(node.guid, int(m[1])), own, int(own_lid) if own_lid else None, *rate)
    kind = _ID.match(m[3])
    peer_node = IbNode(
        _KINDS[kind[1].lower()] if kind else _unknown_kind(node),
        _guid(m[3]),
        name if name is not None else "" if kind else m[3],
    )
    lid = int(peer_lid) if peer_lid and peer_node.kind is not NodeKind.SWITCH else None
    peer = IbPort(IbEnd(peer_node.guid, int(m[4])), int(m[5], 16) if m[5] else None, lid)
    return PortRecord(port, peer, peer_node)


def _unknown_kind(node: IbNode) -> NodeKind:
    return NodeKind.SWITCH if node.kind is not NodeKind.SWITCH else NodeKind.ADAPTER


MAX_PORT = 254
"""Ports are numbered with 8 bits, and 255 is a wildcard (IBA 1.4 section 14.2.5.6)."""


_LETTERS = {NodeKind.SWITCH: "S", NodeKind.ADAPTER: "H", NodeKind.ROUTER: "R"}
_TITLES = {NodeKind.SWITCH: "Switch", NodeKind.ADAPTER: "Ca", NodeKind.ROUTER: "Rt"}
_GUID_KEYS = {NodeKind.SWITCH: "switchguid", NodeKind.ADAPTER: "caguid", NodeKind.ROUTER: "rtguid"}


def dump(subnet: Subnet) -> str:
    """A subnet as ``ibnetdiscover`` prints it; reading it gives the same nodes, ports with a cable, and cables."""
    nodes, ports, of = subnet.by_guid(), subnet.by_end(), subnet.ports_of()
    peers = {link.a: link.b for link in subnet.links} | {link.b: link.a for link in subnet.links}
    lines = [f"{HEADER} (no time given)", "#"]
    for node in subnet.nodes:
        lines += ["", *_node_lines(node, ports.get(IbEnd(node.guid, 0)))]
        for port in of.get(node.guid, ()):
            if (end := peers.get(port.end)) is not None:
                lines.append(_port_line(node, port, nodes[end.guid], ports[end]))
    return "\n".join(lines) + "\n"


def _node_lines(node: IbNode, port0: IbPort | None) -> Iterator[str]:
    keys = (("vendid", node.vendor_id), ("devid", node.device_id), ("sysimgguid", node.system_guid))
    yield from (f"{key}=0x{value:x}" for key, value in keys if value is not None)
    switch = node.kind is NodeKind.SWITCH
    yield f"{_GUID_KEYS[node.kind]}=0x{node.guid:x}" + (f"({node.guid:x})" if switch else "")
    lid = (port0.lid if port0 else None) or 0
    tail = f" enhanced port 0 lid {lid} lmc 0" if switch else ""
    yield f'{_TITLES[node.kind]}\t{node.ports or 0} {_id(node)}\t\t# "{node.name}"{tail}'


def _id(node: IbNode) -> str:
    return f'"{_LETTERS[node.kind]}-{node.guid:016x}"'


def _port_line(node: IbNode, port: IbPort, peer_node: IbNode, peer: IbPort) -> str:
    own, other = (f"({p.port_guid:x})" if p.port_guid is not None else "" for p in (port, peer))
    lid = "" if node.kind is NodeKind.SWITCH else f"lid {port.lid or 0} lmc 0 "
    rate = f" {port.width}x{port.speed}" if port.width is not None and port.speed else ""
    return (
        f"[{port.end.port}]{own}\t{_id(peer_node)}[{peer.end.port}]{other}\t\t"
        f'# {lid}"{peer_node.name}" lid {peer.lid or 0}{rate}'
    )
