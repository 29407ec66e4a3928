"""Operators' calls: values of the core -> messages of operation.proto."""

from __future__ import annotations

from trafficd.api.v1 import agent_pb2, operation_pb2
from trafficd.convert.words import (
    disruption,
    disruption_message,
    generation_message,
    number,
    problem_message,
)
from trafficd.core.claims import leads, unheard
from trafficd.core.events import LeaveGiven
from trafficd.core.forecast import Action, Forecast, ScopeForecast
from trafficd.core.plan import ScopePlan
from trafficd.core.records import LogRecord, Origin, Pause
from trafficd.core.rollout import Phase, Rollout, Seen, Standing
from trafficd.core.settle import withheld
from trafficd.core.standing import seen
from trafficd.core.state import ControlState, HistoryEntry
from trafficd_topology.diff import Disruption

_PHASES = {
    Phase.VERIFYING: operation_pb2.ROLLOUT_PHASE_VERIFYING,
    Phase.SOAKING: operation_pb2.ROLLOUT_PHASE_SOAKING,
    Phase.HALTED: operation_pb2.ROLLOUT_PHASE_HALTED,
}
_ACTIONS = {
    Action.ADD: operation_pb2.PLANNED_ACTION_ADD,
    Action.CHANGE: operation_pb2.PLANNED_ACTION_CHANGE,
    Action.REMOVE: operation_pb2.PLANNED_ACTION_REMOVE,
    Action.PENDING: operation_pb2.PLANNED_ACTION_PENDING,
}


def pause_state(pause: Pause | None) -> operation_pb2.PauseState:
    if pause is None:
        return operation_pb2.PauseState()
    return operation_pb2.PauseState(
        paused=True, reason=pause.reason, by=pause.origin.who, since_unix_ns=pause.origin.at_ns
    )


def pause_message(state: ControlState) -> operation_pb2.GetPauseResponse:
    scopes = [f"{n}/{s.name}" for n, node in sorted(state.nodes.items()) for s in node.scopes if s.paused]
    return operation_pb2.GetPauseResponse(pause=pause_state(state.pause), scopes=scopes)


def leave_given(message: operation_pb2.AllowDisruptionRequest, by: Origin) -> LeaveGiven | None:
    """None for a disruption that needs no leave, or that this version does not know."""
    worst = disruption(message.disruption)
    if worst is None or worst is Disruption.HITLESS:
        return None
    return LeaveGiven(worst, message.max_nodes, by)


def history_message(entry: HistoryEntry) -> operation_pb2.HistoryEntry:
    return operation_pb2.HistoryEntry(
        generation=generation_message(entry.generation),
        accepted_unix_ns=entry.origin.at_ns,
        who=entry.origin.who,
        cause=entry.cause,
        policies=[
            operation_pb2.HistoryPolicy(owner=s.owner, source=s.source, digest=s.digest, names=s.names)
            for s in entry.sources
        ],
    )


def rollout_message(state: ControlState, now: float) -> operation_pb2.RolloutStatus | None:
    """``now`` is of the loop's clock. None while no rollout is under way."""
    rollout = state.rollout
    if rollout is None:
        return None
    here = seen(state, sorted(rollout.admitted))
    left = rollout.settings.soak_s - (now - rollout.since) if rollout.since is not None else 0.0
    return operation_pb2.RolloutStatus(
        phase=_PHASES[rollout.phase],
        wave=rollout.wave + 1,
        waves=[_wave(wave, rollout.admitted, here) for wave in rollout.waves],
        reason=rollout.reason or _waits(rollout, here),
        soak_seconds=max(0.0, left) if rollout.phase is Phase.SOAKING else 0.0,
        excused=sorted(rollout.excused),
    )


def _waits(rollout: Rollout, here: dict[str, Seen]) -> str:
    """What the wave waits for, of one node."""
    watched = sorted(rollout.admitted - rollout.excused)
    pending = [(n, here[n].why) for n in watched if here[n].standing is not Standing.VERIFIED]
    return (
        f"{len(pending)} nodes are not verified yet, such as {pending[0][0]}: {pending[0][1]}"
        if pending
        else ""
    )


def _wave(
    nodes: tuple[str, ...], admitted: frozenset[str], here: dict[str, Seen]
) -> operation_pb2.RolloutWave:
    told = [n for n in nodes if n in admitted]
    verified = sum(here[n].standing is Standing.VERIFIED for n in told if n in here)
    return operation_pb2.RolloutWave(nodes=nodes, admitted=len(told), verified=verified)


def recovery_message(state: ControlState) -> operation_pb2.GetRecoveryResponse:
    return operation_pb2.GetRecoveryResponse(
        allowed=state.recover,
        controller_uuid=state.uuid,
        generation=generation_message(state.generation),
        leads=[
            operation_pb2.RecoveryLead(
                controller_uuid=lead.uuid, highest=generation_message(lead.highest), nodes=lead.nodes
            )
            for lead in leads(state)
        ],
        unheard=unheard(state),
        withheld=withheld(state),
    )


def log_message(position: int, record: LogRecord) -> operation_pb2.LogRecord:
    return operation_pb2.LogRecord(
        number=position,
        at_unix_ns=record.origin.at_ns,
        who=record.origin.who,
        what=record.what,
        subject=record.subject,
        before=record.before,
        after=record.after,
        generation=generation_message(record.generation),
    )


def forecast_message(found: Forecast) -> operation_pb2.PlanPolicyResponse:
    rollout = found.rollout
    return operation_pb2.PlanPolicyResponse(
        problems=[problem_message(p) for p in found.problems],
        scopes=[_scope(s) for s in found.scopes],
        waves=[_wave(w, rollout.admitted, {}) for w in rollout.waves] if rollout else [],
        notes=found.notes,
        unchanged=found.unchanged,
    )


def _scope(found: ScopeForecast) -> operation_pb2.PlannedScope:
    scope = found.scope
    return operation_pb2.PlannedScope(
        node=scope.node,
        kind=number(scope.kind),
        name=scope.name,
        driver=scope.driver,
        action=_ACTIONS[found.action],
        mode=number(scope.mode),
        policy=scope.policy,
        differences=[
            agent_pb2.FieldDifference(path=d.path, desired=d.desired, observed=d.observed)
            for d in found.differences
        ],
        steps=[
            operation_pb2.PlannedStep(
                what=s.what, disruption=disruption_message(s.disruption), reason=s.reason
            )
            for s in found.steps
        ],
        shares=_shares(scope),
        disruption=disruption_message(found.disruption),
        notes=found.notes,
    )


def _shares(scope: ScopePlan) -> list[operation_pb2.ClassShare]:
    ratios = {lane.name: r for lane, r in zip(scope.lanes.lanes, scope.guaranteed, strict=True)}
    return [
        operation_pb2.ClassShare(traffic_class=c.name, lane=c.lane, ratio=ratios[c.lane])
        for c in scope.lanes.classes
    ]
