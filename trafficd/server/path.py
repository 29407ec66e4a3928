"""PathService: what inference schedulers speak. Everything runs in the loop that calls it; no call waits for another.

``Recommend`` reads the latest snapshot and the ledger and never the control loop, so that no answer waits for a
policy to compile or a rollout to end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

import grpc

from trafficd.api.v1 import path_pb2, path_pb2_grpc
from trafficd.choice.engine import PathEngine
from trafficd.choice.request import Answer, EngineRef
from trafficd.choice.snapshot import Snapshot
from trafficd.convert.path import (
    answer_message,
    engine_report,
    lease_message,
    problem_message,
    request,
    reservation,
    snapshot_message,
)

MIN_INTERVAL_S = 0.05
"""No watcher gets snapshots faster than this, whatever it asks for."""
GRACE_S = 30.0
"""Engines whose reporter's stream ended are forgotten after so long, unless they report again."""
MOST_PROBLEMS = 1000
"""Problems told at the end of one stream of reports."""
NO_SNAPSHOT = "there is no snapshot to choose from yet: give the controller a fabric file"

Context = grpc.aio.ServicerContext[Any, Any]


class Answers(Protocol):
    """Who counts answers. ``result`` is ok, fallback, or a status code's name in lower case."""

    def answered(self, result: str, seconds: float, data_age_s: float | None) -> None: ...


class PathService(path_pb2_grpc.PathServiceServicer):
    """Serves one path engine. ``publish`` hands it a snapshot and wakes the watchers."""

    def __init__(self, engine: PathEngine, answers: Answers | None = None) -> None:
        self._engine = engine
        self._answers = answers
        self._latest: path_pb2.WatchResponse | None = None
        self._changed = asyncio.Event()
        self._watchers = 0

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
        started = time.perf_counter()
        if self._engine.snapshot is None:
            self._count("unavailable", started, None)
            await context.abort(grpc.StatusCode.UNAVAILABLE, NO_SNAPSHOT)
        answer = self._engine.recommend(request(message), time.monotonic())
        told = answer_message(answer)
        if self._answers is not None:
            self._count("ok" if answer.fallback is None else "fallback", started, answer)
        return told

    async def Reserve(  # noqa: N802
        self, message: path_pb2.ReserveRequest, _context: Context
    ) -> path_pb2.ReserveResponse:
        lease, problems = self._engine.reserve(reservation(message.reservation), time.monotonic())
        return path_pb2.ReserveResponse(
            lease=lease_message(lease), problems=[problem_message(p) for p in problems]
        )

    async def Renew(  # noqa: N802
        self, message: path_pb2.RenewRequest, context: Context
    ) -> path_pb2.RenewResponse:
        if not message.lease_id or not message.HasField("reservation"):
            text = "a renewal names its lease and carries the whole reservation"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        lease = self._engine.renew(message.lease_id, reservation(message.reservation), time.monotonic())
        return path_pb2.RenewResponse(lease=lease_message(lease))

    async def Release(  # noqa: N802
        self, message: path_pb2.ReleaseRequest, _context: Context
    ) -> path_pb2.ReleaseResponse:
        return path_pb2.ReleaseResponse(existed=self._engine.release(message.lease_id, time.monotonic()))

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


def register(service: PathService, server: grpc.aio.Server) -> None:
    """Add the service to a server."""
    path_pb2_grpc.add_PathServiceServicer_to_server(service, server)
