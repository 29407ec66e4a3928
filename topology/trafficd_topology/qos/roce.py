"""Lanes on a RoCE port, arranged: which priority and TC a lane is, what it is guaranteed, and what PFC may stop.

A lane has one priority and one TC of its own. TCs are numbered without gaps: ETS lanes from 0 in the order of their
priorities, the default lane first; strict lanes after them, the one that is served first last, because of strict TCs
the larger number goes first (802.1Q 8.6.8.1; mlx5 counts strict groups upwards). Priorities and DSCPs that no lane
claims go where unmarked packets go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from trafficd_topology.qos.dcb import DSCPS, PRIORITIES
from trafficd_topology.qos.lanes import Lane, LaneSet, LaneUse
from trafficd_topology.qos.shares import exact

CNP_DSCP = 48
"""What NICs put on congestion notification packets unless told otherwise (mlx5 np_cnp_dscp)."""
_PRIORITY_BITS = 3
_ODD = (1, 2, 5, 3, 4, 6, 7)
"""Priorities for lanes whose marking suggests none: those that switches make lossless, and control, come last."""


@dataclass(frozen=True, slots=True)
class LanePriority:
    """The 802.1p priority (0..7) that the operator gives a lane."""

    lane: str
    priority: int


@dataclass(frozen=True, slots=True)
class RoceOptions:
    """How lanes become DCB. ``lossless``, ``strict`` and ``ecn`` name lanes.

    ``strict``: served before all others on Ethernet, up to its limit, though it may have a share elsewhere. ``ecn``:
    None for every lane that is not strict. ``cable_length_m``: the longest cable of the selected ports. ``mtu_bytes``:
    the largest packet, for headroom. ``pfc_without_ecn`` and ``pfc_cycles``: the operator's leave.
    """

    lossless: tuple[str, ...] = ()
    strict: tuple[str, ...] = ()
    priorities: tuple[LanePriority, ...] = ()
    ecn: tuple[str, ...] | None = None
    cnp_dscp: int = CNP_DSCP
    cable_length_m: int = 5
    mtu_bytes: int = 9000
    pfc_without_ecn: bool = False
    pfc_cycles: bool = False


@dataclass(frozen=True, slots=True)
class RoceLane:
    """A lane as it stands on a port. ``percent``: of what strict lanes leave, 0 for a strict one. ``dscps``: claimed."""

    lane: Lane
    priority: int
    tc: int
    strict: bool
    percent: int
    lossless: bool
    ecn: bool
    dscps: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return self.lane.name


def arrange(lanes: LaneSet, options: RoceOptions) -> tuple[RoceLane, ...]:
    """Every lane's place, in the order of the policy's lanes."""
    priorities = lane_priorities(lanes, options)
    strict = [x for x in lanes.lanes if is_strict(x, options)]
    weighted = [x for x in lanes.lanes if not is_strict(x, options)]
    weighted.sort(key=lambda x: (x.use is not LaneUse.DEFAULT, priorities[x.name]))
    strict.sort(key=lambda x: (-x.priority, priorities[x.name]))
    tcs = {x.name: i for i, x in enumerate((*weighted, *strict))}
    percents = whole_percents([x.share for x in weighted])
    percent = {x.name: n for x, n in zip(weighted, percents, strict=True)}
    slow = {x.name for x in weighted} if options.ecn is None else set(options.ecn)
    return tuple(
        RoceLane(
            x, priorities[x.name], tcs[x.name], x.name not in percent, percent.get(x.name, 0),
            x.name in options.lossless, x.name in slow, _dscps(lanes, x),
        )
        for x in lanes.lanes
    )  # fmt: skip


def is_strict(lane: Lane, options: RoceOptions) -> bool:
    return lane.strict or lane.name in options.strict


def _dscps(lanes: LaneSet, lane: Lane) -> tuple[int, ...]:
    return tuple(sorted({d for c in lanes.classes if c.lane == lane.name for d in c.marking.dscp}))


def lane_priorities(lanes: LaneSet, options: RoceOptions) -> dict[str, int]:
    """The priority of each lane by name: as the operator says, else the class selector of one of its DSCPs (DSCP / 8,
    which is what ``mlnx_qos --trust dscp`` maps it to), else one that is free.
    """
    found = {p.lane: p.priority for p in options.priorities}
    rest = [x for x in lanes.lanes if x.name not in found]
    rest.sort(key=lambda x: (x.use is not LaneUse.DEFAULT, x.id))
    for lane in rest:
        free = (p for p in _wanted(lanes, lane) if p not in found.values())
        if (wanted := next(free, None)) is not None:
            found[lane.name] = wanted
    for lane in rest:
        if lane.name not in found:
            found[lane.name] = next(p for p in (*_ODD, 0) if p not in found.values())
    return found


def _wanted(lanes: LaneSet, lane: Lane) -> tuple[int, ...]:
    if lane.use is LaneUse.DEFAULT:
        return (0,)
    marked = (d for c in lanes.classes if c.lane == lane.name for d in c.marking.dscp)
    return tuple(d >> _PRIORITY_BITS for d in marked)


def whole_percents(shares: Sequence[float]) -> tuple[int, ...]:
    """Whole percents that sum to 100, nearest to the proportions of ``shares``; at least 1 for a share above zero.

    ETS knows no fractions (802.1Q 37.3). All zero: equal parts. Empty for no shares.
    """
    if not shares:
        return ()
    wanted = [exact(s) for s in shares]
    if not any(wanted):
        wanted = [Fraction(1)] * len(wanted)
    total = sum(wanted)
    ideal = [w * 100 / total for w in wanted]
    out = [max(1, int(x)) if x else 0 for x in ideal]
    while (missing := 100 - sum(out)) != 0:
        step = 1 if missing > 0 else -1
        movable = [i for i, n in enumerate(out) if ideal[i] and n + step >= 1]
        out[max(movable, key=lambda i: (step * (ideal[i] - out[i]), -i))] += step
    return tuple(out)


def default_of(arranged: Iterable[RoceLane]) -> RoceLane:
    """Where unmarked packets go."""
    return next(x for x in arranged if x.lane.use is LaneUse.DEFAULT)


def dscp_priorities(arranged: Sequence[RoceLane]) -> tuple[int, ...]:
    """The priority of each of the 64 code points."""
    claimed = {d: x.priority for x in arranged for d in x.dscps}
    other = default_of(arranged).priority
    return tuple(claimed.get(d, other) for d in range(DSCPS))


def priority_tcs(arranged: Sequence[RoceLane]) -> tuple[int, ...]:
    """The TC of each of the 8 priorities."""
    tcs = {x.priority: x.tc for x in arranged}
    other = default_of(arranged).tc
    return tuple(tcs.get(p, other) for p in range(PRIORITIES))


def lossless_priorities(arranged: Iterable[RoceLane]) -> tuple[int, ...]:
    """The PFC set, ascending."""
    return tuple(sorted(x.priority for x in arranged if x.lossless))


def cnp_lane(options: RoceOptions, arranged: Sequence[RoceLane]) -> RoceLane:
    """The lane that congestion notification packets run in: that of their DSCP, by the same map as all packets."""
    found = next((x for x in arranged if options.cnp_dscp in x.dscps), None)
    return found or default_of(arranged)
