"""The client for asyncio. The same as ``trafficd.client.sync``, with tasks for threads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Self

import grpc

from trafficd.api.v1 import path_pb2, path_pb2_grpc
from trafficd.choice.request import (
    INVALID_ARGUMENT,
    Answer,
    EngineReport,
    ItemProblem,
    Lease,
    LegBytes,
    Request,
    Reservation,
)
from trafficd.choice.snapshot import Marking, Snapshot
from trafficd.client import convert
from trafficd.client.breaker import Breaker
from trafficd.client.channel import (
    CONTROL_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    NOT_ASKED,
    OPTIONS,
    client_name,
    pause_s,
    reason,
)
from trafficd.client.check import (
    is_text,
    legs_of,
    problems_of,
    problems_of_reports,
    problems_of_reservation,
    seconds_or,
)
from trafficd.client.local import Local, Order, Settings

__all__ = ["AsyncClient", "connect"]

log = logging.getLogger("trafficd.client")
_FAILED = (grpc.RpcError, grpc.aio.UsageError, ValueError)
"""What gRPC raises: a call that failed, and any call on a closed channel."""


def connect(
    target: str,
    settings: Settings | None = None,
    credentials: grpc.ChannelCredentials | None = None,
) -> AsyncClient:
    """A client of the controller at ``host:port``; call it in a running event loop. Returns at once.

    Without ``credentials`` the connection is neither encrypted nor authenticated.
    """
    if credentials is None:
        channel = grpc.aio.insecure_channel(target, options=OPTIONS)
    else:
        channel = grpc.aio.secure_channel(target, credentials, options=OPTIONS)
    return AsyncClient(channel, settings or Settings())


class AsyncClient:
    """For one event loop. Close it, or use it as an asynchronous context manager."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._channel = channel
        self._stub = path_pb2_grpc.PathServiceStub(channel)
        self._settings = settings
        self._local = Local(client_name(), settings)
        self._breaker = Breaker()
        self._orders = asyncio.Event()
        self._reports = asyncio.Event()
        self._news = asyncio.Event()
        self._reporting = False
        self._tasks: list[asyncio.Task[None]] = []
        self._start(self._watch())
        self._start(self._tell())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def snapshot(self) -> Snapshot | None:
        """The last snapshot that came; None before the first."""
        return self._local.snapshot

    async def wait_ready(self, timeout_s: float) -> bool:
        """Wait until a snapshot is there; False when none came in time. Nothing needs this but start-up checks."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout_s)
        return self._local.snapshot is not None

    async def recommend(self, request: Request, timeout_s: float = DEFAULT_TIMEOUT_S) -> Answer:
        """Through which NICs this read should go. Never raises; what is wrong is in ``problems`` and ``fallback``.

        Asks the controller for at most ``timeout_s``; 0 does not ask and chooses from the last snapshot.
        """
        try:
            problems = problems_of(request)
            if problems:
                return Answer((), problems=problems)
            return await self._recommend(request, seconds_or(timeout_s, DEFAULT_TIMEOUT_S))
        except Exception as e:  # a scheduler's hot path must not see an exception
            log.exception("recommend failed")
            return _failed(e)

    def choose(self, request: Request) -> Answer:
        """Choose from the last snapshot without asking: no round trip, and nothing to await. Never raises."""
        try:
            problems = problems_of(request)
            return Answer((), problems=problems) if problems else self._choose(request, "")
        except Exception as e:  # as above
            log.exception("choose failed")
            return _failed(e)

    async def _recommend(self, request: Request, timeout_s: float) -> Answer:
        why = ""
        if timeout_s > 0 and self._breaker.allows(time.monotonic()):
            try:
                told = await self._stub.Recommend(convert.request_message(request), timeout=timeout_s)
            except _FAILED as e:
                self._breaker.failed(time.monotonic())
                why = reason(e, timeout_s)
            else:
                return self._accept(request, convert.answer(told))
        elif timeout_s > 0:
            why = NOT_ASKED
        return self._choose(request, why)

    def _choose(self, request: Request, why: str) -> Answer:
        answer = self._local.choose(request, time.monotonic(), why)
        if answer.lease is not None:
            self._orders.set()
        return answer

    def _accept(self, request: Request, answer: Answer) -> Answer:
        self._breaker.succeeded()
        if answer.lease is not None:
            self._local.accept(request, answer, time.monotonic())
            self._orders.set()
        return answer

    def reserve(self, reservation: Reservation) -> tuple[Lease | None, tuple[ItemProblem, ...]]:
        """Account for a choice of your own. Returns at once: the controller hears of it from the background."""
        problems = problems_of_reservation(reservation)
        if problems:
            return None, problems
        self._orders.set()
        return self._local.reserve(reservation, time.monotonic())

    def renew(self, lease_id: str, legs: Sequence[LegBytes]) -> bool:
        """Say what is left of a lease. Returns at once; False for a lease that is not this client's (any more)."""
        if not is_text(lease_id) or (stated := legs_of(legs)) is None:
            return False
        self._orders.set()
        return self._local.restate(lease_id, stated, time.monotonic())

    def release(self, lease_id: str) -> bool:
        """End a lease: the read is done, or will not be. Returns at once; False for one that is not this client's."""
        if not is_text(lease_id):
            return False
        self._orders.set()
        return self._local.release(lease_id, time.monotonic())

    def report_engines(self, reports: Sequence[EngineReport]) -> tuple[ItemProblem, ...]:
        """Announce engines and their queues. Returns at once: only the newest report of each engine is sent."""
        problems = problems_of_reports(reports)
        if problems:
            return problems
        self._local.report(reports)
        self._reports.set()
        if not self._reporting:
            self._reporting = True
            self._start(self._report())
        return ()

    def marking(self, traffic_class: str, link_layer: int) -> Marking | None:
        """How to mark a class's packets on a link layer; None while no snapshot says."""
        return self._local.marking(traffic_class, link_layer)

    async def close(self) -> None:
        """Send the releases that wait and end the background work; takes at most about a second.

        Leases end by themselves; afterwards answers come from the last snapshot.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tell_all(), CONTROL_TIMEOUT_S)
        await self._channel.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _watch(self) -> None:
        """Keep a stream of snapshots open, for as long as the client lives."""
        failures = 0
        while True:
            try:
                failures = 0 if await self._watch_once() else failures + 1
            except _FAILED as e:
                failures += 1
                log.debug("watch: %s", reason(e, 0.0))
            except Exception:
                failures += 1
                log.exception("a snapshot could not be used")
            await asyncio.sleep(pause_s(failures))

    async def _watch_once(self) -> bool:
        """One stream, to its end; whether anything came."""
        wanted = path_pb2.WatchRequest(min_interval_ms=int(self._settings.watch_interval_s * 1000))
        first = True
        async for message in self._stub.Watch(wanted):
            snapshot = convert.snapshot(message.snapshot, self._local.snapshot)
            self._local.take(snapshot, time.monotonic(), first=first)
            self._breaker.succeeded()
            self._news.set()
            self._orders.set()
            first = False
        return not first

    async def _tell(self) -> None:
        """Carry orders about leases to the controller."""
        while True:
            self._orders.clear()
            await self._tell_all()
            at = self._local.next_order()
            with contextlib.suppress(TimeoutError):
                left = None if at is None else max(0.0, at - time.monotonic())
                await asyncio.wait_for(self._orders.wait(), left)

    async def _tell_all(self) -> None:
        for order in self._local.orders(time.monotonic()):
            if not await self._tell_one(order):
                return

    async def _tell_one(self, order: Order) -> bool:
        """False when the controller did not take it: the rest would fare no better, all come again."""
        try:
            ttl_s = await self._send(order)
        except _FAILED as e:
            log.debug("lease %s: %s", order.lease_id, reason(e, CONTROL_TIMEOUT_S))
            return False
        self._local.told(order, ttl_s, time.monotonic())
        return True

    async def _send(self, order: Order) -> float:
        if order.reservation is None:
            message = path_pb2.ReleaseRequest(lease_id=order.lease_id)
            await self._stub.Release(message, timeout=CONTROL_TIMEOUT_S)
            return 0.0
        renewal = path_pb2.RenewRequest(
            lease_id=order.lease_id, reservation=convert.reservation_message(order.reservation)
        )
        return convert.lease((await self._stub.Renew(renewal, timeout=CONTROL_TIMEOUT_S)).lease).ttl_s

    async def _report(self) -> None:
        """Keep a stream of engine reports open; each new one begins with everything."""
        failures = 0
        while True:
            self._reports.set()
            try:
                await self._stub.ReportEngines(self._messages())
                failures = 0
            except _FAILED as e:
                failures += 1
                log.debug("report: %s", reason(e, 0.0))
            await asyncio.sleep(pause_s(failures))

    async def _messages(self) -> AsyncIterator[path_pb2.ReportEnginesRequest]:
        """Everything known, then what is new."""
        while True:
            await self._reports.wait()
            self._reports.clear()
            reports = self._local.reports()
            yield path_pb2.ReportEnginesRequest(engines=[convert.report_message(r) for r in reports])


def _failed(error: Exception) -> Answer:
    return Answer(
        (), problems=(ItemProblem("request", INVALID_ARGUMENT, f"{type(error).__name__}: {error}"),)
    )
