"""Policies and status: values of the core -> messages of policy.proto."""

from __future__ import annotations

from dataclasses import dataclass

from trafficd.api.v1 import policy_pb2, qos_pb2
from trafficd.convert.agents import scope_status_message
from trafficd.convert.operation import pause_state, rollout_message
from trafficd.convert.words import condition_message, generation_message, number, problem_message
from trafficd.core.compiled import CompiledPolicy, GuaranteedLane, LayerCase, SubnetLanes, compiled
from trafficd.core.overview import overview
from trafficd.core.state import ControlState, NodeState
from trafficd_topology.model import Problem
from trafficd_topology.qos.render import ClassMarking
from trafficd_topology.qos.roce import RoceLane


def compiled_message(policy: CompiledPolicy) -> policy_pb2.CompiledPolicy:
    return policy_pb2.CompiledPolicy(
        name=policy.name,
        mode=number(policy.mode),
        owner=policy.owner,
        digest=policy.digest,
        lanes=[_lane(g) for g in policy.lanes],
        cases=[_case(c) for c in policy.cases],
        markings=[marking_message(m) for m in policy.markings],
        ports=policy.ports,
        roce=[_roce(x) for x in policy.roce],
        switch_digest=policy.switch_digest,
        subnets=[_subnet(x) for x in policy.subnets],
    )


def _subnet(x: SubnetLanes) -> policy_pb2.SubnetLanes:
    return policy_pb2.SubnetLanes(
        subnet=x.subnet,
        rate_bps=x.rate_bps,
        packet_bytes=x.packet_bytes,
        waits=[
            policy_pb2.LaneWait(lane=w.lane, bytes=w.wait_bytes, seconds=w.seconds(x.rate_bps))
            for w in x.waits
        ],
        rc_timeout_seconds=x.patience.rc_timeout_s,
        queue_lifetime_seconds=x.patience.queue_lifetime_s,
    )


def _lane(guaranteed: GuaranteedLane) -> qos_pb2.Lane:
    lane = guaranteed.lane
    return qos_pb2.Lane(
        id=lane.id,
        name=lane.name,
        strict=lane.strict,
        guaranteed_ratio=guaranteed.ratio,
        limit_ratio=lane.limit,
        priority=lane.priority,
    )


def _case(layered: LayerCase) -> qos_pb2.ContentionCase:
    case = layered.case
    return qos_pb2.ContentionCase(
        backlogged=case.backlogged,
        shares=[qos_pb2.LaneShare(lane=s.lane, ratio=s.ratio) for s in case.shares],
        link_layer=number(layered.link_layer),
        scheduler=layered.scheduler.value,
    )


def _roce(x: RoceLane) -> qos_pb2.RoceLane:
    return qos_pb2.RoceLane(
        lane=x.name,
        priority=x.priority,
        traffic_class=x.tc,
        strict=x.strict,
        percent=x.percent,
        lossless=x.lossless,
        ecn=x.ecn,
        dscps=x.dscps,
    )


def marking_message(marking: ClassMarking) -> qos_pb2.Marking:
    return qos_pb2.Marking(
        traffic_class=marking.traffic_class,
        link_layer=number(marking.link_layer),
        lane_id=marking.lane_id,
        service_levels=marking.service_levels,
        dscps=marking.dscps,
        tos=marking.tos,
        so_priority=marking.so_priority,
        intents=marking.intents,
    )


@dataclass(frozen=True, slots=True)
class StatusInput:
    """What a status is made of beside the state: the newest telemetry's age per node, seconds, and the loop's clock."""

    state: ControlState
    version: str
    ages_s: tuple[tuple[str, float], ...] = ()
    now: float = 0.0


def status_message(given: StatusInput) -> policy_pb2.GetStatusResponse:
    state, ages = given.state, dict(given.ages_s)
    seen = overview(state)
    return policy_pb2.GetStatusResponse(
        controller_uuid=state.uuid,
        controller_version=given.version,
        generation=generation_message(state.generation),
        policies=[compiled_message(p) for p in compiled(state)],
        nodes=[_node(state.nodes[n], ages.get(n)) for n in sorted(state.nodes)],
        rejected=[problem_message(_at(r.source, p)) for r in state.rejected for p in r.problems],
        conditions=[condition_message(c) for c in seen.conditions],
        notes=seen.notes,
        pause=pause_state(state.pause),
        rollout=rollout_message(state, given.now),
    )


def _at(source: str, problem: Problem) -> Problem:
    """The problem with the file it is in."""
    return Problem(f"{source}: {problem.path}" if problem.path else source, problem.value, problem.reason)


def _node(node: NodeState, age_s: float | None) -> policy_pb2.NodeStatus:
    return policy_pb2.NodeStatus(
        node=node.name,
        connected=node.session is not None,
        agent_version=node.agent_version,
        acknowledged=None if node.acknowledged is None else generation_message(node.acknowledged),
        scopes=[scope_status_message(s) for s in node.scopes],
        telemetry_age_seconds=age_s,
        clock_offset_seconds=node.offset_s,
    )
