"""How one scope is served over time: a pure state machine.

``step(state, event, now)`` returns the next state and the effects to carry out. At most one piece of work runs
for a scope at any time; what happens meanwhile is remembered and acted on when it ends. Level, not edge: every
work reads the whole device, so that an event only says that a look is worth while.

    NEW     told, not verified yet                    apply (deselected: return to what was found)
    HELD    verified: a difference is drift           verify, repair by hitless steps
    FAILED  did not verify, restored; latched         look only, until a new generation
    FOUGHT  another writer keeps changing it; latched look only, until a new generation
    STUCK   the restore did not verify either         restore
    LEFT    deselected and back as found              nothing

While writes are paused every stage only looks, but for STUCK and for what an interrupted write owes. A step that
disrupts traffic waits for a grant, which is good for one try.
"""

from __future__ import annotations

import math
from dataclasses import replace

from trafficd_agent.apply import Outcome, Purpose, Result
from trafficd_agent.conditions import Row, Verdict, conditions
from trafficd_agent.desired import DesiredScope
from trafficd_agent.scope import (
    KEPT,
    LATCHED,
    Advanced,
    Done,
    Drained,
    Effect,
    Event,
    Granted,
    Latch,
    Leave,
    Limits,
    Noticed,
    Now,
    Paused,
    Retried,
    Running,
    ScopeState,
    Stage,
    Stop,
    Tick,
    Told,
    Work,
)
from trafficd_topology.diff import Disruption, Op
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Generation

Stepped = tuple[ScopeState, tuple[Effect, ...]]


def step(s: ScopeState, event: Event, now: Now) -> Stepped:
    """The next state and what to do."""
    match event:
        case Told():
            after = _told(s, event, now)
        case Advanced():
            after = _advanced(s, event.generation)
        case Noticed():
            after = _noticed(s, event, now)
        case Done():
            after = _done(s, event, now)
        case Paused():
            after = _paused(s, event.why, now)
        case Granted():
            after = _granted(s, event, now)
        case Drained():
            after = replace(s, drained=event.drained)
        case Retried():
            after = _retried(s, now)
        case Tick():
            after = s
    halted = _halt(s, after)
    after, effects = _begin(after, now)
    return _conclude(after, now), (*_latch(s, after), *halted, *effects)


def resume(
    scope: DesiredScope, generation: Generation, latch: Latch | None, limits: Limits, now: Now
) -> ScopeState:
    """The state of a scope whose agent starts again: looked at once, and still latched where it was."""
    s = ScopeState(scope, limits, generation=generation, due=now.seconds, received=now.seconds)
    if scope.refusal:
        return _refused(s)
    if latch is None or latch.stage is None or latch.verdict is None:
        return _conclude(s, now)
    s = replace(s, stage=latch.stage, verdict=latch.verdict, observed=generation)
    return _conclude(s, now)


def paused(s: ScopeState, why: str) -> ScopeState:
    """The same, in a time when writes are stopped (empty: when they are not)."""
    return replace(s, paused=why)


def leave(scope: DesiredScope, generation: Generation, limits: Limits, now: Now) -> ScopeState:
    """The state of a scope that was deselected while no agent ran."""
    return replace(resume(scope, generation, None, limits, now), leaving=True)


def _told(s: ScopeState, told: Told, now: Now) -> ScopeState:
    if told.scope is None:
        if s.leaving:
            return _advanced(s, told.generation)
        after = replace(
            s, leaving=True, stage=Stage.NEW, order=s.order + 1, tries=0, due=now.seconds, leave=None
        )
        return replace(after, generation=told.generation, received=now.seconds)
    held = s.stage is Stage.HELD and s.scope == told.scope and not s.leaving
    after = replace(s, scope=told.scope, leaving=False, order=s.order + 1, generation=told.generation)
    after = replace(after, stage=Stage.HELD if held else Stage.NEW, received=now.seconds, due=now.seconds)
    after = replace(after, repaired_at=(), tries=0, leave=None)
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


def _recent(s: ScopeState, now: Now) -> tuple[float, ...]:
    return tuple(t for t in s.repaired_at if t > now.seconds - s.limits.window_s)


def _purpose(s: ScopeState, now: Now) -> Purpose:
    if s.stage is Stage.STUCK:
        return Purpose.RESTORE
    if s.paused or s.stage in LATCHED or (s.scope.mode is Mode.OBSERVE and not s.leaving):
        return Purpose.LOOK
    if s.stage is Stage.NEW:
        return Purpose.RETURN if s.leaving else Purpose.APPLY
    return Purpose.LOOK if len(_recent(s, now)) >= s.limits.repairs else Purpose.VERIFY


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
    allowed = s.leave.disruption if s.leave and now.seconds < s.leave.until else Disruption.HITLESS
    work = Work(number, purpose, s.scope, s.generation, s.leaving, allowed, bool(s.paused))
    return replace(s, running=running, number=number, due=math.inf, again=False), (work,)


def _done(s: ScopeState, done: Done, now: Now) -> ScopeState:
    run = s.running
    if run is None or run.number != done.number:
        return s
    o = done.outcome
    after = replace(_counted(s, run, o, now), running=None, due=_next_look(s, now))
    if o.touched:
        after = replace(after, leave=None)
    if run.order != s.order:
        # Told otherwise meanwhile: the answer is about an order that counts no more.
        return replace(after, due=now.seconds)
    after = _judged(after, run, o, now)
    if run.hung or o.result is Result.STOPPED:
        after = replace(after, due=now.seconds)
    if after.stage is Stage.LEFT:
        after = replace(after, due=math.inf)
    return replace(
        after, outcome=o, observed=max(run.generation, s.observed), identity=o.identity or s.identity
    )


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
    if repaired:
        after = replace(after, repairs=s.repairs + 1, repaired_at=(*_recent(s, now), now.seconds))
    return after


def cause_of(outcome: Outcome, identity: str, hint: str) -> str:
    """Why a scope drifted, as far as what was read and what the kernel said tell."""
    if hint == "driver reset":
        return hint
    if identity and outcome.identity and outcome.identity != identity:
        what = "recreated"
    elif all(c.op is Op.ADD for c in outcome.drift):
        what = "removed"
    else:
        what = "changed"
    return f"{what}, {hint}" if hint else what


def _judged(s: ScopeState, run: Running, o: Outcome, now: Now) -> ScopeState:
    """The stage and the verdict after an answer."""
    if o.result is Result.STOPPED:
        return s
    if s.scope.mode is Mode.OBSERVE and not s.leaving and run.purpose is Purpose.LOOK:
        return replace(s, stage=Stage.NEW, verdict=_observed(o))
    if s.stage in LATCHED:
        return _look_at_latched(s, o)
    if run.paused and run.purpose is Purpose.LOOK and o.result is not Result.STUCK:
        return _seen_paused(s, o, now)
    if o.result in (Result.IN_SYNC, Result.APPLIED, Result.REPAIRED):
        return _reached(s, o, now)
    if o.result in (Result.RESTORED, Result.STUCK):
        return _failed(s, run, o, now)
    if o.result is Result.LOOKED:
        return _fought(s, now)
    if s.stage is Stage.STUCK:
        return s
    row = Row.UNKNOWN if o.result is Result.NOT_READ else Row.DRIFTED if s.drifting else Row.BLOCKED
    return replace(s, verdict=Verdict(row, o.reason, o.message))


def _observed(o: Outcome) -> Verdict:
    if o.result is Result.IN_SYNC:
        return Verdict(Row.OBSERVED, "Observed", "as desired; this policy only observes")
    if o.result is Result.LOOKED:
        return Verdict(Row.DIFFERS, "Differs", "not as desired; this policy only observes")
    return Verdict(Row.UNKNOWN if o.result is Result.NOT_READ else Row.BLOCKED, o.reason, o.message)


def _seen_paused(s: ScopeState, o: Outcome, now: Now) -> ScopeState:
    """What a look says while writes are stopped; with nothing to write the scope is as good as ever."""
    if o.result is Result.IN_SYNC and not s.leaving:
        held = _reached(s, o, now)
        return replace(held, verdict=Verdict(Row.HELD, "Paused", f"as desired; {s.paused}"))
    if o.result in (Result.IN_SYNC, Result.LOOKED):
        row = Row.DRIFTED if s.stage is Stage.HELD else Row.BLOCKED
        return replace(s, verdict=Verdict(row, "Paused", s.paused))
    row = Row.UNKNOWN if o.result is Result.NOT_READ else Row.BLOCKED
    return replace(s, verdict=Verdict(row, o.reason, o.message))


def _look_at_latched(s: ScopeState, o: Outcome) -> ScopeState:
    """A failed scope that turns out to be as desired is held again; nothing was written, so nothing can flap."""
    if s.stage is Stage.FAILED and o.result is Result.IN_SYNC and not s.leaving:
        return replace(s, stage=Stage.HELD, verdict=Verdict(Row.HELD, "InSync"))
    return s


def _reached(s: ScopeState, o: Outcome, now: Now) -> ScopeState:
    if s.stage is Stage.STUCK:
        text = f"{s.verdict.message}; the state before is restored now"
        return replace(s, stage=Stage.FAILED, verdict=Verdict(Row.FAILED, s.verdict.reason, text))
    if s.leaving:
        text = "deselected and back as it was found"
        return replace(s, stage=Stage.LEFT, verdict=Verdict(Row.LEFT, "ReturnedToAsFound", text))
    took = s.apply_seconds
    if s.received is not None:
        took = now.seconds - s.received
    verdict = Verdict(Row.HELD, o.reason, o.message)
    return replace(s, stage=Stage.HELD, tries=0, verdict=verdict, apply_seconds=took, received=None)


def _failed(s: ScopeState, run: Running, o: Outcome, now: Now) -> ScopeState:
    """Latch, but for a passing error, which is tried again a few times."""
    row = Row.DRIFTED if s.drifting else Row.FAILED
    if o.passing and s.tries < s.limits.retries and run.purpose is not Purpose.RESTORE:
        wait = now.seconds + s.limits.retry_s * 2**s.tries
        return replace(s, tries=s.tries + 1, due=wait, verdict=Verdict(row, o.reason, o.message))
    if o.result is Result.STUCK:
        return replace(s, stage=Stage.STUCK, verdict=Verdict(row, o.reason, o.message))
    text = f"{o.message}; not tried again before a new generation or a retry"
    return replace(s, stage=Stage.FAILED, verdict=Verdict(row, o.reason, text))


def _fought(s: ScopeState, now: Now) -> ScopeState:
    """Too many repairs within the window: leave the other writer alone, and name it."""
    count = len(_recent(s, now))
    text = (
        f"repaired {count} times within {s.limits.window_s:g} s and changed again ({s.cause}): "
        "find who else writes here; not repaired again before a new generation or a retry"
    )
    return replace(s, stage=Stage.FOUGHT, verdict=Verdict(Row.DRIFTED, "RepairLimit", text))


def _latch(before: ScopeState, after: ScopeState) -> tuple[Effect, ...]:
    if after.stage is before.stage:
        return ()
    if after.stage in KEPT:
        return (Latch(after.stage, after.verdict),)
    return (Latch(None, None),) if before.stage in KEPT else ()


def _conclude(s: ScopeState, now: Now) -> ScopeState:
    return replace(s, conditions=conditions(s.verdict, s.observed.number, s.conditions, now.unix_ns))
