"""GPUs as rates: a prefill engine computes one turn after another, a decode engine all its sequences together."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

from trafficd.sim.clock import Clock
from trafficd.sim.cluster import Engine

Done = Callable[[Any], None]


class Prefill:
    """First come, first served. ``begin(turn)`` is called when the GPU is free for it; ``finished`` frees it."""

    __slots__ = (
        "begin",
        "busy",
        "busy_s",
        "busy_since",
        "clock",
        "engine",
        "queue",
        "seconds",
        "sequences",
        "tokens",
    )

    def __init__(self, engine: Engine, clock: Clock, begin: Done) -> None:
        self.engine = engine
        self.clock = clock
        self.begin = begin
        self.queue: deque[Any] = deque()
        self.busy: Any = None
        self.busy_since = 0.0
        self.busy_s = 0.0
        self.tokens = 0
        """Of turns assigned and not finished: what the engine reports."""
        self.seconds = 0.0
        """What those take to compute."""
        self.sequences = 0

    def enqueue(self, turn: Any) -> None:
        self.queue.append(turn)
        self._next()

    def finished(self) -> None:
        self.busy_s += self.clock.now - self.busy_since
        self.busy = None
        self._next()

    def drop(self, turn: Any) -> None:
        """A turn that is given up, wherever it is."""
        if self.busy is turn:
            self.finished()
        elif turn in self.queue:
            self.queue.remove(turn)

    def _next(self) -> None:
        if self.busy is None and self.queue:
            self.busy = self.queue.popleft()
            self.busy_since = self.clock.now
            self.begin(self.busy)


class Decode:
    """Every sequence gets one token a step; a step takes longer the more there are."""

    __slots__ = (
        "_entered",
        "_heap",
        "_service",
        "_step",
        "_touched",
        "_version",
        "clock",
        "done",
        "engine",
        "sequences",
        "tokens",
    )

    def __init__(self, engine: Engine, clock: Clock, step: Callable[[int], float], done: Done) -> None:
        self.engine = engine
        self.clock = clock
        self.done = done
        self.tokens = 0
        self.sequences = 0
        """Assigned, whether decoding already or not."""
        self._step = step
        self._heap: list[tuple[float, int, Any]] = []
        self._service = 0.0
        self._touched = 0.0
        self._version = 0
        self._entered = 0

    @property
    def decoding(self) -> int:
        return len(self._heap)

    def add(self, turn: Any, tokens: int) -> None:
        """Decode so many tokens for a turn."""
        self._advance()
        self._entered += 1
        heapq.heappush(self._heap, (self._service + tokens, self._entered, turn))
        self._schedule()

    def _advance(self) -> None:
        now = self.clock.now
        if self._heap:
            self._service += (now - self._touched) / self._step(len(self._heap))
        self._touched = now

    def _schedule(self) -> None:
        self._version += 1
        if self._heap:
            left = max(self._heap[0][0] - self._service, 0.0)
            self.clock.at(self.clock.now + left * self._step(len(self._heap)), self._due, self._version)

    def _due(self, version: int) -> None:
        if version != self._version:
            return
        self._advance()
        limit = max(self._service, self._heap[0][0]) + 1e-6
        ended = []
        while self._heap and self._heap[0][0] <= limit:
            ended.append(heapq.heappop(self._heap)[2])
        self._schedule()
        for turn in ended:
            self.done(turn)
