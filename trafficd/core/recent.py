"""The last recommendations, for people: what was chosen and why; no content of any request but its sizes and names."""

from __future__ import annotations

from dataclasses import dataclass

from trafficd.choice.request import Answer, Plan, Request, Side

KEPT = 50
SPACING_NS = 50_000_000
"""At most one in so long is kept, so that the last ones are of seconds and not of one millisecond."""
MOST_NAME = 64


@dataclass(frozen=True, slots=True)
class Recommended:
    """An answer that was given. ``plans`` are its first two; ``said`` is its explanation, where one was asked for."""

    unix_ns: int
    request_id: str
    bytes: int
    plans: tuple[Plan, ...]
    others: int
    fallback: str
    problem: str
    said: str
    reserved: bool


class Recent:
    """A bounded list, the newest first. Written by one thread, read by any: it is replaced whole."""

    def __init__(self) -> None:
        self._kept: tuple[Recommended, ...] = ()
        self._last = 0
        self.answered = 0

    def note(self, request: Request, answer: Answer, unix_ns: int) -> None:
        """Called for every answer: all but a few cost one comparison."""
        self.answered += 1
        if 0 <= unix_ns - self._last < SPACING_NS:
            return
        self._last = unix_ns
        self._kept = (_recommended(request, answer, unix_ns), *self._kept[: KEPT - 1])

    @property
    def kept(self) -> tuple[Recommended, ...]:
        return self._kept


def _recommended(request: Request, answer: Answer, unix_ns: int) -> Recommended:
    plans, problems, fallback = answer.plans, answer.problems, answer.fallback
    size = request.bytes or (sum(leg.bytes for leg in plans[0].legs) if plans else 0)
    return Recommended(
        unix_ns,
        request.id[:MOST_NAME],
        size,
        plans[:2],
        max(0, len(plans) - 1),
        "" if fallback is None else fallback.detail,
        f"{problems[0].item}: {problems[0].reason}" if problems else "",
        "" if answer.explanation is None else answer.explanation.reason,
        answer.lease is not None,
    )


def reason(entry: Recommended) -> str:
    """Why the first plan is the first, one sentence; what stood in the way where there is none."""
    if not entry.plans:
        return entry.problem or entry.fallback or "no plan"
    if entry.said:
        return entry.said
    best = entry.plans[0]
    told = "; ".join(_limit(best, i) for i in range(len(best.legs)))
    if len(entry.plans) > 1 and best.expected_seconds > 0:
        ratio = entry.plans[1].expected_seconds / best.expected_seconds
        more = f", the first of {entry.others}," if entry.others > 1 else ""
        told += f"; the alternative{more} is reckoned {ratio:.2f} times as long"
    return told


def _limit(plan: Plan, i: int) -> str:
    leg = plan.legs[i]
    side = "prefill side" if leg.side is Side.PREFILL else "decode side"
    ahead = f"{leg.queue_bytes / 1e6:,.1f} MB ahead of it"
    return f"{side}, limited by {leg.bottleneck}: {ahead}, {leg.available_bps / 1e9:.4g} Gbit/s left for KV"
