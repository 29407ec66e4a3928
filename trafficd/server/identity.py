"""IdentityService: first certificates for tokens, new ones for certificates that end."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import grpc

from trafficd.api.v1 import identity_pb2, identity_pb2_grpc
from trafficd.core.identity import IdentityError, Role, identity
from trafficd.server.access import identity_of

log = logging.getLogger("trafficd.identity")
Context = grpc.aio.ServicerContext[Any, Any]
NO_AUTHORITY = "this controller signs no certificates: start it with --ca-dir, or give the node its files"


@dataclass(frozen=True, slots=True)
class Certified:
    """PEM texts: the node's certificate, and the authorities to trust."""

    certificate: str
    authorities: str


class RefusedError(Exception):
    """One sentence; ``code`` says who must act."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Signer(Protocol):
    def sign(self, node: str, signing_request: bytes) -> Certified:
        """Certify a node's key. Raises RefusedError. Runs on a thread."""
        ...

    def authorities(self) -> str:
        """Whom to trust, PEM. Raises RefusedError. Runs on a thread."""
        ...


class TokenVerifier(Protocol):
    """Says whether a token is leave for one node to enrol: one made here, or an orchestrator's."""

    def redeem(self, token: str, node: str) -> None:
        """Use it up where it is for one use. Raises RefusedError. Runs on a thread."""
        ...


class IdentityServicer(identity_pb2_grpc.IdentityServiceServicer):
    """Without a signer every call is refused, with the reason."""

    def __init__(self, signer: Signer | None, tokens: TokenVerifier | None) -> None:
        self._signer = signer
        self._tokens = tokens

    async def Enroll(  # noqa: N802 - the method's name in the contract
        self, request: identity_pb2.EnrollRequest, context: Context
    ) -> identity_pb2.EnrollResponse:
        try:
            made = await asyncio.to_thread(self._enroll, request.node, request.token, request.signing_request)
        except RefusedError as e:
            await _refuse(context, "enrolment", request.node, e)
        log.info("node %s enrolled, asked by %s", request.node, context.peer())
        return identity_pb2.EnrollResponse(certificate=_message(made))

    def _enroll(self, node: str, token: str, signing_request: bytes) -> Certified:
        """Signed first and used up second: a request that cannot be signed does not cost its token."""
        made = self._sign(node, signing_request)
        if self._tokens is None:
            raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, NO_AUTHORITY)
        self._tokens.redeem(token, node)
        return made

    async def GetAuthorities(  # noqa: N802
        self, _request: identity_pb2.GetAuthoritiesRequest, context: Context
    ) -> identity_pb2.GetAuthoritiesResponse:
        if self._signer is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, NO_AUTHORITY)
        try:
            pem = await asyncio.to_thread(self._signer.authorities)
        except RefusedError as e:
            await context.abort(e.code, str(e))
        return identity_pb2.GetAuthoritiesResponse(authorities=pem)

    async def RenewCertificate(  # noqa: N802
        self, request: identity_pb2.RenewCertificateRequest, context: Context
    ) -> identity_pb2.RenewCertificateResponse:
        caller = identity_of(context)
        if caller is None or caller.role is not Role.AGENT:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "only a node's own certificate can be renewed: connect with it",
            )
        try:
            made = await asyncio.to_thread(self._sign, caller.name, request.signing_request)
        except RefusedError as e:
            await _refuse(context, "renewal", caller.name, e)
        log.info("node %s renewed its certificate", caller.name)
        return identity_pb2.RenewCertificateResponse(certificate=_message(made))

    def _sign(self, node: str, signing_request: bytes) -> Certified:
        if self._signer is None:
            raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, NO_AUTHORITY)
        try:
            identity(Role.AGENT, node)
        except IdentityError as e:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, str(e)) from e
        return self._signer.sign(node, signing_request)


async def _refuse(context: Context, what: str, node: str, error: RefusedError) -> NoReturn:
    log.warning("%s of node %r refused, asked by %s: %s", what, node, context.peer(), error)
    await context.abort(error.code, str(error))


def _message(made: Certified) -> identity_pb2.NodeCertificate:
    return identity_pb2.NodeCertificate(certificate=made.certificate, authorities=made.authorities)
