"""An agent of a simulated cluster: the real machines, admission, files and apply; its threads, clock and wire simulated.

What the process would lose at a kill is in ``SimAgent.life``; devices and disk outlive it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from agentlab import Killed, table_of

from trafficd_agent.app.work import Bench
from trafficd_agent.apply import Outcome, Purpose, Result, SaveError
from trafficd_agent.desired import Desired, DesiredScope, ScopeId
from trafficd_agent.drivers.fake import Behaviour, FakeDriver, FakeOptions
from trafficd_agent.files import AsFound, Files, ScopeFiles
from trafficd_agent.machine import leave, on_trial, paused, resume, step
from trafficd_agent.pause import NOBODY, PauseFiles, Pauses
from trafficd_agent.scope import (
    Advanced,
    Done,
    EndTrial,
    Event,
    Granted,
    Latch,
    Limits,
    Noticed,
    Now,
    Paused,
    Reached,
    Retried,
    ScopeState,
    Stage,
    Stop,
    Tick,
    Told,
    Work,
    status,
)
from trafficd_agent.session.admission import Answer, Heading, admit, admit_header, refuse
from trafficd_agent.session.control import Greeting
from trafficd_topology.diff import Change, State, render
from trafficd_topology.model import DriverOffer, LinkLayer, NodeInventory, PortInventory, ScopeKind
from trafficd_topology.status import Generation, ScopeStatus

PORTS = ("c0", "s0")
RATE_BPS = 100_000_000


@dataclass
class Faults:
    """What goes wrong on a node. ``kill_writes`` and ``kill_saves``: the process is killed after so many more."""

    full: bool = False
    kill_writes: int | None = None
    kill_saves: int | None = None
    fired: Counter[str] = field(default_factory=Counter)

    def save(self) -> None:
        if self.kill_saves is not None:
            self.kill_saves -= 1
            if self.kill_saves < 0:
                self.kill_saves = None
                self.fired["killed at a save"] += 1
                raise Killed
        if self.full:
            self.fired["disk full on a node"] += 1
            raise SaveError("no room left")


class PortDriver(FakeDriver):
    """A fake whose ports misbehave each in its own way, and whose process can be killed right after a write."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(FakeOptions(ports=PORTS))
        self.faults = faults
        self.behaviours: dict[str, Behaviour] = {}

    def _now(self, scope: str) -> Behaviour:
        return self.behaviours.get(scope, Behaviour())

    def write(self, scope: str, change: Change) -> None:
        super().write(scope, change)
        if self.faults.kill_writes is not None:
            self.faults.kill_writes -= 1
            if self.faults.kill_writes < 0:
                self.faults.kill_writes = None
                self.faults.fired["killed after a write"] += 1
                raise Killed


class Disk(Files):
    """The state directory, on which a save can fail or be the last thing a process did."""

    def __init__(self, directory: Path, faults: Faults) -> None:
        super().__init__(directory)
        self.faults = faults

    def keep_accepted(self, desired: Desired) -> None:
        self.faults.save()
        super().keep_accepted(desired)

    def scope(self, scope: ScopeId) -> ScopeFiles:
        return DiskScope(self, scope, self.faults)


class DiskScope(ScopeFiles):
    def __init__(self, files: Files, scope: ScopeId, faults: Faults) -> None:
        super().__init__(files, scope)
        self.faults = faults

    def begin(self, driver: str, before: State, target: State) -> None:
        self.faults.save()
        super().begin(driver, before, target)

    def settle(self, holds: State) -> None:
        self.faults.save()
        super().settle(holds)

    def keep_latch(self, latch: Latch) -> None:
        self.faults.save()
        super().keep_latch(latch)

    def begin_trial(self, driver: str, before: State, *, keep: bool) -> None:
        self.faults.save()
        super().begin_trial(driver, before, keep=keep)

    def end_trial(self) -> None:
        self.faults.save()
        super().end_trial()

    def forget(self) -> None:
        self.faults.save()
        super().forget()

    def found(self) -> AsFound | None:
        return self.as_found()


@dataclass
class Life:
    """One process."""

    states: dict[ScopeId, ScopeState] = field(default_factory=dict)
    accepted: Desired | None = None
    pauses: Pauses = NOBODY
    stopped: dict[ScopeId, int] = field(default_factory=dict)
    pending: list[tuple[ScopeId, Work]] = field(default_factory=list)


@dataclass(frozen=True)
class Turn:
    """A work that ended. ``attempt`` tells apart what a kill or a retry allowed again."""

    port: str
    generation: Generation
    attempt: int
    purpose: Purpose
    outcome: Outcome


class SimAgent:
    """``say`` sends a status; ``slow``: work is begun and ends when ``finish`` is called. ``ever``: what each port was told."""

    def __init__(self, node: str, directory: Path, clock: Callable[[], Now], say: Callable[[], None]) -> None:
        self.node, self.directory, self.clock, self.say = node, directory, clock, say
        self.faults = Faults()
        self.driver = PortDriver(self.faults)
        self.life: Life | None = None
        self.boots, self.attempt = 0, 0
        self.slow = False
        self.turns: list[Turn] = []
        self.limits = Limits()
        self.ever: dict[str, set[str]] = {p: set() for p in PORTS}

    @property
    def up(self) -> bool:
        return self.life is not None

    @property
    def disk(self) -> Disk:
        return Disk(self.directory, self.faults)

    # The process.

    def start(self) -> None:
        self.guarded(self._start)

    def _start(self) -> None:
        self.boots += 1
        self.life = life = Life(accepted=self.disk.accepted(), pauses=PauseFiles(self.directory).read())
        now = self.clock()
        for scope in life.accepted.scopes if life.accepted else ():
            generation = life.accepted.generation if life.accepted else Generation()
            files = self.disk.scope(scope.id)
            state = resume(scope, generation, files.latch(), self.limits, now)
            revert_s = life.accepted.revert_in_s if life.accepted else 0.0
            began = revert_s > 0 and files.trial() is not None
            state = on_trial(state, revert_s, now, began=began) if revert_s else state
            life.states[scope.id] = paused(state, life.pauses.why)
        if life.accepted is not None:
            self._take_leave(life.accepted.generation)
        for scope_id in tuple(life.states):
            self.post(scope_id, Tick())

    def kill(self) -> None:
        if self.life is not None and (self.life.pending or any(s.running for s in self.life.states.values())):
            self.attempt += 1
        self.life, self.slow = None, False

    def guarded(self, action: Callable[[], None]) -> None:
        """Carry out something that may be the last this process does."""
        try:
            action()
        except Killed:
            self.attempt += 1
            self.life, self.slow = None, False

    def _take_leave(self, generation: Generation) -> None:
        assert self.life is not None
        for scope in self.disk.touched():
            if scope not in self.life.states:
                files = self.disk.scope(scope)
                wanted = DesiredScope(scope, found.driver if (found := files.as_found()) else "")
                left = leave(wanted, generation, files.latch(), self.limits, self.clock())
                self.life.states[scope] = paused(left, self.life.pauses.why)

    # What the session asks and tells.

    def greeting(self) -> Greeting:
        a = self.life.accepted if self.life else None
        offers = (DriverOffer("fake", True),)
        ports = tuple(
            PortInventory(p, LinkLayer.ETHERNET, RATE_BPS, up=True, tx_queues=1, offers=offers) for p in PORTS
        )
        return Greeting(
            self.node,
            "sim",
            f"boot-{self.boots}",
            a.controller_uuid if a else "",
            a.generation if a else None,
            a.digest if a else "",
            NodeInventory(self.node, ports),
        )

    def told(self, desired: Desired) -> Answer:
        assert self.life is not None
        answer = admit(
            self.life.accepted, Heading(desired.controller_uuid, desired.generation, desired.digest)
        )
        if not answer.accepted:
            return answer
        if self.life.accepted is not None and self.life.accepted.generation == desired.generation:
            return answer
        if refusal := self._keep(desired):
            return refusal
        self._adopt(desired)
        return answer

    def told_header(self, heading: Heading) -> Answer:
        assert self.life is not None
        answer = admit_header(self.life.accepted, heading)
        held = self.life.accepted
        if not answer.accepted or held is None or held.generation == heading.generation:
            return answer
        advanced = replace(held, generation=heading.generation)
        if refusal := self._keep(advanced):
            return refusal
        self.life.accepted = advanced
        for scope in tuple(self.life.states):
            self.post(scope, Advanced(heading.generation))
        return answer

    def _keep(self, desired: Desired) -> Answer | None:
        try:
            self.disk.keep_accepted(desired)
        except SaveError as e:
            return refuse(str(e))
        return None

    def _adopt(self, desired: Desired) -> None:
        life = self.life
        assert life is not None
        life.accepted = desired
        life.states = {i: s for i, s in life.states.items() if s.stage is not Stage.LEFT}
        wanted = {s.id: s for s in desired.scopes}
        for told in desired.scopes:
            self.ever[told.id.name].add(render(told.elements))
        for scope in wanted.values():
            life.states.setdefault(scope.id, paused(ScopeState(scope, self.limits), life.pauses.why))
        self._take_leave(desired.generation)
        for scope_id in tuple(life.states):
            self.post(scope_id, Told(wanted.get(scope_id), desired.generation, desired.revert_in_s))

    def told_pause(self, reason: str | None) -> None:
        assert self.life is not None
        if reason == "" and self.life.pauses.controller is not None:
            return
        self.life.pauses = replace(self.life.pauses, controller=reason)
        PauseFiles(self.directory).keep_controller(reason)
        for scope in tuple(self.life.states):
            self.post(scope, Paused(self.life.pauses.why))

    def told_retry(self, scopes: tuple[ScopeId, ...]) -> None:
        self.attempt += 1
        for scope in scopes:
            self.post(scope, Retried())

    def told_grant(self, scope: ScopeId, grant: Granted) -> None:
        self.post(scope, grant)

    def prove(self, since: float) -> None:
        """The controller was reached by a connection begun then."""
        life = self.life
        if life is None:
            return
        for scope, s in tuple(life.states.items()):
            if s.trial is not None and s.trial - s.revert_s <= since:
                self.post(scope, Reached())
        a = life.accepted
        if (
            a is not None
            and a.revert_in_s
            and not any(s.trial is not None or s.stage is Stage.NEW for s in life.states.values())
        ):
            life.accepted = replace(a, revert_in_s=0.0)
            self._keep(life.accepted)

    # The machines.

    def post(self, scope: ScopeId, event: Event) -> None:
        life = self.life
        if life is None or scope not in life.states:
            return
        before = life.states[scope]
        life.states[scope], effects = step(before, event, self.clock())
        for effect in effects:
            self._carry_out(life, scope, effect)
        if self.life is life and scope in life.states and status(life.states[scope]) != status(before):
            self.say()

    def _carry_out(self, life: Life, scope: ScopeId, effect: Work | Stop | Latch | EndTrial) -> None:
        if isinstance(effect, Stop):
            life.stopped[scope] = max(life.stopped.get(scope, 0), effect.number)
        elif isinstance(effect, Work):
            life.pending.append((scope, effect))
            if not self.slow:
                self.finish()
        else:
            self._note(self.disk.scope(scope), effect)

    @staticmethod
    def _note(files: ScopeFiles, effect: Latch | EndTrial) -> None:
        try:
            files.keep_latch(effect) if isinstance(effect, Latch) else files.end_trial()
        except SaveError:
            return

    def finish(self) -> None:
        """Carry out what was begun."""
        life = self.life
        while life is not None and life is self.life and life.pending:
            scope, work = life.pending.pop(0)
            bench = Bench(table_of(self.driver), self.disk.scope(scope))
            stopped = life.stopped.get(scope, 0)
            outcome = bench.carry_out(work, lambda n=work.number, s=stopped: s >= n)  # type: ignore[misc]
            self.turns.append(Turn(scope.name, work.generation, self.attempt, work.purpose, outcome))
            if outcome.result is Result.STOPPED:
                self.attempt += 1
            self.post(scope, Done(work.number, outcome))

    def tick(self) -> None:
        """Whatever is due now."""
        life = self.life
        for scope in tuple(life.states) if life else ():
            s = life.states.get(scope) if life is not None and self.life is life else None
            if s is not None and s.wake <= self.clock().seconds:
                self.post(scope, Tick())

    def wake(self) -> float:
        return (
            min((s.wake for s in self.life.states.values()), default=float("inf"))
            if self.life
            else float("inf")
        )

    def notice(self, port: str) -> None:
        self.post(ScopeId(ScopeKind.PORT, port), Noticed("by netlink port id 9"))

    def statuses(self) -> tuple[ScopeStatus, ...]:
        return tuple(status(self.life.states[i]) for i in sorted(self.life.states)) if self.life else ()
