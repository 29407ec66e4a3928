"""Samples the counters on a thread of its own, for the controller's stream and for the metrics page."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

from trafficd_agent.metrics.board import Board
from trafficd_agent.readers import Collected, Collector
from trafficd_topology.counters import Column, Sample

log = logging.getLogger(__name__)
SHORTEST_S, LONGEST_S = 0.01, 3600.0
"""Between samples, whatever a controller asks for: as the settings file may say."""
REFRESH_S = 5.0
"""How often to look for new ports and counters, seconds."""


class Sampler:
    """The session's ``Feed``: holds the newest sample that nobody fetched; an older one is dropped and counted."""

    def __init__(self, collector: Collector, board: Board, interval_s: float) -> None:
        self._collector, self._board, self._interval_s = collector, board, interval_s
        self._wake = threading.Event()
        self._ended = False
        self._look_again = True
        self._failing: dict[str, str] = {}
        self._slot: tuple[tuple[Column, ...], Sample] | None = None
        self._filled = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.dropped = 0

    def start(self) -> None:
        """Begin sampling; call it in the event loop that fetches."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, name="telemetry", daemon=True).start()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    def set_interval(self, seconds: float) -> None:
        if seconds > 0:
            self._interval_s = min(max(seconds, SHORTEST_S), LONGEST_S)
            self._wake.set()

    def look_again(self) -> None:
        """Ports came or went: refresh the columns with the next sample."""
        self._look_again = True

    async def next(self) -> tuple[tuple[Column, ...], Sample]:
        while (slot := self._slot) is None:
            self._filled.clear()
            await self._filled.wait()
        self._slot = None
        return slot

    def _offer(self, columns: tuple[Column, ...], sample: Sample) -> None:
        self.dropped += self._slot is not None
        self._slot = (columns, sample)
        self._filled.set()

    def _run(self) -> None:
        refreshed = due = time.monotonic()
        while not self._ended:
            now = time.monotonic()
            if self._look_again or now - refreshed >= REFRESH_S:
                self._look_again, refreshed = False, now
                self._collector.refresh()
            self._publish(self._collector.columns, self._collector.collect())
            # Keeps its pace, but never hurries to make up for samples that were late.
            due = max(due + self._interval_s, time.monotonic())
            self._wake.wait(due - time.monotonic())
            self._wake.clear()

    def _publish(self, columns: tuple[Column, ...], collected: Collected) -> None:
        self._board.put_sample(columns, collected.sample, collected.outcomes)
        errors = {o.reader: o.error for o in collected.outcomes if o.error}
        for reader, error in errors.items():
            if self._failing.get(reader) != error:
                log.warning("%s", error)
        self._failing = errors
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._offer, columns, collected.sample)
