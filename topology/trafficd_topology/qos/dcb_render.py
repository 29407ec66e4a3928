"""Lanes as what a RoCE port is told: DCB elements of the kinds that the port can hold, or why it cannot hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from trafficd_topology.diff import Element, State, state
from trafficd_topology.qos.dcb import (
    PRIORITIES,
    DcbApp,
    DcbBuffer,
    DcbCable,
    DcbCnp,
    DcbEcn,
    DcbEts,
    DcbFeatures,
    DcbMaxrate,
    DcbPfc,
    DcbTrust,
    Dcbx,
    Selector,
    Tsa,
    app_key,
)
from trafficd_topology.qos.headroom import COMMON_CELL_BYTES, lossless_buffer_bytes, lossy_buffer_bytes
from trafficd_topology.qos.lanes import LaneSet
from trafficd_topology.qos.roce import (
    RoceLane,
    RoceOptions,
    arrange,
    cnp_lane,
    default_of,
    dscp_priorities,
    lossless_priorities,
    priority_tcs,
)
from trafficd_topology.qos.shares import exact

NEEDED = ("dscp", "ets", "pfc")
"""Without these a port has no lanes."""
ROCE_BY_APP = frozenset({"bnxt_en"})
"""Kernel drivers that take RoCE's priority from the APP table, not from DSCP alone (drivers/net/ethernet/broadcom/bnxt/
bnxt_dcb.c, bnxt_dcbnl_ieee_setapp; drivers/infiniband/hw/bnxt_re/main.c)."""
ROCE_V2_PORT = 4791
FINE_STEP_BPS = 100_000_000
COARSE_STEP_BPS = 1_000_000_000
FINE_MOST_BPS = 255 * FINE_STEP_BPS
"""mlx5 keeps a ceiling in 8 bits of 100 Mb/s or 1 Gb/s (en_dcbnl.c): others are rounded, and would not read back."""


@dataclass(frozen=True, slots=True)
class DcbPlan:
    """``elements``, or, where the port cannot hold the policy, ``problems``: a sentence each, without the port's name.

    ``notes`` are what an operator should know though it works.
    """

    elements: State = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def render_dcb(lanes: LaneSet, options: RoceOptions, rate_bps: int, features: DcbFeatures) -> DcbPlan:
    """The elements of a port of ``rate_bps`` bits per second: one of every kind that ``features`` names."""
    arranged = arrange(lanes, options)
    problems = (*_lacking(arranged, options, features), *_too_many(arranged, options, rate_bps, features))
    if problems:
        return DcbPlan(problems=problems)
    cnp = cnp_lane(options, arranged)
    everything = (
        *_fixed(arranged, options, cnp),
        *_roce_app(arranged, features),
        Element("maxrate", "", DcbMaxrate(_ceilings(arranged, rate_bps))),
        Element("buffer", "", _buffers(arranged, options, rate_bps, features)),
    )
    kept = [e for e in everything if e.kind in features.kinds]
    return DcbPlan(state(kept), (), tuple(_notes(arranged, features)))


def _fixed(arranged: Sequence[RoceLane], options: RoceOptions, cnp: RoceLane) -> Iterator[Element]:
    """What does not depend on the port."""
    yield Element("dcbx", "", Dcbx())
    yield Element("trust", "", DcbTrust((Selector.DSCP.value,)))
    for dscp, priority in enumerate(dscp_priorities(arranged)):
        yield Element("dscp", str(dscp), DcbApp((priority,)))
    yield Element("ets", "", ets_of(arranged))
    yield Element("pfc", "", DcbPfc(lossless_priorities(arranged)))
    yield Element("cable", "", DcbCable(options.cable_length_m))
    slow = {x.priority for x in arranged if x.ecn}
    for priority in range(PRIORITIES):
        yield Element("ecn", str(priority), DcbEcn(priority in slow, priority in slow))
    yield Element("cnp", "", DcbCnp(options.cnp_dscp, cnp.priority))


def _roce_app(arranged: Sequence[RoceLane], features: DcbFeatures) -> Iterator[Element]:
    """Where a driver knows one priority for all of RoCE: the lossless lane of the largest share, else the default lane."""
    if features.kernel_driver in ROCE_BY_APP:
        lossless = [x for x in arranged if x.lossless]
        carrier = max(lossless, key=lambda x: x.percent, default=default_of(arranged))
        yield Element("app", app_key(Selector.DGRAM, ROCE_V2_PORT), DcbApp((carrier.priority,)))


def ets_of(arranged: Sequence[RoceLane]) -> DcbEts:
    """TCs that no lane is stay strict, and nothing is sent to them."""
    by_tc = {x.tc: x for x in arranged}
    tsa = (Tsa.ETS if n in by_tc and not by_tc[n].strict else Tsa.STRICT for n in range(PRIORITIES))
    percent = (by_tc[n].percent if n in by_tc else 0 for n in range(PRIORITIES))
    return DcbEts(priority_tcs(arranged), tuple(t.value for t in tsa), tuple(percent))


def _ceilings(arranged: Sequence[RoceLane], rate_bps: int) -> tuple[int, ...]:
    limits = {x.tc: exact(x.lane.limit) for x in arranged}
    return tuple(_ceiling(limits.get(tc, Fraction(1)), rate_bps) for tc in range(PRIORITIES))


def _ceiling(limit: Fraction, rate_bps: int) -> int:
    """Rounded up to what NICs keep; 0 where there is none."""
    if limit >= 1:
        return 0
    wanted = limit * rate_bps
    step = FINE_STEP_BPS if wanted <= FINE_MOST_BPS else COARSE_STEP_BPS
    return int(-(-wanted // step)) * step


def _buffers(
    arranged: Sequence[RoceLane], options: RoceOptions, rate_bps: int, features: DcbFeatures
) -> DcbBuffer:
    """Buffer 0 for all that is lossy, one for each lossless priority; half of what is over goes to buffer 0, the other
    half stays with the pool that all share.
    """
    lossless = lossless_priorities(arranged)
    own = {p: i for i, p in enumerate(lossless, start=1)}
    each = lossless_buffer_bytes(rate_bps, options.cable_length_m, options.mtu_bytes, features.cell_bytes)
    least, cell = lossy_buffer_bytes(features.cell_bytes), features.cell_bytes or COMMON_CELL_BYTES
    spare = max(0, features.buffer_bytes - each * len(lossless) - least)
    sizes = (least + spare // 2 // cell * cell, *(each for _ in lossless))
    padded = (*sizes, *(0 for _ in range(PRIORITIES - len(sizes))))
    return DcbBuffer(tuple(own.get(p, 0) for p in range(PRIORITIES)), padded)


def _lacking(arranged: Sequence[RoceLane], options: RoceOptions, features: DcbFeatures) -> Iterator[str]:
    for kind in NEEDED:
        if kind not in features.kinds and (kind != "pfc" or lossless_priorities(arranged)):
            yield f"its driver offers no {kind}, which lanes need: choose another NIC or driver for it"
    lossless = lossless_priorities(arranged)
    if lossless and not options.pfc_without_ecn and not {"ecn", "cnp"} & set(features.kinds):
        yield (
            "its agent can neither read nor write ECN there, and PFC without ECN stops whole trees of senders: mount "
            "sysfs and debugfs writable for the agent, or say pfc_without_ecn: true"
        )


def _too_many(
    arranged: Sequence[RoceLane], options: RoceOptions, rate_bps: int, features: DcbFeatures
) -> Iterator[str]:
    lossless = lossless_priorities(arranged)
    if 0 < features.traffic_classes < len(arranged):
        yield f"it has {features.traffic_classes} traffic classes and the policy {len(arranged)} lanes: use a policy of fewer lanes"
    if 0 < features.lossless < len(lossless):
        yield f"it can make {features.lossless} priorities lossless and the policy wants {len(lossless)}: make fewer lanes lossless"
    each = lossless_buffer_bytes(rate_bps, options.cable_length_m, options.mtu_bytes, features.cell_bytes)
    needed = each * len(lossless) + lossy_buffer_bytes(features.cell_bytes)
    if lossless and 0 < features.buffer_bytes < needed:
        yield (
            f"its receive buffer is {features.buffer_bytes} bytes, and {len(lossless)} lossless priorities over "
            f"{options.cable_length_m} m need {needed}: make fewer lanes lossless, or say the cable's true length"
        )


def _notes(arranged: Sequence[RoceLane], features: DcbFeatures) -> Iterator[str]:
    if "maxrate" not in features.kinds:
        for x in arranged:
            if x.lane.limit < 1:
                yield f"there is no ceiling to be had: lane {x.name} may use the whole port, not {x.lane.limit:.0%} of it"
    if "ecn" not in features.kinds and any(x.ecn for x in arranged):
        yield "ECN is not shown per priority: what the firmware does by itself (on for every priority on mlx5) is taken for good"
