"""Counters of ports by rtnetlink: each lane's class and htb's direct queue where tc manages a port, and every port's
own.

Sources: linux/gen_stats.h (TCA_STATS2), linux/if_link.h (rtnl_link_stats64), net/sched/sch_htb.c. A class counts
what it has sent, without the frame check sequence; drops are packets its queue had no room for; overlimits are
times it had to wait for its rate. A tree that is built anew starts at zero.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass

from trafficd_agent.netlink import link, tc
from trafficd_agent.netlink.channel import Channel, KernelError
from trafficd_topology.counters import Column, CounterKind, Direction, Quantity, Values
from trafficd_topology.qos.tc import HANDLE_MAJOR, LANE_MINOR

REQUEUES, OVERLIMITS, DIRECT_PACKETS = "requeues", "overlimits", "direct_packets"
LANE_QUANTITIES: tuple[tuple[str, CounterKind], ...] = (
    (Quantity.BYTES, CounterKind.WRAP64),
    (Quantity.PACKETS, CounterKind.WRAP64),
    (Quantity.BACKLOG_PACKETS, CounterKind.GAUGE),
    (Quantity.BACKLOG_BYTES, CounterKind.GAUGE),
    (Quantity.DROPS, CounterKind.WRAP32),
    (REQUEUES, CounterKind.WRAP32),
    (OVERLIMITS, CounterKind.WRAP32),
)
"""In the order of ``tc.Counters``."""
LINK_QUANTITIES: tuple[tuple[str, Direction], ...] = tuple(
    (quantity, direction)
    for quantity in (Quantity.PACKETS, Quantity.BYTES, Quantity.ERRORS, Quantity.DROPS)
    for direction in (Direction.RECEIVE, Direction.TRANSMIT)
)
"""In the order of ``link.LinkCounters``; all wrap at 2^64."""
NO_LANE = (None,) * len(LANE_QUANTITIES)
NO_LINK = (None,) * len(LINK_QUANTITIES)


@dataclass(frozen=True, slots=True)
class _Port:
    name: str
    lanes: tuple[int, ...]


Ports = Callable[[], Iterable[str]]
"""The names of the ports to read, asked whenever columns are."""


class TcReader:
    """Lanes of the ports that have our tree; the others have no column.

    One dump a port and one of all queueing disciplines a reading; 2 ms of processor time for a port of eight lanes,
    of which pyroute2's decoding takes most. Unprivileged.
    """

    name = "tc"

    def __init__(self, ports: Ports) -> None:
        self._list = ports
        self._channel = Channel()
        self._ports: tuple[_Port, ...] = ()

    def close(self) -> None:
        self._channel.close()

    def columns(self) -> tuple[Column, ...]:
        found = (_Port(name, self._lanes(name)) for name in self._list())
        self._ports = tuple(port for port in found if port.lanes)
        return tuple(column for port in self._ports for column in _columns(port))

    def read(self) -> Values:
        try:
            direct = tc.direct_packets(self._channel, HANDLE_MAJOR)
        except KernelError as e:
            raise OSError(e.number, str(e)) from e
        return tuple(value for port in self._ports for value in self._values(port, direct))

    def _lanes(self, name: str) -> tuple[int, ...]:
        minors = self._classes(_index(name))
        return tuple(sorted(m - LANE_MINOR for m in minors if m >= LANE_MINOR))

    def _classes(self, index: int) -> dict[int, tc.Counters]:
        """A device that has gone has no counters; the others go on."""
        try:
            return tc.class_counters(self._channel, index, HANDLE_MAJOR) if index else {}
        except KernelError:
            return {}

    def _values(self, port: _Port, direct: dict[int, int]) -> Iterator[int | None]:
        index = _index(port.name)
        yield direct.get(index)
        classes = self._classes(index)
        for lane in port.lanes:
            found = classes.get(LANE_MINOR + lane)
            yield from NO_LANE if found is None else astuple(found)


class LinkReader:
    """Ports as a whole, as the kernel's stack sees them: what RDMA carries is not in these.

    Stands after readers of the wire. One question a port; unprivileged.
    """

    name = "link"

    def __init__(self, ports: Ports) -> None:
        self._list = ports
        self._channel = Channel()
        self._ports: tuple[str, ...] = ()

    def close(self) -> None:
        self._channel.close()

    def columns(self) -> tuple[Column, ...]:
        self._ports = tuple(self._list())
        return tuple(Column(port, *row) for port in self._ports for row in LINK_QUANTITIES)

    def read(self) -> Values:
        return tuple(value for port in self._ports for value in self._values(_index(port)))

    def _values(self, index: int) -> Values:
        try:
            return astuple(link.counters(self._channel, index)) if index else NO_LINK
        except KernelError:
            return NO_LINK


def _index(name: str) -> int:
    """0 when there is no such device."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def _columns(port: _Port) -> Iterator[Column]:
    yield Column(port.name, DIRECT_PACKETS, Direction.TRANSMIT, CounterKind.WRAP32)
    for lane in port.lanes:
        for quantity, kind in LANE_QUANTITIES:
            yield Column(port.name, quantity, Direction.TRANSMIT, kind, lane)
