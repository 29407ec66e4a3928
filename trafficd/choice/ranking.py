"""The nodes of a role in the order in which they are free, so that a choice looks at a few and not at all.

A heap of moments: when each node was last found to be done with a read placed on it then. A node that works goes by
the moment its queue ends, which stays the same while it drains; one that idles goes by when it was last looked at, so
that idle nodes come in turns. What changed meanwhile is found when a node comes up: it is judged anew, the best of
the few that came up wins, and all go back with what was found. Every look is O(log n).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush

from trafficd.choice.request import EngineRef
from trafficd.choice.roster import Known
from trafficd.choice.spread import NEAR

LOOKS = 4
"""Nodes judged per choice; a role of no more nodes is judged whole."""
RETRY_S = 0.25
"""A node that cannot serve is looked at again after this."""
Group = tuple[Known, ...]
"""Engines of one node."""
Judged = tuple[float, float, EngineRef, Known]
"""Seconds, bytes given before and name (lower is better, in this order), and the engine."""

Rough = Callable[[Group], float | None]
Judge = Callable[[Group], Judged | None]


class Ranking:
    """Mutable; kept while its role has the same engines."""

    __slots__ = ("_heap", "_size")

    def __init__(self, engines: Iterable[Known]) -> None:
        groups: dict[str, list[Known]] = {}
        for known in engines:
            groups.setdefault(known.ref.node, []).append(known)
        self._heap = [(0.0, i, tuple(group)) for i, group in enumerate(groups.values())]
        self._size = len(self._heap)
        heapify(self._heap)

    def best(self, rough: Rough, judge: Judge, now: float) -> Judged | None:
        """The best engine of the nodes that come up; None when none of them can serve.

        ``rough`` gives a node's seconds at least (None: it cannot serve), so that nodes which cannot win are spared a
        judgement of every engine.
        """
        heap, best = self._heap, None
        seen = [heappop(heap) for _ in range(min(LOOKS, self._size))]
        found = sorted(
            [(least, i, group) for _, i, group in seen if (least := rough(group)) is not None], key=_least
        )
        due = {i: now + RETRY_S for _, i, _ in seen}
        for least, i, group in found:
            due[i] = now + least
            if best is None or least < best[0] / NEAR:
                judged = judge(group)
                due[i] = now + (RETRY_S if judged is None else judged[0])
                if judged is not None and (best is None or judged < best):
                    best = judged
        for _, i, group in seen:
            heappush(heap, (due[i], i, group))
        return best


def _least(item: tuple[float, int, Group]) -> float:
    return item[0]
