"""What a node loses: packets discarded at its ports, and packets sent again because they were lost on the way.

Counted over whole ports. What a lane of tc drops is left out: a shaped queue that is full drops packets to tell TCP its
rate, and a lane that was just made narrower does so by intent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from trafficd_topology.counters import Column, Quantity

WINDOW_S = 10.0
"""Losses are rates over the samples of so long: one bad sample is not yet a trend."""
DISCARDS = frozenset(
    {Quantity.DROPS, Quantity.BUFFER_DROPS, Quantity.CONGESTION_DROPS, Quantity.OUT_OF_BUFFER}
)
RETRANSMITS = frozenset(
    {
        Quantity.RETRANSMISSIONS,
        Quantity.PACKET_SEQUENCE_ERRORS,
        Quantity.IMPLIED_NAK_SEQUENCE_ERRORS,
        Quantity.ACK_TIMEOUTS,
        Quantity.ADAPTIVE_RETRANSMISSIONS,
    }
)
"""As the sender sees it. What arrives out of order is no loss where routing is adaptive."""
NAMES = ("discards", "retransmits")


@dataclass(frozen=True, slots=True)
class Losses:
    """Packets per second; None where a node counts none of them."""

    discards: float | None = None
    retransmits: float | None = None


NO_LOSSES = Losses()
Delta = Callable[[int], int | None]
"""By how much a column rose; None where that is unknown."""


@dataclass(slots=True)
class LossMeter:
    """One node's. ``places`` are the columns that count discards, and those that count retransmits."""

    places: tuple[tuple[int, ...], tuple[int, ...]]
    _steps: deque[tuple[float, float, tuple[int | None, int | None]]] = field(default_factory=deque)

    def add(self, now: float, seconds: float, delta: Delta) -> None:
        """One interval that ended ``now``."""
        self._steps.append((now, seconds, (_sum(delta, self.places[0]), _sum(delta, self.places[1]))))
        self._trim(now)

    def rates(self, now: float) -> Losses:
        """Over the last ``WINDOW_S``."""
        self._trim(now)
        return Losses(self._rate(0), self._rate(1))

    def _trim(self, now: float) -> None:
        while self._steps and now - self._steps[0][0] >= WINDOW_S:
            self._steps.popleft()

    def _rate(self, which: int) -> float | None:
        known = [(seconds, counts[which]) for _, seconds, counts in self._steps]
        seconds = sum(s for s, n in known if n is not None)
        return sum(n for _, n in known if n is not None) / seconds if seconds > 0 else None


def _sum(delta: Delta, places: Iterable[int]) -> int | None:
    known = [d for i in places if (d := delta(i)) is not None]
    return sum(known) if known else None


def places(columns: Sequence[Column]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where whole ports count discards, and retransmits."""
    whole = [(i, c.quantity) for i, c in enumerate(columns) if c.lane_id is None and c.priority is None]
    return tuple(i for i, q in whole if q in DISCARDS), tuple(i for i, q in whole if q in RETRANSMITS)


def risen(now: Losses, before: Losses, most: tuple[float, float]) -> str:
    """What rose by more than ``most`` (discards, retransmits; 0: anything goes), in a sentence; empty if nothing.

    Where nothing was counted before, there is nothing to compare with.
    """
    pairs = ((now.discards, before.discards), (now.retransmits, before.retransmits))
    for name, (here, there), limit in zip(NAMES, pairs, most, strict=True):
        if here is not None and there is not None and limit > 0 and here - there > limit:
            return (
                f"{here:.0f} {name} a second over {WINDOW_S:g} s, {there:.0f} before its wave "
                f"({limit:g} more are allowed)"
            )
    return ""
