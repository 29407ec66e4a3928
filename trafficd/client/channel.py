"""What both clients share of gRPC: channel options, the calls' time limits, and why a call failed, in words."""

from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import Any

import grpc

from trafficd.api import tls

OPTIONS: tuple[tuple[str, Any], ...] = (
    # A snapshot of 10,000 NICs has about 1 MiB; more than the default 4 MiB needs 40,000.
    ("grpc.max_receive_message_length", 64 * 2**20),
    # The defaults wait up to two minutes before they try again: a controller restarts in seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A controller whose host lost power is noticed within half a minute.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
)
DEFAULT_TIMEOUT_S = 0.01
CONTROL_TIMEOUT_S = 1.0
"""For renewals and releases, which nobody waits for."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
_SPREAD = random.Random()
"""Our own: the process's random numbers are its owner's."""
NOT_ASKED = "the controller did not answer lately and is left alone for a moment"


def credentials_from(directory: str | Path) -> grpc.ChannelCredentials:
    """For ``connect``: TLS with ``ca.crt``, ``tls.crt`` and ``tls.key`` of a directory, read once.

    Raises TlsError, one sentence, for files that are missing or do not fit each other.
    """
    return tls.channel_credentials(tls.read(Path(directory)))


def client_name() -> str:
    """Begins the ids of leases that this client makes; no two clients have the same."""
    return f"client-{uuid.uuid4().hex[:12]}"


def pause_s(failures: int) -> float:
    """How long to wait before a broken stream is opened again; spread so that clients do not come all at once."""
    longest: float = min(FIRST_PAUSE_S * 2.0 ** min(failures, 10), LONGEST_PAUSE_S)
    return longest * _SPREAD.uniform(0.5, 1.0)


def reason(error: Exception, timeout_s: float) -> str:
    """Why the controller did not answer, as the beginning of a sentence."""
    if isinstance(error, ValueError | grpc.aio.UsageError):
        return "this client is closed"
    code = error.code() if isinstance(error, grpc.RpcError) and hasattr(error, "code") else None
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"the controller did not answer within {timeout_s * 1000:g} ms"
    if code is grpc.StatusCode.UNAVAILABLE:
        return f"the controller cannot be reached or is not ready ({_details(error)})"
    return f"the controller answered {code.name if code is not None else 'nothing'} ({_details(error)})"


def _details(error: Exception) -> str:
    details = error.details() if hasattr(error, "details") else None
    return str(details or "no details")
