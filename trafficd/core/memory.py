"""What is remembered of changes: the policies of earlier generations, and a line in the audit log for each."""

from __future__ import annotations

import hashlib

from trafficd.core.effects import Accepted
from trafficd.core.records import NOBODY, LogRecord, Origin
from trafficd.core.state import ControlState, HistoryEntry, saved_policies
from trafficd_topology.model import Problem
from trafficd_topology.status import Generation

KEPT = 20
"""Accepted policy texts that are kept."""


def policies_digest(state: ControlState) -> str:
    """SHA-256, in hex, over the digests of the texts in force and what of them is; empty without any."""
    lines = [f"{s.owner} {s.source} {s.digest} {' '.join(s.names)}" for s in saved_policies(state.policies)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""


def remembered(
    before: ControlState, after: ControlState, origin: Origin, cause: str
) -> tuple[HistoryEntry, ...]:
    """The history with the policies of ``after``, where they are others than the newest entry's."""
    history, old, new = before.history, saved_policies(before.policies), saved_policies(after.policies)
    if not history and old and old != new:
        # From a state file of before there was a history: what was in force can be gone back to, too.
        history = (HistoryEntry(before.generation, NOBODY, "", old),)
    if new and (not history or history[-1].sources != new):
        history = (*history, HistoryEntry(after.generation, origin, cause, new))
    return history[-KEPT:]


def pick(state: ControlState, generation: Generation | None) -> HistoryEntry | Problem:
    """The entry in force at ``generation``; without one, the entry before the newest."""
    if generation is None:
        if len(state.history) < 2:
            return Problem("", "", "no earlier policies are known: see trafficd history")
        return state.history[-2]
    found = [e for e in state.history if e.generation <= generation]
    if generation > state.generation or not found:
        oldest = f"{state.history[0].generation} is the oldest" if state.history else "there is none"
        reason = f"no policies are known of this generation ({oldest}): see trafficd history"
        return Problem("generation", str(generation), reason)
    return found[-1]


def note_of(before: ControlState, after: ControlState, done: Accepted, origin: Origin) -> LogRecord:
    """The line of the audit log for a change that was accepted."""
    if done.what == "fabric":
        old, new = (s.fabric.digest if s.fabric else "" for s in (before, after))
    elif done.what == "role":
        old, new = "", ""
    else:
        old, new = policies_digest(before), policies_digest(after)
    return LogRecord(origin, done.what, done.source or _roles(before, after), old, new, done.generation)


def _roles(before: ControlState, after: ControlState) -> str:
    changed = sorted(set(after.roles) ^ set(before.roles))
    return ", ".join(sorted({r.host for r in changed}))
