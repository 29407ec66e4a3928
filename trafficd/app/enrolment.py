"""Enrolment: an authority in a directory signs; tokens are the directory's own, or those of a cluster's pods.

Files are read anew for every request.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from grpc import StatusCode

from trafficd.certs import authority, tokens
from trafficd.certs.authority import LIFETIMES, Order
from trafficd.certs.files import CertsError
from trafficd.core.identity import Identity, Role
from trafficd.server.identity import Certified, RefusedError, TokenVerifier

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class DirectorySigner:
    """Signs with the authority of a directory; after a rotation with the new one, without a restart."""

    def __init__(self, directory: Path, clock: Clock = utc_now) -> None:
        """Raises CertsError when there is no usable authority."""
        self._directory, self._clock = directory, clock
        authority.load(directory)

    def sign(self, node: str, signing_request: bytes) -> Certified:
        try:
            key = authority.requested_key(signing_request)
        except CertsError as e:
            raise RefusedError(StatusCode.INVALID_ARGUMENT, str(e)) from e
        order = Order(Identity(Role.AGENT, node), LIFETIMES[Role.AGENT])
        try:
            issued = authority.load(self._directory).sign(order, key, self._clock())
        except CertsError as e:
            raise RefusedError(StatusCode.FAILED_PRECONDITION, f"the controller cannot sign: {e}") from e
        return Certified(issued.certificate.decode("ascii"), issued.authorities.decode("ascii"))

    def authorities(self) -> str:
        try:
            return authority.load(self._directory).bundle.decode("ascii")
        except CertsError as e:
            raise RefusedError(StatusCode.FAILED_PRECONDITION, f"the controller's authority: {e}") from e


class DirectoryTokens:
    """The tokens that ``trafficd certs token`` makes."""

    def __init__(self, directory: Path, clock: Clock = utc_now) -> None:
        self._directory, self._clock = directory, clock

    def redeem(self, token: str, node: str) -> None:
        try:
            tokens.redeem(self._directory, token, node, self._clock())
        except tokens.TokenError as e:
            raise RefusedError(StatusCode.PERMISSION_DENIED, str(e)) from e
        except CertsError as e:
            raise RefusedError(StatusCode.FAILED_PRECONDITION, f"the controller's token files: {e}") from e


class EitherTokens:
    """Tokens made here, and those of pods: the latter are JSON web tokens (RFC 7519), in three parts."""

    def __init__(self, made_here: TokenVerifier, projected: TokenVerifier) -> None:
        self._made_here, self._projected = made_here, projected

    def redeem(self, token: str, node: str) -> None:
        kind = self._projected if token.count(".") == 2 else self._made_here
        kind.redeem(token, node)
