"""What time and reports move on by themselves: a rollout to its next wave, a slot to the next port."""

from __future__ import annotations

from dataclasses import replace

from trafficd.core.effects import Effect, Effects, Persist, SendGrant
from trafficd.core.records import LogRecord, Origin
from trafficd.core.rollout import Phase, advance, watched_from
from trafficd.core.settle import settle
from trafficd.core.slots import SLOT_S, turn
from trafficd.core.standing import needs, seen
from trafficd.core.state import ControlState, saved

SELF = Origin("controller")


def moved(state: ControlState, now: float) -> tuple[ControlState, Effects]:
    """One turn: the rollout, the slots, then the plan if it is stale. Saved first, where anything to be saved changed."""
    after, records = _rolled(state, now)
    after, grants = _granted(after, now)
    effects: Effects = ()
    if after.stale:
        after, effects = settle(after, now)
    if after is state:
        return state, ()
    keep = saved(after)
    rest = tuple(e for e in effects if not isinstance(e, Persist))
    persist = (Persist(keep, records),) if records or keep != saved(state) else ()
    return after, (*persist, *rest, *grants)


def _rolled(state: ControlState, now: float) -> tuple[ControlState, tuple[LogRecord, ...]]:
    rollout = state.rollout
    if rollout is None or rollout.phase is Phase.HALTED:
        return state, ()
    if state.pause is not None or state.gap is not None:
        # Nobody writes: no time passes for the wave, either.
        return replace(
            state, rollout=replace(rollout, since=None)
        ) if rollout.since is not None else state, ()
    after = advance(rollout, seen(state, sorted(rollout.admitted)), now)
    if after == rollout:
        return state, ()
    if after is not None:
        after = watched_from(after, state.losses)
    if after is None:
        done = replace(state, rollout=None, before=(), stale=True)
        return done, (LogRecord(SELF, "rollout", "done", "", "", state.generation),)
    stale = state.stale or after.admitted != rollout.admitted
    halted = after.phase is Phase.HALTED
    records = (
        (LogRecord(SELF, "rollout", f"halted: {after.reason}", "", "", state.generation),) if halted else ()
    )
    return replace(state, rollout=after, stale=stale), records


def _granted(state: ControlState, now: float) -> tuple[ControlState, tuple[Effect, ...]]:
    if state.leave is None or state.pause is not None or state.stale or state.gap is not None:
        return state, ()
    leave, given = turn(state.leave, needs(state), now)
    grants = []
    for w in given:
        session = state.nodes[w.node].session
        if session is not None:
            grants.append(SendGrant(session, w, state.generation, SLOT_S))
    return (state if leave == state.leave else replace(state, leave=leave)), tuple(grants)
