"""u32 filters in the order in which they can be made again with the numbers they had. Pure.

The kernel numbers the root table of each preference by itself, 800, 801 and so on in the order in which the
preferences of one qdisc and its classes came (``gen_new_htid``). Where a number is missing, because a preference has gone, one
is made in its place and taken away at the end. Everything else keeps its number by being asked for it.

Source: net/sched/cls_u32.c (u32_init, u32_change, u32_walk: the latest table comes first, a root last).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trafficd_agent.netlink.raw import TCA_KIND, TCA_OPTIONS, Record, Sort, pack, unpack

FIRST_ROOT = 0x800
MAX_GAPS = 64
NODE_MASK = 0xFFF
TCA_U32_LINK, TCA_U32_SEL = 3, 5
NEVER_SENT = 0xFFFF
"""An EtherType that is reserved (RFC 5342, 7.): no packet meets what stands in a gap."""
NOTHING = struct.pack("=BBBBHHhhI", 1, 0, 1, 0, 0, 0, 0, 0, 0) + struct.pack(
    "=IIii", 0xFFFFFFFF, 0xFFFFFFFF, 0, 0
)
"""tc_u32_sel with one comparison."""


class Unnumbered(Exception):  # noqa: N818 - what is said of filters
    """Filters whose numbers cannot be had again; a few words on which."""


@dataclass(frozen=True, slots=True)
class Preference:
    """The filters of one preference and protocol at one place. ``root`` is its first table, of the kernel's making."""

    root: Record
    tables: tuple[Record, ...]
    nodes: tuple[Record, ...]

    @property
    def place(self) -> int:
        """The qdisc, whose classes share its numbers (tc_u_common_ptr)."""
        return self.root.parent >> 16

    @property
    def number(self) -> int:
        return _number(self.root)

    @property
    def records(self) -> tuple[Record, ...]:
        return (self.root, *self.tables, *self.nodes)


def _number(table: Record) -> int:
    return table.handle >> 20


def _is_table(r: Record) -> bool:
    return r.handle & NODE_MASK == 0


def preferences(filters: Sequence[Record]) -> Iterator[Preference]:
    """By place and number of the root. Raises Unnumbered."""
    places = dict.fromkeys((r.parent, r.info) for r in filters)
    made = [_preference([r for r in filters if (r.parent, r.info) == p and r.handle]) for p in places]
    found = [(p.place, p.root.info >> 16) for p in made]
    if len(set(found)) < len(found):
        raise Unnumbered("u32 filters of one preference at two places of a qdisc")
    yield from sorted(made, key=lambda p: (p.place, p.number))


def _preference(records: Sequence[Record]) -> Preference:
    tables, nodes = [r for r in records if _is_table(r)], [r for r in records if not _is_table(r)]
    roots = [r for r in tables if _number(r) >= FIRST_ROOT]
    if not roots or len(records) == 1:
        raise Unnumbered("a preference of u32 without filters")
    root = min(roots, key=_number)
    mine = {r.handle for r in tables}
    links = {v for r in nodes if (v := _link(r))}
    if not links <= mine:
        raise Unnumbered("a u32 filter that goes on in a table of another preference")
    rest = sorted((r for r in tables if r is not root), key=_number)
    return Preference(root, tuple(rest), tuple(sorted(nodes, key=lambda r: r.handle)))


def _link(r: Record) -> int:
    value = next((v for n, v in unpack(r.get(TCA_OPTIONS) or b"") if n == TCA_U32_LINK), None)
    return struct.unpack("=I", value)[0] if value else 0


def in_order(filters: Sequence[Record]) -> tuple[Record, ...]:
    """As they are kept. Raises Unnumbered."""
    found = list(preferences(filters))
    for place in {p.place for p in found}:
        gaps(tuple(p for p in found if p.place == place))
    return tuple(r for p in found for r in p.records)


def gaps(place: Sequence[Preference]) -> tuple[int, ...]:
    """For each preference of one place, how many numbers are missing before it. Raises Unnumbered."""
    counts, taken, expected = [], set[int](), FIRST_ROOT
    for p in place:
        missing = [n for n in range(expected, p.number) if n not in taken]
        later = {_number(t) for q in place if q.number >= p.number for t in q.tables}
        if later & set(missing):
            raise Unnumbered("u32 tables numbered by hand among those of the kernel")
        counts.append(len(missing))
        taken |= {_number(t) for t in p.tables}
        expected = p.number + 1
    if sum(counts) > MAX_GAPS:
        raise Unnumbered(f"u32 filters with more than {MAX_GAPS} numbers missing")
    return tuple(counts)


def rebuilt(filters: Sequence[Record]) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """What to make, and what of it to take away at the end. Raises Unnumbered."""
    make: list[Record] = []
    spare: list[Record] = []
    found = list(preferences(filters))
    for qdisc in dict.fromkeys(p.place for p in found):
        place = [p for p in found if p.place == qdisc]
        free = _free(qdisc << 16, {p.root.info >> 16 for p in place})
        for p, missing in zip(place, gaps(place), strict=True):
            stand_ins = [next(free) for _ in range(missing)]
            spare += stand_ins
            make += [*stand_ins, *p.tables, *p.nodes]
    return tuple(make), tuple(spare)


def _free(parent: int, used: set[int]) -> Iterator[Record]:
    """Filters at preferences that nobody uses."""
    options = pack(((TCA_U32_SEL, NOTHING),))
    attributes = ((TCA_KIND, b"u32\0"), (TCA_OPTIONS, options))
    for preference in (n for n in range(0xFFFE, 0, -1) if n not in used):
        yield Record(Sort.FILTER, 0, parent, preference << 16 | NEVER_SENT, attributes)
