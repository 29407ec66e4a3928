"""Explanations and shadows -> messages of path.proto."""

from __future__ import annotations

from trafficd.api.v1 import path_pb2
from trafficd.choice.evidence import ExplainedPlan, ExplainedResource, Explanation, Shadow


def explanation_message(explanation: Explanation) -> path_pb2.Explanation:
    return path_pb2.Explanation(
        strategy=explanation.strategy,
        engine_rule=explanation.engines,
        reason=explanation.reason,
        plans=[_plan(p) for p in explanation.plans],
    )


def _plan(plan: ExplainedPlan) -> path_pb2.ExplainedPlan:
    return path_pb2.ExplainedPlan(note=plan.note, resources=[_resource(r) for r in plan.resources])


def _resource(row: ExplainedResource) -> path_pb2.ExplainedResource:
    return path_pb2.ExplainedResource(
        name=row.name,
        leg=row.leg,
        seconds=row.seconds,
        queue_seconds=row.queue_seconds,
        higher_lane_seconds=row.higher_lane_seconds,
        serialisation_seconds=row.serialisation_seconds,
        weight=row.weight,
        data_age_seconds=row.data_age_s,
        learned_ratio=row.learned_ratio,
        hops=row.hops,
    )


def shadow_message(shadow: Shadow) -> path_pb2.Shadow:
    return path_pb2.Shadow(
        own_seconds=shadow.own_seconds,
        our_seconds=shadow.our_seconds,
        saved_seconds=shadow.saved_seconds,
        problem=shadow.problem,
    )
