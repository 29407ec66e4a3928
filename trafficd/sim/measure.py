"""What one run comes to: times, balance, use, and how well reads were foretold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trafficd.sim.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Outcome:
    """One contender, one seed. Times are seconds; ratios 0 to 1. None: there was nothing to measure it on."""

    completion_s: float
    trajectory_mean_s: float | None
    turns: int
    turns_per_s: float
    ttft_mean_s: float | None
    ttft_p50_s: float | None
    ttft_p99_s: float | None
    ttft_max_s: float | None
    tpot_mean_s: float | None
    tpot_p99_s: float | None
    storage_balance: float | None
    """Max/Avg of bytes read per storage NIC, mean over windows."""
    storage_use: float
    """Bytes read by the storage NICs of prefill and decode nodes over what they can."""
    compute_use: float
    """The same of the busiest compute NIC."""
    model_delivered: float | None
    """What the loads got of what they offered; 1 where KV takes nothing from them."""
    prediction_error: float | None
    """Sum of |expected - seen| over that of seen, of what the network takes: reading, and moving that computing does not hide."""
    read_mean_s: float | None
    agents_done: int
    longest_read_s: float
    events: int
    used: tuple[tuple[str, float], ...] = ()
    """Per resource, what it carried over what it can."""


@dataclass(slots=True)
class Gauge:
    """Collects while a run goes on."""

    cluster: Cluster
    ttft: list[float] = field(default_factory=list)
    tpot: list[float] = field(default_factory=list)
    trajectories: list[float] = field(default_factory=list)
    missed: float = 0.0
    taken: float = 0.0
    reads: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)
    last_end: float = 0.0
    storage: tuple[int, ...] = ()
    _before: list[float] = field(default_factory=list)

    def read(self, seconds: float) -> None:
        self.reads.append(seconds)

    def foretold(self, expected: float | None, seen: float) -> None:
        if expected is not None and seen > 0:
            self.missed += abs(expected - seen)
            self.taken += seen

    def window(self) -> None:
        """The end of a window: how evenly its bytes were spread over the storage NICs."""
        self.cluster.fluid.sync()
        now = [sum(self.cluster.nics[i].write.moved) for i in self.storage]
        before = self._before or [0.0] * len(now)
        moved = [a - b for a, b in zip(now, before, strict=True)]
        self._before = now
        if sum(moved) > 0:
            self.ratios.append(max(moved) / (sum(moved) / len(moved)))
            self.used.append(sum(moved))


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def percentile(values: Iterable[float], part: float) -> float | None:
    """Nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(part * len(ranked)))] if ranked else None


def balance(ratios: Sequence[float], used: Sequence[float]) -> float | None:
    """Mean over the windows that carried at least a tenth of what the busiest did: the ends of a run say nothing."""
    most = max(used, default=0.0)
    return mean([r for r, u in zip(ratios, used, strict=True) if u >= most / 10])


def carried(cluster: Cluster, nics: Iterable[int]) -> list[float]:
    """Bytes that each NIC's host took in or sent, the busier of the two."""
    pairs = (cluster.nics[i] for i in nics)
    return [max(sum(p.read.moved), sum(p.write.moved)) for p in pairs]
