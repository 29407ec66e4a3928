"""Who may call what: one table, held in front of every method.

A caller is known by its certificate. On plain text everybody is an operator; where TLS is served, plain text is
left to Unix sockets alone, whose file permissions say who may connect.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc

from trafficd.core.identity import Identity, IdentityError, Role, from_uris

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Any
"""grpc.RpcMethodHandler, which is generic for type checkers alone."""

ANYBODY: frozenset[Role | None] = frozenset({*Role, None})
"""None: a caller without a certificate."""
KNOWN: frozenset[Role | None] = frozenset({Role.AGENT, Role.SCHEDULER, Role.VIEWER, Role.OPERATOR})
NODES: frozenset[Role | None] = frozenset({Role.AGENT})
CHOOSERS: frozenset[Role | None] = frozenset({Role.SCHEDULER, Role.OPERATOR})
READERS: frozenset[Role | None] = frozenset({Role.SCHEDULER, Role.VIEWER, Role.OPERATOR})
PEOPLE: frozenset[Role | None] = frozenset({Role.VIEWER, Role.OPERATOR})
OPERATORS: frozenset[Role | None] = frozenset({Role.OPERATOR})

_API = "/trafficd.api.v1."
ACCESS: Mapping[str, frozenset[Role | None]] = {
    # Programs lanes and reports; each for its own node only.
    f"{_API}AgentService/Control": NODES,
    f"{_API}AgentService/Telemetry": NODES,
    # Its own door: a token instead of a certificate; and the node's own certificate for the next one.
    f"{_API}IdentityService/Enroll": ANYBODY,
    f"{_API}IdentityService/GetAuthorities": ANYBODY,
    f"{_API}IdentityService/RenewCertificate": NODES,
    # Changes what every node does.
    f"{_API}PolicyService/ApplyPolicy": OPERATORS,
    f"{_API}FabricService/SetRole": OPERATORS,
    f"{_API}OperationService/SetPause": OPERATORS,
    f"{_API}OperationService/RetryScopes": OPERATORS,
    f"{_API}OperationService/AllowDisruption": OPERATORS,
    f"{_API}OperationService/Rollback": OPERATORS,
    f"{_API}OperationService/SteerRollout": OPERATORS,
    f"{_API}OperationService/Recover": OPERATORS,
    # Only looks.
    f"{_API}OperationService/PlanPolicy": PEOPLE,
    f"{_API}OperationService/GetPause": PEOPLE,
    f"{_API}OperationService/ListHistory": PEOPLE,
    f"{_API}OperationService/GetRollout": PEOPLE,
    f"{_API}OperationService/ListLog": PEOPLE,
    f"{_API}OperationService/GetRecovery": PEOPLE,
    f"{_API}PolicyService/CheckPolicy": PEOPLE,
    f"{_API}PolicyService/GetStatus": READERS,
    f"{_API}PolicyService/GetMarking": READERS,
    f"{_API}AuditService/Audit": PEOPLE,
    f"{_API}FabricService/GetFabric": READERS,
    f"{_API}FabricService/GetInventory": READERS,
    f"{_API}PathService/Watch": READERS,
    # May take a share of the network: a recommendation can reserve.
    f"{_API}PathService/Recommend": CHOOSERS,
    f"{_API}PathService/RecommendBatch": CHOOSERS,
    f"{_API}PathService/Converse": CHOOSERS,
    f"{_API}PathService/Reserve": CHOOSERS,
    f"{_API}PathService/Renew": CHOOSERS,
    f"{_API}PathService/Release": CHOOSERS,
    f"{_API}PathService/ReportEngines": CHOOSERS,
    # Says nothing but whether and what is served.
    "/grpc.health.v1.Health/Check": KNOWN,
    "/grpc.health.v1.Health/List": KNOWN,
    "/grpc.health.v1.Health/Watch": KNOWN,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": KNOWN,
}
"""Method -> roles. A method that is missing here may be called by nobody over TLS."""


def identity_of(context: Context) -> Identity | None:
    """Who calls; None without a certificate. Raises IdentityError when the certificate names nobody we know."""
    seen = context.auth_context()
    if not seen.get("x509_pem_cert"):
        return None
    return from_uris(uri.decode("utf-8", "replace") for uri in seen.get("peer_uri", ()))


def verdict(method: str, caller: Identity | None) -> str:
    """Why this caller may not call this method; empty when it may."""
    allowed = ACCESS.get(method, frozenset())
    if (caller.role if caller else None) in allowed:
        return ""
    who = str(caller) if caller else "a caller without a certificate"
    roles = " or ".join(sorted(r for r in allowed if r is not None)) or "nobody"
    return f"{who} may not call {method.removeprefix('/')}: it is for {roles}"


async def for_its_own_node(context: Context, node: str) -> None:
    """Abort the call of an agent that speaks for another node than its certificate's."""
    caller = identity_of(context)
    if caller is not None and caller.role is Role.AGENT and caller.name != node:
        await context.abort(
            grpc.StatusCode.PERMISSION_DENIED,
            f"the certificate is node {caller.name}'s and the hello says {node}: "
            f"start the agent with --node {caller.name}, or give it a certificate of node {node}",
        )


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Holds the table in front of every method of a server that speaks TLS."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        return handler and _guarded(handler, str(handler_call_details.method))


async def _admit(method: str, context: Context) -> None:
    if context.peer().startswith("unix:"):
        return
    try:
        refusal = verdict(method, identity_of(context))
    except IdentityError as e:
        refusal = str(e)
    if refusal:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal)


def _guarded(handler: Any, method: str) -> Handler:
    """The same handler behind the table. gRPC tells streams from single answers by the kind of function."""
    kind = f"{_word(handler.request_streaming)}_{_word(handler.response_streaming)}"
    behaviour = getattr(handler, kind)
    guard = _guarded_stream if inspect.isasyncgenfunction(behaviour) else _guarded_call
    make: Callable[..., Handler] = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(guard(behaviour, method), handler.request_deserializer, handler.response_serializer)


def _word(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _guarded_call(behaviour: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Awaitable[Any]]:
    async def call(request: Any, context: Context) -> Any:
        await _admit(method, context)
        return await behaviour(request, context)

    return call


def _guarded_stream(
    behaviour: Callable[..., AsyncIterator[Any]], method: str
) -> Callable[..., AsyncIterator[Any]]:
    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        await _admit(method, context)
        async for answer in behaviour(request, context):
            yield answer

    return stream
