"""How a resource divides its capacity between lanes that want so much each: the compiled tables as a function.

Both arbiters are work-conserving and give what ``qos.shares`` computes when every lane that sends is backlogged.
Amounts are in any one unit, such as bytes per second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trafficd_topology.qos.lanes import LaneSet
from trafficd_topology.qos.shares import compile_ib_shares, guarantees, weight
from trafficd_topology.qos.vlarb import IbTables

Amounts = list[float]
_DUST = 1e-12
"""Relative: demands this close to what is left count as met."""


class Arbiter(Protocol):
    """One resource's tables. Lanes are numbered as in ``lanes``."""

    @property
    def lanes(self) -> tuple[str, ...]: ...

    @property
    def limits(self) -> tuple[float, ...]:
        """The ceiling of each lane, as a part of the capacity."""
        ...

    @property
    def even(self) -> bool:
        """Whether there are no lanes at all: every flow counts the same."""
        ...

    def split(self, demands: Sequence[float], capacity: float) -> Amounts:
        """What each lane gets; ``inf`` is a lane that always has something to send. Never above its demand."""
        ...


@dataclass(frozen=True, slots=True)
class _Row:
    index: int
    floor: float
    limit: float
    weight: float
    priority: int


@dataclass(frozen=True, slots=True)
class Htb:
    """htb, and what DCB comes to: each lane its guarantee, then what is left by priority, and by weight within one."""

    lanes: tuple[str, ...]
    rows: tuple[_Row, ...]
    groups: tuple[tuple[_Row, ...], ...]
    limits: tuple[float, ...]
    even: bool = False

    @classmethod
    def of(cls, lanes: LaneSet) -> Htb:
        floors = guarantees(lanes.lanes)
        rows = tuple(
            _Row(i, float(floor), lane.limit, float(weight(lane)), lane.priority)
            for i, (lane, floor) in enumerate(zip(lanes.lanes, floors, strict=True))
        )
        ranks = sorted({r.priority for r in rows})
        groups = tuple(tuple(r for r in rows if r.priority == rank) for rank in ranks)
        limits = tuple(x.limit for x in lanes.lanes)
        return cls(tuple(x.name for x in lanes.lanes), rows, groups, limits)

    def split(self, demands: Sequence[float], capacity: float) -> Amounts:
        most = [min(demands[r.index], r.limit * capacity) for r in self.rows]
        got = [min(most[r.index], r.floor * capacity) for r in self.rows]
        excess = capacity - sum(got)
        for group in self.groups:
            if excess <= 0:
                break
            excess = _fill(group, got, most, excess)
        return got


def _fill(group: Iterable[_Row], got: Amounts, most: Amounts, excess: float) -> float:
    """Give ``excess`` to lanes of one priority by weight, none above its most; returns what nobody could take."""
    hungry = [r for r in group if got[r.index] < most[r.index]]
    while hungry and excess > 0:
        total = sum(r.weight for r in hungry)
        step = min(excess / total, *((most[r.index] - got[r.index]) / r.weight for r in hungry))
        for row in hungry:
            got[row.index] += step * row.weight
        excess -= step * total
        left = [r for r in hungry if got[r.index] < most[r.index] * (1 - _DUST)]
        if len(left) == len(hungry):
            break
        hungry = left
    return max(excess, 0.0)


@dataclass(frozen=True, slots=True)
class VlArbiter:
    """InfiniBand: the arbitration tables' shares of every set of backlogged lanes; what one leaves the others share."""

    lanes: tuple[str, ...]
    cases: dict[frozenset[int], tuple[float, ...]] = field(repr=False)
    limits: tuple[float, ...]
    even: bool = False

    @classmethod
    def of(cls, lanes: LaneSet, tables: IbTables) -> VlArbiter:
        names = tuple(x.name for x in lanes.lanes)
        number = {name: i for i, name in enumerate(names)}
        cases = {
            frozenset(number[n] for n in case.backlogged): tuple(case.ratio(n) for n in names)
            for case in compile_ib_shares(lanes, tables)
        }
        return cls(names, cases, (1.0,) * len(names))

    def split(self, demands: Sequence[float], capacity: float) -> Amounts:
        got = [0.0] * len(self.lanes)
        want = frozenset(i for i, d in enumerate(demands) if d > 0)
        left = capacity
        while want and left > 0:
            ratios = self.cases[want]
            total = sum(ratios[i] for i in want)
            part = {i: left * ratios[i] / total if total else 0.0 for i in sorted(want)}
            met = [i for i, p in part.items() if demands[i] <= p * (1 + _DUST)]
            for i in met or part:
                got[i] = min(demands[i], part[i])
                left -= got[i]
            want = want.difference(met) if met else frozenset()
        return got


@dataclass(frozen=True, slots=True)
class Even:
    """No lanes: one queue, which the flows of all share as equals. ``split`` is for when each lane has one flow."""

    lanes: tuple[str, ...]
    limits: tuple[float, ...]
    even: bool = True

    @classmethod
    def of(cls, lanes: tuple[str, ...]) -> Even:
        return cls(lanes, (1.0,) * len(lanes))

    def split(self, demands: Sequence[float], capacity: float) -> Amounts:
        return fair(demands, [1.0] * len(demands), capacity)


def fair(demands: Sequence[float], weights: Sequence[float], capacity: float) -> Amounts:
    """Max-min between the demands, each counting as many times as its weight says."""
    got = [0.0] * len(demands)
    hungry = [i for i, d in enumerate(demands) if d > 0 and weights[i] > 0]
    left = capacity
    while hungry and left > 0:
        level = left / sum(weights[i] for i in hungry)
        met = [i for i in hungry if demands[i] <= level * weights[i] * (1 + _DUST)]
        for i in met or hungry:
            got[i] = min(demands[i], level * weights[i])
            left -= got[i]
        hungry = [i for i in hungry if i not in met] if met else []
    return got
