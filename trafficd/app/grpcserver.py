"""The gRPC server: options, and the address it listens on."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError

from trafficd.app.tls import Certificates
from trafficd.config import Listen
from trafficd.server.access import AccessInterceptor

MAX_MESSAGE_BYTES = 32 * 2**20
"""A policy or fabric text has at most 16 MiB; a desired state or snapshot of 10,000 ports about 10 MiB."""
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A host that lost power, or an agent that froze, is noticed in 15 seconds, and its node can then say hello again.
    # A kernel that still acknowledges does not hide a frozen agent: pings have a timeout of their own (a minute).
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Agents and clients may ping as often; by default they would be cut off for it.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Two controllers on one port would each get some of the agents.
    ("grpc.so_reuseport", 0),
)


class PeersFaults(logging.Filter):
    """For gRPC's logger: a message that is none, and a caller that left, are its doing and take one line each.

    What fails by our own fault keeps its traceback.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, DecodeError | grpc.aio.InternalError):
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
            why = f": {error}" if isinstance(error, DecodeError) else ": the caller has left"
            record.msg, record.args = record.getMessage() + why, ()
            record.exc_info = None
        return True


PEERS_FAULTS = PeersFaults()


class ListenError(Exception):
    """The gRPC address cannot be used. The text is one sentence."""


TLS_OPTIONS = (
    # Certificates are looked at when a connection is made: each is made anew within about an hour, so that nobody
    # goes on speaking for long with one that has expired or whose authority was withdrawn.
    ("grpc.max_connection_age_ms", 3_600_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
)


def new_server(*, secure: bool = False) -> grpc.aio.Server:
    """``secure``: callers are known by their certificates, and held to what their roles may do."""
    logging.getLogger("grpc._cython.cygrpc").addFilter(PEERS_FAULTS)
    if not secure:
        return grpc.aio.server(options=OPTIONS)
    return grpc.aio.server(options=OPTIONS + TLS_OPTIONS, interceptors=[AccessInterceptor()])


def listen(
    server: grpc.aio.Server, address: Listen, tls: Path | None = None, *, known_only: bool = True
) -> Listen:
    """Bind; returns the address with the port that the system chose. Raises ListenError and TlsError.

    With ``tls``, a directory of certificates, TCP is served with TLS; a Unix socket is guarded by its permissions.
    ``known_only``: callers must show a certificate.
    """
    try:
        if tls is None or address.tcp is None:
            port = server.add_insecure_port(str(address))
        else:
            credentials = Certificates(tls).credentials(known_only=known_only)
            port = server.add_secure_port(str(address), credentials)
    except RuntimeError as e:
        raise ListenError(_sentence(address)) from e
    if not port:
        raise ListenError(_sentence(address))
    return replace(address, tcp=replace(address.tcp, port=port)) if address.tcp else address


def _sentence(address: Listen) -> str:
    what = "the port is in use or not allowed" if address.tcp else "the directory is missing or not writable"
    return f"cannot listen for gRPC on {address}: {what}; choose another with --listen"
