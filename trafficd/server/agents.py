"""AgentService: the two streams that agents open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from trafficd import __version__
from trafficd.api.v1 import agent_pb2, agent_pb2_grpc
from trafficd.convert.agents import (
    acknowledged,
    hello,
    inventory_reported,
    pause_message,
    status_reported,
)
from trafficd.convert.telemetry import column, sample
from trafficd.core.effects import Greet, Refuse
from trafficd.core.events import Event, Gone
from trafficd.server.access import for_its_own_node
from trafficd.server.control import Control, TelemetrySink
from trafficd.server.sessions import Outbox, Sessions, order_message

HELLO_S = 10.0
"""A stream that has not said hello by then is closed."""
MAX_COLUMNS = 100_000

ControlContext = grpc.aio.ServicerContext[agent_pb2.ControlRequest, agent_pb2.ControlResponse]
TelemetryContext = grpc.aio.ServicerContext[agent_pb2.TelemetryRequest, agent_pb2.TelemetryResponse]


@dataclass(frozen=True, slots=True)
class Terms:
    """What every agent is told at its welcome. ``uuid`` gives the controller's, which a recovery changes."""

    uuid: Callable[[], str]
    telemetry_interval_ms: int


class AgentServicer(agent_pb2_grpc.AgentServiceServicer):
    """Turns streams into events and outboxes into streams; decides nothing."""

    def __init__(self, control: Control, sessions: Sessions, telemetry: TelemetrySink, terms: Terms) -> None:
        self._control = control
        self._sessions = sessions
        self._telemetry = telemetry
        self._terms = terms

    async def Control(  # noqa: N802 - the method's name in the contract
        self, requests: AsyncIterator[agent_pb2.ControlRequest], context: ControlContext
    ) -> None:
        first = (await _first(requests, context)).hello
        await for_its_own_node(context, first.node)
        number, outbox = self._sessions.open()
        reader = asyncio.create_task(self._read(number, first, requests, outbox))
        try:
            await self._write(outbox, context)
            await _close(reader, context)
        finally:
            reader.cancel()
            self._sessions.close(number)
            self._control.post(Gone(number, first.node))

    async def _read(
        self,
        number: int,
        first: agent_pb2.Hello,
        requests: AsyncIterator[agent_pb2.ControlRequest],
        outbox: Outbox,
    ) -> str:
        """Hand over what the agent says, one event at a time; returns why it is to be closed, empty when it left."""
        try:
            await self._control.submit(hello(number, first, time.time_ns()))
            async for request in requests:
                event = _event(number, first.node, request)
                if event is None:
                    return "a message of this stream names another node, or is of a kind this version does not know"
                await self._control.submit(event)
        except grpc.RpcError:
            return ""  # the connection broke; the stream's own end says the rest
        finally:
            outbox.close()
        return ""

    async def _write(self, outbox: Outbox, context: ControlContext) -> None:
        while (item := await outbox.get()) is not None:
            if isinstance(item, Greet | Refuse):
                await context.write(self._welcome(item))
                if isinstance(item, Refuse):
                    return
                if item.pause is not None:
                    await context.write(pause_message(item.pause, self._terms.uuid()))
            else:
                await context.write(order_message(item, self._terms.uuid()))

    def _welcome(self, answer: Greet | Refuse) -> agent_pb2.ControlResponse:
        return agent_pb2.ControlResponse(
            welcome=agent_pb2.Welcome(
                controller_uuid=self._terms.uuid(),
                controller_version=__version__,
                telemetry_interval_ms=self._terms.telemetry_interval_ms,
                refusal=answer.reason if isinstance(answer, Refuse) else "",
                paused=isinstance(answer, Greet) and answer.pause is not None,
            )
        )

    async def Telemetry(  # noqa: N802
        self, requests: AsyncIterator[agent_pb2.TelemetryRequest], context: TelemetryContext
    ) -> agent_pb2.TelemetryResponse:
        first = (await _first(requests, context)).hello
        await for_its_own_node(context, first.node)
        if len(first.columns) > MAX_COLUMNS:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"{len(first.columns)} columns: a node may send at most {MAX_COLUMNS}",
            )
        self._telemetry.hello(first.node, tuple(column(c) for c in first.columns))
        async for request in requests:
            if request.WhichOneof("message") != "sample" or len(request.sample.values) != len(first.columns):
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"after the hello come samples of {len(first.columns)} values, one per column",
                )
            self._telemetry.sample(first.node, sample(request.sample), time.monotonic())
        return agent_pb2.TelemetryResponse()


async def _first(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]) -> Any:
    """The first request, which must be a hello that names its node; aborts the stream otherwise."""
    try:
        async with asyncio.timeout(HELLO_S):
            request = await anext(aiter(requests), None)
    except TimeoutError:
        await context.abort(
            grpc.StatusCode.DEADLINE_EXCEEDED, f"no hello within {HELLO_S:g} seconds: say hello first"
        )
    if request is None or request.WhichOneof("message") != "hello" or not request.hello.node:
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            "the first message of this stream must be a hello that names its node",
        )
    return request


async def _close(reader: asyncio.Task[str], context: ControlContext) -> None:
    if reader.done() and (reason := reader.result()):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, reason)


def _event(number: int, node: str, request: agent_pb2.ControlRequest) -> Event | None:
    match request.WhichOneof("message"):
        case "hello" if request.hello.node == node:
            return hello(number, request.hello, time.time_ns())
        case "acknowledgement":
            return acknowledged(number, node, request.acknowledgement)
        case "status":
            return status_reported(number, node, request.status)
        case "inventory":
            return inventory_reported(number, node, request.inventory)
    return None
