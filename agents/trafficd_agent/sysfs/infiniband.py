"""Counters of RDMA ports: ``/sys/class/infiniband/<dev>/ports/<n>/{counters,hw_counters}``.

The 4-byte words of ``port_xmit_data`` and ``port_rcv_data`` become bytes here and nowhere else. The kernel caches
``hw_counters`` for ``lifespan`` milliseconds (10 by default): reading faster returns the same values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from trafficd_agent.sysfs.files import names, text
from trafficd_agent.sysfs.ports import RdmaPort, rdma_path, rdma_ports
from trafficd_topology.counters import Column, Values, first_of_each
from trafficd_topology.model import LinkLayer
from trafficd_topology.parsers.sysfs import COUNTERS, ETHERNET_RDMA, HW_COUNTERS, CounterFile


@dataclass(frozen=True, slots=True)
class Source:
    """A file, what it counts, and the column that its values fill."""

    path: Path
    file: CounterFile
    column: Column


def _meaning(file: CounterFile, layer: LinkLayer) -> CounterFile:
    """On Ethernet the port's data counters are RDMA's part of it."""
    if layer is LinkLayer.INFINIBAND:
        return file
    return replace(file, quantity=ETHERNET_RDMA.get(file.quantity, file.quantity))


def port_sources(root: Path, port: RdmaPort) -> Iterator[Source]:
    """The counter files of one port that a table knows."""
    for folder, table in (("counters", COUNTERS), ("hw_counters", HW_COUNTERS)):
        path = rdma_path(root, port) / folder
        for name in names(path):
            if name in table:
                file = _meaning(table[name], port.link_layer)
                yield Source(path / name, file, Column(port.port, file.quantity, file.direction, file.kind))


def unique(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """Of two files of one meaning the first."""
    first = first_of_each(s.column for s in sources)
    return tuple(s for s, keep in zip(sources, first, strict=True) if keep)


class InfinibandReader:
    """Counters of every RDMA port below ``root``."""

    name = "infiniband"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sources: tuple[Source, ...] = ()

    def columns(self) -> tuple[Column, ...]:
        found = (s for port in rdma_ports(self._root) for s in port_sources(self._root, port))
        self._sources = unique(tuple(found))
        return tuple(s.column for s in self._sources)

    def read(self) -> Values:
        return tuple(s.file.value(text(s.path)) for s in self._sources)
