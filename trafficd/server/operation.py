"""OperationService: what operators look at before a change, and how they stop, undo and lead it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any

import grpc

from trafficd.api.v1 import operation_pb2, operation_pb2_grpc
from trafficd.convert.operation import (
    forecast_message,
    history_message,
    leave_given,
    log_message,
    pause_message,
    recovery_message,
    rollout_message,
)
from trafficd.convert.revive import policy_source
from trafficd.convert.words import generation, generation_message, problem_message
from trafficd.core.effects import Accepted, Blame, Declined, Effect, SendPause, SendRetry
from trafficd.core.events import (
    Event,
    FabricOffered,
    PauseSet,
    RecoveryConfirmed,
    RetryAsked,
    RolledBack,
    RolloutSteered,
)
from trafficd.core.forecast import Forecast, forecast
from trafficd.core.memory import pick
from trafficd.core.records import LogRecord
from trafficd.core.state import ControlState
from trafficd.server.answers import NO_FLAP, abort, origin, verdict
from trafficd.server.control import Control
from trafficd.server.policy import offer
from trafficd_topology.model import Problem
from trafficd_topology.parsers.fabric import parse_fabric

Context = grpc.aio.ServicerContext[Any, Any]
ReadLog = Callable[[int], tuple[tuple[int, LogRecord], ...]]
"""The newest so many lines of the audit log, with their numbers."""
DEFAULT_LINES, MAX_LINES = 100, 10_000


def planned(state: ControlState, request: operation_pb2.PlanPolicyRequest) -> Forecast:
    """What the request's texts would lead to."""
    policy = offer(request.policy_text) if request.policy_text else None
    return forecast(state, policy, _fabric(request.fabric_text) if request.fabric_text else None)


def _fabric(text: str) -> FabricOffered:
    spec, problems = parse_fabric(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return FabricOffered("", digest, text, spec, problems)


class OperationServicer(operation_pb2_grpc.OperationServiceServicer):
    """Turns calls into events; what is long runs on a thread."""

    def __init__(self, control: Control, read_log: ReadLog) -> None:
        self._control = control
        self._read_log = read_log

    async def PlanPolicy(  # noqa: N802 - the method's name in the contract
        self, request: operation_pb2.PlanPolicyRequest, _context: Context
    ) -> operation_pb2.PlanPolicyResponse:
        found = await asyncio.to_thread(planned, self._control.state, request)
        return await asyncio.to_thread(forecast_message, found)

    async def SetPause(  # noqa: N802
        self, request: operation_pb2.SetPauseRequest, context: Context
    ) -> operation_pb2.SetPauseResponse:
        effects = await self._order(PauseSet(request.paused, request.reason, origin(context)), context)
        return operation_pb2.SetPauseResponse(agents=sum(isinstance(e, SendPause) for e in effects))

    async def GetPause(  # noqa: N802
        self, _request: operation_pb2.GetPauseRequest, _context: Context
    ) -> operation_pb2.GetPauseResponse:
        return pause_message(self._control.state)

    async def RetryScopes(  # noqa: N802
        self, request: operation_pb2.RetryScopesRequest, context: Context
    ) -> operation_pb2.RetryScopesResponse:
        effects = await self._order(RetryAsked(tuple(request.scopes), origin(context)), context)
        told = [f"{e.node}/{name}" for e in effects if isinstance(e, SendRetry) for _, name in e.scopes]
        return operation_pb2.RetryScopesResponse(scopes=told)

    async def AllowDisruption(  # noqa: N802
        self, request: operation_pb2.AllowDisruptionRequest, context: Context
    ) -> operation_pb2.AllowDisruptionResponse:
        given = leave_given(request, origin(context))
        if given is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, NO_FLAP)
        effects = await self._order(given, context)
        return operation_pb2.AllowDisruptionResponse(generation=_accepted(effects))

    async def ListHistory(  # noqa: N802
        self, _request: operation_pb2.ListHistoryRequest, _context: Context
    ) -> operation_pb2.ListHistoryResponse:
        entries = reversed(self._control.state.history)
        return operation_pb2.ListHistoryResponse(entries=[history_message(e) for e in entries])

    async def Rollback(  # noqa: N802
        self, request: operation_pb2.RollbackRequest, context: Context
    ) -> operation_pb2.RollbackResponse:
        wanted = generation(request.generation) if request.HasField("generation") else None
        entry = pick(self._control.state, wanted)
        if isinstance(entry, Problem):
            await abort(context, Declined("rollback", "", (entry,), Blame.UNKNOWN))
        sources = tuple([await asyncio.to_thread(policy_source, s) for s in entry.sources])
        answer = verdict(await self._control.submit(RolledBack(entry, sources, origin(context))))
        restored = generation_message(entry.generation)
        if isinstance(answer, Accepted):
            number = generation_message(answer.generation)
            return operation_pb2.RollbackResponse(generation=number, restored=restored)
        if answer.blame is not Blame.INPUT:
            await abort(context, answer)
        return operation_pb2.RollbackResponse(problems=[problem_message(p) for p in answer.problems])

    async def GetRollout(  # noqa: N802
        self, _request: operation_pb2.GetRolloutRequest, _context: Context
    ) -> operation_pb2.GetRolloutResponse:
        return operation_pb2.GetRolloutResponse(
            rollout=rollout_message(self._control.state, time.monotonic())
        )

    async def SteerRollout(  # noqa: N802
        self, request: operation_pb2.SteerRolloutRequest, context: Context
    ) -> operation_pb2.SteerRolloutResponse:
        if request.action == operation_pb2.ROLLOUT_ACTION_UNSPECIFIED:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "action must be resume or abort")
        ends = request.action == operation_pb2.ROLLOUT_ACTION_ABORT
        effects = await self._order(RolloutSteered(ends, origin(context)), context)
        return operation_pb2.SteerRolloutResponse(
            rollout=rollout_message(self._control.state, time.monotonic()), generation=_accepted(effects)
        )

    async def GetRecovery(  # noqa: N802
        self, _request: operation_pb2.GetRecoveryRequest, _context: Context
    ) -> operation_pb2.GetRecoveryResponse:
        return recovery_message(self._control.state)

    async def Recover(  # noqa: N802
        self, request: operation_pb2.RecoverRequest, context: Context
    ) -> operation_pb2.RecoverResponse:
        effects = await self._order(RecoveryConfirmed(request.controller_uuid, origin(context)), context)
        return operation_pb2.RecoverResponse(generation=_accepted(effects))

    async def ListLog(  # noqa: N802
        self, request: operation_pb2.ListLogRequest, _context: Context
    ) -> operation_pb2.ListLogResponse:
        lines = min(request.limit or DEFAULT_LINES, MAX_LINES)
        found = await asyncio.to_thread(self._read_log, lines)
        return operation_pb2.ListLogResponse(records=[log_message(n, r) for n, r in found])

    async def _order(self, event: Event, context: Context) -> tuple[Effect, ...]:
        """The effects of an event that was accepted; ends the call otherwise."""
        effects = await self._control.submit(event)
        answer = verdict(effects)
        if isinstance(answer, Declined):
            await abort(context, answer)
        return effects


def _accepted(effects: tuple[Effect, ...]) -> Any:
    answer = verdict(effects)
    return generation_message(answer.generation) if isinstance(answer, Accepted) else None
