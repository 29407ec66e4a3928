"""Per-priority statistics of Ethernet NICs, as ``ethtool -S`` shows them.

``KernelStatistics`` asks the kernel (SIOCETHTOOL, include/uapi/linux/ethtool.h); the netlink form of ethtool does
not carry drivers' own names. ``SavedStatistics`` reads what a support report kept. Only physical functions in the
host's network namespace show physical and per-priority counters; virtual functions and pods see none.

Drivers drop names while a feature is off (mlx5 shows pause counters only of priorities with PFC on): a column
whose name is gone reads None until it is back.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trafficd_topology.counters import Column, Values, first_of_each
from trafficd_topology.parsers.ethtool import MAX_STATISTICS, NAMES, statistic, statistics_text

SIOCETHTOOL = 0x8946
GSTRINGS, GSTATS, GSSET_INFO = 0x1B, 0x1D, 0x37
ETH_SS_STATS = 1
ETH_GSTRING_LEN = 32
IFNAMSIZ = 16
SPARE = 1024
"""Room for statistics that a driver adds between two calls: the kernel writes as many as it has by then."""


class Statistics(Protocol):
    """Where statistics come from. Raises OSError when an interface cannot be asked; {} when it has none."""

    def read(self, netdev: str) -> dict[str, int]: ...


def _ask(sock: socket.socket, netdev: str, command: bytes, answer_bytes: int) -> bytes:
    """One SIOCETHTOOL call: the command, and room for an answer that the kernel writes over and behind it."""
    buffer = ctypes.create_string_buffer(command, len(command) + answer_bytes)
    name = netdev.encode()[: IFNAMSIZ - 1]
    fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", name, ctypes.addressof(buffer)))
    return buffer.raw


def _count(sock: socket.socket, netdev: str) -> int:
    """ETHTOOL_GSSET_INFO: cmd, reserved, mask of string sets -> mask that it has, a count for each."""
    answer = _ask(sock, netdev, struct.pack("=IIQ", GSSET_INFO, 0, 1 << ETH_SS_STATS), 4)
    _, _, mask, count = struct.unpack_from("=IIQI", answer)
    return min(count, MAX_STATISTICS) if mask else 0


def _names(sock: socket.socket, netdev: str, count: int) -> tuple[str, ...]:
    """ETHTOOL_GSTRINGS: cmd, string set, length -> that many names of 32 bytes."""
    room = (count + SPARE) * ETH_GSTRING_LEN
    answer = _ask(sock, netdev, struct.pack("=III", GSTRINGS, ETH_SS_STATS, count), room)
    _, _, length = struct.unpack_from("=III", answer)
    cells = (answer[12 + ETH_GSTRING_LEN * i :][:ETH_GSTRING_LEN] for i in range(min(length, count + SPARE)))
    return tuple(cell.partition(b"\0")[0].decode("ascii", "replace").strip() for cell in cells)


def _values(sock: socket.socket, netdev: str, count: int) -> tuple[int, ...]:
    """ETHTOOL_GSTATS: cmd, n_stats -> that many u64."""
    answer = _ask(sock, netdev, struct.pack("=II", GSTATS, count), (count + SPARE) * 8)
    length = min(struct.unpack_from("=II", answer)[1], count + SPARE)
    return struct.unpack_from(f"={length}Q", answer, 8)


class KernelStatistics:
    """Statistics of this network namespace's interfaces, from the kernel."""

    def read(self, netdev: str) -> dict[str, int]:
        try:
            return self._ask(netdev)
        except OSError as e:
            if e.errno in (errno.EOPNOTSUPP, errno.ENODEV):
                return {}
            raise

    def _ask(self, netdev: str) -> dict[str, int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            count = _count(sock, netdev)
            if count == 0:
                return {}
            names, values = _names(sock, netdev, count), _values(sock, netdev, count)
        if len(names) != len(values):
            raise OSError(
                f"{netdev}: its statistics changed while they were read; they are read again next time"
            )
        # Of a name that stands twice the first counts, as in saved text.
        return dict(zip(reversed(names), reversed(values), strict=True))


class SavedStatistics:
    """Statistics that a support report kept: ``sos_commands/networking/ethtool_-S_<if>`` below its root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, netdev: str) -> dict[str, int]:
        path = self._root / "sos_commands/networking" / f"ethtool_-S_{netdev}"
        try:
            return statistics_text(path.read_text("ascii", "replace"))
        except FileNotFoundError:
            return {}


@dataclass(frozen=True, slots=True)
class BondStatistics:
    """Statistics of bonds as the sums of their members'; what a member lacks the bond lacks."""

    wires: Statistics
    members: Callable[[str], tuple[str, ...]]
    """Of an interface; empty when it is no bond."""

    def read(self, netdev: str) -> dict[str, int]:
        members = self.members(netdev)
        if not members:
            return self.wires.read(netdev)
        first, *others = (self.wires.read(m) for m in members)
        both = (n for n in first if all(n in found for found in others))
        return {n: first[n] + sum(found[n] for found in others) for n in both}


NetdevDriver = tuple[str, str]
"""A network interface and the name of its driver."""


class EthtoolReader:
    """Statistics of the interfaces that ``netdevs`` returns, as far as their driver's names are known.

    An interface that refuses leaves the others readable; when all refuse the reader fails with the last refusal.
    """

    name = "ethtool"

    def __init__(self, statistics: Statistics, netdevs: Callable[[], Iterable[NetdevDriver]]) -> None:
        self._statistics = statistics
        self._netdevs = netdevs
        self._sources: tuple[tuple[str, str, Column], ...] = ()

    def columns(self) -> tuple[Column, ...]:
        drivers = {netdev: driver for netdev, driver in self._netdevs() if driver in NAMES}
        shown = self._read(drivers)
        found = tuple(
            (netdev, name, Column(netdev, s.quantity, s.direction, s.kind, priority=s.priority))
            for netdev, names in shown.items()
            for name in names
            if (s := statistic(drivers[netdev], name)) is not None
        )
        first = first_of_each(column for _, _, column in found)
        self._sources = tuple(s for s, keep in zip(found, first, strict=True) if keep)
        return tuple(column for _, _, column in self._sources)

    def _read(self, netdevs: Iterable[str]) -> dict[str, dict[str, int]]:
        """Interface -> its statistics, empty where it refuses. Raises OSError when there are some and all refuse."""
        shown: dict[str, dict[str, int]] = {}
        refused: list[OSError] = []
        for netdev in netdevs:
            try:
                shown[netdev] = self._statistics.read(netdev)
            except OSError as e:
                shown[netdev] = {}
                refused.append(e)
        if refused and len(refused) == len(shown):
            raise refused[-1]
        return shown

    def read(self) -> Values:
        now = self._read(dict.fromkeys(netdev for netdev, _, _ in self._sources))
        return tuple(now[netdev].get(name) for netdev, name, _ in self._sources)
