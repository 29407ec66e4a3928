"""What a scheduler says on its stream, one message after the other: each kind has one function, in one table."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

from trafficd.api.v1 import path_pb2
from trafficd.choice.engine import PathEngine
from trafficd.choice.request import INVALID_ARGUMENT, ItemProblem
from trafficd.convert.path import lease_message, problem_message, reservation

MOST_AT_ONCE = 1024
"""Requests of one batch: all other callers wait until it is answered."""
TOO_MANY = f"more than {MOST_AT_ONCE} requests in one batch: send several"
NO_LEASE = "a renewal names its lease and carries the whole reservation"
NOTHING = path_pb2.ConverseResponse()


class BadRequestError(ValueError):
    """A message that its sender must put right; the text says how."""


class Recommends(Protocol):
    """Answers one request."""

    def __call__(self, message: path_pb2.RecommendRequest) -> path_pb2.RecommendResponse: ...


def batch(
    answer: Recommends, requests: Iterable[path_pb2.RecommendRequest]
) -> path_pb2.RecommendBatchResponse:
    """One after the other, as if asked one by one. Raises BadRequestError for more than one turn may take."""
    asked = list(requests)
    if len(asked) > MOST_AT_ONCE:
        raise BadRequestError(TOO_MANY)
    return path_pb2.RecommendBatchResponse(responses=[answer(request) for request in asked])


def renew(engine: PathEngine, message: path_pb2.RenewRequest) -> path_pb2.RenewResponse:
    """Raises BadRequestError for a renewal without its lease or its whole."""
    if not message.lease_id or not message.HasField("reservation"):
        raise BadRequestError(NO_LEASE)
    lease = engine.renew(message.lease_id, reservation(message.reservation), time.monotonic())
    return path_pb2.RenewResponse(lease=lease_message(lease))


def reserve(engine: PathEngine, message: path_pb2.ReserveRequest) -> path_pb2.ReserveResponse:
    lease, problems = engine.reserve(reservation(message.reservation), time.monotonic())
    return path_pb2.ReserveResponse(
        lease=lease_message(lease), problems=[problem_message(p) for p in problems]
    )


def release(engine: PathEngine, message: path_pb2.ReleaseRequest) -> path_pb2.ReleaseResponse:
    existed = engine.release(message.lease_id, time.monotonic(), cancelled=message.cancelled)
    return path_pb2.ReleaseResponse(existed=existed)


def progress(engine: PathEngine, message: path_pb2.Progress) -> path_pb2.ProgressResponse:
    existed = engine.progress(message.lease_id, message.moved_bytes, time.monotonic())
    return path_pb2.ProgressResponse(existed=existed)


class Conversation:
    """One scheduler's stream."""

    def __init__(self, engine: PathEngine, answer: Recommends) -> None:
        self._engine = engine
        self._table: dict[str, Callable[[Any], Any]] = {
            "recommend": answer,
            "batch": lambda m: batch(answer, m.requests),
            "reserve": lambda m: reserve(engine, m),
            "renew": lambda m: renew(engine, m),
            "progress": lambda m: progress(engine, m),
            "release": lambda m: release(engine, m),
        }

    async def run(
        self, said: AsyncIterator[path_pb2.ConverseRequest]
    ) -> AsyncIterator[path_pb2.ConverseResponse]:
        """An answer for each message that says something, until the scheduler has no more to say."""
        async for message in said:
            told = self.answer(message)
            if told is not None:
                yield told

    def answer(self, message: path_pb2.ConverseRequest) -> path_pb2.ConverseResponse | None:
        """What else ended or moved first; None where nothing was asked."""
        for ended in message.releases:
            release(self._engine, ended)
        for moved in message.progresses:
            progress(self._engine, moved)
        kind = message.WhichOneof("say")
        if kind is None:
            return None
        try:
            told = self._table[kind](getattr(message, kind))
        except BadRequestError as e:
            problem = problem_message(ItemProblem(kind, INVALID_ARGUMENT, str(e)))
            return path_pb2.ConverseResponse(tag=message.tag, problem=problem)
        return path_pb2.ConverseResponse(tag=message.tag, **{kind: told})
