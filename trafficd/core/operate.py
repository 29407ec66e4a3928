"""What an operator orders: stop, try again, allow, undo, go on."""

from __future__ import annotations

from dataclasses import replace

from trafficd.core.effects import Accepted, Blame, Declined, Effect, Persist, SendPause, SendRetry
from trafficd.core.events import LeaveGiven, PauseSet, RetryAsked, RolledBack, RolloutSteered
from trafficd.core.offers import API, Change, Step, adopt, behind, decline, granted, leave_note
from trafficd.core.records import LogRecord, Origin, Pause
from trafficd.core.rollout import Phase, resume
from trafficd.core.standing import seen
from trafficd.core.start import down_ports
from trafficd.core.state import ControlState, Override, Owner, PolicySource, saved
from trafficd_topology.model import Problem
from trafficd_topology.status import Generation, ScopeStatus


def _refused(what: str, reason: str, blame: Blame = Blame.CONFLICT) -> Declined:
    return Declined(what, "", (Problem("", "", reason),), blame)


def _kept(state: ControlState, done: Accepted, subject: str, origin: Origin) -> tuple[Effect, ...]:
    """Saved with its line in the log, and answered."""
    record = LogRecord(origin, done.what, subject, "", "", done.generation)
    return Persist(saved(state), (record,)), done


def on_pause(state: ControlState, event: PauseSet) -> Step:
    """To every connected agent at once; the others hear it first thing when they come."""
    pause = Pause(event.reason, event.origin) if event.paused else None
    after = replace(state, pause=pause)
    what = "pause" if event.paused else "resume"
    done = Accepted(what, "", state.generation)
    return after, (*_kept(after, done, event.reason, event.origin), *pauses(after))


def pauses(state: ControlState) -> tuple[SendPause, ...]:
    """The pause that holds, or that none does, for every connected agent."""
    return tuple(
        SendPause(n.session, name, state.pause)
        for name, n in sorted(state.nodes.items())
        if n.session is not None
    )


def on_retry(state: ControlState, event: RetryAsked) -> Step:
    """Latched scopes among those named, of connected agents."""
    nodes = {s.partition("/")[0] for s in event.scopes}
    if unknown := sorted(nodes - set(state.nodes)):
        reason = f"no agent of node {unknown[0]} has connected: see trafficd status"
        return decline(state, _refused("retry", reason, Blame.UNKNOWN))
    orders: list[SendRetry] = []
    for name, node in sorted(state.nodes.items()):
        wanted = tuple((s.kind, s.name) for s in node.scopes if _asked(event.scopes, name, s))
        if wanted and node.session is not None:
            orders.append(SendRetry(node.session, name, wanted))
    if not orders:
        return decline(
            state, _refused("retry", "no scope of a connected agent is latched there", Blame.UNKNOWN)
        )
    done = Accepted("retry", "", state.generation)
    return state, (*_kept(state, done, " ".join(event.scopes) or "all", event.origin), *orders)


def _asked(scopes: tuple[str, ...], node: str, status: ScopeStatus) -> bool:
    return status.latched and (not scopes or node in scopes or f"{node}/{status.name}" in scopes)


def on_leave(state: ControlState, event: LeaveGiven) -> Step:
    """Leave for the change in force; slots that are given out stay."""
    if declined := behind(state, "leave", ""):
        return decline(state, declined)
    slots = state.leave.slots if state.leave else ()
    after = replace(state, leave=granted(event, state.generation, slots))
    records = leave_note(event, state.generation)
    return after, (Persist(saved(after), records), Accepted("leave", "", state.generation))


def on_rollback(state: ControlState, event: RolledBack, now: float) -> Step:
    """A new generation with the policies of an older one, everywhere at once."""
    if declined := behind(state, "rollback", ""):
        return decline(state, declined)
    if state.rollout is not None:
        return decline(
            state, _refused("rollback", "a rollout is under way: end it with trafficd rollout abort")
        )
    if broken := [s for s in event.sources if s.broken]:
        reason = f"the text of {broken[0].source} cannot be read any more ({broken[0].broken})"
        return decline(state, _refused("rollback", reason))
    after = replace(
        state,
        policies=event.sources,
        override=_override(state, event.sources, event.entry.generation),
    )
    accepted = Accepted("rollback", f"to {event.entry.generation}", state.generation)
    return adopt(state, Change(after, accepted, event.origin, "rollback"), now)


def _override(state: ControlState, sources: tuple[PolicySource, ...], to: Generation) -> Override | None:
    """What a file said that is not in force any more; None where the file's own content is."""
    file = next((s for s in state.policies if s.owner is Owner.FILE), None)
    if state.override is not None:
        source, digest = state.override.source, state.override.digest
    elif file is not None:
        source, digest = file.source, file.digest
    else:
        return None
    if any(s.owner is Owner.FILE and s.digest == digest for s in sources):
        return None
    return Override(source, digest, to)


def on_steer(state: ControlState, event: RolloutSteered, now: float) -> Step:
    """Go on with a halted rollout, or end it with what was in force before."""
    rollout = state.rollout
    if rollout is None:
        return decline(state, _refused("rollout", "no rollout is under way"))
    if event.abort:
        return _aborted(state, event.origin, now)
    if rollout.phase is not Phase.HALTED:
        return decline(state, _refused("rollout", "the rollout is not halted: it goes on by itself"))
    here = seen(state, sorted(rollout.admitted))
    after = replace(state, rollout=resume(rollout, here, down_ports(state, state.nodes)))
    return after, _kept(after, Accepted("rollout", "resume", state.generation), "resume", event.origin)


def _aborted(state: ControlState, origin: Origin, now: float) -> Step:
    # Before the first policy there was none: an empty set takes back what the admitted nodes got.
    sources = state.before or (PolicySource(Owner.API, API, "", "", ()),)
    override = _override(state, sources, state.generation)
    after = replace(state, policies=sources, before=(), rollout=None, override=override)
    return adopt(state, Change(after, Accepted("rollout", "abort", state.generation), origin, "abort"), now)
