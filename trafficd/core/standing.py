"""How nodes stand under what they were told last, as a rollout and the slots see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trafficd.core.losses import NO_LOSSES
from trafficd.core.overview import current
from trafficd.core.plan import ScopePlan
from trafficd.core.rollout import Seen, Standing, loses
from trafficd.core.slots import Needs, Waiting
from trafficd.core.start import down_ports
from trafficd.core.state import ControlState, NodeState
from trafficd_topology.diff import Disruption
from trafficd_topology.status import ConditionStatus, ConditionType, ScopeStatus

VERIFIED = Seen(Standing.VERIFIED)


def seen(state: ControlState, nodes: Iterable[str]) -> dict[str, Seen]:
    """Every node named, and how it stands."""
    return {name: _node(state, name) for name in nodes}


def _node(state: ControlState, name: str) -> Seen:
    node = state.nodes.get(name)
    if node is None or node.session is None:
        return Seen(Standing.PENDING, "its agent is not connected")
    if node.refusal:
        return Seen(Standing.FAILED, f"refused its desired state: {node.refusal}")
    rollout = state.rollout
    if lost := down_ports(state, (name,)) - (rollout.down if rollout else frozenset()):
        return Seen(Standing.FAILED, f"port {min(lost)} lost its carrier")
    if rollout and (more := loses(rollout, name, state.losses.get(name, NO_LOSSES))):
        return Seen(Standing.FAILED, more)
    if node.holds != state.digests.get(name) or _unheard(node):
        return Seen(Standing.PENDING, "has not acknowledged its new state yet")
    return _worst(_scope(state, node, s) for s in (state.plan.of(name) if state.plan else ()))


def _unheard(node: NodeState) -> bool:
    return node.acknowledged is None or (node.since is not None and node.acknowledged < node.since)


def _worst(scopes: Iterable[Seen]) -> Seen:
    """A failed one, else a pending one, else verified."""
    found = list(scopes)
    for standing in (Standing.FAILED, Standing.PENDING):
        if (first := next((s for s in found if s.standing is standing), None)) is not None:
            return first
    return VERIFIED


def _scope(state: ControlState, node: NodeState, scope: ScopePlan) -> Seen:
    status = current(state, node, scope)
    if status is None:
        return Seen(Standing.PENDING, f"{scope.name} has not been reported yet")
    return judged(status)


def judged(status: ScopeStatus) -> Seen:
    """How one scope stands by what its agent says of it."""
    if status.is_true(ConditionType.READY):
        return VERIFIED
    verified = status.condition(ConditionType.VERIFIED)
    why = (
        f"{status.name}: {(verified.message or verified.reason) if verified else 'no condition was reported'}"
    )
    if status.latched:
        return Seen(Standing.FAILED, why)
    if status.waiting_for is not None:
        return Seen(Standing.PENDING, f"{status.name} waits for leave for {_flap(status.waiting_for)}")
    if status.paused:
        return Seen(Standing.PENDING, f"{status.name} is paused on its node")
    failed = verified is not None and verified.status is ConditionStatus.FALSE
    if failed and not status.is_true(ConditionType.DRIFTED):
        return Seen(Standing.FAILED, why)
    return Seen(Standing.PENDING, why)


def _flap(disruption: Disruption) -> str:
    return "a fabric flap" if disruption is Disruption.FABRIC_FLAP else "a link flap"


def _statuses(state: ControlState) -> Iterator[tuple[str, ScopeStatus]]:
    """Every current status of a connected node that acknowledged the newest generation."""
    for name in sorted(state.nodes):
        node = state.nodes[name]
        for scope in state.plan.of(name) if state.plan else ():
            status = current(state, node, scope)
            if status is not None:
                yield name, status


def needs(state: ControlState) -> Needs:
    """Scopes that wait for leave, and scopes that need none any more."""
    waiting, settled = [], set()
    for name, status in _statuses(state):
        node = state.nodes[name]
        if status.waiting_for is None:
            if judged(status).standing is not Standing.PENDING:
                settled.add((name, status.kind, status.name))
        elif node.acknowledged == state.generation and not status.paused:
            waiting.append(Waiting(name, status.kind, status.name, status.waiting_for, status.drained))
    return Needs(tuple(waiting), frozenset(settled))
