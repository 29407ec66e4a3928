"""The Control stream: Hello up, desired states down, acknowledgements and status up.

One session at a time, dialled again whenever it ends. Everything is level: a message lost with a session is made
up for by the next Hello and the next whole status.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import grpc

from trafficd.api.tls import TlsError
from trafficd.api.v1 import agent_pb2
from trafficd.api.v1.agent_pb2_grpc import AgentServiceStub
from trafficd_agent.desired import Desired, ScopeId
from trafficd_agent.scope import Granted
from trafficd_agent.session import messages
from trafficd_agent.session.admission import Answer, Heading, other_controller, refuse
from trafficd_agent.session.dial import Backoff, Dialer
from trafficd_agent.session.telemetry import Feed, send_telemetry
from trafficd_topology.model import NodeInventory
from trafficd_topology.qos.kinds import KINDS
from trafficd_topology.status import Generation, ScopeStatus

log = logging.getLogger(__name__)
WELCOME_S = 10.0
REACH_S = 3.0
REPORT_S = 30.0
"""A status goes at least this often, seconds, whether or not anything changed."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a Hello says of this agent. ``accepted`` is None before the first desired state."""

    node: str
    version: str
    boot_id: str
    follows: str
    accepted: Generation | None
    digest: str
    inventory: NodeInventory


class Node(Protocol):
    """What the session asks of the agent, and tells it."""

    def greeting(self) -> Greeting: ...
    def statuses(self) -> tuple[ScopeStatus, ...]: ...
    def session_began(self, address: str, uuid: str) -> None: ...
    async def told_pause(self, reason: str | None) -> None: ...
    def told_grant(self, scope: ScopeId, grant: Granted) -> None: ...
    def told_retry(self, scopes: tuple[ScopeId, ...]) -> None: ...
    def session_ended(self, address: str, why: str) -> None: ...
    def refused_controller(self, reason: str) -> None: ...
    async def told(self, desired: Desired) -> Answer: ...
    async def told_header(self, heading: Heading) -> Answer: ...


class SessionOverError(Exception):
    """The session is over; one sentence says why."""


def hello_out(g: Greeting) -> agent_pb2.ControlRequest:
    hello = agent_pb2.Hello(
        node=g.node,
        agent_version=g.version,
        boot_id=g.boot_id,
        controller_uuid=g.follows,
        accepted=messages.generation_out(g.accepted) if g.accepted else None,
        accepted_digest=g.digest,
        inventory=messages.inventory_out(g.inventory),
        sent_unix_ns=time.time_ns(),
        element_kinds=sorted(KINDS),
    )
    return agent_pb2.ControlRequest(hello=hello)


def acknowledgement_out(heading: Heading, answer: Answer) -> agent_pb2.ControlRequest:
    return agent_pb2.ControlRequest(
        acknowledgement=agent_pb2.Acknowledgement(
            generation=messages.generation_out(heading.generation),
            digest=heading.digest,
            accepted=answer.accepted,
            reason=answer.reason,
        )
    )


class ControlSession:
    """Keeps a session with the first controller that answers. ``changed`` says that there is a status to send."""

    def __init__(
        self, node: Node, feed: Feed, addresses: tuple[str, ...], backoff: Backoff, dialer: Dialer
    ) -> None:
        self._node, self._feed, self._addresses, self._backoff = node, feed, addresses, backoff
        self._dialer = dialer
        self._acknowledgements: deque[agent_pb2.ControlRequest] = deque()
        self._wake = asyncio.Event()
        self._status_due = False
        self._inventory_due = False

    def changed(self) -> None:
        self._status_due = True
        self._wake.set()

    def inventory_changed(self) -> None:
        self._inventory_due = True
        self._wake.set()

    async def reach(self) -> bool:
        """Whether a controller answers on a connection of its own, made now."""
        for address in self._addresses:
            with contextlib.suppress(TimeoutError, TlsError):
                async with self._dialer.channel(address) as ch:
                    # Ready means that the other side has sent the settings of HTTP/2.
                    await asyncio.wait_for(ch.channel_ready(), REACH_S)
                    return True
        return False

    async def run(self) -> NoReturn:
        """Dial, serve until the session ends, wait, dial the next address; for ever."""
        turn = 0
        while True:
            address = self._addresses[turn % len(self._addresses)]
            turn += 1
            try:
                await self._serve(address)
            except (SessionOverError, TlsError) as e:
                why = str(e)
            except grpc.aio.AioRpcError as e:
                why = self._dialer.why(address, e)
            self._node.session_ended(address, why)
            await asyncio.sleep(self._backoff.next())

    async def _serve(self, address: str) -> NoReturn:
        """One session; raises SessionOverError or AioRpcError when it ends."""
        await self._dialer.ready()
        async with self._dialer.channel(address) as ch:
            stub = AgentServiceStub(ch)
            call = stub.Control()
            greeting = self._node.greeting()
            await _write(call, hello_out(greeting))
            welcome = await self._welcome(call, greeting, address)
            self._backoff.reset()
            self._acknowledgements.clear()
            self._node.session_began(address, welcome.controller_uuid)
            await self._node.told_pause("" if welcome.paused else None)
            self._feed.set_interval(welcome.telemetry_interval_ms / 1000)
            self.changed()
            telemetry = send_telemetry(stub, greeting.node, self._feed, self._backoff)
            await _first_to_end(self._receive(call, welcome.controller_uuid), self._send(call), telemetry)
            raise SessionOverError(f"{address} ended the session")

    async def _welcome(self, call: Any, greeting: Greeting, address: str) -> agent_pb2.Welcome:
        try:
            message = await asyncio.wait_for(_read(call, address), WELCOME_S)
        except TimeoutError:
            raise SessionOverError(f"{address} did not answer the Hello within {WELCOME_S:g} s") from None
        if message.WhichOneof("message") != "welcome":
            raise SessionOverError(f"{address} did not begin with a Welcome: is it a trafficd controller?")
        if message.welcome.refusal:
            if (uuid := message.welcome.controller_uuid) and (
                both := other_controller(greeting.follows, uuid)
            ):
                self._node.refused_controller(both)
            raise SessionOverError(f"{address} refused this agent: {message.welcome.refusal}")
        if reason := other_controller(greeting.follows, message.welcome.controller_uuid):
            accepted = greeting.accepted or Generation()
            heading = Heading(message.welcome.controller_uuid, accepted, greeting.digest)
            await _write(call, acknowledgement_out(heading, refuse(reason)))
            await call.done_writing()
            self._node.refused_controller(reason)
            raise SessionOverError(reason)
        return message.welcome

    async def _receive(self, call: Any, uuid: str) -> None:
        while True:
            message = await _read(call, "the controller")
            kind = message.WhichOneof("message")
            if kind in ("pause", "grant", "retry"):
                await self._ordered(getattr(message, kind), uuid)
            if kind == "desired":
                desired = messages.desired_in(message.desired)
                heading = Heading(desired.controller_uuid, desired.generation, desired.digest)
                self._answer(heading, await self._node.told(desired))
            elif kind == "header":
                h = message.header
                heading = Heading(h.controller_uuid, messages.generation_in(h.generation), h.digest)
                answer = await self._node.told_header(heading)
                self._answer(heading, answer)
                if answer.resync:
                    await _drained(lambda: not self._acknowledgements)
                    raise SessionOverError(f"greeting again: {answer.reason}")

    async def _ordered(self, m: agent_pb2.Pause | agent_pb2.Grant | agent_pb2.Retry, uuid: str) -> None:
        """What is not a desired state; another controller's is ignored."""
        if m.controller_uuid != uuid:
            log.warning("ignored what controller %s says in the session of %s", m.controller_uuid, uuid)
        elif isinstance(m, agent_pb2.Pause):
            await self._node.told_pause(m.reason if m.paused else None)
        elif isinstance(m, agent_pb2.Grant):
            self._node.told_grant(messages.scope_in(m), messages.grant_in(m))
        else:
            self._node.told_retry(tuple(messages.scope_in(s) for s in m.scopes))

    def _answer(self, heading: Heading, answer: Answer) -> None:
        if not answer.accepted:
            log.warning("refused generation %s: %s", heading.generation, answer.reason)
        self._acknowledgements.append(acknowledgement_out(heading, answer))
        self._wake.set()

    async def _send(self, call: Any) -> None:
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), REPORT_S)
            except TimeoutError:
                self._status_due = True
            self._wake.clear()
            while self._acknowledgements:
                await _write(call, self._acknowledgements[0])
                self._acknowledgements.popleft()
            if self._inventory_due:
                self._inventory_due = False
                report = messages.inventory_out(self._node.greeting().inventory)
                await _write(call, agent_pb2.ControlRequest(inventory=report))
            if self._status_due:
                self._status_due = False
                statuses = messages.report_out(self._node.statuses())
                await _write(call, agent_pb2.ControlRequest(status=statuses))


async def _write(call: Any, message: agent_pb2.ControlRequest) -> None:
    try:
        await call.write(message)
    except asyncio.InvalidStateError as e:
        raise SessionOverError("the controller ended the session") from e


async def _read(call: Any, address: str) -> agent_pb2.ControlResponse:
    message = await call.read()
    if not isinstance(message, agent_pb2.ControlResponse):
        raise SessionOverError(f"{address} ended the session")
    return message


async def _drained(empty: Callable[[], bool]) -> None:
    """Give the sender at most a second to get the last acknowledgement out."""
    end = asyncio.get_running_loop().time() + 1.0
    while not empty() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.01)


async def _first_to_end(*coroutines: Any) -> None:
    """Run them side by side until one ends, cancel the others, and raise what it raised."""
    tasks = [asyncio.create_task(c) for c in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        if not task.cancelled():
            task.result()
