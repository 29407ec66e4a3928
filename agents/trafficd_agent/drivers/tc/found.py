"""Somebody else's tree: what of it is kept so that it can be made again, and why it cannot be. Pure.

Only kinds are kept of which every option that the kernel shows can be given back to it, which a test on a real kernel
proves for each. What the kernel counts is left out, so that a tree put back compares equal to the one found.

Sources: net/sched/sch_htb.c, sch_tbf.c, sch_fifo.c, sch_mq.c and cls_u32.c (what each dumps and what it takes).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from trafficd_agent.drivers.tc.tables import Unnumbered, in_order
from trafficd_agent.netlink.raw import TCA_KIND, TCA_OPTIONS, Attributes, Record, Sort, pack, unpack
from trafficd_agent.netlink.tc import shown
from trafficd_topology.qos.tc import HANDLE_MAJOR, TcFound

TC_H_ROOT, TC_H_INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
TCA_STATS2, TCA_STAB, TCA_CHAIN, TCA_INGRESS_BLOCK, TCA_EGRESS_BLOCK = 7, 8, 11, 13, 14
TCA_STATS_RATE_EST, TCA_STATS_RATE_EST64 = 2, 5

TCA_HTB_INIT, TCA_HTB_PAD = 2, 8
HTB_VERSION = 3
TCA_TBF_PAD = 8
TCA_U32_POLICE, TCA_U32_ACT, TCA_U32_PCNT, TCA_U32_FLAGS, TCA_U32_PAD = 6, 7, 9, 11, 12
IN_HARDWARE = 1 << 2 | 1 << 3
"""TCA_CLS_FLAGS_IN_HW and NOT_IN_HW: said by the kernel, refused from users."""


class Irreplaceable(Exception):  # noqa: N818 - what is said of a tree
    """Part of a tree cannot be made again; a few words on what, to stand behind ``whose``."""


@dataclass(frozen=True, slots=True)
class Held:
    """What hangs below one device's root: all of it but the kernel's own defaults and what is on its way in."""

    qdiscs: Sequence[Record]
    classes: Sequence[Record]
    filters: Sequence[Record]


def _plain(options: bytes) -> bytes:
    return options


def _htb(options: bytes) -> bytes:
    """tc_htb_glob begins with a version, of which only the upper part is taken back, and ends with a counter."""
    return pack(tuple((n, _htb_glob(v) if n == TCA_HTB_INIT else v) for n, v in unpack(options)))


def _htb_glob(value: bytes) -> bytes:
    _, quantum, default, _, _ = struct.unpack("=5I", value)
    return struct.pack("=5I", HTB_VERSION, quantum, default, 0, 0)


def _without(*numbers: int) -> Callable[[bytes], bytes]:
    return lambda options: pack(tuple(a for a in unpack(options) if a[0] not in numbers))


def _u32(options: bytes) -> bytes:
    found = unpack(options)
    if any(number in (TCA_U32_ACT, TCA_U32_POLICE) for number, _ in found):
        raise Irreplaceable("a u32 filter with an action")
    return pack(_without_hardware(found))


def _without_hardware(found: Attributes) -> Attributes:
    kept = [(n, v) for n, v in found if n not in (TCA_U32_PCNT, TCA_U32_PAD)]
    return tuple((n, _flags(v) if n == TCA_U32_FLAGS else v) for n, v in kept)


def _flags(value: bytes) -> bytes:
    (flags,) = struct.unpack("=I", value)
    return struct.pack("=I", flags & ~IN_HARDWARE)


QDISCS: dict[str, Callable[[bytes], bytes]] = {
    "htb": _htb,
    "tbf": _without(TCA_TBF_PAD),
    "mq": _plain,
    "pfifo": _plain,
    "bfifo": _plain,
    "pfifo_head_drop": _plain,
    "pfifo_fast": _plain,
}
CLASSES: dict[str, Callable[[bytes], bytes]] = {"htb": _without(TCA_HTB_PAD)}
"""Kinds whose classes somebody makes; those of other kinds come with their qdisc."""
FILTERS: dict[str, Callable[[bytes], bytes]] = {"u32": _u32}
KEPT = {Sort.QDISC: QDISCS, Sort.CLASS: CLASSES, Sort.FILTER: FILTERS}
NOUNS = {Sort.QDISC: "a {} qdisc", Sort.CLASS: "a class of {}", Sort.FILTER: "a {} filter"}


def below_root(qdiscs: Iterable[Record]) -> list[Record]:
    """What somebody put there; a handle of 0 is the kernel's own choice, which it makes again by itself."""
    return [q for q in qdiscs if q.handle and q.parent != TC_H_INGRESS]


def has_classes(record: Record) -> bool:
    return record.kind in CLASSES


def found(held: Held) -> TcFound:
    """What is kept of a tree, in the order in which it is made again. Raises Irreplaceable."""
    parts = [*held.qdiscs, *held.classes, *held.filters]
    if any(r.sort is Sort.QDISC and r.handle >> 16 == HANDLE_MAJOR for r in parts):
        raise Irreplaceable(f"a qdisc of the handle {HANDLE_MAJOR:x}:, which is ours")
    bare = [_bare(r) for r in parts]
    root = next((r for r in bare if r.parent == TC_H_ROOT and r.sort is Sort.QDISC), None)
    if root is None:
        raise Irreplaceable("no root that can be told")
    grown = list(_grown(root, bare))
    try:
        filters = in_order([r for r in bare if r.sort is Sort.FILTER])
    except Unnumbered as e:
        raise Irreplaceable(str(e)) from e
    if len(grown) + len([r for r in bare if r.sort is Sort.FILTER]) != len(parts):
        raise Irreplaceable("parts that hang nowhere")
    return TcFound(f"{root.kind} {shown(root.handle)}", tuple(map(_line, (*grown, *filters))))


def _bare(record: Record) -> Record:
    """Its kind and options without what the kernel counts. Raises Irreplaceable."""
    noun = NOUNS[record.sort].format(record.kind or "nameless")
    keep = KEPT[record.sort].get(record.kind)
    if keep is None:
        raise Irreplaceable(noun)
    if extra := _extra(record):
        raise Irreplaceable(f"{noun} with {extra}")
    options = record.get(TCA_OPTIONS)
    attributes: Attributes = ((TCA_KIND, record.kind.encode() + b"\0"),)
    if options is not None:
        attributes += ((TCA_OPTIONS, keep(options)),)
    return Record(record.sort, record.handle, record.parent, _info(record), attributes)


def _info(record: Record) -> int:
    """Of a filter its preference and protocol; of others what the kernel counts or repeats."""
    return record.info if record.sort is Sort.FILTER else 0


def _extra(record: Record) -> str:
    stats = {number for number, _ in unpack(record.get(TCA_STATS2) or b"")}
    if stats & {TCA_STATS_RATE_EST, TCA_STATS_RATE_EST64}:
        return "a rate estimator"
    if record.get(TCA_STAB):
        return "a size table"
    if record.get(TCA_INGRESS_BLOCK) or record.get(TCA_EGRESS_BLOCK):
        return "a shared block"
    return "a chain" if any(record.get(TCA_CHAIN) or b"") else ""


def _grown(qdisc: Record, parts: Sequence[Record]) -> Iterator[Record]:
    """A qdisc, its classes from the top down, and the same for what hangs below them."""
    yield qdisc
    mine = [r for r in parts if r.sort is Sort.CLASS and r.handle >> 16 == qdisc.handle >> 16]
    yield from _below({TC_H_ROOT, qdisc.handle}, mine)
    children = [r for r in parts if r.sort is Sort.QDISC and r.parent >> 16 == qdisc.handle >> 16]
    for child in sorted(children, key=lambda r: r.parent):
        if child.parent != TC_H_ROOT:
            yield from _grown(child, parts)


def _below(parents: set[int], classes: Sequence[Record]) -> Iterator[Record]:
    level = sorted((c for c in classes if c.parent in parents), key=lambda r: r.handle)
    yield from level
    if level:
        yield from _below({c.handle for c in level}, [c for c in classes if c not in level])


def _line(r: Record) -> str:
    options = r.get(TCA_OPTIONS)
    text = "-" if options is None else options.hex() or "0"
    return f"{r.sort} {r.handle:x} {r.parent:x} {r.info:x} {r.kind} {text}"


def record_of(line: str) -> Record:
    """The record of one line of ``TcFound.records``. Raises ValueError."""
    sort, handle, parent, info, kind, options = line.split()
    attributes: Attributes = ((TCA_KIND, kind.encode() + b"\0"),)
    if options != "-":
        value = b"" if options == "0" else bytes.fromhex(options)
        attributes += ((TCA_OPTIONS, value),)
    return Record(Sort(sort), int(handle, 16), int(parent, 16), int(info, 16), attributes)
