"""Declined offers as canonical status codes."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc

from trafficd.core.effects import Accepted, Blame, Declined, Effect

CODES: dict[Blame, grpc.StatusCode] = {
    Blame.INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    Blame.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    Blame.STORE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Blame.UNKNOWN: grpc.StatusCode.NOT_FOUND,
}

NO_FABRIC = "no fabric has been accepted yet: start the controller with --fabric FILE, or mend that file"


def verdict(effects: tuple[Effect, ...]) -> Accepted | Declined:
    """The answer to an offer among the effects of its event; there is always one."""
    return next(e for e in effects if isinstance(e, Accepted | Declined))


async def abort(context: grpc.aio.ServicerContext[Any, Any], declined: Declined) -> NoReturn:
    """End the call with the code of who must act and the reasons as its text."""
    text = "; ".join(str(p) if p.path else p.reason for p in declined.problems)
    await context.abort(CODES[declined.blame], text)
