"""A scope on a virtual clock: the real machine, the real files, the real apply, and the fake driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from trafficd_agent.app.drivers import Bound, DriverTable
from trafficd_agent.app.work import Bench
from trafficd_agent.apply import SaveError
from trafficd_agent.config import DriverRule
from trafficd_agent.desired import DesiredScope, ScopeId
from trafficd_agent.drivers.fake import Behaviour, FakeDriver, FakeOptions
from trafficd_agent.files import Files
from trafficd_agent.machine import leave, on_trial, paused, resume, step
from trafficd_agent.netlink.channel import OwnPorts
from trafficd_agent.scope import (
    Done,
    EndTrial,
    Event,
    Latch,
    Limits,
    Now,
    ScopeState,
    Stop,
    Tick,
    Work,
    status,
)
from trafficd_topology.diff import Change, Element, State, state, words
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.qos.tc import TcClass, TcFilter, TcLeaf, TcQdisc
from trafficd_topology.status import Generation, ScopeStatus

LIMITS, NEVER, PLAIN = Limits(), Generation(), FakeOptions()
PORT = ScopeId(ScopeKind.PORT, "c0")


def tc_class(rate: int, prio: int = 1) -> TcClass:
    return TcClass(rate, 98_000_000, prio, 3028, 3028, 3028)


EMPTY: State = ()
A = state(
    [
        Element("qdisc", "", TcQdisc(0x10, 98_000_000)),
        Element("class", "10", tc_class(97_000_000)),
        Element("class", "11", tc_class(1_000_000, 2)),
        Element("leaf", "10", TcLeaf(1000)),
        Element("filter", "dscp-8", TcFilter(0x11, 8)),
    ]
)
B = state(
    [
        Element("qdisc", "", TcQdisc(0x10, 98_000_000)),
        Element("class", "10", tc_class(70_000_000)),
        Element("class", "12", tc_class(28_000_000, 2)),
        Element("filter", "dscp-8", TcFilter(0x12, 8)),
        Element("filter", "dscp-26", TcFilter(0x10, 7)),
    ]
)
NAMED = {"empty": EMPTY, "A": A, "B": B}


def name_of(elements: State) -> str:
    return next((n for n, s in NAMED.items() if s == elements), "other")


class Killed(BaseException):
    """The process ends here, as by kill -9."""


class MortalDriver(FakeDriver):
    """A fake whose process can be killed right after a write."""

    kill_after: int | None = None

    def write(self, scope: str, change: Change) -> None:
        super().write(scope, change)
        if self.kill_after is not None and self.device.writes(scope) >= self.kill_after:
            raise Killed


def table_of(*drivers: FakeDriver) -> DriverTable:
    return DriverTable(
        tuple(Bound(DriverRule(d.scope_kind, "*", d.name, None, ""), d) for d in drivers), OwnPorts()
    )


@dataclass
class Lab:
    """``held``: work is begun and does not answer before ``release``."""

    directory: Path
    driver: MortalDriver
    limits: Limits = LIMITS
    seconds: float = 0.0
    held: bool = False
    waiting: list[Work] = field(default_factory=list)
    stopped: set[int] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    accepted: DesiredScope | None = None
    paused: str = ""
    revert_s: float = 0.0
    generation: Generation = NEVER
    state: ScopeState | None = None

    @classmethod
    def make(cls, directory: Path, options: FakeOptions = PLAIN, limits: Limits = LIMITS) -> Lab:
        return cls(directory, MortalDriver(options), limits)

    @property
    def bench(self) -> Bench:
        return Bench(table_of(self.driver), Files(self.directory).scope(PORT))

    def now(self) -> Now:
        return Now(self.seconds, int(self.seconds * 1e9))

    def post(self, event: Event) -> None:
        """Step, carry out the effects, and step again with their answers."""
        queue: list[Event] = [event]
        while queue:
            assert self.state is not None
            self.state, effects = step(self.state, queue.pop(0), self.now())
            for effect in effects:
                queue += self._carry_out(effect)

    def _carry_out(self, effect: Work | Stop | Latch | EndTrial) -> Iterator[Event]:
        if isinstance(effect, Latch):
            self.log.append(f"latch {effect.stage}")
            self.bench.files.keep_latch(effect)
        elif isinstance(effect, EndTrial):
            self.log.append("end of trial")
            self.bench.files.end_trial()
        elif isinstance(effect, Stop):
            self.log.append(f"stop {effect.number}")
            self.stopped.add(effect.number)
        elif self.held:
            self.log.append(f"work {effect.number} {effect.purpose} ...")
            self.waiting.append(effect)
        else:
            yield self._work(effect)

    def _work(self, work: Work) -> Done:
        before = self.driver.device.writes(PORT.name)
        try:
            outcome = self.bench.carry_out(work, lambda: work.number in self.stopped)
        except Killed:
            self.log.append(f"work {work.number} {work.purpose} -> killed")
            raise
        writes = self.driver.device.writes(PORT.name) - before
        self.log.append(f"work {work.number} {work.purpose} -> {outcome.result}, {writes} writes")
        return Done(work.number, outcome)

    def release(self) -> None:
        self.held = False
        while self.waiting:
            self.post(self._work(self.waiting.pop(0)))

    def advance(self, seconds: float) -> None:
        """Let time pass, with a Tick whenever one is due."""
        end = self.seconds + seconds
        while self.state is not None and self.state.wake <= end:
            self.seconds = max(self.seconds, self.state.wake)
            self.post(Tick())
        self.seconds = end

    def restart(self) -> None:
        """A new process on the same disk and device, as the agent takes up what it finds."""
        self.waiting, self.stopped, self.held = [], set(), False
        files = Files(self.directory)
        self.state = None
        if self.accepted is not None:
            latch = files.scope(PORT).latch()
            self.state = resume(self.accepted, self.generation, latch, self.limits, self.now())
            began = files.scope(PORT).trial() is not None
            self.state = on_trial(self.state, self.revert_s, self.now(), began=began)
        elif PORT in files.touched():
            latch = files.scope(PORT).latch()
            self.state = leave(DesiredScope(PORT, "fake"), self.generation, latch, self.limits, self.now())
        if self.state is not None:
            self.state = paused(self.state, self.paused)
            self.post(Tick())

    def behave(self, **changes: object) -> None:
        self.driver.behaviour = replace(Behaviour(), **changes)  # type: ignore[arg-type]

    def holds(self) -> State:
        return self.driver.device.holds(PORT.name)

    def summary(self) -> str:
        """One line: where the machine stands, its conditions, and what the device holds."""
        if self.state is None:
            return f"no scope; device holds {name_of(self.holds())}"
        s, st = self.state, status(self.state)
        said_so = " ".join(f"{c.type}={c.status}" for c in st.conditions)
        v = s.verdict
        said = f"{v.reason}: {v.message}" if v.message else v.reason
        counts = f"drifts {s.drifts}, repairs {s.repairs}" + (f", cause {s.cause}" if s.cause else "")
        more = "".join(f"\n  {line}" for line in self._controls(st))
        where = f"{s.stage}, observed {s.observed}, {said_so}\n  {said}\n  {counts}; device holds {name_of(self.holds())}"
        return where + more

    def _controls(self, st: ScopeStatus) -> Iterator[str]:
        if st.paused:
            yield "paused"
        if self.state is not None and self.state.trial is not None:
            yield "on trial"
        if st.waiting_for is not None:
            drained = {True: "drained", False: "not drained", None: "drained or not is unknown"}[st.drained]
            yield f"waits for leave to cost a {words(st.waiting_for)}, {drained}: {'; '.join(st.waiting_steps)}"


def enforced(elements: State, mode: Mode = Mode.ENFORCE, refusal: str = "") -> DesiredScope:
    return DesiredScope(PORT, "fake", mode, "p", elements, (), refusal)


__all__ = [
    "EMPTY",
    "NAMED",
    "PORT",
    "A",
    "B",
    "Killed",
    "Lab",
    "MortalDriver",
    "SaveError",
    "enforced",
    "name_of",
    "table_of",
]
