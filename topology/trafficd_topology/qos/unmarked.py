"""``unmarked: low`` on InfiniBand: what nobody marked rides in the lowest lane, as DualPath has it (section 5.1: "all
other traffic").

The lowest class lane becomes the default lane of the subnet, so that every SL follows that nobody claims. Unmarked is also
connection management and subnet administration: the lane needs a floor. A plan refuses the option until counters show
that the model's traffic is marked (``core.evidence``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trafficd_topology.model import Problem
from trafficd_topology.qos.fit import derive_tables
from trafficd_topology.qos.lanes import Lane, LaneSet, LaneUse, Marking, TrafficClass
from trafficd_topology.qos.shares import compile_ib_shares, guarantees, starved
from trafficd_topology.qos.vlarb import IbTables


def lowest(lanes: LaneSet) -> Lane | None:
    """The class lane that is served last; None where there is none beside the default lane."""
    classes = [x for x in lanes.lanes if x.use is LaneUse.CLASS]
    return max(classes, key=lambda x: (x.priority, -x.share), default=None)


def judge_unmarked_low(lanes: LaneSet, tables: IbTables | None, path: str) -> Iterator[Problem]:
    """Why unmarked traffic cannot go there."""
    low = lowest(lanes)
    if low is None:
        yield Problem(
            path, "low", "the policy has no class lane below the default lane to put unmarked traffic in"
        )
        return
    part = dict(zip((x.name for x in lanes.lanes), guarantees(lanes.lanes), strict=True))[low.name]
    hungry = starved(compile_ib_shares(lanes, tables or derive_tables(lanes)))
    if not part or low.name in hungry:
        reason = f"lane {low.name} may get nothing, and unmarked is also connection management and subnet administration: give it a floor"
        yield Problem(path, "low", reason)


def unmarked_low(lanes: LaneSet) -> LaneSet:
    """The lanes with the lowest as default; classes of what was unmarked (SL 0) go there too."""
    low = lowest(lanes)
    if low is None:
        return lanes
    swapped = tuple(_swapped(x, lanes, low) for x in lanes.lanes)
    return LaneSet(swapped, tuple(_class(c, low) for c in lanes.classes))


def _swapped(lane: Lane, lanes: LaneSet, low: Lane) -> Lane:
    if lane == low:
        return replace(lane, use=LaneUse.DEFAULT)
    if lane != lanes.default:
        return lane
    # Control traffic stays where it was, also where the default lane carried it.
    alone = not any(x.use is LaneUse.CONTROL for x in lanes.lanes)
    return replace(lane, use=LaneUse.CONTROL if alone else LaneUse.CLASS)


def _class(c: TrafficClass, low: Lane) -> TrafficClass:
    """A class that claims SL 0 or DSCP 0 gives these up, or goes low where they are all that it has."""
    rest = Marking(tuple(d for d in c.marking.dscp if d), tuple(s for s in c.marking.sl if s))
    if rest == c.marking:
        return c
    if rest.dscp or rest.sl:
        return replace(c, marking=rest)
    return replace(c, lane=low.name)
