"""Counters: what a column of telemetry means, and how two readings become a rate. Wraps and resets, once.

A **reader** offers **columns** and reads one value for each; ``None`` means that the value could not be read or
is not known, which is never the same as zero. A reading of every column at one moment is a **sample**. Units are
fixed in the reader: every value of a quantity has the unit that the quantity's name carries.

Counters differ in what they do at their end, so each column has a kind:

``wrap64``      rises, wraps at 2^64. No interface wraps 2^64 bytes between two samples (at 800 Gb/s it takes
                five years), so a step backwards is a wrap only when the modular step is below ``MAX_STEP64``;
                otherwise the counter was reset (driver reload, firmware reset, another tool).
``wrap32``      rises, wraps at 2^32: serial number arithmetic (RFC 1982): a modular step below 2^31 is a wrap,
                a larger one a reset. A reset from the upper half of the range looks like a wrap; callers that
                know what a port can carry bound the rate (``rate(..., most_per_s)``).
``saturate32``  rises and sticks at 2^32 - 1 (InfiniBand Architecture Specification volume 1, 16.1.3.5: PMA
                counters do not wrap). Stuck at the maximum is unknown, never "no change".
``gauge``       goes up and down: its value is what counts, and it has no rate.

After a reset the new value is a baseline and the interval is unknown: guessing would show a burst or a silence
that never was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MODULUS32 = 2**32
MODULUS64 = 2**64
SATURATED32 = MODULUS32 - 1
MAX_STEP64 = 2**56
"""No counter of ours rises by more than this between two samples: 2^56 bytes take 8 days at 800 Gb/s."""


class CounterKind(StrEnum):
    """What a counter does at its end; see the module's text."""

    WRAP64 = "wrap64"
    WRAP32 = "wrap32"
    SATURATE32 = "saturate32"
    GAUGE = "gauge"


class Direction(StrEnum):
    """As seen from the port: ``transmit`` leaves it. Pause frames too: received ones tell us to stop."""

    TRANSMIT = "transmit"
    RECEIVE = "receive"


class Quantity(StrEnum):
    """What a column counts, with its unit in its name. Open: a controller passes on what it does not know.

    A quantity of a port without lane and priority is the whole port on the wire, except ``rdma_*``, which is
    what RDMA alone carried on an Ethernet port.
    """

    BYTES = "bytes"
    PACKETS = "packets"
    DROPS = "drops"
    ERRORS = "errors"
    BACKLOG_BYTES = "backlog_bytes"
    BACKLOG_PACKETS = "backlog_packets"
    OVERLIMITS = "overlimits"
    """Times that a lane had to wait for its rate."""
    REQUEUES = "requeues"
    """Packets that a lane put back because the device did not take them."""
    DIRECT_PACKETS = "direct_packets"
    """Packets that passed the lanes by, in htb's direct queue."""
    RDMA_BYTES = "rdma_bytes"
    RDMA_PACKETS = "rdma_packets"
    BUFFER_DROPS = "buffer_drops"
    """Packets dropped because the host's receive buffer was full."""
    CONGESTION_DROPS = "congestion_drops"
    """Packets dropped because the host itself was congested."""
    PAUSE_FRAMES = "pause_frames"
    """802.1Qbb frames of a priority; without a priority, 802.3x frames."""
    PAUSE_MICROSECONDS = "pause_microseconds"
    PAUSE_TRANSITIONS = "pause_transitions"
    PFC_FRAMES = "pfc_frames"
    """802.1Qbb frames of all priorities together, where a device does not count them apart."""
    PAUSE_STORM_WARNINGS = "pause_storm_warnings"
    PAUSE_STORM_ERRORS = "pause_storm_errors"
    TRANSMIT_WAIT_TICKS = "transmit_wait_ticks"
    """Ticks in which data waited and none was sent; how long a tick is depends on the device."""
    ECN_MARKED_PACKETS = "ecn_marked_packets"
    CNP_PACKETS = "cnp_packets"
    CNP_IGNORED_PACKETS = "cnp_ignored_packets"
    PCI_STALLED_PERCENT = "pci_stalled_percent"
    """Share of the last second in which PCIe gave no credits: transmit = reads of memory, receive = writes."""
    PCI_STALL_EVENTS = "pci_stall_events"
    LINK_DOWNS = "link_downs"
    LINK_RECOVERIES = "link_recoveries"
    SYMBOL_ERRORS = "symbol_errors"
    PHYSICAL_ERRORS = "physical_errors"
    REMOTE_PHYSICAL_ERRORS = "remote_physical_errors"
    SWITCH_RELAY_ERRORS = "switch_relay_errors"
    CONSTRAINT_ERRORS = "constraint_errors"
    LINK_INTEGRITY_ERRORS = "link_integrity_errors"
    BUFFER_OVERRUN_ERRORS = "buffer_overrun_errors"
    VL15_DROPS = "vl15_drops"
    UNICAST_PACKETS = "unicast_packets"
    MULTICAST_PACKETS = "multicast_packets"
    WRITE_REQUESTS = "write_requests"
    READ_REQUESTS = "read_requests"
    ATOMIC_REQUESTS = "atomic_requests"
    CONNECT_REQUESTS = "connect_requests"
    OUT_OF_BUFFER = "out_of_buffer"
    OUT_OF_SEQUENCE = "out_of_sequence"
    DUPLICATE_REQUESTS = "duplicate_requests"
    RNR_NAK_RETRIES = "rnr_nak_retries"
    PACKET_SEQUENCE_ERRORS = "packet_sequence_errors"
    IMPLIED_NAK_SEQUENCE_ERRORS = "implied_nak_sequence_errors"
    ACK_TIMEOUTS = "ack_timeouts"
    LOCAL_LENGTH_ERRORS = "local_length_errors"
    COMPLETION_ERRORS = "completion_errors"
    COMPLETION_FLUSH_ERRORS = "completion_flush_errors"
    REMOTE_INVALID_REQUESTS = "remote_invalid_requests"
    REMOTE_ACCESS_ERRORS = "remote_access_errors"
    TRANSPORT_RETRIES_EXCEEDED = "transport_retries_exceeded"
    RNR_RETRIES_EXCEEDED = "rnr_retries_exceeded"
    ADAPTIVE_RETRANSMISSIONS = "adaptive_retransmissions"
    ADAPTIVE_RETRANSMISSION_TIMEOUTS = "adaptive_retransmission_timeouts"
    SLOW_RESTARTS = "slow_restarts"
    SLOW_RESTART_CNPS = "slow_restart_cnps"
    SLOW_RESTART_TRANSITIONS = "slow_restart_transitions"
    CHECKSUM_ERRORS = "checksum_errors"
    RETRANSMISSIONS = "retransmissions"


@dataclass(frozen=True, slots=True)
class Column:
    """What one position of every sample means.

    ``quantity`` is a word of ``Quantity`` or a later agent's. ``direction`` is None where there is none (a
    link that went down). ``lane_id`` and ``priority`` are None for the whole port.
    """

    port: str
    quantity: str
    direction: Direction | None = None
    kind: CounterKind = CounterKind.WRAP64
    lane_id: int | None = None
    priority: int | None = None

    @property
    def identity(self) -> tuple[str, str, Direction | None, int | None, int | None]:
        """What is counted, however: two columns of one identity in one sample would count it twice."""
        return self.port, self.quantity, self.direction, self.lane_id, self.priority


Values = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of every column: ``measured_unix_ns`` is for people, ``measured_monotonic_ns`` for rates."""

    measured_unix_ns: int
    measured_monotonic_ns: int
    values: Values


class Reader(Protocol):
    """Reads counters of one sort and changes nothing.

    ``columns`` looks at the machine again; ``read`` returns one value for each of the columns last returned,
    in their order, None where a value is not known. Either may raise OSError: the whole source cannot be
    read.
    """

    name: str

    def columns(self) -> tuple[Column, ...]: ...

    def read(self) -> Values: ...


@dataclass(frozen=True, slots=True)
class ReaderOutcome:
    """How one reading of one reader went: ``missing`` columns had no value; ``error`` is one sentence, empty on
    success.
    """

    reader: str
    seconds: float
    error: str = ""
    missing: int = 0

    @property
    def success(self) -> bool:
        return not self.error


def _wrapped(previous: int, current: int, modulus: int, most: int) -> int | None:
    """The step of a counter that went backwards: forwards across its end if that is plausible, else None."""
    if not (0 <= previous < modulus and 0 <= current < modulus):
        return None
    step = (current - previous) % modulus
    return step if step < most else None


def delta(kind: CounterKind, previous: int | None, current: int | None) -> int | None:
    """How far a counter rose between two readings; None when that is not known. Gauges have no delta."""
    if previous is None or current is None or kind is CounterKind.GAUGE:
        return None
    if kind is CounterKind.SATURATE32:
        return current - previous if previous <= current < SATURATED32 else None
    if current >= previous:
        step = current - previous
        return step if kind is CounterKind.WRAP32 or step < MAX_STEP64 else None
    if kind is CounterKind.WRAP32:
        return _wrapped(previous, current, MODULUS32, MODULUS32 // 2)
    return _wrapped(previous, current, MODULUS64, MAX_STEP64)


def rate(step: int | None, seconds: float, most_per_s: float = math.inf) -> float | None:
    """Per second; None when the step or the time is not known, or when no port could have done it.

    ``most_per_s`` is what the port can carry, in the column's unit, with room for a late timestamp.
    """
    if step is None or not seconds > 0:
        return None
    per_s = step / seconds
    return per_s if per_s <= most_per_s else None


@dataclass(frozen=True, slots=True)
class Rates:
    """One value per column, over ``seconds``: counters per second, gauges as they stood at the end."""

    seconds: float
    values: tuple[float | None, ...]


def _value(column: Column, previous: int | None, current: int | None, seconds: float) -> float | None:
    if column.kind is CounterKind.GAUGE:
        return None if current is None else float(current)
    return rate(delta(column.kind, previous, current), seconds)


def rates(columns: tuple[Column, ...], previous: Sample, current: Sample) -> Rates | None:
    """What two samples of the same columns say; None when no time passed between them by the monotonic clock
    (a repeated sample, or a node that rebooted) or when one of them has other columns.
    """
    seconds = (current.measured_monotonic_ns - previous.measured_monotonic_ns) / 1e9
    if seconds <= 0 or not len(columns) == len(previous.values) == len(current.values):
        return None
    pairs = zip(columns, previous.values, current.values, strict=True)
    return Rates(seconds, tuple(_value(column, a, b, seconds) for column, a, b in pairs))


class Unfolded:
    """Totals of 32-bit counters that wrap, as counters that only rise: what a scraper can read seldom.

    Feed it every sample; a reset restarts the total from the new value, as a scraper expects.
    """

    def __init__(self) -> None:
        self._last: dict[Column, int] = {}
        self._carried: dict[Column, int] = {}

    def add(self, column: Column, value: int | None) -> int | None:
        """The total of this column after this reading; None when the reading is missing."""
        if value is None or column.kind is not CounterKind.WRAP32:
            return value
        last = self._last.get(column)
        if last is not None and value < last:
            wrapped = delta(column.kind, last, value) is not None
            self._carried[column] = self._carried.get(column, 0) + MODULUS32 if wrapped else 0
        self._last[column] = value
        return self._carried.get(column, 0) + value


def first_of_each(columns: Iterable[Column]) -> tuple[bool, ...]:
    """For each column, whether it is the first of its identity: earlier readers know better than later ones."""
    first: dict[object, int] = {}
    all_columns = tuple(columns)
    for i, column in enumerate(all_columns):
        first.setdefault(column.identity, i)
    return tuple(first[column.identity] == i for i, column in enumerate(all_columns))
