"""All readers of an agent together: one list, read in isolation, every count once.

Order is precedence: when two readers offer the same count, the earlier one has it; bytes and packets of a whole
port are one claim, so that they always count the same traffic. A reader that fails leaves None in its columns and says so in its outcome; the others are not touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.ethtool import (
    BondStatistics,
    EthtoolReader,
    KernelStatistics,
    NetdevDriver,
    SavedStatistics,
)
from trafficd_agent.sysfs.files import text
from trafficd_agent.sysfs.infiniband import InfinibandReader
from trafficd_agent.sysfs.net import NetReader
from trafficd_agent.sysfs.ports import net_path, netdevs
from trafficd_topology.counters import (
    Column,
    Quantity,
    Reader,
    ReaderOutcome,
    Sample,
    Values,
    first_of_each,
)

Clock = Callable[[], int]


def _drivers(root: Path) -> tuple[NetdevDriver, ...]:
    return tuple((n.name, n.driver) for n in netdevs(root))


def _members(root: Path, netdev: str) -> tuple[str, ...]:
    """Of a bond; read at every sample, because members come and go."""
    return tuple(text(net_path(root, netdev) / "bonding/slaves").split())


def standard_readers(root: Path) -> tuple[Reader, ...]:
    """The readers of every machine, in order of precedence; readers of a driver (tc) stand before them.

    On a root other than ``/`` statistics come from the saved machine instead of this kernel.
    """
    statistics = KernelStatistics() if root == Path("/") else SavedStatistics(root)
    return (
        InfinibandReader(root),
        EthtoolReader(BondStatistics(statistics, lambda n: _members(root, n)), lambda: _drivers(root)),
        NetReader(root),
    )


@dataclass(frozen=True, slots=True)
class Collected:
    """One sample of every column, and how each reader did."""

    sample: Sample
    outcomes: tuple[ReaderOutcome, ...]


def _claim(column: Column) -> tuple[object, ...]:
    """What a reader claims for itself by offering this column."""
    port, quantity, *rest = column.identity
    whole_port = column.lane_id is None and column.priority is None
    wire = whole_port and quantity in (Quantity.BYTES, Quantity.PACKETS)
    return (port, "wire" if wire else quantity, *rest)


def _kept(offered: tuple[tuple[Column, ...], ...]) -> tuple[bool, ...]:
    """For each column of each reader, in order, whether it is the one that counts."""
    owner: dict[tuple[object, ...], int] = {}
    for i, columns in enumerate(offered):
        for column in columns:
            owner.setdefault(_claim(column), i)
    owned = (owner[_claim(c)] == i for i, columns in enumerate(offered) for c in columns)
    first = first_of_each(c for columns in offered for c in columns)
    return tuple(a and b for a, b in zip(owned, first, strict=True))


def _sentence(reader: str, error: Exception) -> str:
    return f"reader {reader} failed and its counters are missing: {type(error).__name__}: {error}"


class Collector:
    """Reads all readers. ``columns`` stays as it is until ``refresh``; not for use by two threads at once."""

    def __init__(
        self,
        readers: tuple[Reader, ...],
        monotonic_ns: Clock = time.monotonic_ns,
        unix_ns: Clock = time.time_ns,
    ) -> None:
        self._readers = readers
        self._monotonic_ns = monotonic_ns
        self._unix_ns = unix_ns
        self._offered: tuple[tuple[Column, ...], ...] = ((),) * len(readers)
        self._failed: dict[str, str] = {}
        self._keep: tuple[bool, ...] = ()
        self.columns: tuple[Column, ...] = ()

    def refresh(self) -> bool:
        """Look at the machine again; True when the columns changed (a new hello is due). Never raises."""
        self._failed = {}
        before = self.columns
        self._offered = tuple(self._columns(reader) for reader in self._readers)
        flat = tuple(column for columns in self._offered for column in columns)
        self._keep = _kept(self._offered)
        self.columns = tuple(c for c, keep in zip(flat, self._keep, strict=True) if keep)
        return self.columns != before

    def _columns(self, reader: Reader) -> tuple[Column, ...]:
        try:
            return reader.columns()
        except Exception as e:  # noqa: BLE001 - whatever a reader does, the others are read
            self._failed[reader.name] = _sentence(reader.name, e)
            return ()

    def collect(self) -> Collected:
        """One sample of ``columns``. Never raises. Its time is taken in the middle of the reading."""
        start = self._monotonic_ns()
        unix = self._unix_ns()
        read = [self._read(r, columns) for r, columns in zip(self._readers, self._offered, strict=True)]
        flat = (value for values, _ in read for value in values)
        kept = tuple(v for v, keep in zip(flat, self._keep, strict=True) if keep)
        middle = (self._monotonic_ns() - start) // 2
        return Collected(Sample(unix + middle, start + middle, kept), tuple(o for _, o in read))

    def _read(self, reader: Reader, columns: tuple[Column, ...]) -> tuple[Values, ReaderOutcome]:
        start = self._monotonic_ns()
        values, error = self._values(reader, columns)
        seconds = (self._monotonic_ns() - start) / 1e9
        return values, ReaderOutcome(reader.name, seconds, error, sum(v is None for v in values))

    def _values(self, reader: Reader, columns: tuple[Column, ...]) -> tuple[Values, str]:
        missing: Values = (None,) * len(columns)
        if reader.name in self._failed:
            return missing, self._failed[reader.name]
        try:
            values = reader.read()
        except Exception as e:  # noqa: BLE001 - as above
            return missing, _sentence(reader.name, e)
        if len(values) != len(columns):
            return missing, (
                f"reader {reader.name} returned {len(values)} values for {len(columns)} columns: "
                "its counters are missing until the next refresh"
            )
        return values, ""
