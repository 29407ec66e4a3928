"""PathService: what inference schedulers speak. Everything runs in the loop that calls it; no call waits for another.

``Recommend`` reads the latest snapshot and the ledger and never the control loop, so that no answer waits for a
policy to compile or a rollout to end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TypeVar

import grpc

from trafficd.api.v1 import path_pb2, path_pb2_grpc
from trafficd.choice.engine import PathEngine
from trafficd.choice.request import Answer, EngineRef, FallbackReason
from trafficd.choice.snapshot import Snapshot
from trafficd.convert.path import (
    answer_message,
    engine_report,
    own_choice,
    problem_message,
    request,
    snapshot_message,
)
from trafficd.core.recent import Recent
from trafficd.server import converse
from trafficd.server.shadows import ShadowLog

MIN_INTERVAL_S = 0.05
"""No watcher gets snapshots faster than this, whatever it asks for."""
GRACE_S = 30.0
"""Engines whose reporter's stream ended are forgotten after so long, unless they report again."""
MOST_PROBLEMS = 1000
"""Problems told at the end of one stream of reports."""
NO_SNAPSHOT = "there is no snapshot to choose from yet: give the controller a fabric file"

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]


class Answers(Protocol):
    """Who counts answers. ``result`` is ok, fallback, or a status code's name in lower case."""

    def answered(self, result: str, seconds: float, data_age_s: float | None) -> None: ...

    def fell_back(self, reason: FallbackReason) -> None: ...

    def shadowed(self, own_seconds: float, our_seconds: float, problem: str) -> None: ...


class PathService(path_pb2_grpc.PathServiceServicer):
    """Serves one path engine. ``publish`` hands it a snapshot and wakes the watchers."""

    def __init__(
        self, engine: PathEngine, answers: Answers | None = None, recent: Recent | None = None
    ) -> None:
        self._engine = engine
        self._recent = Recent() if recent is None else recent
        self._answers = answers
        self._latest: path_pb2.WatchResponse | None = None
        self._changed = asyncio.Event()
        self._watchers = 0
        self._shadows = ShadowLog()

    @property
    def engine(self) -> PathEngine:
        return self._engine

    def publish(self, snapshot: Snapshot) -> None:
        """From now on answers rest on this snapshot; watchers get it as soon as their interval allows."""
        now = time.monotonic()
        self._engine.swap(snapshot, now)
        self._engine.ledger.expire(now)
        self._latest = None
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def Watch(  # noqa: N802 - the method's name in the contract
        self, request: path_pb2.WatchRequest, _context: Context
    ) -> AsyncIterator[path_pb2.WatchResponse]:
        """The first at once. A slow watcher skips to the latest: what it did not take is not kept for it."""
        interval = max(request.min_interval_ms / 1000, MIN_INTERVAL_S)
        while True:
            changed = self._changed
            message = self._message()
            if message is not None:
                yield message
                await asyncio.sleep(interval)
            await changed.wait()

    def _message(self) -> path_pb2.WatchResponse | None:
        """The latest snapshot as all watchers get it; made at most once per snapshot."""
        snapshot = self._engine.snapshot
        if self._latest is None and snapshot is not None:
            self._latest = path_pb2.WatchResponse(snapshot=snapshot_message(snapshot))
        return self._latest

    async def Recommend(  # noqa: N802
        self, message: path_pb2.RecommendRequest, context: Context
    ) -> path_pb2.RecommendResponse:
        if self._engine.snapshot is None:
            await self._unavailable(context)
        return self.recommend(message)

    async def RecommendBatch(  # noqa: N802
        self, message: path_pb2.RecommendBatchRequest, context: Context
    ) -> path_pb2.RecommendBatchResponse:
        if self._engine.snapshot is None:
            await self._unavailable(context)
        return await _or_abort(context, lambda: converse.batch(self.recommend, message.requests))

    async def Converse(  # noqa: N802
        self, requests: AsyncIterator[path_pb2.ConverseRequest], context: Context
    ) -> AsyncIterator[path_pb2.ConverseResponse]:
        if self._engine.snapshot is None:
            await self._unavailable(context)
        async for told in converse.Conversation(self._engine, self.recommend).run(requests):
            yield told

    async def _unavailable(self, context: Context) -> None:
        self._count("unavailable", time.perf_counter(), None)
        await context.abort(grpc.StatusCode.UNAVAILABLE, NO_SNAPSHOT)

    def recommend(self, message: path_pb2.RecommendRequest) -> path_pb2.RecommendResponse:
        """One answer, counted; beside a scheduler's own choice where it tells one."""
        started, now = time.perf_counter(), time.monotonic()
        asked = request(message)
        if message.HasField("own_choice"):
            answer = self._engine.shadow(asked, own_choice(message.own_choice), now)
        else:
            answer = self._engine.recommend(asked, now)
        if answer.shadow is not None:
            self._shadows.add(answer.shadow, now)
        told = answer_message(answer)
        self._recent.note(asked, answer, time.time_ns())
        if self._answers is not None:
            self._count("ok" if answer.fallback is None else "fallback", started, answer)
            if answer.fallback is not None:
                self._answers.fell_back(answer.fallback.reason)
            if answer.shadow is not None:
                self._answers.shadowed(
                    answer.shadow.own_seconds, answer.shadow.our_seconds, answer.shadow.problem
                )
        return told

    async def Reserve(  # noqa: N802
        self, message: path_pb2.ReserveRequest, _context: Context
    ) -> path_pb2.ReserveResponse:
        return converse.reserve(self._engine, message)

    async def Renew(  # noqa: N802
        self, message: path_pb2.RenewRequest, context: Context
    ) -> path_pb2.RenewResponse:
        return await _or_abort(context, lambda: converse.renew(self._engine, message))

    async def Release(  # noqa: N802
        self, message: path_pb2.ReleaseRequest, _context: Context
    ) -> path_pb2.ReleaseResponse:
        return converse.release(self._engine, message)

    async def ReportEngines(  # noqa: N802
        self, requests: AsyncIterator[path_pb2.ReportEnginesRequest], _context: Context
    ) -> path_pb2.ReportEnginesResponse:
        spoken: set[EngineRef] = set()
        problems: dict[tuple[str, str], path_pb2.ItemProblem] = {}
        try:
            async for message in requests:
                reports = [engine_report(r) for r in message.engines]
                spoken.update(r.engine for r in reports)
                for problem in self._engine.report(reports, time.monotonic()):
                    if len(problems) < MOST_PROBLEMS:
                        problems[problem.item, problem.reason] = problem_message(problem)
        finally:
            ended = time.monotonic()
            loop = asyncio.get_running_loop()
            loop.call_later(GRACE_S, self._engine.forget, frozenset(spoken), ended)
        return path_pb2.ReportEnginesResponse(problems=list(problems.values()))

    def _count(self, result: str, started: float, answer: Answer | None) -> None:
        if self._answers is None:
            return
        age = None
        if answer is not None and answer.measured_unix_ns:
            age = max(0.0, (time.time_ns() - answer.measured_unix_ns) / 1e9)
        self._answers.answered(result, time.perf_counter() - started, age)


async def _or_abort(context: Context, what: Callable[[], T]) -> T:
    """The answer; a request that its sender must put right ends with INVALID_ARGUMENT."""
    try:
        return what()
    except converse.BadRequestError as e:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(e))


def register(service: PathService, server: grpc.aio.Server) -> None:
    """Add the service to a server."""
    path_pb2_grpc.add_PathServiceServicer_to_server(service, server)
