"""Contenders side by side over several seeds: means, and paired differences with their 95 % intervals.

All contenders of a seed meet the same agents, loads and faults, so that a difference is theirs. An interval is that
of Student's t over the seeds' differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

from trafficd.sim.bounds import Bound, bound_of
from trafficd.sim.measure import Outcome, mean
from trafficd.sim.plan import Cases
from trafficd.sim.run import Simulation
from trafficd.sim.scenario import Contender, World

# Student's t, two-sided 95 %, by degrees of freedom (any table; e.g. NIST/SEMATECH e-Handbook, 1.3.6.7.2).
_T95 = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
)
_T95_MANY = ((20, 2.086), (30, 2.042), (60, 2.000), (math.inf, 1.960))
METRICS = tuple(f.name for f in fields(Outcome) if f.name != "used")
Progress = Callable[[str, float], None]
"""(what is running, part of the whole that is done)"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the half width of its 95 % interval; None with fewer than two seeds."""

    mean: float
    half: float | None

    @property
    def low(self) -> float:
        return self.mean - (self.half or 0.0)

    @property
    def high(self) -> float:
        return self.mean + (self.half or 0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One contender: its outcome for every seed, in the order of ``Comparison.seeds``."""

    contender: Contender
    outcomes: tuple[Outcome, ...]

    def values(self, metric: str) -> tuple[float | None, ...]:
        return tuple(getattr(o, metric) for o in self.outcomes)

    def used(self) -> dict[str, float]:
        """Mean use of every resource over the seeds, by name."""
        names = [name for name, _ in self.outcomes[0].used] if self.outcomes else []
        columns = zip(*([use for _, use in o.used] for o in self.outcomes), strict=True)
        return {name: sum(c) / len(c) for name, c in zip(names, columns, strict=True)}

    def mean(self, metric: str) -> float | None:
        known = [v for v in self.values(metric) if v is not None]
        return mean(known)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The whole answer. ``bounds`` are parallel to ``seeds``."""

    name: str
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    bounds: tuple[Bound, ...]
    """Empty where runs end by the clock: nothing then bounds the last end."""

    def row(self, name: str) -> Row:
        """The contender of that name; KeyError when there is none."""
        for row in self.rows:
            if row.contender.name == name:
                return row
        raise KeyError(name)

    def ratio(self, name: str, base: str, metric: str) -> Estimate | None:
        """How a metric compares with another contender's: the mean of the seeds' ratios."""
        pairs = zip(self.row(name).values(metric), self.row(base).values(metric), strict=True)
        return estimate([a / b for a, b in pairs if a is not None and b])

    def difference(self, name: str, base: str, metric: str) -> Estimate | None:
        """The mean of the seeds' differences."""
        pairs = zip(self.row(name).values(metric), self.row(base).values(metric), strict=True)
        return estimate([a - b for a, b in pairs if a is not None and b is not None])


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and interval of independent values; None for none."""
    if not values:
        return None
    centre = sum(values) / len(values)
    if len(values) < 2:
        return Estimate(centre, None)
    variance = sum((v - centre) ** 2 for v in values) / (len(values) - 1)
    return Estimate(centre, student(len(values) - 1) * math.sqrt(variance / len(values)))


def student(freedom: int) -> float:
    """Student's t for a two-sided 95 % interval; between rows of the table the wider one."""
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    least = [t for n, t in _T95_MANY if n <= freedom]
    return least[-1] if least else _T95[-1]


def compare(
    cases: Cases, seeds: Iterable[int], only: Sequence[str] = (), progress: Progress | None = None
) -> Comparison:
    """Run every contender (or those named in ``only``) with every seed."""
    wanted = [c for c in cases.contenders if not only or c.name in only]
    chosen = tuple(seeds)
    outcomes: dict[str, list[Outcome]] = {c.name: [] for c in wanted}
    bounds: list[Bound] = []
    total, done = len(chosen) * len(wanted), 0
    for seed in chosen:
        world = cases.world(seed)
        if world.seconds is None:
            bounds.append(bound_of(world))
        for contender in wanted:
            outcomes[contender.name].append(_one(world, contender, progress, (done, total)))
            done += 1
    rows = tuple(Row(c, tuple(outcomes[c.name])) for c in wanted)
    return Comparison(cases.name, chosen, rows, tuple(bounds))


def _one(world: World, contender: Contender, progress: Progress | None, place: tuple[int, int]) -> Outcome:
    done, total = place

    def tell(part: float) -> None:
        if progress is not None:
            progress(f"{contender.name}, seed {world.seed}", (done + part) / total)

    tell(0.0)
    return Simulation(world, contender, tell).run()
