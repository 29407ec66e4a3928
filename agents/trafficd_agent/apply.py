"""Read, diff, write, verify, restore: pure over a driver.

One call of ``reconcile`` brings a scope to its desired state and proves it by reading back, or puts back what
was there before and proves that. Nothing is written that the device already holds, nothing before the state
found was saved (``Journal.begin``), and nothing over somebody else's configuration.

Verified: all that can be read back is equal. What cannot is named in the outcome and does not block; it is
written when it differs from what was last written there (``Order.believed``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import takewhile
from typing import Protocol

from trafficd_agent.driver import (
    BusyError,
    Capability,
    Driver,
    DriverError,
    ForeignError,
    GoneError,
    InPodError,
    Observation,
    PermissionMissingError,
    RefusedError,
    UnsupportedError,
)
from trafficd_agent.states import can_be_desired, fill, lasting, replay
from trafficd_topology.diff import (
    Change,
    Disruption,
    FieldDifference,
    Op,
    State,
    describe,
    diff,
    disruption,
    ordered,
    sentences,
    step_of,
    words,
)


class Purpose(StrEnum):
    """Why a scope is worked on."""

    APPLY = "apply"  # a desired state that was not verified yet
    VERIFY = "verify"  # it was verified: a difference is drift
    LOOK = "look"  # read and report, never write
    RETURN = "return"  # deselected: back to the state found before our first write
    RESTORE = "restore"  # a restore that failed: once more
    REVERT = "revert"  # a change that cut the node off: back to what was there before it


BACK = (Purpose.RETURN, Purpose.RESTORE, Purpose.REVERT)
"""Always tried."""


class Result(StrEnum):
    """How it ended; the table of conditions is in ``trafficd_agent.conditions``."""

    IN_SYNC = "in-sync"  # nothing to do
    LOOKED = "looked"  # differences were found and only reported
    APPLIED = "applied"  # written and verified
    REPAIRED = "repaired"  # drift undone and verified
    FOREIGN = "foreign"  # somebody else's configuration is in the way; nothing written
    WAITING = "waiting"  # a step would disrupt traffic; nothing written
    DRIFTED = "drifted"  # drift whose repair would disrupt traffic; nothing written
    UNSUPPORTED = "unsupported"  # this driver cannot; nothing written
    NOT_READ = "not-read"  # the device could not be read; nothing written
    NOT_SAVED = "not-saved"  # the state found could not be saved; nothing written
    RESTORED = "restored"  # failed; what was there before is back, verified
    STUCK = "stuck"  # failed, and the restore did not verify either
    STOPPED = "stopped"  # told to stop half-way; the journal stays open


class DriverFaultError(DriverError):
    """A driver failed in a way it does not name: report it with its log."""


class SaveError(Exception):
    """What must be on disk before a write could not be put there. One sentence."""


class Journal(Protocol):
    """What is kept on disk about the writes to one scope."""

    def begin(self, before: State, target: State) -> None:
        """On disk, fsynced, before the first write: what is there and what will be. Raises SaveError."""
        ...

    def settle(self, holds: State) -> None:
        """The device verifiably holds this. Raises SaveError (harmless: the next start reads the device)."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What to do with one scope.

    ``believed``: what was last written there and verified, for what read-back cannot see; None when unknown.
    ``restore_to``: the state before a write that was never finished; None when there was none.
    ``leave``: the worst disruption that is allowed.
    """

    scope: str
    desired: State
    purpose: Purpose = Purpose.APPLY
    believed: State | None = None
    restore_to: State | None = None
    leave: Disruption = Disruption.HITLESS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reconcile found and did.

    ``reason`` is CamelCase and ``message`` one sentence. ``changes`` are those written in order to reach the
    desired state. ``differences`` are the device against the desired state at the end. ``drift`` is what VERIFY
    or LOOK found different at the start. ``passing``: the same order may succeed later. ``touched``: a write was tried.
    ``waiting_for``: the worst of ``waiting_steps``, which were not begun for want of leave.
    """

    result: Result
    reason: str
    message: str = ""
    changes: tuple[Change, ...] = ()
    differences: tuple[FieldDifference, ...] = ()
    drift: tuple[Change, ...] = ()
    unreadable: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    identity: str = ""
    cause: str = ""
    passing: bool = False
    touched: bool = False
    waiting_for: Disruption | None = None
    waiting_steps: tuple[str, ...] = ()


REASONS: tuple[tuple[type[DriverError], str], ...] = (
    (UnsupportedError, "Unsupported"),
    (RefusedError, "Refused"),
    (ForeignError, "ForeignConfiguration"),
    (PermissionMissingError, "PermissionMissing"),
    (BusyError, "Busy"),
    (InPodError, "InPod"),
    (GoneError, "Gone"),
    (DriverFaultError, "DriverFault"),
)
PASSING = (BusyError, GoneError)
"""Errors after which the same order may succeed."""
NOT_RESTORED = "the state before could not be restored"


def reason_of(error: DriverError) -> str:
    return next((word for kind, word in REASONS if isinstance(error, kind)), "DriverError")


@contextmanager
def _named(driver: Driver) -> Iterator[None]:
    """Let DriverErrors pass and give everything else a name."""
    try:
        yield
    except DriverError:
        raise
    except Exception as e:
        raise DriverFaultError(f"driver {driver.name} failed unexpectedly: {type(e).__name__}: {e}") from e


def _read(driver: Driver, scope: str) -> Observation:
    with _named(driver):
        return driver.read(scope)


@dataclass(slots=True)
class _Written:  # what a run of writes came to
    done: tuple[Change, ...] = ()
    error: DriverError | None = None
    stopped: bool = False


def _write(driver: Driver, scope: str, plan: tuple[Change, ...], stopped: Callable[[], bool]) -> _Written:
    """Carry out a plan in one batch; an error leaves the batch, so that a driver can drop what it gathered."""
    out = _Written()
    try:
        with _named(driver), driver.batch(scope):
            for change in plan:
                if stopped():
                    out.stopped = True
                    break
                driver.write(scope, change)
                out.done += (change,)
    except DriverError as e:
        out.error = e
    return out


def never() -> bool:
    return False


def reconcile(driver: Driver, order: Order, journal: Journal, stopped: Callable[[], bool] = never) -> Outcome:
    """Bring one scope to its desired state, or back to what it was; see the module. Never raises.

    ``stopped`` is asked before every write on the way to the desired state, never while restoring.
    """
    can = driver.probe(order.scope)
    if refusal := _unfit(driver, order, can):
        return _in_pod(driver, order.scope) or refusal
    try:
        seen = _read(driver, order.scope)
    except DriverError as e:
        return Outcome(Result.NOT_READ, reason_of(e), str(e), passing=isinstance(e, PASSING))
    return _Run(driver, order, journal, stopped).judge(seen, can)


def _unfit(driver: Driver, order: Order, can: Capability) -> Outcome | None:
    """Why this driver cannot take the order at all. A return is always tried."""
    known = {kind for op, kind in driver.steps if op is Op.ADD and can_be_desired(kind)}
    strange = sorted({e.kind for e in order.desired} - known)
    if strange:
        text = f"driver {driver.name} does not know elements of kind {', '.join(strange)}"
        return Outcome(Result.UNSUPPORTED, "UnknownElement", text)
    if order.purpose in BACK:
        return None
    return None if can.supported else Outcome(Result.UNSUPPORTED, "Unsupported", can.reason)


def _in_pod(driver: Driver, scope: str) -> Outcome | None:
    """A device that was given to a pod is not unfit, but out of sight."""
    try:
        _read(driver, scope)
    except InPodError as e:
        return Outcome(Result.NOT_READ, reason_of(e), str(e), passing=True)
    except DriverError:
        pass
    return None


class _Run:
    """One reconcile after its first read."""

    def __init__(self, driver: Driver, order: Order, journal: Journal, stopped: Callable[[], bool]) -> None:
        self.driver, self.order, self.journal, self.stopped = driver, order, journal, stopped

    def _outcome(self, seen: Observation, result: Result, reason: str, message: str = "") -> Outcome:
        different = diff(self.order.desired, seen.state, seen.unreadable)
        return Outcome(
            result,
            reason,
            message,
            differences=describe(different),
            unreadable=tuple(sorted(seen.unreadable)),
            foreign=seen.foreign,
            identity=seen.identity,
            cause=seen.cause,
        )

    def _plan(self, have: State) -> tuple[Change, ...]:
        return ordered(diff(self.order.desired, have), self.driver.steps)

    def judge(self, seen: Observation, can: Capability) -> Outcome:
        """Decide from what was read whether to write."""
        order = self.order
        drift = diff(order.desired, seen.state, seen.unreadable)
        if order.purpose is Purpose.LOOK:
            result, reason = (Result.LOOKED, "Differs") if drift else (Result.IN_SYNC, "InSync")
            return replace(self._outcome(seen, result, reason), drift=drift)
        have = fill(seen.state, order.believed or (), seen.unreadable)
        plan = self._plan(have)
        if not plan or (order.purpose is Purpose.VERIFY and not drift):
            return self._settled(self._outcome(seen, Result.IN_SYNC, "InSync"), have)
        found = drift if order.purpose is Purpose.VERIFY else ()
        if refusal := self._refusal(seen, plan, can):
            return replace(self._hitless_part(refusal, seen, have, plan), drift=found)
        before = lasting(have) if order.restore_to is None else order.restore_to
        try:
            self.journal.begin(before, order.desired)
        except SaveError as e:
            return replace(self._outcome(seen, Result.NOT_SAVED, "NotSaved", str(e)), drift=found)
        return replace(self._carry_out(replace(seen, state=have), before, plan), drift=found)

    def _refusal(self, seen: Observation, plan: tuple[Change, ...], can: Capability) -> Outcome | None:
        if seen.foreign:
            return self._outcome(seen, Result.FOREIGN, "ForeignConfiguration", seen.foreign[0])
        if not can.writable:
            return self._outcome(seen, Result.UNSUPPORTED, "PermissionMissing", can.reason)
        if (cost := disruption(plan, self.driver.steps)) <= self.order.leave:
            return None
        text = f"the change costs a {words(cost)} and waits for the operator's leave"
        drifted = self.order.purpose is Purpose.VERIFY
        result, reason = (
            (Result.DRIFTED, "RepairNotHitless") if drifted else (Result.WAITING, "WaitingForLeave")
        )
        steps = sentences(plan, self.driver.steps)
        return replace(self._outcome(seen, result, reason, text), waiting_for=cost, waiting_steps=steps)

    def _hitless_part(
        self, refusal: Outcome, seen: Observation, have: State, plan: tuple[Change, ...]
    ) -> Outcome:
        """Of a drift whose repair would disrupt traffic, repair at once what comes before the first such step."""
        steps = self.driver.steps
        part = tuple(takewhile(lambda c: step_of(c, steps).disruption is Disruption.HITLESS, plan))
        if refusal.result is not Result.DRIFTED or not part:
            return refusal
        order = replace(self.order, desired=replay(have, part), leave=Disruption.HITLESS)
        done = _Run(self.driver, order, self.journal, self.stopped).judge(seen, Capability(supported=True))
        if done.result is not Result.REPAIRED:
            return done
        left = describe(diff(self.order.desired, order.desired, seen.unreadable))
        return replace(refusal, changes=done.changes, differences=left, touched=True)

    def _settled(self, outcome: Outcome, have: State) -> Outcome:
        """Close a journal that an interrupted run left open: the device turned out to be as desired."""
        if self.order.restore_to is None:
            return outcome
        return self._close(outcome, have)

    def _close(self, outcome: Outcome, holds: State) -> Outcome:
        try:
            self.journal.settle(holds)
        except SaveError as e:
            return replace(outcome, message=f"{outcome.message} (not noted on disk: {e})".strip())
        return outcome

    def _carry_out(self, seen: Observation, before: State, plan: tuple[Change, ...]) -> Outcome:
        """Write, read again, compare; restore ``before`` when it is not as desired."""
        written = _write(self.driver, self.order.scope, plan, self.stopped)
        if written.stopped:
            return replace(self._outcome(seen, Result.STOPPED, "Stopped"), changes=written.done, touched=True)
        try:
            after = _read(self.driver, self.order.scope)
        except DriverError as e:
            after = replace(seen, state=replay(seen.state, written.done))
            return self._restore(after, before, written, written.error or e)
        different = diff(self.order.desired, after.state, after.unreadable)
        if written.error is not None or different:
            return self._restore(after, before, written, written.error)
        repaired = self.order.purpose is Purpose.VERIFY
        result, reason = (Result.REPAIRED, "Repaired") if repaired else (Result.APPLIED, "Verified")
        outcome = replace(self._outcome(after, result, reason), changes=written.done, touched=True)
        return self._close(outcome, self.order.desired)

    def _restore(
        self, now: Observation, before: State, written: _Written, error: DriverError | None
    ) -> Outcome:
        """Put back what was there before, and prove it."""
        reason, why = self._failure(now, error)
        passing = isinstance(error, PASSING)
        if self.order.purpose in (Purpose.RESTORE, Purpose.REVERT):
            failed = self._outcome(now, Result.STUCK, reason, f"{NOT_RESTORED}: {why}")
            return replace(failed, changes=written.done, passing=passing, touched=True)
        after, wrong = self._undo(now, before)
        if wrong:
            outcome = self._outcome(after, Result.STUCK, "RestoreFailed", f"{why}; {NOT_RESTORED}: {wrong}")
        else:
            text = f"{why}; the state before is restored"
            outcome = self._close(self._outcome(after, Result.RESTORED, reason, text), before)
        return replace(outcome, changes=written.done, passing=passing, touched=True)

    def _failure(self, now: Observation, error: DriverError | None) -> tuple[str, str]:
        if error is not None:
            return reason_of(error), str(error)
        rows = describe(diff(self.order.desired, now.state, now.unreadable))
        first = f"{rows[0].path} should be {rows[0].desired} and reads {rows[0].observed}"
        more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
        return "VerificationFailed", f"{first}{more}"

    def _undo(self, now: Observation, before: State) -> tuple[Observation, str]:
        """Diff back and write; where that fails, once more change by change. Ends with what is read and what is wrong."""
        after, wrong = now, ""
        for whole in (True, False):
            have = lasting(fill(after.state, self.order.desired, after.unreadable))
            undo = ordered(diff(before, have), self.driver.steps)
            runs = ((undo,) if undo else ()) if whole else tuple((c,) for c in undo)
            errors = [w.error for r in runs if (w := _write(self.driver, self.order.scope, r, never)).error]
            try:
                after = _read(self.driver, self.order.scope)
            except DriverError as e:
                after, wrong = replace(after, state=replay(after.state, undo)), str(e)
                continue
            left = describe(diff(before, lasting(after.state), after.unreadable))
            if not left:
                return after, ""
            wrong = str(errors[0]) if errors else f"{left[0].path} reads {left[0].observed}"
        return after, wrong
