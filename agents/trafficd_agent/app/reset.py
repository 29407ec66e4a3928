"""Back to what every scope held before our first write, with no agent and no controller running."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from trafficd_agent.app.drivers import DriverTable
from trafficd_agent.app.work import REACHED, Bench
from trafficd_agent.apply import Outcome, Purpose, Result
from trafficd_agent.desired import DesiredScope, ScopeId
from trafficd_agent.files import Files
from trafficd_agent.scope import NEVER, Work
from trafficd_topology.diff import Disruption, ordered, sentences


@dataclass(frozen=True, slots=True)
class Way:
    """What it takes to bring one scope back: ``steps`` in order, a sentence each; ``problem`` when it cannot be told."""

    scope: ScopeId
    driver: str
    steps: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Returned:
    """How a return ended; no ``problem``: the scope verifiably holds what it held, and is forgotten."""

    scope: ScopeId
    problem: str = ""


class Reset:
    """On a state directory that nobody else uses."""

    def __init__(self, directory: Path, drivers: DriverTable) -> None:
        self._files, self._drivers = Files(directory), drivers

    def _work(self, scope: ScopeId, purpose: Purpose) -> Work:
        found = self._files.scope(scope).as_found()
        return Work(0, purpose, DesiredScope(scope, found.driver if found else ""), NEVER, leaving=True)

    def _carry_out(self, work: Work) -> Outcome:
        return Bench(self._drivers, self._files.scope(work.scope.id)).carry_out(work)

    def ways(self) -> Iterator[Way]:
        """For every scope we wrote to; reads only."""
        for scope in self._files.touched():
            work = self._work(scope, Purpose.LOOK)
            outcome = self._carry_out(work)
            driver = self._drivers.find(scope, work.scope.driver)
            if outcome.result not in (Result.LOOKED, Result.IN_SYNC) or driver is None:
                yield Way(scope, work.scope.driver, problem=f"{outcome.reason}: {outcome.message}")
            else:
                steps = sentences(ordered(outcome.drift, driver.steps), driver.steps)
                yield Way(scope, work.scope.driver, steps)

    def forget_desired(self) -> None:
        """What a controller wanted is not taken up again by the next start. Raises SaveError."""
        self._files.forget_accepted()

    def give_back(self, leave: Disruption) -> Iterator[Returned]:
        """Every scope, one after the other; ``leave``: the worst disruption that is allowed."""
        for scope in self._files.touched():
            outcome = self._carry_out(replace(self._work(scope, Purpose.RETURN), leave=leave))
            if outcome.result in REACHED:
                yield Returned(scope, outcome.message)
            else:
                yield Returned(scope, f"{outcome.reason}: {outcome.message}")
