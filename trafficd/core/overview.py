"""How the whole stands: conditions derived from every scope, and what an operator should know, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from trafficd.core.plan import ScopePlan
from trafficd.core.settle import withheld
from trafficd.core.state import ControlState, NodeState
from trafficd_topology.model import PortKey, ScopeKind
from trafficd_topology.status import Condition, ConditionStatus, ConditionType, ScopeStatus

TC_NOTE = "tc lanes govern kernel-stack traffic only; RDMA bypasses them (OpenSM and DCB govern RDMA)"


@dataclass(frozen=True, slots=True)
class Overview:
    """``in_sync`` holds one entry per node that has scopes or selected ports, by name."""

    conditions: tuple[Condition, ...]
    notes: tuple[str, ...]
    in_sync: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class _Scope:
    """A planned scope and what its agent says of it; ``status`` is None before it says anything current."""

    where: str
    plan: ScopePlan
    status: ScopeStatus | None


def status_of(node: NodeState, kind: ScopeKind, name: str) -> ScopeStatus | None:
    return next((s for s in node.scopes if (s.kind, s.name) == (kind, name)), None)


def current(state: ControlState, node: NodeState, scope: ScopePlan) -> ScopeStatus | None:
    """What the agent says of this scope as it is wanted now; None while it has not said anything about that."""
    if node.session is None or node.holds != state.digests.get(node.name):
        return None
    status = status_of(node, scope.kind, scope.name)
    if status is None or (node.since is not None and status.observed < node.since):
        return None
    return status


def _scopes(state: ControlState) -> Iterator[_Scope]:
    for name in sorted(state.nodes):
        for scope in state.plan.of(name) if state.plan else ():
            yield _Scope(f"{name}/{scope.name}", scope, current(state, state.nodes[name], scope))


def _uncovered(state: ControlState) -> tuple[PortKey, ...]:
    """Ports that a policy selects and no scope programs: no agent there, or none that can."""
    if state.plan is None:
        return ()
    covered = {port for scope in state.plan.scopes for port in scope.ports}
    return tuple(sorted({p for s in state.plan.selections for p in s.ports} - covered))


def acknowledges(state: ControlState, node: NodeState) -> bool:
    """True when this node has acknowledged the generation that holds now."""
    return node.acknowledged == state.generation and not node.refusal


def _in_sync(state: ControlState, scopes: tuple[_Scope, ...]) -> tuple[tuple[str, bool], ...]:
    """By node: every scope is Ready on the newest generation, and every port that is selected there has one."""
    ok = dict.fromkeys((p.node for p in _uncovered(state)), False)
    for s in scopes:
        ready = s.status is not None and s.status.is_true(ConditionType.READY)
        ok[s.plan.node] = ok.get(s.plan.node, acknowledges(state, state.nodes[s.plan.node])) and ready
    return tuple(sorted(ok.items()))


def _overall(scopes: tuple[_Scope, ...], kind: ConditionType) -> Condition:
    """All of them, for conditions that are good when True; any of them, for Drifted."""
    found = [(s, s.status.condition(kind) if s.status else None) for s in scopes]
    bad = ConditionStatus.TRUE if kind is ConditionType.DRIFTED else ConditionStatus.FALSE
    good = ConditionStatus.FALSE if kind is ConditionType.DRIFTED else ConditionStatus.TRUE
    failing = [(s, c) for s, c in found if c is not None and c.status is bad]
    unknown = [s for s, c in found if c is None or c.status is ConditionStatus.UNKNOWN]
    since = max((c.since_ns for _, c in found if c is not None), default=0)
    generation = min((s.status.observed.number for s in scopes if s.status), default=0)
    if failing:
        first, condition = failing[0]
        text = (
            f"{len(failing)} of {len(scopes)} scopes; {first.where}: {condition.message or condition.reason}"
        )
        return Condition(kind, bad, condition.reason, text, generation, since)
    if unknown:
        text = f"{len(unknown)} of {len(scopes)} scopes without a current report, such as {unknown[0].where}"
        return Condition(kind, ConditionStatus.UNKNOWN, "NotReported", text, generation, since)
    if not scopes:
        return Condition(kind, ConditionStatus.UNKNOWN, "NothingPlanned", "no port is programmed")
    return Condition(kind, good, "AllScopes", f"{len(scopes)} scopes", generation, since)


def _ready(state: ControlState, scopes: tuple[_Scope, ...]) -> Condition:
    """Every scope is, nothing is withheld, and no selected port is left over."""
    ready = _overall(scopes, ConditionType.READY)
    if reason := withheld(state) or state.trouble:
        return Condition(ConditionType.READY, ConditionStatus.FALSE, "Withheld", reason)
    left = _uncovered(state)
    if not left or ready.status is ConditionStatus.FALSE:
        return ready
    text = f"{len(left)} selected ports cannot be programmed, such as {left[0]}: see the notes"
    return replace(ready, status=ConditionStatus.FALSE, reason="PortsLeftOver", message=text)


def _notes(state: ControlState, scopes: tuple[_Scope, ...]) -> Iterator[str]:
    if reason := withheld(state):
        yield reason
    if state.trouble:
        yield state.trouble
    yield from _steered(state)
    yield from (f"{r.source} was refused and what it replaces stays in force" for r in state.rejected)
    yield from (r.reason for r in state.refusals)
    for name in sorted(state.nodes):
        node = state.nodes[name]
        if node.session is None:
            yield f"node {name} is not connected: its agent keeps what it accepted last"
        if node.refusal:
            yield f"node {name} refused its desired state: {node.refusal}"
    yield from _kinds_unknown(state)
    if state.plan is not None:
        yield from (str(p) for p in state.plan.problems)
        yield from state.plan.notes
    if any(s.plan.driver == "tc" for s in scopes):
        yield TC_NOTE


def _steered(state: ControlState) -> Iterator[str]:
    """What an operator ordered and has not lifted, and how far a rollout is."""
    if state.pause is not None:
        by = f" by {state.pause.origin.who}" if state.pause.origin.who else ""
        yield f"every write is paused{by} ({state.pause.reason or 'no reason given'}): lift it with trafficd resume"
    if state.override is not None:
        o = state.override
        yield f"{o.source} was rolled back to generation {o.restored}: it stays so until the file changes"
    if state.rollout is not None:
        r = state.rollout
        why = f": {r.reason}" if r.reason else ""
        yield f"a rollout is {r.phase} at wave {r.wave + 1} of {len(r.waves)}{why}"


def _kinds_unknown(state: ControlState) -> Iterator[str]:
    """Agents older than what the plan asks of them."""
    for name in sorted(state.nodes):
        kinds = state.nodes[name].kinds
        wanted = {e.kind for s in (state.plan.of(name) if state.plan else ()) for e in s.elements}
        if kinds and wanted - kinds:
            missing = ", ".join(sorted(wanted - kinds))
            yield f"the agent of node {name} does not know {missing}: upgrade it"


def overview(state: ControlState) -> Overview:
    """Derived from the state alone."""
    scopes = tuple(_scopes(state))
    conditions = [_overall(scopes, kind) for kind in ConditionType if kind is not ConditionType.READY]
    return Overview(
        (*conditions, _ready(state, scopes)),
        tuple(dict.fromkeys(_notes(state, scopes))),
        _in_sync(state, scopes),
    )
