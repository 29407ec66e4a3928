"""The Telemetry stream: columns once, then a sample whenever there is a newer one than the stream could take."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NoReturn, Protocol

import grpc

from trafficd.api.v1 import agent_pb2
from trafficd_agent.session import messages
from trafficd_agent.session.dial import Backoff
from trafficd_topology.counters import Column, Sample

log = logging.getLogger(__name__)


class Feed(Protocol):
    """Where samples come from. Those that nobody fetched in time are dropped, never queued."""

    def set_interval(self, seconds: float) -> None:
        """How often to sample; 0 leaves it as it is."""
        ...

    async def next(self) -> tuple[tuple[Column, ...], Sample]:
        """The newest sample that was not fetched yet, and its columns."""
        ...


async def send_telemetry(stub: Any, node: str, feed: Feed, backoff: Backoff) -> NoReturn:
    """Keep a stream open; a failing one never disturbs control."""
    waits = Backoff(backoff.random, base=1.0)
    while True:
        try:
            await _one_stream(stub, node, feed, waits)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as e:
            why = e.details() if isinstance(e, grpc.aio.AioRpcError) else "the controller ended it"
            log.info("telemetry stream ended: %s", why)
            await asyncio.sleep(waits.next())


async def _one_stream(stub: Any, node: str, feed: Feed, waits: Backoff) -> None:
    """One stream, until the columns change."""
    columns, sample = await feed.next()
    call = stub.Telemetry()
    try:
        hello = agent_pb2.TelemetryHello(node=node, columns=[messages.column_out(c) for c in columns])
        await call.write(agent_pb2.TelemetryRequest(hello=hello))
        now = columns
        while now == columns:
            await call.write(agent_pb2.TelemetryRequest(sample=messages.sample_out(sample)))
            waits.reset()
            now, sample = await feed.next()
        await call.done_writing()
        await call
    finally:
        call.cancel()
