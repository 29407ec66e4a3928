"""What a change would do, port by port, before it is made; and what of the last one is still to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from trafficd.core.events import FabricOffered, PolicyOffered
from trafficd.core.offers import preview
from trafficd.core.overview import current
from trafficd.core.plan import Plan, ScopePlan
from trafficd.core.rollout import Rollout, Standing
from trafficd.core.settle import plan_of
from trafficd.core.slots import Waiting, refusal
from trafficd.core.standing import judged
from trafficd.core.start import begun
from trafficd.core.state import ControlState, FabricSource
from trafficd_topology.diff import (
    Change,
    Disruption,
    FieldDifference,
    Op,
    State,
    describe,
    diff,
    ordered,
    step_of,
)
from trafficd_topology.model import Problem, ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.qos.steps import IB_STEPS, TC_STEPS
from trafficd_topology.status import ScopeStatus

NO_CANARY = "a subnet is programmed as a whole: one step, no canary"


class Action(StrEnum):
    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class StepForecast:
    what: str
    disruption: Disruption
    reason: str


@dataclass(frozen=True, slots=True)
class ScopeForecast:
    """One scope that would change; ``scope`` is as it would be, or as it was where it ends."""

    scope: ScopePlan
    action: Action
    differences: tuple[FieldDifference, ...] = ()
    steps: tuple[StepForecast, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def disruption(self) -> Disruption:
        return max((s.disruption for s in self.steps), default=Disruption.HITLESS)


@dataclass(frozen=True, slots=True)
class Forecast:
    """``rollout`` is None where every node gets the change at once. ``unchanged`` counts the other scopes."""

    problems: tuple[Problem, ...] = ()
    scopes: tuple[ScopeForecast, ...] = ()
    rollout: Rollout | None = None
    notes: tuple[str, ...] = ()
    unchanged: int = 0


def forecast(state: ControlState, policy: PolicyOffered | None, fabric: FabricOffered | None) -> Forecast:
    """What these offers would lead to, together; without any, what is pending now."""
    if policy is None and fabric is None:
        return _pending(state)
    if fabric is not None:
        if fabric.spec is None:
            return Forecast(fabric.problems)
        state_then = replace(state, fabric=FabricSource(fabric.digest, fabric.text, fabric.spec))
    else:
        state_then = state
    settings = None
    if policy is not None:
        seen = preview(state_then, policy)
        new, problems = seen.plan, seen.problems
        settings = policy.policies.rollout if policy.policies else None
    else:
        new = plan_of(state_then, state_then.policies)
        problems = new.problems_beside(state.plan) if new else ()
    if problems or new is None:
        return Forecast(problems, notes=() if problems else ("there is no fabric or no policy to plan from",))
    rollout = begun(state, state_then, settings, new) if settings else None
    old = state.plan or Plan()
    scopes = tuple(_compared(state, old, new))
    return Forecast((), scopes, rollout, new.notes, len(new.scopes) - sum(_stays(s) for s in scopes))


def _stays(forecast: ScopeForecast) -> bool:
    """Whether it is among the new plan's scopes."""
    return forecast.action is not Action.REMOVE


def _keyed(plan: Plan) -> Mapping[tuple[str, ScopeKind, str], ScopePlan]:
    return {(s.node, s.kind, s.name): s for s in plan.scopes}


def _compared(state: ControlState, old: Plan, new: Plan) -> Iterator[ScopeForecast]:
    was, will = _keyed(old), _keyed(new)
    for key in sorted(was.keys() | will.keys()):
        before, after = was.get(key), will.get(key)
        if after is None and before is not None:
            note = ("goes back to what its agent found there before the first write",)
            yield ScopeForecast(before, Action.REMOVE, notes=note)
        elif after is not None and before != after:
            yield _changed(state, before, after)


def _changed(state: ControlState, before: ScopePlan | None, after: ScopePlan) -> ScopeForecast:
    changes, rows = _difference(after.elements, before.elements if before else ())
    found = [*(_heads(before, after) if before else ()), *rows]
    status = _status(state, after)
    if before is not None and not changes and status is not None and after.mode is Mode.ENFORCE:
        found += [d for d in status.differences if d not in found]
    writes = after.mode is Mode.ENFORCE
    steps = _steps(after, changes) if writes else ()
    return ScopeForecast(
        after,
        Action.CHANGE if before else Action.ADD,
        tuple(found),
        steps,
        tuple(_notes(after, steps)),
    )


def _heads(before: ScopePlan, after: ScopePlan) -> list[FieldDifference]:
    """What is told about a scope beside its elements."""
    pairs = (
        ("mode", before.mode, after.mode),
        ("policy", before.policy, after.policy),
        ("driver", before.driver, after.driver),
    )
    return [FieldDifference(name, str(new), str(old)) for name, old, new in pairs if old != new]


def _steps(scope: ScopePlan, changes: Iterable[Change]) -> tuple[StepForecast, ...]:
    return _stepped(scope.kind, tuple(changes))


@lru_cache(maxsize=256)
def _difference(new: State, old: State) -> tuple[tuple[Change, ...], tuple[FieldDifference, ...]]:
    """Thousands of ports share a few states."""
    changes = diff(new, old)
    return changes, describe(changes)


@lru_cache(maxsize=256)
def _stepped(kind: ScopeKind, changes: tuple[Change, ...]) -> tuple[StepForecast, ...]:
    steps = TC_STEPS if kind is ScopeKind.PORT else IB_STEPS
    rows = []
    for change in ordered(changes, steps):
        row = step_of(change, steps)
        verb = {Op.ADD: "add", Op.CHANGE: "change", Op.REMOVE: "remove"}[change.op]
        rows.append(StepForecast(f"{verb} {change.name}", row.disruption, row.reason))
    return tuple(rows)


def _notes(scope: ScopePlan, steps: tuple[StepForecast, ...]) -> Iterator[str]:
    if scope.mode is Mode.OBSERVE:
        yield "observe: differences are reported and nothing is written"
    if scope.kind is ScopeKind.FABRIC:
        yield NO_CANARY
    yield from scope.waits
    worst = max((s.disruption for s in steps), default=Disruption.HITLESS)
    if worst is Disruption.LINK_FLAP:
        yield "flaps the link: waits for --allow-disruptive, its slot, and until it is drained"
    if worst is Disruption.FABRIC_FLAP:
        yield "flaps the subnet: waits for --allow-fabric-flap and until every member is drained"


def _status(state: ControlState, scope: ScopePlan) -> ScopeStatus | None:
    node = state.nodes.get(scope.node)
    return None if node is None else current(state, node, scope)


def _pending(state: ControlState) -> Forecast:
    """Nodes that a rollout has not reached, and scopes that do not stand as they are wanted."""
    here = state.plan or Plan()
    target = plan_of(state, state.policies) or Plan()
    waiting = [_later(f) for f in _compared(state, here, target)] if state.rollout else []
    late = {(f.scope.node, f.scope.kind, f.scope.name) for f in waiting}
    rest = [s for s in here.scopes if (s.node, s.kind, s.name) not in late]
    owed = [f for s in rest if (f := _owed(state, s)) is not None]
    return Forecast((), (*waiting, *owed), state.rollout, here.notes, len(rest) - len(owed))


def _later(forecast: ScopeForecast) -> ScopeForecast:
    return replace(forecast, notes=(*forecast.notes, "waits for its wave"))


def _owed(state: ControlState, scope: ScopePlan) -> ScopeForecast | None:
    """What is still to do on one scope; None when it stands as it should."""
    status = _status(state, scope)
    if status is None:
        return ScopeForecast(scope, Action.PENDING, notes=("its agent has not reported on it yet",))
    seen = judged(status)
    if seen.standing is Standing.VERIFIED:
        return None
    notes = [seen.why, *status.waiting_steps]
    if status.waiting_for is not None:
        waits = Waiting(scope.node, scope.kind, scope.name, status.waiting_for, status.drained)
        notes.append(refusal(state.leave, waits) or "its slot comes next")
    return ScopeForecast(scope, Action.PENDING, status.differences, notes=tuple(notes))
