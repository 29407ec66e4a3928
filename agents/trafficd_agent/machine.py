"""How one scope is served over time: a pure state machine.

``step(state, event, now)`` returns the next state and the effects to carry out. At most one piece of work runs
for a scope at any time; what happens meanwhile is remembered and acted on when it ends. Level, not edge: every
work reads the whole device, so that an event only says that a look is worth while.

    NEW     told, not verified yet                    apply (deselected: return to what was found)
    HELD    verified: a difference is drift           verify, repair by hitless steps
    FAILED  did not verify, restored; latched         look only, until a new generation
    FOUGHT  another writer keeps changing it; latched look only, until a new generation
    STUCK   the restore did not verify either         restore
    CUT     a change cut off the controller           revert to what was there before it
    LEFT    deselected and back as found              nothing

While writes are paused every stage only looks, but for STUCK and for what an interrupted write owes. A step that
disrupts traffic waits for a grant, which is good for one try.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from trafficd_agent.apply import Outcome, Purpose, Result
from trafficd_agent.conditions import Row, Verdict, conditions
from trafficd_agent.desired import DesiredScope
from trafficd_agent.judge import cause_of, judged, recent
from trafficd_agent.scope import (
    KEPT,
    LATCHED,
    Advanced,
    Done,
    Drained,
    Effect,
    EndTrial,
    Event,
    Granted,
    Latch,
    Leave,
    Limits,
    Noticed,
    Now,
    Paused,
    Reached,
    Retried,
    Running,
    ScopeState,
    Stage,
    Stop,
    Tick,
    Told,
    Work,
    order_of,
)
from trafficd_topology.diff import Disruption
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Generation

Stepped = tuple[ScopeState, tuple[Effect, ...]]


def step(s: ScopeState, event: Event, now: Now) -> Stepped:
    """The next state and what to do."""
    after = HANDLERS[type(event)](s, event, now)
    after, halted = _cut_off(after, now), _halt(s, after)
    after, effects = _begin(after, now)
    return _conclude(after, now), (*_latch(s, after), *_end_trial(s, after), *halted, *effects)


def resume(
    scope: DesiredScope, generation: Generation, latch: Latch | None, limits: Limits, now: Now
) -> ScopeState:
    """The state of a scope whose agent starts again: looked at once, and still latched where it was by this order."""
    s = ScopeState(scope, limits, generation=generation, due=now.seconds, received=now.seconds)
    if scope.refusal:
        return _refused(s)
    return _conclude(_latched(s, latch), now)


def _latched(s: ScopeState, latch: Latch | None) -> ScopeState:
    if latch is None or latch.stage is None or latch.verdict is None:
        return s
    if latch.about not in ("", order_of(s.scope, leaving=s.leaving)):
        return s
    return replace(s, stage=latch.stage, verdict=latch.verdict, observed=s.generation)


def paused(s: ScopeState, why: str) -> ScopeState:
    """The same, in a time when writes are stopped (empty: when they are not)."""
    return replace(s, paused=why)


def on_trial(s: ScopeState, revert_s: float, now: Now, *, began: bool) -> ScopeState:
    """The same, after a restart in the time that a change has to prove itself; ``began``: it was being written."""
    waits = began and s.stage not in KEPT
    return replace(s, revert_s=revert_s, trial=now.seconds + revert_s if waits else None)


def leave(
    scope: DesiredScope, generation: Generation, latch: Latch | None, limits: Limits, now: Now
) -> ScopeState:
    """The state of a scope that is deselected when its agent starts."""
    s = replace(resume(scope, generation, None, limits, now), leaving=True)
    # What an older agent left may be about what the scope was to hold before.
    return _conclude(_latched(s, latch if latch and latch.about else None), now)


def _told(s: ScopeState, told: Told, now: Now) -> ScopeState:
    if told.scope is None:
        if s.leaving and s.stage not in LATCHED:
            return _advanced(s, told.generation)
        after = replace(s, leaving=True, stage=Stage.NEW, order=s.order + 1, tries=0, due=now.seconds)
        after = replace(after, leave=None, trial=None)
        return replace(after, generation=told.generation, received=now.seconds)
    held = s.stage is Stage.HELD and s.scope == told.scope and not s.leaving
    after = replace(s, scope=told.scope, leaving=False, order=s.order + 1, generation=told.generation)
    after = replace(after, stage=Stage.HELD if held else Stage.NEW, received=now.seconds, due=now.seconds)
    after = replace(after, repaired_at=(), tries=0, leave=None, revert_s=told.revert_s)
    return _refused(after) if told.scope.refusal else after


def _advanced(s: ScopeState, generation: Generation) -> ScopeState:
    """The same order under a newer generation: what was concluded of it, or is being found out now, holds for that."""
    run = s.running
    if s.observed == s.generation:
        s = replace(s, observed=generation)
    if run is not None and run.order == s.order:
        run = replace(run, generation=generation)
    return replace(s, generation=generation, running=run)


def _refused(s: ScopeState) -> ScopeState:
    verdict = Verdict(Row.BLOCKED, "UnknownElement", s.scope.refusal)
    return replace(s, verdict=verdict, due=math.inf, observed=s.generation, outcome=None)


def _noticed(s: ScopeState, noticed: Noticed, now: Now) -> ScopeState:
    if s.stage is Stage.LEFT or s.scope.refusal:
        return s
    s = replace(s, hint=noticed.cause or s.hint)
    if s.running is not None:
        return replace(s, again=True)
    return replace(s, due=min(s.due, now.seconds + s.limits.gap_s))


def _soon(s: ScopeState, now: Now) -> ScopeState:
    """Look at it as soon as nothing else is being done there."""
    if s.stage is Stage.LEFT or s.scope.refusal:
        return s
    return replace(s, again=True) if s.running is not None else replace(s, due=now.seconds)


def _paused(s: ScopeState, why: str, now: Now) -> ScopeState:
    return s if s.paused == why else _soon(replace(s, paused=why), now)


STOPPABLE = (Purpose.APPLY, Purpose.VERIFY)
"""What a pause stops half-way, to be undone; a return and a restore come to their end."""


def _halt(before: ScopeState, after: ScopeState) -> tuple[Effect, ...]:
    run = after.running
    begun = run is not None and run.purpose in STOPPABLE and not run.paused
    return (Stop(run.number),) if run is not None and begun and after.paused and not before.paused else ()


def _granted(s: ScopeState, grant: Granted, now: Now) -> ScopeState:
    """Leave for the generation that was told last, and for no other."""
    if grant.generation != s.generation or grant.disruption is Disruption.HITLESS:
        return s
    return _soon(replace(s, leave=Leave(grant.disruption, now.seconds + grant.seconds)), now)


def _retried(s: ScopeState, now: Now) -> ScopeState:
    """As if told anew."""
    if s.stage not in KEPT:
        return _soon(s, now)
    after = replace(s, stage=Stage.NEW, order=s.order + 1, tries=0, repaired_at=())
    return replace(after, due=now.seconds, received=now.seconds)


OWED = {Stage.STUCK: Purpose.RESTORE, Stage.CUT: Purpose.REVERT}
"""What is written whatever else holds."""


def _cut_off(s: ScopeState, now: Now) -> ScopeState:
    """Give up a change after which the controller was not reached in time."""
    if s.trial is None or now.seconds < s.trial or s.running is not None:
        return s
    text = f"the controller was not reached within {s.revert_s:g} s after the change"
    verdict = Verdict(Row.FAILED, "CutOff", text)
    return replace(s, stage=Stage.CUT, trial=None, order=s.order + 1, due=now.seconds, verdict=verdict)


def _purpose(s: ScopeState, now: Now) -> Purpose:
    if s.stage in OWED:
        return OWED[s.stage]
    if s.paused or s.stage in LATCHED or (s.scope.mode is Mode.OBSERVE and not s.leaving):
        return Purpose.LOOK
    if s.stage is Stage.NEW:
        return Purpose.RETURN if s.leaving else Purpose.APPLY
    return Purpose.LOOK if len(recent(s, now)) >= s.limits.repairs else Purpose.VERIFY


def _begin(s: ScopeState, now: Now) -> Stepped:
    """Start work that is due, or give up waiting for one that hangs."""
    run = s.running
    if run is not None:
        if run.hung or now.seconds < run.deadline:
            return s, ()
        text = f"the driver did not answer within {s.limits.deadline_s:g} s; other scopes go on"
        s = replace(s, running=replace(run, hung=True), verdict=Verdict(Row.UNKNOWN, "DriverHung", text))
        return s, (Stop(run.number),)
    refused = s.scope.refusal and not s.leaving
    if now.seconds < s.due or s.stage is Stage.LEFT or refused:
        return s, ()
    purpose, number = _purpose(s, now), s.number + 1
    deadline = now.seconds + s.limits.deadline_s
    running = Running(number, purpose, s.order, s.generation, deadline, paused=bool(s.paused))
    work = Work(number, purpose, s.scope, s.generation, s.leaving, _allowed(s, purpose, now), bool(s.paused))
    if purpose is Purpose.APPLY and s.revert_s > 0:
        work = replace(work, trial=True, on_trial=s.trial is not None)
    return replace(s, running=running, number=number, due=math.inf, again=False), (work,)


def _allowed(s: ScopeState, purpose: Purpose, now: Now) -> Disruption:
    """What a grant covers; a node that cut itself off needs none for the way back."""
    if purpose is Purpose.REVERT:
        return Disruption.FABRIC_FLAP
    return s.leave.disruption if s.leave and now.seconds < s.leave.until else Disruption.HITLESS


def _done(s: ScopeState, done: Done, now: Now) -> ScopeState:
    run = s.running
    if run is None or run.number != done.number:
        return s
    o = done.outcome
    after = replace(_counted(s, run, o, now), running=None, due=_next_look(s, now))
    if o.touched:
        after = replace(after, leave=None)
        if run.purpose is Purpose.APPLY and o.result is Result.APPLIED and s.revert_s > 0:
            after = replace(after, trial=now.seconds + s.revert_s)
    if run.order != s.order:
        # Told otherwise meanwhile: the answer is about an order that counts no more.
        return replace(after, due=now.seconds)
    after = _blamed(judged(after, run, o, now), s.hint, o)
    if run.hung or o.result is Result.STOPPED:
        after = replace(after, due=now.seconds)
    if after.stage is Stage.LEFT:
        after = replace(after, due=math.inf)
    return replace(
        after, outcome=o, observed=max(run.generation, s.observed), identity=o.identity or s.identity
    )


def _blamed(s: ScopeState, hint: str, o: Outcome) -> ScopeState:
    """A state that did not read back although it was written: the kernel may have said who wrote meanwhile."""
    if s.stage is not Stage.FAILED or not hint or o.reason != "VerificationFailed":
        return s
    text = f"{s.verdict.message}; meanwhile it was changed {hint}"
    return replace(s, verdict=replace(s.verdict, message=text))


def _next_look(s: ScopeState, now: Now) -> float:
    return now.seconds + (s.limits.gap_s if s.again else s.limits.verify_s)


def _counted(s: ScopeState, run: Running, o: Outcome, now: Now) -> ScopeState:
    """Count drifts and repairs; the hint has served once the device was looked at."""
    if o.result in (Result.NOT_READ, Result.STOPPED):
        return s
    watched = s.stage in (Stage.HELD, Stage.FOUGHT) and run.purpose in (Purpose.VERIFY, Purpose.LOOK)
    after = replace(s, hint="")
    if not watched or not o.drift:
        return replace(after, drifting=False)
    repaired = o.result is Result.REPAIRED
    fresh = 0 if s.drifting else 1
    after = replace(after, drifts=s.drifts + fresh, drifting=not repaired)
    if fresh:
        after = replace(after, cause=cause_of(o, s.identity, s.hint))
    if repaired or (o.result is Result.DRIFTED and o.changes):
        after = replace(after, repairs=s.repairs + 1, repaired_at=(*recent(s, now), now.seconds))
    return after


def _latch(before: ScopeState, after: ScopeState) -> tuple[Effect, ...]:
    if after.stage is before.stage:
        return ()
    if after.stage in KEPT:
        return (Latch(after.stage, after.verdict, order_of(after.scope, leaving=after.leaving)),)
    return (Latch(None, None),) if before.stage in KEPT else ()


def _end_trial(before: ScopeState, after: ScopeState) -> tuple[Effect, ...]:
    proved = before.trial is not None and after.trial is None and after.stage is not Stage.CUT
    undone = before.stage is Stage.CUT and after.stage is Stage.FAILED
    return (EndTrial(),) if proved or undone else ()


def _conclude(s: ScopeState, now: Now) -> ScopeState:
    return replace(s, conditions=conditions(s.verdict, s.observed.number, s.conditions, now.unix_ns))


def _proved(s: ScopeState) -> ScopeState:
    return replace(s, trial=None, revert_s=0.0 if s.stage is Stage.HELD else s.revert_s)


HANDLERS: dict[type, Callable[[ScopeState, Any, Now], ScopeState]] = {
    Told: _told,
    Advanced: lambda s, event, _: _advanced(s, event.generation),
    Noticed: _noticed,
    Done: _done,
    Paused: lambda s, event, now: _paused(s, event.why, now),
    Granted: _granted,
    Drained: lambda s, event, _: replace(s, drained=event.drained),
    Retried: lambda s, _, now: _retried(s, now),
    Reached: lambda s, *_: _proved(s),
    Tick: lambda s, *_: s,
}
