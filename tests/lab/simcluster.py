"""A whole cluster on one simulated clock: the real cores of controller and agents, and a wire that loses things.

Every message crosses as the bytes it is on the wire. A session is two queues; it breaks as a whole, and what is in its
queues is lost then. Desired states, headers and acknowledgements may also be lost, doubled or overtaken one by one,
which is worse than what the wire does.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.simagent import SimAgent

from trafficd.api.v1 import agent_pb2
from trafficd.app.files import Content, offer_fabric, offer_policy
from trafficd.app.restore import restored
from trafficd.convert import agents as convert
from trafficd.core.effects import (
    Greet,
    Persist,
    Refuse,
    SendDesired,
    SendGrant,
    SendHeader,
    SendPause,
    SendRetry,
)
from trafficd.core.events import Event, Gone, Settle, Tick
from trafficd.core.loop import step, unsaved
from trafficd.core.plan import PlanOptions
from trafficd.core.state import ControlState, Saved
from trafficd_agent.scope import Now
from trafficd_agent.session import messages
from trafficd_agent.session.admission import Heading
from trafficd_agent.session.control import acknowledgement_out, hello_out
from trafficd_topology.status import Generation

UUID = "controller-1"
LOOSE = ("desired", "header", "acknowledgement")
"""What the level triggers again when it is lost."""
QUIET = ("look", "verify")
SHIFTY = 3
"""How far a message may overtake others."""


@dataclass
class Session:
    number: int
    node: str
    to_agent: list[bytes] = field(default_factory=list)
    to_controller: list[bytes] = field(default_factory=list)


class Cluster:
    def __init__(self, directory: Path, nodes: tuple[str, ...], fabric: str) -> None:
        self.seconds = 10_000.0
        self.fired: Counter[str] = Counter()
        self.agents = {
            n: SimAgent(n, directory / n, self.clock, lambda n=n: self._say(n))  # type: ignore[misc]
            for n in nodes
        }
        self.sessions: dict[str, Session] = {}
        self.cut: set[str] = set()
        self._numbers = itertools.count(1)
        self.store, self.copies = Saved(UUID, Generation(1, 0)), [Saved(UUID, Generation(1, 0))]
        self.full, self.dies = False, False
        self.state: ControlState = restored(self.store, PlanOptions())
        self.offer_fabric(fabric)

    def clock(self) -> Now:
        return Now(self.seconds, int(self.seconds * 1e9))

    # The controller.

    def apply(self, event: Event) -> None:
        after, effects = step(self.state, event, self.seconds)
        assert after.generation >= self.state.generation, "the generation went back"
        persist = next((e for e in effects if isinstance(e, Persist)), None)
        if persist is not None and self.full:
            self.fired["disk full at the controller"] += 1
            after, effects = unsaved(self.state, event, "no room left")
            persist = None
        self.state = after
        if persist is not None:
            self.store = persist.saved
            self.copies.append(persist.saved)
            if self.dies:
                self.fired["controller killed between save and send"] += 1
                self.restart()
                return
        for effect in effects:
            self._send(effect)

    def restart(self, saved: Saved | None = None) -> None:
        """A new process on what was saved, or on an older copy of it."""
        self.dies = False
        self.store = self.store if saved is None else saved
        self.state = restored(self.store, PlanOptions())
        self.sessions.clear()

    def _send(self, effect: object) -> None:
        if isinstance(effect, Refuse):
            self.sessions.pop(effect.node, None)
        session = self.sessions.get(
            getattr(effect, "node", None) or getattr(getattr(effect, "waiting", None), "node", "")
        )
        message = _message(effect)
        if session is not None and message is not None and session.number == effect.session:  # type: ignore[attr-defined]
            session.to_agent.append(message.SerializeToString())

    def offer_policy(self, text: str) -> None:
        self.apply(offer_policy("policy.yaml", Content(text.encode())))
        self.apply(Settle())

    def offer_fabric(self, text: str) -> None:
        self.apply(offer_fabric("fabric.yaml", Content(text.encode())))
        self.apply(Settle())

    # The wire.

    def connect(self, node: str) -> None:
        agent = self.agents[node]
        if node in self.sessions or not agent.up or node in self.cut:
            return
        session = self.sessions[node] = Session(next(self._numbers), node)
        hello = hello_out(agent.greeting()).hello
        self.apply(convert.hello(session.number, hello, int(self.seconds * 1e9)))
        if self.sessions.get(node) is session:
            self.apply(Settle())
            agent.guarded(self._welcomed(session))
            self._say(node)

    def _welcomed(self, session: Session) -> Any:
        """An agent hears whether writes are stopped with the Welcome."""
        paused = self.state.pause is not None
        return lambda: self.agents[session.node].told_pause("" if paused else None)

    def hang_up(self, node: str) -> None:
        session = self.sessions.pop(node, None)
        if session is not None:
            self.apply(Gone(session.number, node))

    def kill(self, node: str) -> None:
        self.agents[node].kill()
        self.hang_up(node)

    def _say(self, node: str) -> None:
        session, agent = self.sessions.get(node), self.agents[node]
        if session is not None and agent.up:
            report = agent_pb2.ControlRequest(status=messages.report_out(agent.statuses()))
            session.to_controller.append(report.SerializeToString())

    def lose(self, node: str, *, down: bool) -> None:
        queue = self._queue(node, down=down)
        if queue and _kind(queue[0], down=down) in LOOSE:
            self.fired["message lost"] += 1
            queue.pop(0)

    def double(self, node: str, *, down: bool) -> None:
        queue = self._queue(node, down=down)
        if queue and _kind(queue[0], down=down) in LOOSE:
            self.fired["message doubled"] += 1
            queue.append(queue[0])

    def overtake(self, node: str, *, down: bool) -> None:
        queue = self._queue(node, down=down)
        front = [_kind(m, down=down) for m in queue[:SHIFTY]]
        if len(front) > 1 and all(k in LOOSE for k in front):
            self.fired["message overtaken"] += 1
            queue.insert(0, queue.pop(len(front) - 1))

    def _queue(self, node: str, *, down: bool) -> list[bytes]:
        session = self.sessions.get(node)
        return [] if session is None else session.to_agent if down else session.to_controller

    def deliver(self, node: str, *, down: bool) -> None:
        """The next message of one direction arrives."""
        queue, session = self._queue(node, down=down), self.sessions.get(node)
        if not queue or session is None:
            return
        data = queue.pop(0)
        if down:
            self.agents[node].guarded(
                lambda: self._to_agent(session, agent_pb2.ControlResponse.FromString(data))
            )
            if not self.agents[node].up:
                self.hang_up(node)
        else:
            self._to_controller(session, agent_pb2.ControlRequest.FromString(data))

    def _to_agent(self, session: Session, m: agent_pb2.ControlResponse) -> None:
        agent = self.agents[session.node]
        if not agent.up:
            return
        kind = m.WhichOneof("message")
        if kind == "desired":
            desired = messages.desired_in(m.desired)
            heading = Heading(desired.controller_uuid, desired.generation, desired.digest)
            answer = agent.told(desired)
        elif kind == "header":
            h = m.header
            heading = Heading(h.controller_uuid, messages.generation_in(h.generation), h.digest)
            answer = agent.told_header(heading)
        else:
            self._ordered(agent, m)
            return
        session.to_controller.append(acknowledgement_out(heading, answer).SerializeToString())
        if answer.resync:
            self.fired["agent asked to be greeted again"] += 1
            self.hang_up(session.node)

    @staticmethod
    def _ordered(agent: SimAgent, m: agent_pb2.ControlResponse) -> None:
        kind = m.WhichOneof("message")
        if kind == "pause":
            agent.told_pause(m.pause.reason if m.pause.paused else None)
        elif kind == "retry":
            agent.told_retry(tuple(messages.scope_in(s) for s in m.retry.scopes))
        elif kind == "grant":
            agent.told_grant(messages.scope_in(m.grant), messages.grant_in(m.grant))

    def _to_controller(self, session: Session, m: agent_pb2.ControlRequest) -> None:
        if m.WhichOneof("message") == "acknowledgement":
            self.apply(convert.acknowledged(session.number, session.node, m.acknowledgement))
        else:
            self.apply(convert.status_reported(session.number, session.node, m.status))

    # Time.

    def flush(self) -> None:
        """Every message arrives, in order, until none is under way."""
        for _ in range(1000):
            busy = [
                (s.node, down)
                for s in tuple(self.sessions.values())
                for down in (True, False)
                if self._queue(s.node, down=down)
            ]
            if not busy:
                return
            for node, down in busy:
                self.deliver(node, down=down)
        raise AssertionError("messages without end")

    def advance(self, seconds: float, *, deliver: bool = False, every: float = 1.0) -> None:
        end = self.seconds + seconds
        while self.seconds < end:
            due = min((a.wake() for a in self.agents.values()), default=end)
            self.seconds = min(end, max(self.seconds + 0.01, min(due, self.seconds + every)))
            for node, agent in self.agents.items():
                agent.guarded(agent.tick)
                if not agent.up:
                    self.hang_up(node)
                elif node in self.sessions:
                    agent.guarded(lambda a=agent: a.prove(self.seconds))  # type: ignore[misc]
            self.apply(Tick())
            if deliver:
                self.flush()

    def text(self) -> str:
        """Where everything stands, for a person who looks at a failure."""
        lines = [f"controller at {self.state.generation}, gap {self.state.gap}, rollout {self.state.rollout}"]
        for node, agent in self.agents.items():
            lines.append(
                f"{node}: {'up' if agent.up else 'down'}, {'session' if node in self.sessions else 'no session'}"
            )
            for i, s in (agent.life.states if agent.life else {}).items():
                held = hashlib.sha256(repr(agent.driver.device.holds(i.name)).encode()).hexdigest()[:6]
                lines.append(f"  {i} {s.stage} {s.generation} {s.verdict} holds {held}")
            lines += [
                f"    {t.port} {t.generation}/{t.attempt} {t.purpose} {t.outcome.result} {t.outcome.message}"
                for t in agent.turns
                if t.purpose not in QUIET or t.outcome.touched
            ]
        return "\n".join(lines)


def _kind(data: bytes, *, down: bool) -> str:
    kind = agent_pb2.ControlResponse if down else agent_pb2.ControlRequest
    return str(kind.FromString(data).WhichOneof("message"))


def _message(effect: object) -> agent_pb2.ControlResponse | None:
    """What is sent for an effect; the Welcome is heard at once."""
    if isinstance(effect, SendDesired):
        return convert.desired_message(effect, UUID)
    if isinstance(effect, SendHeader):
        return convert.header_message(effect, UUID)
    if isinstance(effect, SendPause):
        return convert.pause_message(effect.pause, UUID)
    if isinstance(effect, SendRetry):
        return convert.retry_message(effect, UUID)
    if isinstance(effect, SendGrant):
        return convert.grant_message(effect, UUID)
    assert not isinstance(effect, Greet) or effect.session
    return None
