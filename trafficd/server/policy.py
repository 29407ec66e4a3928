"""PolicyService: policies in, status out."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc

from trafficd import __version__
from trafficd.api.v1 import policy_pb2, policy_pb2_grpc
from trafficd.convert.marking import advice_message
from trafficd.convert.operation import leave_given
from trafficd.convert.policy import StatusInput, compiled_message, status_message
from trafficd.convert.words import generation_message, problem_message
from trafficd.core.compiled import CompiledPolicy, compile_all, compiled
from trafficd.core.effects import Accepted, Blame
from trafficd.core.events import PolicyOffered
from trafficd.core.marking import Question, Unknown, advise, ground
from trafficd.core.offers import API, preview
from trafficd.core.records import NOBODY, Origin
from trafficd.core.state import ControlState, Owner
from trafficd.server.answers import NO_FABRIC, NO_FLAP, abort, origin, verdict
from trafficd.server.control import Control
from trafficd_topology.model import Problem
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.policy import PolicySet

Context = grpc.aio.ServicerContext[Any, Any]
Ages = Callable[[], tuple[tuple[str, float], ...]]
"""Seconds since each node's last telemetry sample."""


def offer(text: str, remove: tuple[str, ...] = (), by: Origin = NOBODY) -> PolicyOffered:
    """A text of the API, parsed. Without text, only ``remove`` is asked for."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    policies, problems = parse_policies(text) if text.strip() or not remove else (PolicySet(), ())
    return PolicyOffered(Owner.API, API, digest, text, policies, problems, remove, by)


def check(state: ControlState, text: str) -> tuple[tuple[Problem, ...], tuple[CompiledPolicy, ...]]:
    """What applying this text would answer: every problem, or the policies as they would work out."""
    offered = offer(text)
    seen = preview(state, offered)
    if seen.problems or offered.policies is None:
        return seen.problems, ()
    return (), compile_all(offered.policies.policies, seen.plan)


class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """Parsing and planning run on a thread, so that answers to schedulers do not wait for them."""

    def __init__(self, control: Control, ages: Ages) -> None:
        self._control = control
        self._ages = ages

    async def CheckPolicy(  # noqa: N802 - the method's name in the contract
        self, request: policy_pb2.CheckPolicyRequest, _context: Context
    ) -> policy_pb2.CheckPolicyResponse:
        problems, policies = await asyncio.to_thread(check, self._control.state, request.text)
        return policy_pb2.CheckPolicyResponse(
            problems=[problem_message(p) for p in problems], policies=[compiled_message(p) for p in policies]
        )

    async def ApplyPolicy(  # noqa: N802
        self, request: policy_pb2.ApplyPolicyRequest, context: Context
    ) -> policy_pb2.ApplyPolicyResponse:
        offered = await asyncio.to_thread(offer, request.text, tuple(request.remove), origin(context))
        if request.HasField("allow"):
            allow = leave_given(request.allow, offered.origin)
            if allow is None:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, NO_FLAP)
            offered = replace(offered, allow=allow)
        answer = verdict(await self._control.submit(offered))
        if isinstance(answer, Accepted):
            names = {p.name for p in offered.policies.policies} if offered.policies else set()
            now = [p for p in compiled(self._control.state) if p.name in names]
            return policy_pb2.ApplyPolicyResponse(
                generation=generation_message(answer.generation), policies=[compiled_message(p) for p in now]
            )
        if answer.blame is not Blame.INPUT:
            await abort(context, answer)
        return policy_pb2.ApplyPolicyResponse(problems=[problem_message(p) for p in answer.problems])

    async def GetStatus(  # noqa: N802
        self, _request: policy_pb2.GetStatusRequest, _context: Context
    ) -> policy_pb2.GetStatusResponse:
        given = StatusInput(self._control.state, __version__, self._ages(), time.monotonic())
        return await asyncio.to_thread(status_message, given)

    async def GetMarking(  # noqa: N802
        self, request: policy_pb2.GetMarkingRequest, context: Context
    ) -> policy_pb2.GetMarkingResponse:
        state = self._control.state
        if state.spec is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, NO_FABRIC)
        question = Question(request.traffic_class, request.library, request.node)
        advice = await asyncio.to_thread(advise, question, ground(state.in_force, state.spec, state.plan))
        if isinstance(advice, Unknown):
            await context.abort(grpc.StatusCode.NOT_FOUND, advice.reason)
        return advice_message(advice)
