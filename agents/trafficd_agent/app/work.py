"""One piece of work on one scope: what is on disk and the driver brought together. Runs on the scope's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from trafficd_agent.app.drivers import DriverTable
from trafficd_agent.apply import Order, Outcome, Purpose, Result, SaveError, never, reconcile
from trafficd_agent.files import AsFound, Record, ScopeFiles
from trafficd_agent.scope import Work
from trafficd_topology.diff import State

REACHED = (Result.IN_SYNC, Result.APPLIED)


@dataclass(frozen=True, slots=True)
class ScopeJournal:
    """A scope's files as ``apply`` sees them."""

    files: ScopeFiles
    driver: str
    trial: bool = False
    on_trial: bool = False

    def begin(self, before: State, target: State) -> None:
        if self.trial:
            self.files.begin_trial(self.driver, before, keep=self.on_trial)
        self.files.begin(self.driver, before, target)

    def settle(self, holds: State) -> None:
        self.files.settle(holds)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a scope's thread works with."""

    drivers: DriverTable
    files: ScopeFiles

    def carry_out(self, work: Work, stopped: Callable[[], bool] = never) -> Outcome:
        """Reconcile the scope. Never raises."""
        found = self.files.as_found()
        if work.purpose is Purpose.RESTORE:
            return self._restore(work)
        if work.purpose is Purpose.REVERT:
            return self._revert(work)
        if work.paused and (owed := self._owed(work)):
            return owed
        if work.leaving:
            return self._leave(work, found)
        if work.purpose is Purpose.APPLY and found and not found.lost and found.driver != work.scope.driver:
            # Another driver programs it from now on: give back what ours of before did.
            left = self._leave(replace(work, purpose=Purpose.RETURN), found)
            if left.result not in REACHED:
                return left
        order = _order(work, self.files.record())
        return self._reconcile(work, work.scope.driver, order, stopped)

    def _reconcile(self, work: Work, name: str, order: Order, stopped: Callable[[], bool]) -> Outcome:
        driver = self.drivers.find(work.scope.id, name)
        if driver is None:
            text = f"no rule of this agent gives {work.scope.id} to driver {name or '(none)'}: add one to its settings"
            return Outcome(Result.UNSUPPORTED, "NoDriver", text)
        journal = ScopeJournal(self.files, name, work.trial, work.on_trial)
        return reconcile(driver, order, journal, stopped)

    def _leave(self, work: Work, found: AsFound | None) -> Outcome:
        """Back to what the scope held before our first write."""
        if found is None:
            return Outcome(Result.IN_SYNC, "NothingToReturn")
        if found.lost:
            text = f"what {work.scope.id} held before our first write was lost: it stays as it is; clean it by hand"
            return Outcome(Result.NOT_SAVED, "AsFoundLost", text)
        record = self.files.record()
        order = replace(_order(work, record), desired=found.elements)
        outcome = self._reconcile(work, found.driver, order, never)
        if outcome.result not in REACHED or work.purpose is not Purpose.RETURN:
            return outcome
        try:
            self.files.forget()
        except SaveError as e:
            return replace(outcome, message=str(e))
        return outcome

    def _owed(self, work: Work) -> Outcome | None:
        """Undo a write that was stopped half-way; None once nothing is owed."""
        record = self.files.record()
        if record is None or not record.open or work.purpose is not Purpose.LOOK:
            return None
        undone = self._restore(replace(work, purpose=Purpose.RESTORE))
        return None if undone.result in REACHED else undone

    def _revert(self, work: Work) -> Outcome:
        """Back to what was there before the change that cut the node off."""
        before = self.files.trial()
        if before is None:
            text = "what was there before the change is not on disk any more: clean it by hand"
            return Outcome(Result.STUCK, "JournalLost", text)
        order = replace(_order(work, self.files.record()), desired=before.elements)
        return self._reconcile(work, before.driver, order, never)

    def _restore(self, work: Work) -> Outcome:
        record, found = self.files.record(), self.files.as_found()
        if record is None or not record.open:
            text = "what was there before the failed write is not on disk any more: clean it by hand"
            return Outcome(Result.STUCK, "JournalLost", text)
        order = replace(_order(work, record), desired=record.before)
        return self._reconcile(work, found.driver if found else work.scope.driver, order, never)


def _order(work: Work, record: Record | None) -> Order:
    under_way = record is not None and record.open
    return Order(
        work.scope.id.name,
        work.scope.elements,
        work.purpose,
        believed=record.holds if record is not None and not under_way else None,
        restore_to=record.before if record is not None and under_way else None,
        leave=work.leave,
    )
