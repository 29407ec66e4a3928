"""What every port of a subnet holds, as read by SMP, and the lines in which the helper process tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Port:
    """A port with a link. The codes of VLs and the arbitration fields are those of PortInfo (IBA 1.4, 14.2.5.6)."""

    guid: int
    """Of its node."""
    number: int
    lid: int
    vl_cap: int
    op_vls: int
    high_entries: int
    low_entries: int
    high_limit: int

    @property
    def name(self) -> str:
        return f"0x{self.guid:016x}:{self.number}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table of one port. ``in_port`` matters for SL2VL of switches only, where every pair has its own."""

    kind: str
    """``vlarb_high``, ``vlarb_low`` or ``sl2vl``."""
    guid: int
    port: int
    in_port: int
    entries: tuple[int, ...]

    @property
    def place(self) -> str:
        """``<node guid>:<port>``; for SL2VL of a switch ``<node guid>:<in port>-<out port>``."""
        pair = f"{self.in_port}-{self.port}" if self.in_port >= 0 else f"{self.port}"
        return f"0x{self.guid:016x}:{pair}"


@dataclass(frozen=True, slots=True)
class Silent:
    """Something that did not answer, and where."""

    guid: int
    port: int
    what: str

    @property
    def name(self) -> str:
        return f"{self.what} of 0x{self.guid:016x}:{self.port}"


Record = Port | Table | Silent


@dataclass(frozen=True, slots=True)
class Survey:
    """A whole subnet as its ports answered."""

    ports: tuple[Port, ...] = ()
    tables: tuple[Table, ...] = ()
    silent: tuple[Silent, ...] = ()


def gather(records: Iterable[Record]) -> Survey:
    """Sort records by what they are."""
    seen = tuple(records)
    return Survey(
        tuple(r for r in seen if isinstance(r, Port)),
        tuple(r for r in seen if isinstance(r, Table)),
        tuple(r for r in seen if isinstance(r, Silent)),
    )


def encode(record: Record) -> str:
    """One line, without its end."""
    match record:
        case Port():
            numbers = (record.guid, record.number, record.lid, record.vl_cap, record.op_vls)
            rest = (record.high_entries, record.low_entries, record.high_limit)
            return " ".join(["port", *map(str, numbers + rest)])
        case Table():
            entries = ",".join(map(str, record.entries)) or "-"
            return f"table {record.kind} {record.guid} {record.port} {record.in_port} {entries}"
        case Silent():
            return f"silent {record.guid} {record.port} {record.what}"


def decode(line: str) -> Record:
    """The record of a line. ValueError when it is none."""
    word, _, rest = line.partition(" ")
    if word == "port":
        return Port(*map(int, rest.split()))
    if word == "table":
        kind, guid, port, in_port, entries = rest.split()
        values = () if entries == "-" else tuple(map(int, entries.split(",")))
        return Table(kind, int(guid), int(port), int(in_port), values)
    if word == "silent":
        guid, port, what = rest.split(" ", 2)
        return Silent(int(guid), int(port), what)
    raise ValueError(f"not a record: {line!r}")
