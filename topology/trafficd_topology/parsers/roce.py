"""The ``roce:`` section of a policy, and what it must be beside the lanes. The form is described in docs/policy.md."""

from __future__ import annotations

from collections.abc import Iterator

from trafficd_topology.model import Problem
from trafficd_topology.parsers.lanes import Placed, read_words
from trafficd_topology.parsers.presets import PresetTree
from trafficd_topology.parsers.tree import Mapping
from trafficd_topology.qos.dcb import DSCPS, MAX_CABLE_M, PRIORITIES
from trafficd_topology.qos.ets_shares import compile_ets_shares
from trafficd_topology.qos.lanes import LaneSet, LaneUse
from trafficd_topology.qos.roce import LanePriority, RoceOptions, arrange, cnp_lane
from trafficd_topology.qos.shares import starved


def read_roce(m: Mapping, preset: PresetTree) -> Placed[RoceOptions] | None:
    """The section; None where neither the policy nor its preset has one. What the policy says replaces key by key."""
    given = m.mapping("roce")
    if given is None:
        if preset.roce is None:
            return None
        return Placed(m.at("roce"), _options(Mapping(preset.roce, m.at("roce"), m.problems)))
    if preset.roce:
        given = Mapping({**preset.roce, **m.raw("roce")}, given.path, m.problems)
    return Placed(given.path, _options(given))


def _options(m: Mapping) -> RoceOptions:
    defaults = RoceOptions()
    options = RoceOptions(
        lossless=read_words(m, "lossless"),
        strict=read_words(m, "strict"),
        priorities=tuple(_priorities(m.mapping("priorities"))),
        ecn=read_words(m, "ecn") if m.has("ecn") else None,
        cnp_dscp=m.whole("cnp_dscp", defaults.cnp_dscp, high=DSCPS - 1),
        cable_length_m=m.whole("cable_length", defaults.cable_length_m, low=1, high=MAX_CABLE_M),
        mtu_bytes=m.whole("mtu", defaults.mtu_bytes, low=576, high=65_535),
        pfc_without_ecn=m.flag("pfc_without_ecn", default=False),
        pfc_cycles=m.flag("pfc_cycles", default=False),
    )
    m.done()
    return options


def _priorities(m: Mapping | None) -> Iterator[LanePriority]:
    if m is None:
        return
    for lane in m.names():
        value = m.whole(lane, high=PRIORITIES - 1)
        if value is not None:
            yield LanePriority(lane, value)


def judge_roce(lanes: LaneSet, placed: Placed[RoceOptions]) -> tuple[Problem, ...]:
    """Every breach, of lanes that are themselves in order."""
    found = (*_names(lanes, placed), *_twice(placed))
    return found or (*_lossless(lanes, placed), *_starvation(lanes, placed))


def _names(lanes: LaneSet, placed: Placed[RoceOptions]) -> Iterator[Problem]:
    options, known = placed.value, [x.name for x in lanes.lanes]
    named = [
        *(("lossless", n) for n in options.lossless),
        *(("strict", n) for n in options.strict),
        *(("ecn", n) for n in options.ecn or ()),
        *(("priorities", p.lane) for p in options.priorities),
    ]
    for key, name in named:
        if name not in known:
            yield Problem(f"{placed.path}.{key}", name, f"no such lane: the policy has {', '.join(known)}")


def _twice(placed: Placed[RoceOptions]) -> Iterator[Problem]:
    seen: dict[int, str] = {}
    for p in placed.value.priorities:
        if p.priority in seen:
            reason = f"lane {seen[p.priority]} has this priority: each lane has one of its own"
            yield Problem(f"{placed.path}.priorities.{p.lane}", str(p.priority), reason)
        seen.setdefault(p.priority, p.lane)


def _lossless(lanes: LaneSet, placed: Placed[RoceOptions]) -> Iterator[Problem]:
    options, at = placed.value, f"{placed.path}.lossless"
    arranged = arrange(lanes, options)
    cnp = cnp_lane(options, arranged)
    for x in (x for x in arranged if x.lossless):
        if x.lane.use is LaneUse.DEFAULT:
            reason = "carries unmarked traffic: TCP in a lossless lane pauses whole ports; give RDMA a lane of its own"
            yield Problem(at, x.name, reason)
        elif x is cnp or x.lane.use is LaneUse.CONTROL:
            reason = f"carries congestion notifications (DSCP {options.cnp_dscp}) or control traffic, which a pause must not stop"
            yield Problem(at, x.name, reason)
        if not x.ecn and not options.pfc_without_ecn:
            reason = "is lossless and has no ECN: without it every burst ends in pauses; name it in ecn, or say pfc_without_ecn: true"
            yield Problem(at, x.name, reason)


def _starvation(lanes: LaneSet, placed: Placed[RoceOptions]) -> Iterator[Problem]:
    """Strict lanes here need not be strict elsewhere: what they leave the others is judged here."""
    hungry = starved(compile_ets_shares(arrange(lanes, placed.value)))
    unwilling = [n for n in hungry if not lanes.lane(n).may_starve]
    if unwilling and not any(x.strict for x in lanes.lanes):
        reason = f"strict lanes may take the whole port from {', '.join(unwilling)}: give them a limit"
        yield Problem(f"{placed.path}.strict", ", ".join(placed.value.strict), reason)
