"""Counters on their way from the streams to the store of rates, and when each node was last heard."""

from __future__ import annotations

import time

from trafficd.core.state import ControlState
from trafficd.core.telemetry import TelemetryStore
from trafficd_topology.counters import Column, Sample

FORGET_S = 600.0
"""How long the rates of a node that is gone are kept, seconds; nobody believes them for that long."""


class LastHeard:
    """A sink that notes who spoke and when, passes everything on, and forgets who has gone."""

    def __init__(self, store: TelemetryStore) -> None:
        self._store = store
        self._spoke: dict[str, float] = {}
        self._heard: dict[str, tuple[float, float]] = {}

    def hello(self, node: str, columns: tuple[Column, ...]) -> None:
        self._store.hello(node, columns)
        self._spoke[node] = time.monotonic()

    def sample(self, node: str, sample: Sample, now: float) -> None:
        self._store.sample(node, sample, now)
        self._spoke[node] = now
        self._heard[node] = now, time.time()

    def forget_gone(self, state: ControlState, now: float) -> None:
        """Drop the rates of nodes without a session that were silent for long.

        When they were last heard stays known, for whoever looks for them, until they leave the fabric, too.
        """
        for node in [n for n, at in self._spoke.items() if now - at > FORGET_S]:
            known = state.nodes.get(node)
            if known is not None and known.session is not None:
                continue
            self._store.forget(node)
            if not _in_fabric(state, node):
                del self._spoke[node]
                self._heard.pop(node, None)

    def ages_s(self) -> tuple[tuple[str, float], ...]:
        """(node, seconds since its last sample), by name."""
        now = time.monotonic()
        return tuple((node, now - at) for node, (at, _) in sorted(self._heard.copy().items()))

    def reports(self) -> tuple[tuple[str, float], ...]:
        """(node, when its last sample came, seconds since the Unix epoch), by name."""
        return tuple((node, at) for node, (_, at) in sorted(self._heard.copy().items()))


def _in_fabric(state: ControlState, node: str) -> bool:
    spec = None if state.fabric is None else state.fabric.spec
    return spec is not None and (spec.host(node) is not None or spec.switch(node) is not None)
