"""Lanes on plain Linux: htb classes per lane, classified by DSCP (and by SO_PRIORITY without a filter).

Sources: tc-htb(8), net/sched/sch_htb.c, net/sched/cls_u32.c. htb schedules what the kernel's own stack
sends; RDMA bypasses it.

Handles: the root qdisc is ``HANDLE_MAJOR:``, its one inner class ``:1`` carries the root ceiling, and lane ``i``
is class ``:(LANE_MINOR + i)`` with a pfifo of its own. A socket that sets SO_PRIORITY to ``so_priority(lane)`` is
put there by htb itself (htb_classify looks the priority up as a class id first).
"""

from __future__ import annotations

from dataclasses import dataclass

HANDLE_MAJOR = 0x7F1D
"""Marks a root qdisc as ours, so that what we do not own is recognised."""
ROOT_MINOR = 0x1
LANE_MINOR = 0x10


def lane_minor(lane_id: int) -> int:
    return LANE_MINOR + lane_id


def so_priority(lane_id: int) -> int:
    """The SO_PRIORITY value that puts a socket into a lane on a port that tc manages."""
    return HANDLE_MAJOR << 16 | lane_minor(lane_id)


@dataclass(frozen=True, slots=True)
class TcQdisc:
    """Element ``qdisc``: the htb root. ``default_minor`` is where unmarked packets go (never 0: htb's direct queue)."""

    default_minor: int
    rate_bps: int
    """Rate and ceiling of the one inner class; strictly below the wire's rate, so that the queue builds here."""


@dataclass(frozen=True, slots=True)
class TcClass:
    """Element ``class/<minor in hex>``. ``prio`` 0..7, smaller first, orders who borrows what is left over."""

    rate_bps: int
    ceil_bps: int
    prio: int
    quantum_bytes: int
    burst_bytes: int
    cburst_bytes: int


@dataclass(frozen=True, slots=True)
class TcLeaf:
    """Element ``leaf/<minor in hex>``: the pfifo below a lane's class."""

    limit_packets: int


@dataclass(frozen=True, slots=True)
class TcFilter:
    """Element ``filter/<match>``, match one of ``dscp-<0..63>``, ``arp``, ``tcp-port-<n>``: sends to a class."""

    minor: int
    pref: int


@dataclass(frozen=True, slots=True)
class TcOther:
    """Element ``other/<where>``: something below our root that is not of our making; it is only ever removed.

    Where is ``tree`` (the classes are not arranged as ours), ``leaf/<minor>`` or ``filter/<pref>/<protocol>/<handle>``.
    """

    text: str


TICK_NS = 64
"""The kernel keeps a burst as a time in ticks of 64 ns (include/net/pkt_sched.h, PSCHED_SHIFT), not in bytes."""


def burst_ticks(burst_bytes: int, rate_bps: int) -> int:
    """The time that ``burst_bytes`` take at ``rate_bps``, in ticks, rounded up."""
    return -(-burst_bytes * 8 * 10**9 // (TICK_NS * rate_bps))


def burst_bytes(ticks: int, rate_bps: int) -> int:
    """The bytes that ``ticks`` carry at ``rate_bps``, rounded down: what reading back a burst gives."""
    return ticks * TICK_NS * rate_bps // (8 * 10**9)


def lasting_burst(wanted_bytes: int, rate_bps: int) -> int:
    """The burst next to ``wanted_bytes`` that is read back as the very number that was written."""
    return burst_bytes(burst_ticks(wanted_bytes, rate_bps), rate_bps)


@dataclass(frozen=True, slots=True)
class TcFound:
    """Element ``found/tree``: the whole tree that somebody else made, as it is put back.

    ``root`` is its kind and handle, for a person. ``records`` are in the order in which they are made again, each
    ``sort handle parent info kind options``: numbers in hexadecimal as in struct tcmsg, options as the kernel gave
    them without what it counts (``-`` for none).
    """

    root: str
    records: tuple[str, ...]
