"""What the controller would know: counters sampled at intervals, made into the snapshot that choice works on.

Rates come from what the resources moved, by lane, as the controller makes them of counters (``core.snapshot``): KV is
the busier direction, what higher lanes use is taken off, and the lane's guarantee is never taken off. A sample is
dated when it was taken, however late it is delivered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from trafficd.choice.settings import PathSettings
from trafficd.choice.snapshot import NicKind, NicState, Snapshot
from trafficd.sim.cluster import Cluster

NS = 1_000_000_000
UNIX_EPOCH_NS = 1_700_000_000 * NS
"""Simulated second 0, for everybody else."""


class Sampler:
    """The counters of every NIC at the last sample, and the NICs as they are known."""

    def __init__(self, cluster: Cluster, valid_s: float, settings: Sequence[tuple[str, Any]]) -> None:
        self.cluster = cluster
        self.valid_ms = int(valid_s * 1000)
        self.rates = [int(p.write.capacity * 8) for p in cluster.nics]
        """Claimed, bits per second; a fault that is known changes it."""
        self.up = [True] * len(cluster.nics)
        self._settings = PathSettings(**dict(settings))
        self._ahead = _ahead(cluster)
        self._last = [_counted(p.read.moved, p.write.moved) for p in cluster.nics]
        self._at = 0.0
        self._version = 0
        self._states = [NicState(r, r) for r in self.rates]

    def unmeasured(self, now: float) -> Snapshot:
        """What is known without any telemetry: rates, and which NICs are up."""
        rows = zip(self._states, self.rates, self.up, strict=True)
        self._states = [
            s._replace(rate_bps=r, kv_available_bps=min(s.kv_available_bps, r), up=u) for s, r, u in rows
        ]
        return self._snapshot(now)

    def sample(self, now: float, silent: Iterable[int] = ()) -> Snapshot:
        """Read every counter; nodes in ``silent`` say nothing and grow old."""
        self.cluster.fluid.sync()
        elapsed = now - self._at
        if elapsed > 0:
            quiet = frozenset(silent)
            measured = UNIX_EPOCH_NS + int(now * NS)
            for i, pair in enumerate(self.cluster.nics):
                counted = _counted(pair.read.moved, pair.write.moved)
                if self.cluster.layout.nics[i].node not in quiet:
                    self._states[i] = self._state(i, counted, elapsed, measured)
                self._last[i] = counted
            self._at = now
        return self._snapshot(now)

    def _snapshot(self, now: float) -> Snapshot:
        self._version += 1
        built = UNIX_EPOCH_NS + int(now * NS)
        layout, states = self.cluster.layout, tuple(self._states)
        return Snapshot(f"sim-{self._version}", built, self.valid_ms, layout, states, settings=self._settings)

    def _state(self, i: int, counted: Sequence[Sequence[float]], elapsed: float, measured: int) -> NicState:
        lanes, kind = self.cluster.lanes, self.cluster.layout.nics[i].kind
        kv = ahead = 0.0
        for now, before in zip(counted, self._last[i], strict=True):
            moved = [a - b for a, b in zip(now, before, strict=True)]
            if lanes.laned:
                kv = max(kv, moved[lanes.kv])
                ahead = max(ahead, sum(moved[k] for k in self._ahead))
            elif kind is NicKind.STORAGE:
                kv = max(kv, sum(moved))
            else:
                ahead = max(ahead, sum(moved))
        rate = self.rates[i]
        floor = rate * self.cluster.guarantee
        available = min(rate, max(rate - 8 * ahead / elapsed, floor))
        return NicState(rate, int(available), int(kv / elapsed), 0, measured, self.up[i])


def _counted(read: Sequence[float], write: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(read), tuple(write)


def _ahead(cluster: Cluster) -> tuple[int, ...]:
    """Lanes served before KV's, or with it."""
    policy = cluster.policy
    if policy is None:
        return ()
    kv = policy.lanes.lanes[cluster.lanes.kv]
    return tuple(i for i, x in enumerate(policy.lanes.lanes) if x is not kv and x.priority <= kv.priority)
