"""What an answer says of a scope: its stage and its verdict. Pure, as the machine that asks."""

from __future__ import annotations

from dataclasses import replace

from trafficd_agent.apply import Outcome, Purpose, Result
from trafficd_agent.conditions import Row, Verdict
from trafficd_agent.scope import LATCHED, Now, Running, ScopeState, Stage
from trafficd_topology.diff import Op
from trafficd_topology.qos.lanes import Mode


def recent(s: ScopeState, now: Now) -> tuple[float, ...]:
    """When drift was repaired within the window that counts."""
    return tuple(t for t in s.repaired_at if t > now.seconds - s.limits.window_s)


def cause_of(outcome: Outcome, identity: str, hint: str) -> str:
    """Why a scope drifted, as far as what was read and what the kernel said tell."""
    if hint == "driver reset":
        return hint
    if outcome.cause:
        return outcome.cause
    if identity and outcome.identity and outcome.identity != identity:
        what = "recreated"
    elif all(c.op is Op.ADD for c in outcome.drift):
        what = "removed"
    else:
        what = "changed"
    return f"{what}, {hint}" if hint else what


def judged(s: ScopeState, run: Running, o: Outcome, now: Now) -> ScopeState:
    """The stage and the verdict after an answer."""
    if o.result is Result.STOPPED:
        return s
    if s.scope.mode is Mode.OBSERVE and not s.leaving and run.purpose is Purpose.LOOK:
        return replace(s, stage=Stage.NEW, verdict=_observed(o))
    if s.stage is Stage.CUT:
        return _reverted(s, o)
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


def _reverted(s: ScopeState, o: Outcome) -> ScopeState:
    """Latch once what was there before the change is back; else try again."""
    if o.result not in (Result.IN_SYNC, Result.APPLIED):
        return replace(s, verdict=Verdict(Row.FAILED, o.reason, o.message))
    text = (
        f"the controller was not reached within {s.revert_s:g} s after the change; the state before is restored; "
        "not tried again before a new generation or a retry"
    )
    return replace(s, stage=Stage.FAILED, verdict=Verdict(Row.FAILED, "RevertedCutOff", text))


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
    count = len(recent(s, now))
    text = (
        f"repaired {count} times within {s.limits.window_s:g} s and changed again ({s.cause}): "
        "find who else writes here; not repaired again before a new generation or a retry"
    )
    return replace(s, stage=Stage.FOUGHT, verdict=Verdict(Row.DRIFTED, "RepairLimit", text))
