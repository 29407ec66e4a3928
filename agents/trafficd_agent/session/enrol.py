"""The node's certificate: got with a one-time token, kept fresh with itself.

The key is made here and never leaves the node. Every renewal certifies the same key, so that no crash between two
files can leave a key and a certificate that do not belong together; a new enrolment makes a new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc

from trafficd.api import tls
from trafficd.api.v1 import identity_pb2
from trafficd.api.v1.identity_pb2_grpc import IdentityServiceStub
from trafficd_agent.session.certificate import (
    Validity,
    move,
    new_key,
    read_key,
    signing_request,
    validity,
    write,
)
from trafficd_agent.session.dial import OPTIONS, Dialer
from trafficd_agent.session.pin import pin

log = logging.getLogger(__name__)
CALL_S = 10.0
NEXT_KEY = "tls.key.next"
"""The key of an enrolment under way."""
LOOK_S = 30.0
"""How often the certificate's age is looked at, seconds; a clock that is set is noticed by then."""
RENEW_AFTER = 2 / 3
"""Share of its life after which a certificate is renewed: 8 of 24 hours are left for a controller to come back."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where this node enrols, the file that holds its token, and the one that says whom to trust there.

    ``fingerprint`` says whom to trust where that file is not there yet.
    """

    node: str
    address: str
    token_file: Path
    authorities: Path
    fingerprint: str = ""


class Keeper:
    """Keeps ``ca.crt``, ``tls.crt`` and ``tls.key`` of a directory, which is made when it is not there."""

    def __init__(self, directory: Path, door: Door, addresses: tuple[str, ...]) -> None:
        self._directory, self._door, self._addresses = directory, door, addresses
        self._dialer = Dialer(directory)

    async def ready(self) -> None:
        """Enrol when there is no certificate that fits its key, or one that has expired. Raises TlsError."""
        held = self._held()
        if held is None or datetime.now(UTC) >= held.not_after or not self._fits():
            await self._enrol(held)

    async def run(self) -> None:
        """Renew in time, until cancelled."""
        while True:
            if (held := self._held()) is not None and due(held, datetime.now(UTC)):
                await self._renew_somewhere(held)
            await asyncio.sleep(LOOK_S)

    def _held(self) -> Validity | None:
        path = self._directory / tls.CERTIFICATE
        try:
            return validity(tls.read_file(path), path)
        except tls.TlsError:
            return None

    def _fits(self) -> bool:
        try:
            tls.read(self._directory)
        except tls.TlsError:
            return False
        return True

    async def _enrol(self, held: Validity | None) -> None:
        if self._door.fingerprint and not self._door.authorities.exists():
            await pin(self._door.address, self._door.fingerprint, self._door.authorities)
        authorities = tls.read_file(self._door.authorities)
        tls.check_authorities(authorities, self._door.authorities)
        token = self._token(held)
        key = new_key()
        # Before the token is used: a directory that cannot be written must not cost it. What is there stays usable
        # until there is better: it may have expired by a wrong clock alone.
        write(self._directory / NEXT_KEY, key.pem, 0o600)
        request = identity_pb2.EnrollRequest(
            node=self._door.node, token=token, signing_request=signing_request(key, self._door.node)
        )
        credentials = grpc.ssl_channel_credentials(authorities)
        async with grpc.aio.secure_channel(self._door.address, credentials, options=OPTIONS) as channel:
            answer = await self._asked(self._door.address, IdentityServiceStub(channel).Enroll, request)
        move(self._directory / NEXT_KEY, self._directory / tls.KEY)
        self._put(answer.certificate)
        log.info("enrolled with %s as node %s", self._door.address, self._door.node)

    def _token(self, held: Validity | None) -> str:
        try:
            return _token_in(self._door.token_file)
        except tls.TlsError as e:
            why = (
                f"the certificate expired at {held.not_after:%Y-%m-%d %H:%M} UTC by this node's clock"
                if held
                else "no certificate yet"
            )
            raise tls.TlsError(
                f"{why}, and no token to enrol with ({e}): make one with trafficd certs token --node {self._door.node}"
            ) from e

    async def _asked(self, address: str, method: Callable[..., Awaitable[Any]], request: Any) -> Any:
        try:
            return await method(request, timeout=CALL_S)
        except grpc.aio.AioRpcError as e:
            raise tls.TlsError(self._dialer.why(address, e)) from e

    async def _renew_somewhere(self, held: Validity) -> None:
        """At the first controller that answers; one sentence when none does."""
        reasons: list[str] = []
        for address in self._addresses:
            try:
                await self._renew(address)
            except tls.TlsError as e:
                reasons.append(str(e))
            else:
                return
        left = held.not_after - datetime.now(UTC)
        hours = max(left.total_seconds(), 0) / 3600
        log.warning("the certificate could not be renewed, %.1f h are left: %s", hours, "; ".join(reasons))

    async def _renew(self, address: str) -> None:
        key = read_key(self._directory / tls.KEY)
        request = identity_pb2.RenewCertificateRequest(signing_request=signing_request(key, self._door.node))
        async with self._dialer.channel(address) as channel:
            answer = await self._asked(address, IdentityServiceStub(channel).RenewCertificate, request)
        self._put(answer.certificate)
        log.info("renewed the certificate with %s", address)

    def _put(self, made: identity_pb2.NodeCertificate) -> None:
        write(self._directory / tls.AUTHORITIES, made.authorities.encode(), 0o644)
        write(self._directory / tls.CERTIFICATE, made.certificate.encode(), 0o644)


def _token_in(path: Path) -> str:
    """Raises TlsError."""
    try:
        token = tls.read_file(path).decode("ascii").strip()
    except ValueError:
        token = ""
    if not token:
        raise tls.TlsError(f"{path} holds no token")
    return token


def due(held: Validity, now: datetime) -> bool:
    """Whether it is time to renew. One that has expired cannot renew itself: it takes a token."""
    life: timedelta = held.not_after - held.not_before
    return held.not_before + life * RENEW_AFTER <= now < held.not_after
