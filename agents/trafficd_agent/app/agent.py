"""The one owner of every scope's state: takes events, steps the machines, and carries out what they ask for.

Everything here runs in one event loop; only the scopes' threads and the sampler are elsewhere, and they hand
over by ``call_soon_threadsafe``.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from trafficd_agent.app.document import AgentStatus, ControllerState
from trafficd_agent.app.drivers import DriverTable
from trafficd_agent.app.work import Bench
from trafficd_agent.app.worker import Worker
from trafficd_agent.apply import SaveError
from trafficd_agent.desired import Desired, DesiredScope, ScopeId, ScopeLane
from trafficd_agent.files import Files
from trafficd_agent.machine import leave, on_trial, paused, resume, step
from trafficd_agent.metrics.board import Board, LaneLabel, PortLabel
from trafficd_agent.pause import PauseFiles, Pauses
from trafficd_agent.scope import (
    Advanced,
    Done,
    Event,
    Granted,
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
    status,
)
from trafficd_agent.session.admission import Answer, Heading, admit, admit_header, refuse
from trafficd_agent.session.control import Greeting
from trafficd_topology.diff import words
from trafficd_topology.model import NodeInventory, ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import ConditionType, Generation, ScopeStatus

log = logging.getLogger(__name__)
FABRIC_DEADLINE_S = 180.0
"""A subnet manager sweeps the whole fabric before a change can be read back."""
FLAP_DEADLINE_S = 120.0
"""A change of the PFC set waits for other links of the node, then for its own; twice when it is undone."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this agent is."""

    node: str
    version: str
    boot_id: str


def _label(scope: DesiredScope, lane: ScopeLane) -> LaneLabel:
    """A lane that is only observed is guaranteed nothing."""
    share = lane.guaranteed_ratio if scope.mode is Mode.ENFORCE else None
    return LaneLabel(lane.id, lane.name, lane.traffic_classes, share, lane.unmarked, lane.priority)


class Agent:
    """Serves the last accepted desired state, with or without a controller. The session's ``Node``."""

    def __init__(
        self, identity: Identity, limits: Limits, files: Files, drivers: DriverTable, board: Board
    ) -> None:
        self.identity, self.limits, self.files, self.drivers, self.board = (
            identity,
            limits,
            files,
            drivers,
            board,
        )
        self.accepted: Desired | None = None
        self.inventory = NodeInventory(identity.node)
        self.states: dict[ScopeId, ScopeState] = {}
        self.controller = ControllerState()
        self.pauses, self._pause_files = Pauses(), PauseFiles(files.directory)
        self.on_change: Callable[[], None] = lambda: None
        self.beat = time.monotonic()
        self._workers: dict[ScopeId, Worker] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, *, forget_controller: bool = False) -> None:
        """Take up what was accepted last; call it in the event loop."""
        self._loop = asyncio.get_running_loop()
        self.accepted = self.files.accepted()
        if self.accepted is not None and forget_controller:
            self.accepted = replace(self.accepted, controller_uuid="", generation=Generation(), digest="")
        for problem in self.files.problems:
            log.error("%s", problem)
        now = self._now()
        self.pauses = self._pause_files.read()
        self.board.put_pauses(self.pauses.controller is not None, self.pauses.node is not None)
        for scope in self.accepted.scopes if self.accepted else ():
            latch = self.files.scope(scope.id).latch()
            generation = self.accepted.generation if self.accepted else Generation()
            state = resume(scope, generation, latch, self._limits(scope), now)
            state = self._tried(state, now)
            self.states[scope.id] = paused(state, self.pauses.why)
        if self.accepted is not None:
            self._take_leave(self.accepted.generation, now)
            self._name_lanes(self.accepted)
        self.controller = ControllerState(uuid=self.accepted.controller_uuid if self.accepted else "")
        self._publish()
        self._pulse()

    def _tried(self, state: ScopeState, now: Now) -> ScopeState:
        """A change that had not proved itself has its time anew; what is left of an older one is forgotten."""
        files = self.files.scope(state.scope.id)
        revert_s = self.accepted.revert_in_s if self.accepted else 0.0
        began = revert_s > 0 and files.trial() is not None
        return on_trial(state, revert_s, now, began=began) if revert_s else state

    def _take_leave(self, generation: Generation, now: Now) -> None:
        """Scopes we wrote to that nobody wants any more; without an accepted state nobody can say so."""
        for scope in self.files.touched():
            if scope not in self.states:
                files = self.files.scope(scope)
                wanted = DesiredScope(scope, found.driver if (found := files.as_found()) else "")
                left = leave(wanted, generation, files.latch(), self._limits(wanted), now)
                self.states[scope] = paused(left, self.pauses.why)

    def _limits(self, scope: DesiredScope) -> Limits:
        least = FLAP_DEADLINE_S if any(e.kind == "pfc" for e in scope.elements) else 0.0
        least = least if scope.id.kind is ScopeKind.PORT else FABRIC_DEADLINE_S
        return replace(self.limits, deadline_s=max(self.limits.deadline_s, least))

    def _now(self) -> Now:
        return Now(time.monotonic(), time.time_ns())

    # What the session asks and tells.

    def greeting(self) -> Greeting:
        a, i = self.accepted, self.identity
        known = a if a is not None and a.controller_uuid else None
        return Greeting(
            node=i.node,
            version=i.version,
            boot_id=i.boot_id,
            follows=known.controller_uuid if known else "",
            accepted=known.generation if known else None,
            digest=known.digest if known else "",
            inventory=self.inventory,
        )

    def session_began(self, address: str, uuid: str) -> None:
        log.info("session with controller %s at %s", uuid, address)
        self.controller = replace(self.controller, address=address, connected=True, problem="")
        self.board.put_connected(connected=True)

    def session_ended(self, address: str, why: str) -> None:
        if self.controller.connected or self.controller.problem != why:
            log.warning("no session with a controller: %s; the last accepted state stays in force", why)
        self.controller = replace(self.controller, address=address, connected=False, problem=why)
        self.board.put_connected(connected=False)

    def refused_controller(self, reason: str) -> None:
        self.controller = replace(self.controller, refused=reason)
        self._publish()

    async def told(self, desired: Desired) -> Answer:
        """Accept a whole desired state: on disk first, then in force."""
        answer = admit(self.accepted, Heading(desired.controller_uuid, desired.generation, desired.digest))
        if not answer.accepted:
            self._refused(answer, desired.controller_uuid)
            return answer
        if self.accepted is not None and self.accepted.generation == desired.generation:
            return answer
        if refusal := await self._keep(desired):
            return refusal
        self._adopt(desired)
        return answer

    async def told_header(self, heading: Heading) -> Answer:
        """Nothing changed: only the generation rises."""
        answer = admit_header(self.accepted, heading)
        if not answer.accepted:
            self._refused(answer, heading.controller_uuid)
            return answer
        if self.accepted is None or self.accepted.generation == heading.generation:
            return answer
        advanced = replace(self.accepted, generation=heading.generation)
        if refusal := await self._keep(advanced):
            return refusal
        self.accepted = advanced
        self.controller = replace(self.controller, refused="")
        for scope in self.states:
            self.post(scope, Advanced(heading.generation))
        return answer

    async def told_pause(self, reason: str | None) -> None:
        """The controller stops every write, or (None) does not. In force at once, and on disk for the next start."""
        if reason == "" and self.pauses.controller is not None:
            return
        self._stop_writes(replace(self.pauses, controller=reason))
        try:
            await asyncio.to_thread(self._pause_files.keep_controller, reason)
        except SaveError as e:
            log.error("the controller's pause does not outlive this agent: %s", e)  # noqa: TRY400 - it says it all

    def look_for_pause(self) -> None:
        """Take up what ``trafficd-agent pause`` and ``resume`` left on disk."""
        self._stop_writes(replace(self.pauses, node=self._pause_files.node()))

    def _stop_writes(self, pauses: Pauses) -> None:
        if pauses == self.pauses:
            return
        self.pauses = pauses
        log.warning("%s", pauses.why or "writes are allowed again")
        self.board.put_pauses(pauses.controller is not None, pauses.node is not None)
        for scope in tuple(self.states):
            self.post(scope, Paused(pauses.why))
        self._publish()

    def told_grant(self, scope: ScopeId, grant: Granted) -> None:
        log.info("%s: leave for a %s of generation %s", scope, words(grant.disruption), grant.generation)
        self.post(scope, grant)

    def told_retry(self, scopes: tuple[ScopeId, ...]) -> None:
        for scope in scopes:
            self.post(scope, Retried())

    def on_trial(self) -> bool:
        """Whether a change waits for proof that the controller is still reached."""
        return any(s.trial is not None and s.running is None for s in self.states.values())

    async def proved(self, since: float) -> None:
        """The controller was reached by a connection begun at ``since``, monotonic seconds."""
        for scope, s in tuple(self.states.items()):
            if s.trial is not None and s.trial - s.revert_s <= since:
                self.post(scope, Reached())
        a = self.accepted
        open_ = any(s.trial is not None or s.stage is Stage.NEW for s in self.states.values())
        if a is not None and a.revert_in_s and not open_:
            # Proved: a later start, maybe without a controller, is no change.
            self.accepted = replace(a, revert_in_s=0.0)
            await self._keep(self.accepted)

    def waiting(self) -> tuple[ScopeId, ...]:
        """Scopes that wait for leave."""
        return tuple(i for i, s in self.states.items() if status(s).waiting_for is not None)

    async def _keep(self, desired: Desired) -> Answer | None:
        """On disk; a full one is told to the controller, and what was accepted stays in force."""
        try:
            await asyncio.to_thread(self.files.keep_accepted, desired)
        except SaveError as e:
            log.error("generation %s is not accepted: %s", desired.generation, e)  # noqa: TRY400 - it says it all
            self.controller = replace(self.controller, problem=str(e))
            return refuse(str(e))
        return None

    def _refused(self, answer: Answer, uuid: str) -> None:
        if self.accepted is not None and self.accepted.controller_uuid not in ("", uuid):
            self.refused_controller(answer.reason)

    def _adopt(self, desired: Desired) -> None:
        log.info("accepted generation %s of controller %s", desired.generation, desired.controller_uuid)
        self.accepted = desired
        self.controller = replace(self.controller, uuid=desired.controller_uuid, refused="")
        for gone in [i for i, s in self.states.items() if s.stage is Stage.LEFT]:
            del self.states[gone]
            if gone in self._workers:
                self._workers.pop(gone).end()
        wanted = {s.id: s for s in desired.scopes}
        for scope in wanted.values():
            fresh = paused(ScopeState(scope), self.pauses.why)
            self.states[scope.id] = replace(self.states.get(scope.id, fresh), limits=self._limits(scope))
        self._take_leave(desired.generation, self._now())
        for scope_id in tuple(self.states):
            self.post(scope_id, Told(wanted.get(scope_id), desired.generation, desired.revert_in_s))
        self._name_lanes(desired)

    def _name_lanes(self, desired: Desired) -> None:
        ports = [s for s in desired.scopes if s.id.kind is ScopeKind.PORT]
        self.board.put_lanes({s.id.name: tuple(_label(s, n) for n in s.lanes) for s in ports})
        self.board.put_said({s.id.name: PortLabel(s.rate_bps, s.nic_kind) for s in ports})

    # The machines.

    def post(self, scope: ScopeId, event: Event) -> None:
        """Step a scope's machine and carry out what it asks for."""
        before = self.states.get(scope)
        if before is None:
            return
        after, effects = step(before, event, self._now())
        self.states[scope] = after
        for effect in effects:
            if isinstance(effect, Stop):
                self._worker(scope).stop(effect.number)
            else:
                self._worker(scope).give(effect)
        if status(after) != status(before):
            self._tell(before, after)
        self._arm()

    def notice(self, cause: str, port: str = "") -> None:
        """Something changed on a port, or, when none is named, maybe on any."""
        for scope in tuple(self.states):
            if scope.kind is ScopeKind.PORT and port in ("", scope.name):
                self.post(scope, Noticed(cause))

    def _worker(self, scope: ScopeId) -> Worker:
        if scope not in self._workers:
            loop, bench = self._loop, Bench(self.drivers, self.files.scope(scope))

            def answer(done: Done) -> None:
                if loop is not None and not loop.is_closed():
                    loop.call_soon_threadsafe(self.post, scope, done)

            self._workers[scope] = Worker(str(scope), bench, answer)
        return self._workers[scope]

    def _arm(self) -> None:
        """One timer, for the scope that is due first."""
        if self._timer is not None:
            self._timer.cancel()
        wake = min((s.wake for s in self.states.values()), default=math.inf)
        if self._loop is not None and wake < math.inf:
            self._timer = self._loop.call_later(max(0.0, wake - time.monotonic()), self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        for scope in [i for i, s in self.states.items() if s.wake <= now]:
            self.post(scope, Tick())
        self._arm()

    def _pulse(self) -> None:
        """Proof, for the liveness probe, that the loop turns."""
        self.beat = time.monotonic()
        if self._loop is not None:
            self._loop.call_later(1.0, self._pulse)
        self._arm()

    def _tell(self, before: ScopeState, after: ScopeState) -> None:
        if after.apply_seconds != before.apply_seconds:
            self.board.add_apply(after.apply_seconds)
        if after.verdict != before.verdict:
            v = after.verdict
            ready = status(after).is_true(ConditionType.READY)
            log.log(
                logging.INFO if ready else logging.WARNING,
                "%s: %s%s",
                after.scope.id,
                v.reason,
                f": {v.message}" if v.message else "",
            )
        self._publish()

    def _publish(self) -> None:
        self.board.put_statuses(self.statuses())
        self.on_change()

    def statuses(self) -> tuple[ScopeStatus, ...]:
        """Every scope; while a second controller is refused, each says so."""
        return tuple(self._with_refusal(status(self.states[i])) for i in sorted(self.states))

    def _with_refusal(self, s: ScopeStatus) -> ScopeStatus:
        refused = self.controller.refused
        if not refused:
            return s
        said = tuple(
            replace(c, message=f"{c.message}; {refused}".removeprefix("; "))
            if c.type is ConditionType.READY
            else c
            for c in s.conditions
        )
        return replace(s, conditions=said)

    def document(self, dropped: int = 0) -> AgentStatus:
        i, a = self.identity, self.accepted
        return AgentStatus(
            i.node,
            i.version,
            i.boot_id,
            self.controller,
            a.generation if a else None,
            self.statuses(),
            tuple(self.files.problems),
            dropped,
            self.pauses,
        )

    def busy(self) -> Iterator[ScopeId]:
        """Scopes that are being written to or read, and whose driver still answers."""
        return (i for i, s in self.states.items() if s.running is not None and not s.running.hung)
