"""Simulated time: a queue of things to do, in order of time and then of entry. Seconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

Action = Callable[[Any], None]


class Clock:
    """Runs actions in order; ``settle`` is called once after all that happen at one moment."""

    __slots__ = ("_entered", "_queue", "events", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self._entered = 0
        self._queue: list[tuple[float, int, Action, Any]] = []

    def at(self, time: float, action: Action, what: Any = None) -> None:
        """Do ``action(what)`` at ``time``; what lies in the past is done next."""
        self._entered += 1
        heapq.heappush(self._queue, (max(time, self.now), self._entered, action, what))

    def run(self, settle: Callable[[], None], over: Callable[[], bool]) -> None:
        """Until nothing is left to do or ``over()``, which is asked between moments."""
        queue = self._queue
        settle()
        while queue and not over():
            now = self.now = queue[0][0]
            while queue and queue[0][0] <= now:
                _, _, action, what = heapq.heappop(queue)
                self.events += 1
                action(what)
            settle()
