"""The standard health and reflection services (grpc.health.v1, grpc.reflection.v1alpha)."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection


def add_health(server: grpc.aio.Server, services: Iterable[str]) -> health.aio.HealthServicer:
    """Register health and reflection for ``services`` (full names); they begin NOT_SERVING."""
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection((*services, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return servicer


async def set_serving(servicer: health.aio.HealthServicer, services: Iterable[str]) -> None:
    """Say SERVING for the whole server (the empty name) and for each service."""
    for name in ("", *services):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
