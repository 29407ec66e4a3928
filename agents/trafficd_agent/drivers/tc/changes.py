"""What to ask of the kernel for each change. Raises ValueError, one sentence, for values that it could not hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from trafficd_agent.drivers.tc.found import record_of
from trafficd_agent.drivers.tc.matches import (
    catch_all,
    filter_place,
    is_catch_all,
    kernel_filters,
    key_of,
)
from trafficd_agent.drivers.tc.tables import rebuilt
from trafficd_agent.netlink import raw, tc
from trafficd_agent.netlink.messages import TcMessage
from trafficd_agent.netlink.raw import RawMessage, Sort
from trafficd_topology.diff import Change, Op
from trafficd_topology.qos.tc import (
    HANDLE_MAJOR,
    ROOT_MINOR,
    TcClass,
    TcQdisc,
    burst_ticks,
    lasting_burst,
)

OPEN_RATE_BPS = 8 * tc.RATE32_MAX
"""Of a default class until its own change comes: no queue builds there in the meantime."""
OPEN_QUANTUM = 65_536
INNER_QUANTUM = 65_536
INNER_BURST_BYTES = 2 * 1514
INNER_BURST_PER_S = 4_000
"""The inner class may send two packets at once, or 1/4000 s of its rate: what a late timer costs a fast port."""
HTB_PRIORITIES = 8
INNER = tc.handle(HANDLE_MAJOR, ROOT_MINOR)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change is carried out; ``qdiscs`` and the others ask the kernel what is there now."""

    index: int
    displace: bool
    qdiscs: Callable[[], Sequence[tc.Qdisc]]
    classes: Callable[[], Sequence[tc.Class]]
    filters: Callable[[], Sequence[tc.Filter]]


Requests = tuple[TcMessage | RawMessage, ...]


def requests(place: Place, change: Change) -> Requests:
    """The requests of one change, to be sent in one datagram."""
    return HANDLERS[change.op, change.kind](place, change)


def _minor(key: str) -> int:
    minor = int(key, 16)
    if not ROOT_MINOR < minor <= 0xFFFF:
        raise ValueError(f"minor number {key} cannot be a lane's: use 2 to ffff")
    return minor


def _checked_minor(minor: int) -> int:
    return _minor(f"{minor:x}")


def _checked_rate(rate_bps: int) -> int:
    if rate_bps < 8 or rate_bps % 8:
        raise ValueError(f"rate {rate_bps} bit/s is not a whole number of bytes per second above 0")
    return rate_bps


def _checked_ticks(bytes_: int, rate_bps: int) -> int:
    ticks = burst_ticks(bytes_, rate_bps)
    lasting = lasting_burst(bytes_, rate_bps)
    if lasting != bytes_ or not 0 < ticks <= tc.RATE32_MAX:
        raise ValueError(f"a burst of {bytes_} bytes at {rate_bps} bit/s is kept as {lasting}: use that")
    return ticks


def _class(minor: int, value: TcClass) -> tc.Class:
    if not 0 <= value.prio < HTB_PRIORITIES or value.quantum_bytes < 1:
        raise ValueError(
            f"class/{minor:x} has prio {value.prio} and quantum {value.quantum_bytes}: use 0 to 7 and 1 or more"
        )
    return tc.Class(
        handle=tc.handle(HANDLE_MAJOR, minor),
        parent=INNER,
        rate_bps=_checked_rate(value.rate_bps),
        ceil_bps=_checked_rate(value.ceil_bps),
        buffer=_checked_ticks(value.burst_bytes, value.rate_bps),
        cbuffer=_checked_ticks(value.cburst_bytes, value.ceil_bps),
        quantum=value.quantum_bytes,
        prio=value.prio,
    )


def _inner(rate_bps: int) -> tc.Class:
    rate = _checked_rate(rate_bps)
    ticks = burst_ticks(max(INNER_BURST_BYTES, rate // 8 // INNER_BURST_PER_S), rate)
    return tc.Class(INNER, tc.handle(HANDLE_MAJOR), rate, rate, ticks, ticks, INNER_QUANTUM, 0)


def _open(minor: int) -> tc.Class:
    ticks = burst_ticks(OPEN_QUANTUM, OPEN_RATE_BPS)
    number = tc.handle(HANDLE_MAJOR, minor)
    return tc.Class(number, INNER, OPEN_RATE_BPS, OPEN_RATE_BPS, ticks, ticks, OPEN_QUANTUM, 0)


def _add_qdisc(place: Place, change: Change) -> Requests:
    """The kernel carries these out back to back, so that the default class is missing for microseconds."""
    value: TcQdisc = change.new
    minor = _checked_minor(value.default_minor)
    return (
        tc.add_htb_root(place.index, HANDLE_MAJOR, minor, displace=place.displace),
        tc.set_class(place.index, _inner(value.rate_bps)),
        tc.set_class(place.index, _open(minor)),
    )


def _change_qdisc(place: Place, change: Change) -> Requests:
    value: TcQdisc = change.new
    rate = tc.set_class(place.index, _inner(value.rate_bps))
    return (rate, *_default(place, _checked_minor(value.default_minor)))


def _default(place: Place, minor: int) -> Requests:
    """The default of htb itself is fixed for the life of the root; a filter that catches all the rest overrules it."""
    number = tc.handle(HANDLE_MAJOR, minor)
    there = any(c.handle == number for c in place.classes())
    made = () if there else (tc.set_class(place.index, _open(minor)),)
    root = next(q for q in place.qdiscs() if q.is_root)
    want = () if root.default_minor == minor else (catch_all(minor),)
    return (*made, *_exchange(place, want, [f for f in place.filters() if is_catch_all(f)]))


def _exchange(place: Place, want: Sequence[tc.Filter], have: Sequence[tc.Filter]) -> Requests:
    """Make ``have`` into ``want``: first what is missing, then what is too much."""
    bare = [replace(f, handle=0) for f in have]
    add = [tc.add_filter(place.index, HANDLE_MAJOR, f) for f in want if f not in bare]
    gone = [f for i, f in enumerate(have) if bare[i] not in want or bare[i] in bare[:i]]
    return (*add, *(tc.delete_filter(place.index, HANDLE_MAJOR, f) for f in gone))


def _remove_qdisc(place: Place, _: Change) -> Requests:
    return (tc.delete_root(place.index, HANDLE_MAJOR),)


def _set_class(place: Place, change: Change) -> Requests:
    return (tc.set_class(place.index, _class(_minor(change.key), change.new)),)


def _remove_class(place: Place, change: Change) -> Requests:
    return (tc.delete_class(place.index, tc.handle(HANDLE_MAJOR, _minor(change.key))),)


def _set_leaf(place: Place, change: Change) -> Requests:
    minor, limit = _minor(change.key), change.new.limit_packets
    if not 0 < limit <= tc.RATE32_MAX:
        raise ValueError(f"leaf/{change.key} has a limit of {limit} packets: use 1 or more")
    number, parent = tc.handle(HANDLE_MAJOR + minor), tc.handle(HANDLE_MAJOR, minor)
    return (tc.set_fifo(place.index, number, parent, limit, fresh=change.op is Op.ADD),)


def _remove_leaf(place: Place, change: Change) -> Requests:
    return (tc.delete_leaf(place.index, tc.handle(HANDLE_MAJOR, _minor(change.key))),)


def _add_filter(place: Place, change: Change) -> Requests:
    return _exchange(place, kernel_filters(change.key, change.new), ())


def _change_filter(place: Place, change: Change) -> Requests:
    have = [f for f in place.filters() if key_of(f) == change.key]
    return _exchange(place, kernel_filters(change.key, change.new), have)


def _remove_filter(place: Place, change: Change) -> Requests:
    return _exchange(place, (), [f for f in place.filters() if key_of(f) == change.key])


def _remove_other(place: Place, change: Change) -> Requests:
    sort, _, rest = change.key.partition("/")
    if sort == "tree":
        return (tc.delete_root(place.index, HANDLE_MAJOR),)
    if sort == "leaf":
        return (tc.delete_leaf(place.index, tc.handle(HANDLE_MAJOR, _minor(rest))),)
    found = [f for f in place.filters() if filter_place(f) == change.key]
    return tuple(tc.delete_filter(place.index, HANDLE_MAJOR, f) for f in found)


def _put_back(place: Place, change: Change) -> Requests:
    """A tree as it was found, in place of what is there: our root at once, somebody else's after it went."""
    records = [record_of(line) for line in change.new.records]
    made, spare = rebuilt([r for r in records if r.sort is Sort.FILTER])
    grown = [raw.make(place.index, r) for r in records if r.sort is not Sort.FILTER]
    leaves = [raw.make(place.index, r) for r in made]
    away = [raw.unmake(place.index, r) for r in spare]
    old = [tc.delete_root(place.index, q.handle >> 16) for q in place.qdiscs() if q.is_root and q.handle]
    ours = change.op is Op.ADD
    return (*grown, *leaves, *away) if ours else (*old, *grown, *leaves, *away)


def _displace(place: Place, change: Change) -> Requests:
    """Our root took its place already, unless none was wanted."""
    kind, shown = change.old.root.split()
    there = [q for q in place.qdiscs() if q.is_root and (q.kind, tc.shown(q.handle)) == (kind, shown)]
    return tuple(tc.delete_root(place.index, q.handle >> 16) for q in there)


def _never(_: Place, change: Change) -> Requests:
    raise ValueError(f"{change.name} was not made by this agent and is not made again: {change.new.text}")


HANDLERS: dict[tuple[Op, str], Callable[[Place, Change], Requests]] = {
    (Op.ADD, "qdisc"): _add_qdisc,
    (Op.CHANGE, "qdisc"): _change_qdisc,
    (Op.REMOVE, "qdisc"): _remove_qdisc,
    (Op.ADD, "class"): _set_class,
    (Op.CHANGE, "class"): _set_class,
    (Op.REMOVE, "class"): _remove_class,
    (Op.ADD, "leaf"): _set_leaf,
    (Op.CHANGE, "leaf"): _set_leaf,
    (Op.REMOVE, "leaf"): _remove_leaf,
    (Op.ADD, "filter"): _add_filter,
    (Op.CHANGE, "filter"): _change_filter,
    (Op.REMOVE, "filter"): _remove_filter,
    (Op.ADD, "found"): _put_back,
    (Op.CHANGE, "found"): _put_back,
    (Op.REMOVE, "found"): _displace,
    (Op.ADD, "other"): _never,
    (Op.CHANGE, "other"): _never,
    (Op.REMOVE, "other"): _remove_other,
}
