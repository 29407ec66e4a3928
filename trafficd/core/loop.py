"""The control loop: a function from (state, event, now) to (state, effects).

The edge's whole main loop::

    for event in everything_that_came:
        after, effects = step(state, event, now)
        if the Persist among effects fails with a reason:
            after, effects = unsaved(state, event, reason)
        state = after
        carry out the other effects in order
    then the same once more with Settle()

``now`` is seconds on any clock that never goes back. No socket, file, clock or random number is used here: the
same events give the same effects.
"""

from __future__ import annotations

from dataclasses import replace

from trafficd.core.claims import TAKES_NONE, noted
from trafficd.core.effects import Blame, Declined, Effects, Greet, Persist, Refuse
from trafficd.core.events import (
    Acknowledged,
    Event,
    FabricOffered,
    Gone,
    Hello,
    InventoryReported,
    LeaveGiven,
    PauseSet,
    PolicyOffered,
    RecoveryConfirmed,
    RetryAsked,
    RoleSet,
    RolledBack,
    RolloutSteered,
    Settle,
    StatusReported,
    Tick,
)
from trafficd.core.offers import Step, decline, on_fabric, on_policy, on_role
from trafficd.core.operate import on_leave, on_pause, on_retry, on_rollback, on_steer, pauses
from trafficd.core.records import Pause
from trafficd.core.recover import on_recover
from trafficd.core.settle import address
from trafficd.core.state import ControlState, Gap, NodeState, Refusal
from trafficd.core.turn import moved
from trafficd_topology.model import Problem

RESEND_S = 30.0
"""A node that has not acknowledged for this long is told again."""
REFUSAL_S = 60.0
"""How long a refused session is remembered after its last attempt."""


def step(state: ControlState, event: Event, now: float) -> Step:  # noqa: C901, PLR0912 - a table, written as match for its types
    """One event. Returns the state after it and what must be done about it, in order."""
    match event:
        case Hello():
            return _on_hello(state, event, now)
        case Gone():
            return _on_gone(state, event), ()
        case Acknowledged():
            return _on_acknowledged(state, event), ()
        case StatusReported():
            return _on_status(state, event), ()
        case InventoryReported():
            return _on_inventory(state, event), ()
        case PolicyOffered():
            return on_policy(state, event, now)
        case FabricOffered():
            return on_fabric(state, event, now)
        case RoleSet():
            return on_role(state, event, now)
        case PauseSet():
            return on_pause(state, event)
        case RetryAsked():
            return on_retry(state, event)
        case LeaveGiven():
            return on_leave(state, event)
        case RolledBack():
            return on_rollback(state, event, now)
        case RolloutSteered():
            return on_steer(state, event, now)
        case RecoveryConfirmed():
            return on_recover(state, event)
        case Settle():
            return moved(state, now)
        case Tick():
            return _on_tick(_counted(state, event), now)


def _counted(state: ControlState, event: Tick) -> ControlState:
    """What counters said since the last tick."""
    state = state if event.losses is None else replace(state, losses=event.losses)
    return state if event.marked is None else replace(state, marked=event.marked)


def unsaved(state: ControlState, event: Event, reason: str) -> Step:
    """What follows when the Persist of ``step(state, event, now)`` failed: the state of before, and a sentence."""
    problem = Problem("", "", reason)
    match event:
        case PolicyOffered(source=source):
            return decline(state, Declined("policy", source, (problem,), Blame.STORE))
        case FabricOffered(source=source):
            return decline(state, Declined("fabric", source, (problem,), Blame.STORE))
        case RoleSet():
            return decline(state, Declined("role", "", (problem,), Blame.STORE))
        case PauseSet(paused=True):
            return _paused_unsaved(state, event, reason)
        case PauseSet() | RetryAsked() | LeaveGiven() | RolledBack() | RolloutSteered() | RecoveryConfirmed():
            return decline(state, Declined("order", "", (problem,), Blame.STORE))
    # Settle and Tick: the plan waits, and the next tick tries again.
    return replace(state, stale=True, trouble=reason), ()


def _paused_unsaved(state: ControlState, event: PauseSet, reason: str) -> Step:
    """A pause is obeyed even if it cannot be kept: it stops things, and whoever asked for it is told."""
    after = replace(state, pause=Pause(event.reason, event.origin))
    text = f"every write is paused, until this controller restarts: {reason}"
    declined = Declined("pause", "", (Problem("", "", text),), Blame.STORE)
    return after, (*pauses(after), declined)


def _on_hello(state: ControlState, event: Hello, now: float) -> Step:
    state = noted(state, event)
    if reason := _refusal(state, event):
        others = tuple(r for r in state.refusals if (r.node, r.reason) != (event.node, reason))
        refused = replace(state, refusals=(*others, Refusal(event.node, reason, now)))
        return refused, (Refuse(event.session, event.node, reason),)
    before = state.nodes.get(event.node)
    state = state.with_node(_greeted(before, event))
    state = replace(
        state,
        refusals=tuple(r for r in state.refusals if r.node != event.node),
        gap=_gap(state, event),
        stale=state.stale or before is None or before.inventory != event.inventory,
    )
    state, messages = (state, ()) if state.stale else address(state, now)
    return state, (Greet(event.session, event.node, state.pause), *messages)


def _refusal(state: ControlState, event: Hello) -> str:
    node = state.nodes.get(event.node)
    if not event.node or not event.node.isprintable() or len(event.node) > 253:
        return "the hello names no node, or by more than 253 characters: start the agent with a node name"
    if state.recovering:
        return TAKES_NONE
    if event.follows and event.follows != state.uuid:
        return (
            f"the agent of node {event.node} follows controller {event.follows} and this is controller {state.uuid}: "
            f"give it its own controller's address, or start it once with --forget-controller{_lost(state)}"
        )
    if node is not None and node.session is not None and node.session != event.session:
        return (
            f"another agent is already connected as node {event.node}: "
            "stop one of the two, or give it a name of its own"
        )
    return ""


def _lost(state: ControlState) -> str:
    """What to do where it may be the controller that is wrong: it has nothing to remember."""
    return "" if state.remembers else "; if this controller lost its state file, start it with --recover"


def _greeted(before: NodeState | None, event: Hello) -> NodeState:
    """The node as of this hello. Statuses of another boot are no longer true."""
    same_boot = before is not None and before.boot_id == event.boot_id
    return NodeState(
        name=event.node,
        session=event.session,
        inventory=event.inventory,
        agent_version=event.agent_version,
        boot_id=event.boot_id,
        offset_s=event.offset_s,
        kinds=event.kinds,
        holds=event.digest if event.accepted else "",
        acknowledged=event.accepted,
        scopes=before.scopes if before is not None and same_boot else (),
    )


def _gap(state: ControlState, event: Hello) -> Gap | None:
    """The widest gap seen: it stays until the controller is recovered, even if that agent leaves.

    An agent that holds another content under our newest generation comes from a future that we forgot, too.
    """
    if event.accepted is None or event.accepted < state.generation:
        return state.gap
    if event.accepted == state.generation and event.digest == state.digests.get(event.node):
        return state.gap
    if state.gap is not None and state.gap.theirs >= event.accepted:
        return state.gap
    return Gap(event.node, event.accepted, state.generation)


def _current(state: ControlState, session: int, name: str) -> NodeState | None:
    """The node, if this session is the one that speaks for it."""
    node = state.nodes.get(name)
    return node if node is not None and node.session == session else None


def _on_gone(state: ControlState, event: Gone) -> ControlState:
    node = _current(state, event.session, event.node)
    return state if node is None else state.with_node(replace(node, session=None, told=None))


def _on_acknowledged(state: ControlState, event: Acknowledged) -> ControlState:
    node = _current(state, event.session, event.node)
    if node is None:
        return state
    if not event.accepted:
        # Told again on a tick, not at once: a refusal must not become a busy loop.
        return state.with_node(replace(node, holds="", refusal=event.reason or "no reason given"))
    newest = max(event.generation, node.acknowledged or event.generation)
    # A late one says nothing about what was sent since.
    holds = event.digest if event.generation == node.told else node.holds
    return state.with_node(replace(node, acknowledged=newest, holds=holds, refusal=""))


def _on_status(state: ControlState, event: StatusReported) -> ControlState:
    node = _current(state, event.session, event.node)
    if node is None:
        return state
    scopes = tuple(sorted(event.scopes, key=lambda s: (s.kind, s.name)))
    return state.with_node(replace(node, scopes=scopes))


def _on_inventory(state: ControlState, event: InventoryReported) -> ControlState:
    node = _current(state, event.session, event.node)
    if node is None or node.inventory == event.inventory:
        return state
    return replace(state.with_node(replace(node, inventory=event.inventory)), stale=True)


def _on_tick(state: ControlState, now: float) -> Step:
    state = replace(state, refusals=tuple(r for r in state.refusals if now - r.at < REFUSAL_S))
    late = {n.name: _again(n) for n in state.nodes.values() if _unheard(state, n, now)}
    if late:
        state = replace(state, nodes={**state.nodes, **late})
    state, messages = address(state, now) if late and not state.stale else (state, ())
    after, effects = moved(state, now)
    return after, _in_order(messages, effects)


def _in_order(messages: Effects, effects: Effects) -> Effects:
    """What is sent again comes after what must be saved first."""
    first = tuple(e for e in effects if isinstance(e, Persist))
    return (*first, *messages, *(e for e in effects if not isinstance(e, Persist)))


def _again(node: NodeState) -> NodeState:
    """To be told as if for the first time; whole, if it refused."""
    return replace(node, told=None, holds="" if node.refusal else node.holds)


def _unheard(state: ControlState, node: NodeState, now: float) -> bool:
    if node.session is None or node.told is None or now - node.told_at < RESEND_S:
        return False
    return node.acknowledged is None or node.acknowledged < state.generation or bool(node.refusal)


__all__ = ["Step", "step", "unsaved"]
