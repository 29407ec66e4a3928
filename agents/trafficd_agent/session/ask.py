"""One question to a controller, for people and not for the loop; gRPC's exceptions end here."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from trafficd.api.v1 import policy_pb2, policy_pb2_grpc

MAX_MESSAGE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class ControllerView:
    """What a controller says of itself and of this node; ``offset_s`` is None while it has not met the node."""

    uuid: str
    version: str
    connected: bool
    offset_s: float | None


def ask_controller(address: str, node: str, seconds: float) -> ControllerView:
    """Raises ConnectionError, one sentence, when no controller answers."""
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        stub = policy_pb2_grpc.PolicyServiceStub(channel)
        try:
            status = stub.GetStatus(policy_pb2.GetStatusRequest(), timeout=seconds)
        except grpc.RpcError as e:
            raise ConnectionError(f"no answer within {seconds:g} s ({e.code().name}: {e.details()})") from e
    mine = next((n for n in status.nodes if n.node == node), None)
    return ControllerView(
        status.controller_uuid,
        status.controller_version,
        mine is not None and mine.connected,
        None if mine is None else mine.clock_offset_seconds,
    )
