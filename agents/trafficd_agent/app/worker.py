"""A thread for each scope, so that a driver that hangs holds up its own scope and no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from trafficd_agent.app.work import Bench
from trafficd_agent.apply import Outcome, Result, SaveError
from trafficd_agent.scope import Done, EndTrial, Latch, Work

log = logging.getLogger(__name__)


class Worker:
    """Carries out work and latches in the order they were given. ``answer`` is called from its thread."""

    def __init__(self, name: str, bench: Bench, answer: Callable[[Done], None]) -> None:
        self._name, self._bench, self._answer = name, bench, answer
        self._jobs: SimpleQueue[Work | Latch | EndTrial | None] = SimpleQueue()
        self._stopped = 0
        # A daemon: a driver that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def give(self, job: Work | Latch | EndTrial) -> None:
        self._jobs.put(job)

    def stop(self, number: int) -> None:
        """Let the work of that number, and those before it, write nothing more towards a desired state."""
        self._stopped = max(self._stopped, number)

    def end(self) -> None:
        """End the thread once it has nothing left to do."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if isinstance(job, Latch | EndTrial):
                self._keep(job)
            else:
                self._answer(Done(job.number, self._carry_out(job)))

    def _keep(self, job: Latch | EndTrial) -> None:
        try:
            if isinstance(job, Latch):
                self._bench.files.keep_latch(job)
            else:
                self._bench.files.end_trial()
        except SaveError as e:
            log.error("%s: %s", self._name, e)  # noqa: TRY400 - the sentence says it all

    def _carry_out(self, work: Work) -> Outcome:
        try:
            return self._bench.carry_out(work, lambda: self._stopped >= work.number)
        except Exception as e:
            log.debug("%s: work failed", self._name, exc_info=True)
            return Outcome(Result.NOT_READ, "AgentFault", f"the agent failed: {type(e).__name__}: {e}")
