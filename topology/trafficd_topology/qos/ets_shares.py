"""What each lane of a RoCE port really gets: strict TCs first, up to their ceilings; the rest by ETS percent.

802.1Q 8.6.8.4 and 37.3: ETS bandwidth is a part of what remains once strict TCs have sent; a TC that has nothing to
send, or may not, leaves its part to the others in proportion. An ETS TC of 0 % sends only what all others leave
(mlx5: lowest group).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

from trafficd_topology.qos.roce import RoceLane
from trafficd_topology.qos.shares import ContentionCase, LaneShare, exact

_NONE = Fraction(0)


def _sets(arranged: Sequence[RoceLane]) -> tuple[tuple[RoceLane, ...], ...]:
    """Every set of lanes, the largest first, in order of lane id: the order of ``shares.compile_shares``."""
    by_id = sorted(arranged, key=lambda x: x.lane.id)
    return tuple(s for n in range(len(by_id), 0, -1) for s in combinations(by_id, n))


def _weighted(busy: Sequence[RoceLane], got: dict[str, Fraction], left: Fraction) -> Fraction:
    """Share ``left`` by percent, nobody above its ceiling; return what nobody could take."""
    hungry = list(busy)
    while hungry and left > 0:
        total = sum(x.percent for x in hungry)
        # The first to reach its ceiling ends a round.
        step = min(left / total, *((exact(x.lane.limit) - got[x.name]) / x.percent for x in hungry))
        for x in hungry:
            got[x.name] += step * x.percent
        left -= step * total
        hungry = [x for x in hungry if got[x.name] < exact(x.lane.limit)]
    return left


def _idle(busy: Sequence[RoceLane], got: dict[str, Fraction], left: Fraction) -> None:
    """Lanes of 0 % share equally what is left."""
    hungry = list(busy)
    while hungry and left > 0:
        step = min(left / len(hungry), *(exact(x.lane.limit) - got[x.name] for x in hungry))
        for x in hungry:
            got[x.name] += step
        left -= step * len(hungry)
        hungry = [x for x in hungry if got[x.name] < exact(x.lane.limit)]


def _contend(busy: Sequence[RoceLane]) -> dict[str, Fraction]:
    got = dict.fromkeys((x.name for x in busy), _NONE)
    left = Fraction(1)
    for x in sorted((x for x in busy if x.strict), key=lambda x: -x.tc):
        got[x.name] = min(exact(x.lane.limit), left)
        left -= got[x.name]
    left = _weighted([x for x in busy if x.percent], got, left)
    _idle([x for x in busy if not x.strict and not x.percent], got, left)
    return got


def _case(busy: Sequence[RoceLane]) -> ContentionCase:
    got = _contend(busy)
    return ContentionCase(
        tuple(x.name for x in busy), tuple(LaneShare(x.name, float(got[x.name])) for x in busy)
    )


def compile_ets_shares(arranged: Sequence[RoceLane]) -> tuple[ContentionCase, ...]:
    """What ETS gives each lane, in every contention case, as ratios of the port; the case of all lanes comes first."""
    return tuple(_case(s) for s in _sets(arranged))


def ets_guarantees(arranged: Sequence[RoceLane]) -> tuple[float, ...]:
    """What each lane gets with every lane backlogged, in the order given."""
    busy = _case(sorted(arranged, key=lambda x: x.lane.id))
    return tuple(busy.ratio(x.name) for x in arranged)
