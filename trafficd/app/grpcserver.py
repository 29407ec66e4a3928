"""The gRPC server: options, and the address it listens on."""

from __future__ import annotations

import grpc

from trafficd.config import Address

MAX_MESSAGE_BYTES = 32 * 2**20
"""A policy or fabric text has at most 16 MiB; a desired state or snapshot of 10,000 ports about 10 MiB."""
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A host that lost power is noticed in 15 seconds, and its node can then say hello again.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Agents and clients may ping as often; by default they would be cut off for it.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Two controllers on one port would each get some of the agents.
    ("grpc.so_reuseport", 0),
)


class ListenError(Exception):
    """The gRPC address cannot be used. The text is one sentence."""


def new_server() -> grpc.aio.Server:
    return grpc.aio.server(options=OPTIONS)


def listen(server: grpc.aio.Server, address: Address) -> int:
    """Bind; returns the port. Raises ListenError."""
    try:
        port = server.add_insecure_port(str(address))
    except RuntimeError as e:
        raise ListenError(_sentence(address)) from e
    if not port:
        raise ListenError(_sentence(address))
    return port


def _sentence(address: Address) -> str:
    return f"cannot listen for gRPC on {address}: the port is in use or not allowed; choose another with --listen"
