"""What the kernel holds below a root, as elements. Pure.

An element is there only when all of it is: a filter that lacks its IPv6 half does not count, and what is left of it
is ``other``, to be removed. A tree that is not arranged as ours is one ``other/tree``, to be built anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from trafficd_agent.drivers.tc.matches import (
    filter_place,
    is_catch_all,
    kernel_filters,
    key_of,
    preference,
)
from trafficd_agent.netlink.tc import Class, Filter, Qdisc, handle, shown
from trafficd_topology.diff import Element, State, state
from trafficd_topology.qos.tc import (
    HANDLE_MAJOR,
    ROOT_MINOR,
    TcClass,
    TcFilter,
    TcLeaf,
    TcOther,
    TcQdisc,
    burst_bytes,
)

ROOT = handle(HANDLE_MAJOR)
INNER = handle(HANDLE_MAJOR, ROOT_MINOR)


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything the kernel holds below our root on one port."""

    root: Qdisc
    qdiscs: Sequence[Qdisc] = ()
    classes: Sequence[Class] = ()
    filters: Sequence[Filter] = ()


def is_ours(root: Qdisc | None) -> bool:
    return root is not None and root.kind == "htb" and root.handle == ROOT


def root_of(qdiscs: Sequence[Qdisc]) -> Qdisc | None:
    """The root somebody put there; the kernel's default has handle 0 and is nobody's."""
    return next((q for q in qdiscs if q.is_root and q.handle), None)


def elements(tree: Tree) -> State:
    """The State of one port."""
    if reason := _misarranged(tree):
        return (Element("other", "tree", TcOther(reason)),)
    parts, rest = sort_filters(tree.filters)
    found = [_qdisc(tree), *_classes(tree), *_leaves(tree)]
    found += [Element("filter", key, value) for key, value in parts.items()]
    found += [Element("other", filter_place(f), TcOther(_text(f))) for f in rest if f is not _catch_all(tree)]
    return state(found)


def _misarranged(tree: Tree) -> str:
    """Why the classes are not arranged as ours, or an empty string."""
    if tree.root.default_minor is None:
        return "an htb root without a default class"
    for c in tree.classes:
        if c.parent != (ROOT_PARENT if c.handle == INNER else INNER):
            return f"class {shown(c.handle)} hangs below {shown(c.parent)}"
        if c.handle == ROOT:
            return f"class {shown(c.handle)} has the number of no lane"
        if not c.plain:
            return f"class {shown(c.handle)} counts packets with an overhead"
    return ""


ROOT_PARENT = 0xFFFFFFFF
"""The parent that the kernel reports for a class right below the root qdisc (TC_H_ROOT)."""


def _catch_all(tree: Tree) -> Filter | None:
    return next((f for f in tree.filters if is_catch_all(f)), None)


def _qdisc(tree: Tree) -> Element:
    """``rate_bps`` is 0 when the inner class is missing or its rate and ceiling differ."""
    override = _catch_all(tree)
    default = (override.target or 0) & 0xFFFF if override else tree.root.default_minor or 0
    inner = next((c for c in tree.classes if c.handle == INNER), None)
    rate = inner.rate_bps if inner and inner.rate_bps == inner.ceil_bps else 0
    return Element("qdisc", "", TcQdisc(default, rate))


def _classes(tree: Tree) -> Iterator[Element]:
    for c in tree.classes:
        if c.handle == INNER:
            continue
        burst, cburst = burst_bytes(c.buffer, c.rate_bps), burst_bytes(c.cbuffer, c.ceil_bps)
        value = TcClass(c.rate_bps, c.ceil_bps, c.prio, c.quantum, burst, cburst)
        yield Element("class", f"{c.handle & 0xFFFF:x}", value)


def _leaves(tree: Tree) -> Iterator[Element]:
    for q in tree.qdiscs:
        if q.is_root or q.parent >> 16 != HANDLE_MAJOR:
            continue
        minor = f"{q.parent & 0xFFFF:x}"
        if q.limit is not None:
            yield Element("leaf", minor, TcLeaf(q.limit))
        else:
            yield Element("other", f"leaf/{minor}", TcOther(f"{q.kind} {shown(q.handle)}"))


def sort_filters(found: Sequence[Filter]) -> tuple[dict[str, TcFilter], list[Filter]]:
    """Complete filter elements by key, and every kernel filter that is not a part of one."""
    whole: dict[str, TcFilter] = {}
    rest = list(found)
    for f in found:
        key, pref = key_of(f), preference(f)
        if key is None or pref is None or key in whole:
            continue
        value = TcFilter((f.target or 0) & 0xFFFF, pref)
        parts = [
            next((r for r in rest if replace(r, handle=0) == want), None)
            for want in kernel_filters(key, value)
        ]
        if None not in parts:
            whole[key] = value
            rest = [r for r in rest if not any(r is p for p in parts)]
    return whole, rest


def _text(f: Filter) -> str:
    target = f" to {shown(f.target)}" if f.target is not None else ""
    return f"{f.kind} filter of preference {f.pref} for protocol {f.protocol:04x}{target}"
