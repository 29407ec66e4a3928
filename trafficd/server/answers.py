"""Declined offers as canonical status codes."""

from __future__ import annotations

import time
from typing import Any, NoReturn
from urllib.parse import unquote

import grpc

from trafficd.core.effects import Accepted, Blame, Declined, Effect
from trafficd.core.identity import IdentityError
from trafficd.core.records import Origin
from trafficd.server.access import identity_of

CODES: dict[Blame, grpc.StatusCode] = {
    Blame.INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    Blame.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    Blame.STORE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Blame.UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Blame.FAULT: grpc.StatusCode.INTERNAL,
}

NO_FLAP = "disruption must be a link flap or a fabric flap"
NO_FABRIC = "no fabric has been accepted yet: start the controller with --fabric FILE, or mend that file"


def verdict(effects: tuple[Effect, ...]) -> Accepted | Declined:
    """The answer to an offer among the effects of its event; there is always one."""
    return next(e for e in effects if isinstance(e, Accepted | Declined))


def origin(context: grpc.aio.ServicerContext[Any, Any]) -> Origin:
    """Who calls: the certificate's identity where there is one, else the peer's address; and when."""
    try:
        caller = identity_of(context)
    except IdentityError:
        caller = None  # on a Unix socket nobody asks for a certificate that we know
    return Origin(str(caller) if caller else unquote(context.peer()), time.time_ns())


async def abort(context: grpc.aio.ServicerContext[Any, Any], declined: Declined) -> NoReturn:
    """End the call with the code of who must act and the reasons as its text."""
    text = "; ".join(str(p) if p.path else p.reason for p in declined.problems)
    await context.abort(CODES[declined.blame], text)
