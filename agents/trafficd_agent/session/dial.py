"""Reaching the controller: where, how, and when to try again."""

from __future__ import annotations

import ipaddress
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc

from trafficd.api import tls
from trafficd_agent.session.certificate import standing

# A controller that vanished is noticed by its silence on our own writes: gRPC sets TCP_USER_TIMEOUT to the
# keepalive timeout. Pings themselves stay rarer than the five minutes below which servers close the connection.
OPTIONS = (
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.enable_http_proxy", 0),
)


def one_line(record: logging.LogRecord) -> bool:
    """For gRPC's logger: bytes that are no message are their sender's doing, and need no traceback of ours."""
    if record.exc_info and (error := record.exc_info[1]) is not None:
        record.msg, record.args, record.exc_info = f"{record.getMessage()} {error}", (), None
    return True


logging.getLogger("grpc._common").addFilter(one_line)
Prepare = Callable[[], Awaitable[None]]


class Dialer:
    """Makes channels: TLS with the files of a directory, which are read anew every time, else plain text."""

    def __init__(self, directory: Path | None = None, ready: Prepare | None = None) -> None:
        self._directory, self._ready = directory, ready

    async def ready(self) -> None:
        """See to it that there are files to read. Raises TlsError."""
        if self._ready is not None:
            await self._ready()

    def channel(self, address: str) -> grpc.aio.Channel:
        """Raises TlsError when the files cannot be used."""
        if self._directory is None:
            return grpc.aio.insecure_channel(address, options=OPTIONS)
        credentials = tls.channel_credentials(tls.read(self._directory))
        return grpc.aio.secure_channel(address, credentials, options=OPTIONS)

    def why(self, address: str, error: grpc.aio.AioRpcError) -> str:
        """Why a call failed: one sentence that says what to do where TLS is what failed."""
        details = error.details() or error.code().name
        if error.code() is not grpc.StatusCode.UNAVAILABLE or self._directory is None:
            return f"{address}: {details}"
        if not (said := tls.broken(details, self._directory)):
            return f"{address}: {details}"
        own = standing(self._directory, datetime.now(UTC)) if tls.CERTIFICATE in said else ""
        return f"no TLS connection to {address}: {said}" + (f"; {own}" if own else "")


def host_of(address: str) -> str:
    """The host of ``host:port``; brackets of an IPv6 address are taken off."""
    return address.rpartition(":")[0].strip("[]")


def is_loopback(address: str) -> bool:
    """Whether ``host:port`` never leaves this machine."""
    host = host_of(address)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(slots=True)
class Backoff:
    """Exponential waits with jitter, seconds: ``base`` doubles to ``most``, each times 0.5 to 1."""

    random: random.Random
    base: float = 0.2
    most: float = 15.0
    attempt: int = 0

    def reset(self) -> None:
        self.attempt = 0

    def next(self) -> float:
        wait = min(self.most, self.base * 2.0 ** min(self.attempt, 30))
        self.attempt += 1
        return wait * self.random.uniform(0.5, 1.0)
