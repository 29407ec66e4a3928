"""Lanes and max-min together: every resource divides its capacity between lanes, every lane between its flows.

What a lane could send at a resource, were only the other resources in its way, is not known before the rates are. So
it is begun with what its flows could want at most; where a lane then does not use its part, because its flows are
held elsewhere, the others get what it leaves, a few times over. Each pass is a valid allocation and at least as good
for every lane that was short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from trafficd.sim.fill import Demand, fill
from trafficd.sim.lanes import Amounts, Arbiter, fair

PASSES = 4
_USED = 1 - 1e-9


class Room(NamedTuple):
    """A resource's capacity and its tables."""

    capacity: float
    arbiter: Arbiter


def divide(demands: Sequence[Demand], lanes: Sequence[int], rooms: Mapping[int, Room]) -> list[float]:
    """The rate of each bundle's flows; ``lanes`` is parallel to ``demands``."""
    wanted = _sums(demands, lanes, rooms, [d.limit for d in demands])
    flows = _sums(demands, lanes, rooms, [1.0] * len(demands))
    rates: list[float] = []
    for _ in range(PASSES):
        parts = {r: _split(room, wanted[r], flows[r]) for r, room in rooms.items()}
        rates = _by_lane(demands, lanes, parts)
        used = _sums(demands, lanes, rooms, rates)
        if not _lower(wanted, used, parts):
            break
    return rates


Sums = dict[int, Amounts]


def _sums(
    demands: Sequence[Demand], lanes: Sequence[int], rooms: Mapping[int, Room], rates: Sequence[float]
) -> Sums:
    """What flows at these rates put on each resource, by lane."""
    sums: Sums = {r: [0.0] * len(room.arbiter.lanes) for r, room in rooms.items()}
    for demand, lane, rate in zip(demands, lanes, rates, strict=True):
        for r, w in demand.route:
            sums[r][lane] += w * demand.flows * rate
    return sums


def _split(room: Room, wanted: Amounts, flows: Amounts) -> Amounts:
    if room.arbiter.even:
        return fair(wanted, flows, room.capacity)
    return room.arbiter.split(wanted, room.capacity)


def _by_lane(demands: Sequence[Demand], lanes: Sequence[int], parts: Sums) -> list[float]:
    rates = [0.0] * len(demands)
    for lane in dict.fromkeys(lanes):
        mine = [i for i, own in enumerate(lanes) if own == lane]
        found = fill([demands[i] for i in mine], {r: part[lane] for r, part in parts.items()})
        for i, rate in zip(mine, found, strict=True):
            rates[i] = rate
    return rates


def _lower(wanted: Sums, used: Sums, parts: Sums) -> bool:
    """Where a lane left some of its part it wants no more than it used; whether anybody gains by that."""
    changed = False
    for r, part in parts.items():
        for lane, got in enumerate(part):
            if used[r][lane] < got * _USED:
                changed = changed or wanted[r][lane] > got
                wanted[r][lane] = used[r][lane]
    return changed
