"""Counters of network interfaces: ``/sys/class/net/<if>/statistics``, what the kernel's own stack carried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trafficd_agent.sysfs.files import names, text
from trafficd_agent.sysfs.infiniband import Source
from trafficd_agent.sysfs.ports import net_path, netdevs
from trafficd_topology.counters import Column, Values
from trafficd_topology.parsers.sysfs import STATISTICS


def _sources(root: Path, name: str) -> Iterator[Source]:
    path = net_path(root, name) / "statistics"
    for file_name in names(path):
        if file_name in STATISTICS:
            file = STATISTICS[file_name]
            yield Source(path / file_name, file, Column(name, file.quantity, file.direction, file.kind))


class NetReader:
    """Whole-port counters of every interface that is a port (see ``ports``), below ``root``."""

    name = "net"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sources: tuple[Source, ...] = ()

    def columns(self) -> tuple[Column, ...]:
        found = (s for netdev in netdevs(self._root) for s in _sources(self._root, netdev.name))
        self._sources = tuple(found)
        return tuple(s.column for s in self._sources)

    def read(self) -> Values:
        return tuple(s.file.value(text(s.path)) for s in self._sources)
