"""A fabric as rows, for a table on a terminal or for a program; what ``trafficd topology show`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from trafficd_topology.fabric import AttachmentPath, Fabric
from trafficd_topology.model import Nic, PortKey
from trafficd_topology.parsers.units import bandwidth_text, rate_text


@dataclass(frozen=True, slots=True)
class FabricRow:
    """The fabric in one row. ``components`` counts parts of the network that never meet."""

    fabric: str
    hosts: int
    nics: int
    switches: int
    links: int
    components: int
    cyclic_dependencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host. ``memory_bytes_per_s`` is None where the file does not say."""

    host: str
    role: str
    pool: str | None
    gpus: int
    nics: int
    memory_bytes_per_s: int | None


@dataclass(frozen=True, slots=True)
class NicRow:
    """A NIC (``node/nic``) and where it is attached; ``queues`` lists its lane ids."""

    nic: str
    kind: str
    link_layer: str
    rate_bps: int
    id: str
    numa_node: int | None
    gpu: int | None
    rail: int | None
    attached_to: str
    queues: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """A switch, with the NICs attached to it (a bond over two switches counts on both)."""

    switch: str
    managed: bool
    link_layer: str
    nics: int
    cables: int


@dataclass(frozen=True, slots=True)
class Description:
    """All rows. ``paths`` are those of ``Fabric.attachment_paths``."""

    fabric: tuple[FabricRow, ...]
    hosts: tuple[HostRow, ...]
    nics: tuple[NicRow, ...]
    switches: tuple[SwitchRow, ...]
    paths: tuple[AttachmentPath, ...]


def describe(fabric: Fabric) -> Description:
    """Everything there is to show of a fabric, in the order of its file; ``dataclasses.asdict`` makes it JSON."""
    return Description(
        fabric=(_fabric(fabric),),
        hosts=tuple(
            HostRow(h.name, h.role.value, h.pool, len(h.gpus), len(h.nics), h.memory_bytes_per_s)
            for h in fabric.spec.hosts
        ),
        nics=tuple(_nics(fabric)),
        switches=tuple(_switches(fabric)),
        paths=fabric.attachment_paths(),
    )


def _fabric(fabric: Fabric) -> FabricRow:
    spec, cycles = fabric.spec, fabric.cyclic_buffer_dependencies()
    nics, parts = len(fabric.nics), len(fabric.components())
    rings = tuple(" ".join(cycle) for cycle in cycles)
    return FabricRow(spec.name, len(spec.hosts), nics, len(spec.switches), len(spec.links), parts, rings)


def _nics(fabric: Fabric) -> Iterator[NicRow]:
    queues: dict[PortKey, tuple[int, ...]] = {}
    for queue in fabric.queues():
        queues[queue.port] = (*queues.get(queue.port, ()), queue.lane_id)
    for port, nic in fabric.nics.items():
        yield _nic(port, nic, fabric.attachment(port).name, queues.get(port, ()))


def _nic(port: PortKey, nic: Nic, attached_to: str, queues: tuple[int, ...]) -> NicRow:
    return NicRow(
        nic=str(port),
        kind=nic.kind.value,
        link_layer=nic.link_layer.value,
        rate_bps=nic.rate_bps,
        id=nic.id,
        numa_node=nic.numa_node,
        gpu=nic.gpu,
        rail=nic.rail,
        attached_to=attached_to,
        queues=queues,
    )


def _switches(fabric: Fabric) -> Iterator[SwitchRow]:
    nics: dict[str, int] = {}
    for attachment in fabric.attachments():
        for name in attachment.switches:
            nics[name] = nics.get(name, 0) + len(attachment.ports)
    cables: dict[str, int] = {}
    for link in fabric.spec.links:
        for end in (link.a, link.b):
            cables[end.node] = cables.get(end.node, 0) + 1
    for s in fabric.spec.switches:
        yield SwitchRow(s.name, s.managed, s.link_layer.value, nics.get(s.name, 0), cables.get(s.name, 0))


def text(description: Description) -> str:
    """The description as tables for people, one below the other; empty tables are left out."""
    tables = (getattr(description, f.name) for f in fields(description))
    return "\n".join(table(rows) for rows in tables if rows)


def table(rows: Sequence[Any], written: Callable[[str, Any], str] | None = None) -> str:
    """Rows of one dataclass as a table headed by its fields' names; ``written`` makes a cell of a field (``cell``)."""
    form = written or cell
    names = [f.name for f in fields(rows[0])]
    cells = [[n.removesuffix("_bytes_per_s").removesuffix("_bps").upper() for n in names]]
    cells += [[form(name, getattr(row, name)) for name in names] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def cell(name: str, value: Any) -> str:
    """A field as people read it; its unit is the end of its name."""
    if value is None or value in ("", ()):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    formats = {"_bps": rate_text, "_bytes_per_s": bandwidth_text}
    return next((form(value) for suffix, form in formats.items() if name.endswith(suffix)), str(value))
