"""What a subnet's nodes and ports answered by SMP, and the lines in which the helper process tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ADAPTER, SWITCH, ROUTER = 1, 2, 3
"""NodeType of NodeInfo."""
PORT_TYPE = {ADAPTER: "ca", SWITCH: "swe", ROUTER: "rtr"}
"""What OpenSM calls the ports of a node in its options."""


@dataclass(frozen=True, slots=True)
class Node:
    """A device. An adapter that was reached through several ports is told once a port."""

    guid: int
    system: int
    """GUID of the system image, which the parts of one box share."""
    type: int
    ports: int
    device: int
    vendor: int
    lid: int
    """Of a switch's port 0, which answers for all its ports; 0 for others."""
    description: str


@dataclass(frozen=True, slots=True)
class Port:
    """A port with a link. Codes of VLs, MTU, width and speed are those of PortInfo (IBA 1.4, 14.2.5.6)."""

    guid: int
    """Of its node."""
    port_guid: int
    """Of an adapter's port; of a switch's port 0 for all its ports."""
    number: int
    type: int
    """Of its node."""
    lid: int
    lmc: int
    vl_cap: int
    op_vls: int
    high_entries: int
    low_entries: int
    high_limit: int
    mtu: int
    width: int
    speed: int
    speed_ext: int

    @property
    def name(self) -> str:
        return f"0x{self.guid:016x}:{self.number}"


@dataclass(frozen=True, slots=True)
class Link:
    """A cable as seen from one end: node and port there, node and port at the other end."""

    guid: int
    port: int
    peer_guid: int
    peer_port: int


@dataclass(frozen=True, slots=True)
class Table:
    """One table of one port. ``in_ports``: for SL2VL of switches, where every pair has its own, those that share it."""

    kind: str
    """``vlarb_high``, ``vlarb_low`` or ``sl2vl``."""
    guid: int
    port: int
    in_ports: tuple[int, ...]
    entries: tuple[int, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """``<node guid>:<port>``; for SL2VL of a switch ``<node guid>:<in port>-<out port>`` for each."""
        if not self.in_ports:
            return (f"0x{self.guid:016x}:{self.port}",)
        return tuple(f"0x{self.guid:016x}:{i}-{self.port}" for i in self.in_ports)


@dataclass(frozen=True, slots=True)
class Silent:
    """Something that did not answer, and where."""

    guid: int
    port: int
    what: str

    @property
    def name(self) -> str:
        return f"{self.what} of 0x{self.guid:016x}:{self.port}"


Record = Node | Port | Link | Table | Silent


@dataclass(frozen=True, slots=True)
class Survey:
    """A subnet as its ports answered."""

    nodes: tuple[Node, ...] = ()
    ports: tuple[Port, ...] = ()
    links: tuple[Link, ...] = ()
    tables: tuple[Table, ...] = ()
    silent: tuple[Silent, ...] = ()


def gather(records: Iterable[Record]) -> Survey:
    """Sort records by what they are."""
    seen = tuple(records)
    return Survey(
        tuple(r for r in seen if isinstance(r, Node)),
        tuple(r for r in seen if isinstance(r, Port)),
        tuple(r for r in seen if isinstance(r, Link)),
        tuple(r for r in seen if isinstance(r, Table)),
        tuple(r for r in seen if isinstance(r, Silent)),
    )


def _words(*numbers: int) -> str:
    return " ".join(map(str, numbers))


def _list(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers)) or "-"


def _numbers(text: str) -> tuple[int, ...]:
    return () if text == "-" else tuple(map(int, text.split(",")))


def encode(record: Record) -> str:
    """One line, without its end."""
    match record:
        case Node(guid, system, kind, ports, device, vendor, lid, description):
            # Any characters may stand in a description: a line of its own bytes would not stay one line.
            numbers = _words(guid, system, kind, ports, device, vendor, lid)
            return f"node {numbers} {description.encode().hex() or '-'}"
        case Port():
            r = record
            known = (r.guid, r.port_guid, r.number, r.type, r.lid, r.lmc, r.vl_cap, r.op_vls, r.high_entries)
            rest = (r.low_entries, r.high_limit, r.mtu, r.width, r.speed, r.speed_ext)
            return "port " + _words(*known, *rest)
        case Link(guid, port, peer_guid, peer_port):
            return "link " + _words(guid, port, peer_guid, peer_port)
        case Table(kind, guid, port, in_ports, entries):
            return f"table {kind} {guid} {port} {_list(in_ports)} {_list(entries)}"
        case Silent(guid, port, what):
            return f"silent {guid} {port} {what}"


def decode(line: str) -> Record:
    """The record of a line. ValueError or TypeError when it is none."""
    word, _, rest = line.partition(" ")
    if word == "node":
        *numbers, text = rest.split()
        guid, system, kind, ports, device, vendor, lid = map(int, numbers)
        said = "" if text == "-" else bytes.fromhex(text).decode()
        return Node(guid, system, kind, ports, device, vendor, lid, said)
    if word == "port":
        return Port(*map(int, rest.split()))
    if word == "link":
        return Link(*map(int, rest.split()))
    if word == "table":
        name, at, out, in_ports, entries = rest.split()
        return Table(name, int(at), int(out), _numbers(in_ports), _numbers(entries))
    if word == "silent":
        where, number, what = rest.split(" ", 2)
        return Silent(int(where), int(number), what)
    raise ValueError(f"not a record: {line!r}")
