"""Which prefill:decode ratios a resource can bear: ranges of them, from linear loads (DualPath, section 4.2).

A ratio is that of prefill nodes to decode nodes in use. A fabric has one; at any other ratio as many of its nodes
of one role are in use as make that ratio, evenly chosen, and the rest are idle. A node in use reads from storage
as fast as its storage NICs can, so that with ``x`` of the prefill nodes and ``y`` of the decode nodes in use

- what a prefill node carries for reads on its own side does not change; reads on the decode side, y times as many,
  meet x times as many prefill nodes: it carries y/x times as much of them;
- a decode node is the mirror image;
- whatever nodes share (switch links, storage servers) carries x times the one and y times the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

SLACK = 1e-9
"""Loads this much above a capacity, relatively, still count as equal to it: they are sums of rounded numbers."""


class Side(StrEnum):
    """Whose resource it is: a prefill node's, a decode node's, or one that nodes of both share."""

    PREFILL = "prefill"
    DECODE = "decode"
    SHARED = "shared"


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Ratios from ``low`` to ``high``, both included; ``high`` may be infinite."""

    low: float = 0.0
    high: float = math.inf


Ranges = tuple[Range, ...]
ANY: Ranges = (Range(),)


@dataclass(frozen=True, slots=True)
class Demand:
    """A load at the fabric's own ratio, by the path that causes it: reads on the prefill and on the decode side."""

    side: Side
    pe: float
    de: float

    def at(self, scale: float) -> float:
        """The load at ``scale`` times the fabric's ratio."""
        if self.side is Side.PREFILL:
            return self.pe + self.de / scale
        if self.side is Side.DECODE:
            return self.pe * scale + self.de
        return self.pe * min(1.0, scale) + self.de * min(1.0, 1 / scale)

    def fits(self, capacity: float, ratio: float) -> Ranges:
        """The ratios at which the load is at most ``capacity``; ``ratio`` is the fabric's own. At most two ranges."""
        few_prefill = _most(self.pe, self.de, capacity) * ratio
        few_decode = (
            ratio / _most(self.de, self.pe, capacity) if _most(self.de, self.pe, capacity) else math.inf
        )
        if self.side is Side.PREFILL:
            return (Range(low=few_decode),) if few_decode < math.inf else ()
        if self.side is Side.DECODE:
            return (Range(high=few_prefill),) if few_prefill else ()
        if self.pe + self.de <= capacity * (1 + SLACK):
            return ANY
        below = (Range(high=few_prefill),) if few_prefill else ()
        return below + ((Range(low=few_decode),) if few_decode < math.inf else ())


def _most(changing: float, fixed: float, capacity: float) -> float:
    """The most times that ``changing`` fits beside ``fixed``: 0 where none does, infinite where any does."""
    if not changing:
        return math.inf if fixed <= capacity * (1 + SLACK) else 0.0
    room = capacity - fixed
    return room / changing if room > capacity * SLACK else 0.0


def common(ranges: Iterable[Ranges]) -> Ranges:
    """The ratios that stand in every one of these."""
    found = ANY
    for other in set(ranges):
        met = {Range(max(a.low, b.low), min(a.high, b.high)) for a in found for b in other}
        found = tuple(sorted(r for r in met if r.low <= r.high * (1 + SLACK)))
    return found


def ratio_text(ratio: float) -> str:
    """``7/2``; as a decimal where no small fraction is meant."""
    if math.isinf(ratio):
        return "any"
    near = Fraction(ratio).limit_denominator(64)
    if near and abs(near - ratio) <= 1e-8 * ratio:
        return f"{near.numerator}/{near.denominator}"
    return f"{ratio:.3g}"


def ranges_text(ranges: Ranges) -> str:
    """``1/7..7/2``, ``>= 1/7``, ``<= 7/2``, ``any``, ``none``; two ranges are joined by ``or``."""
    return " or ".join(map(_range_text, ranges)) or "none"


def _range_text(one: Range) -> str:
    if math.isinf(one.high):
        return f">= {ratio_text(one.low)}" if one.low else "any"
    return f"{ratio_text(one.low)}..{ratio_text(one.high)}" if one.low else f"<= {ratio_text(one.high)}"
