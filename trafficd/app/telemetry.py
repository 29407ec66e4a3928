"""Counters on their way from the streams to the store of rates, and when each node was last heard."""

from __future__ import annotations

import time

from trafficd.server.control import TelemetrySink
from trafficd_topology.counters import Column, Sample


class LastHeard:
    """A sink that notes who spoke and when, and passes everything on."""

    def __init__(self, onward: TelemetrySink) -> None:
        self._onward = onward
        self._heard: dict[str, tuple[float, float]] = {}

    def hello(self, node: str, columns: tuple[Column, ...]) -> None:
        self._onward.hello(node, columns)

    def sample(self, node: str, sample: Sample, now: float) -> None:
        self._onward.sample(node, sample, now)
        self._heard[node] = now, time.time()

    def ages_s(self) -> tuple[tuple[str, float], ...]:
        """(node, seconds since its last sample), by name."""
        now = time.monotonic()
        return tuple((node, now - at) for node, (at, _) in sorted(self._heard.copy().items()))

    def reports(self) -> tuple[tuple[str, float], ...]:
        """(node, when its last sample came, seconds since the Unix epoch), by name."""
        return tuple((node, at) for node, (_, at) in sorted(self._heard.copy().items()))
