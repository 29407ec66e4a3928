"""What each lane really gets, for every set of lanes that have more to send than they may.

Ratios are of what the lanes of a port may use together (on Ethernet the htb root's rate, which is the wire's less
the headroom; on InfiniBand the link's rate). They are computed in fractions, so that equal inputs give equal
numbers, from what the device is told: guarantees, priorities, ceilings and quanta for htb; arbitration tables for
InfiniBand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, groupby

from trafficd_topology.qos.lanes import Lane, LaneSet
from trafficd_topology.qos.vlarb import LIMIT_BYTES, UNLIMITED, IbTables, VlArb, packets

MIN_SHARE = 0.001
"""Smallest share that is not zero: below it quanta and rates are too coarse to keep it."""
IB_PACKET_BYTES = 4096
"""The usual MTU of InfiniBand; KV and collectives fill it."""
_NONE = Fraction(0)


@dataclass(frozen=True, slots=True)
class LaneShare:
    """``ratio`` of the port, 0 to 1."""

    lane: str
    ratio: float


@dataclass(frozen=True, slots=True)
class ContentionCase:
    """``backlogged``: lanes that always have something to send; the others send nothing. Both in order of lane id."""

    backlogged: tuple[str, ...]
    shares: tuple[LaneShare, ...]

    def ratio(self, lane: str) -> float:
        """What this lane gets; 0 for a lane that is not backlogged."""
        return next((s.ratio for s in self.shares if s.lane == lane), 0.0)


def exact(ratio: float) -> Fraction:
    """The fraction that the decimal digits of ``ratio`` say: 0.1 is 1/10."""
    return Fraction(str(ratio))


def guarantees(lanes: Sequence[Lane]) -> tuple[Fraction, ...]:
    """What each lane gets with every lane backlogged and nothing borrowed, in the order given.

    Strict lanes come first and take up to their limits, in order of priority. The others have their shares; where
    the strict lanes leave less than that, what is left is split in proportion.
    """
    left, strict = Fraction(1), {}
    for lane in sorted((x for x in lanes if x.strict), key=lambda x: x.priority):
        strict[lane.name] = min(exact(lane.limit), left)
        left -= strict[lane.name]
    wanted = sum((exact(x.share) for x in lanes if not x.strict), _NONE)
    scale = min(Fraction(1), left / wanted) if wanted else _NONE
    return tuple(strict[x.name] if x.strict else exact(x.share) * scale for x in lanes)


def weight(lane: Lane) -> Fraction:
    """How a lane's part of what is left over compares with that of others of its priority."""
    return max(exact(lane.share), exact(MIN_SHARE))


def _fill(group: Sequence[Lane], got: dict[str, Fraction], excess: Fraction) -> Fraction:
    """Give ``excess`` to lanes of one priority by weight, none above its limit; return what nobody could take."""
    hungry = [x for x in group if got[x.name] < exact(x.limit)]
    while hungry and excess > 0:
        total = sum((weight(x) for x in hungry), _NONE)
        # The first to reach its limit ends a round: until then all rise in proportion to their weights.
        step = min(excess / total, *((exact(x.limit) - got[x.name]) / weight(x) for x in hungry))
        for lane in hungry:
            got[lane.name] += step * weight(lane)
        excess -= step * total
        hungry = [x for x in hungry if got[x.name] < exact(x.limit)]
    return excess


def _contend(lanes: Sequence[Lane], backlogged: Sequence[Lane]) -> dict[str, Fraction]:
    """htb: each gets its guarantee; what is left goes to the smallest priority number first, up to its limit."""
    floor = dict(zip((x.name for x in lanes), guarantees(lanes), strict=True))
    got = {x.name: min(floor[x.name], exact(x.limit)) for x in backlogged}
    excess = 1 - sum(got.values(), _NONE)
    ranked = sorted(backlogged, key=lambda x: x.priority)
    for _, group in groupby(ranked, key=lambda x: x.priority):
        excess = _fill(list(group), got, excess)
    return got


def _case(backlogged: Sequence[Lane], got: dict[str, Fraction]) -> ContentionCase:
    return ContentionCase(
        tuple(x.name for x in backlogged),
        tuple(LaneShare(x.name, float(got.get(x.name, _NONE))) for x in backlogged),
    )


def _sets(lanes: LaneSet) -> tuple[tuple[Lane, ...], ...]:
    """Every set of lanes, the largest first."""
    by_id = sorted(lanes.lanes, key=lambda x: x.id)
    return tuple(s for n in range(len(by_id), 0, -1) for s in combinations(by_id, n))


def compile_shares(lanes: LaneSet) -> tuple[ContentionCase, ...]:
    """What ``render_tc`` gives each lane, in every contention case; the case of all lanes comes first.

    A share of zero is rendered as the smallest rate htb can keep (``render.MIN_RATE_BPS``) and counts as zero here.
    """
    return tuple(_case(s, _contend(lanes.lanes, s)) for s in _sets(lanes))


def _turns(table: VlArb, vls: frozenset[int], packet_bytes: int) -> dict[int, Fraction]:
    """Weighted round robin over one table: each backlogged VL's part of the packets it sends."""
    sent: dict[int, int] = {}
    for e in table:
        if e.weight and e.vl in vls:
            sent[e.vl] = sent.get(e.vl, 0) + packets(e.weight, packet_bytes)
    total = sum(sent.values())
    return {vl: Fraction(n, total) for vl, n in sent.items()}


def _arbitrate(tables: IbTables, vls: frozenset[int], packet_bytes: int) -> dict[int, Fraction]:
    """Both tables together: so many packets of the high one, then one of the low one, and again."""
    high = _turns(tables.vlarb_high, vls, packet_bytes)
    low = _turns(tables.vlarb_low, vls, packet_bytes)
    if not high or not low:
        return high or low
    if tables.high_limit == UNLIMITED:
        return high
    run = max(1, -(-tables.high_limit * LIMIT_BYTES // packet_bytes))
    return {vl: (run * high.get(vl, _NONE) + low.get(vl, _NONE)) / (run + 1) for vl in {*high, *low}}


def compile_ib_shares(
    lanes: LaneSet, tables: IbTables, packet_bytes: int = IB_PACKET_BYTES
) -> tuple[ContentionCase, ...]:
    """What the arbitration tables give each lane when all packets are of ``packet_bytes``; order as compile_shares.

    IBA 1.4 section 7.6.9. A lane's VL is its id.
    """
    return tuple(_ib_case(s, tables, packet_bytes) for s in _sets(lanes))


def _ib_case(backlogged: Sequence[Lane], tables: IbTables, packet_bytes: int) -> ContentionCase:
    by_vl = _arbitrate(tables, frozenset(x.id for x in backlogged), packet_bytes)
    return _case(backlogged, {x.name: by_vl.get(x.id, _NONE) for x in backlogged})


def all_busy(lanes: LaneSet, tables: IbTables, packet_bytes: int = IB_PACKET_BYTES) -> ContentionCase:
    """The case of ``compile_ib_shares`` in which every lane is backlogged."""
    return _ib_case(sorted(lanes.lanes, key=lambda x: x.id), tables, packet_bytes)


def starved(cases: Iterable[ContentionCase]) -> tuple[str, ...]:
    """Lanes that some contention case leaves with nothing, though they have something to send; sorted."""
    return tuple(sorted({s.lane for c in cases for s in c.shares if s.ratio == 0}))
