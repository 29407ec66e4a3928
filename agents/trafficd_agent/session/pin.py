"""The authority of a controller that is known by its fingerprint alone.

Two connections: the first believes whoever answers and is asked for certificates only, of which the one with the right
fingerprint is kept; the second, the enrolment itself, trusts that one. Who sits in between can hand over the right
authority, which is no secret, and then has no certificate of it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from trafficd.api import tls
from trafficd.api.v1 import identity_pb2
from trafficd.api.v1.identity_pb2_grpc import IdentityServiceStub
from trafficd_agent.session.certificate import write
from trafficd_agent.session.dial import OPTIONS, host_of

log = logging.getLogger(__name__)
CALL_S = 10.0


async def pin(address: str, wanted: str, path: Path) -> None:
    """Write the authority with this fingerprint, as the controller at ``address`` names it. Raises TlsError.

    ``wanted`` is the SHA-256 of the certificate's DER form, 64 hex digits.
    """
    host, port = host_of(address), int(address.rpartition(":")[2])
    try:
        shown = await asyncio.to_thread(ssl.get_server_certificate, (host, port), timeout=CALL_S)
    except OSError as e:
        raise tls.TlsError(f"{address} shows no certificate to pin ({e.strerror or e})") from e
    credentials = grpc.ssl_channel_credentials(shown.encode("ascii"))
    async with grpc.aio.secure_channel(address, credentials, options=OPTIONS) as channel:
        stub = IdentityServiceStub(channel)
        try:
            answer = await stub.GetAuthorities(identity_pb2.GetAuthoritiesRequest(), timeout=CALL_S)
        except grpc.aio.AioRpcError as e:
            raise tls.TlsError(f"{address} names no authorities: {e.details() or e.code().name}") from e
    write(path, _chosen(answer.authorities.encode(), wanted, address), 0o644)
    log.info("%s: the authority with fingerprint %s, as %s names it", path, wanted, address)


def _chosen(pem: bytes, wanted: str, address: str) -> bytes:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as e:
        raise tls.TlsError(f"{address} names no authorities that can be read") from e
    prints = [(c.fingerprint(hashes.SHA256()).hex(), c) for c in found]
    chosen = next((c for seen, c in prints if seen == wanted), None)
    if chosen is None:
        raise tls.TlsError(
            f"no authority of {address} has the fingerprint {wanted} (it names {', '.join(p for p, _ in prints)}): "
            "it is another controller, or its authority was made anew"
        )
    return chosen.public_bytes(serialization.Encoding.PEM)
