"""AuditService: what is wrong already."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from trafficd.api.v1 import audit_pb2, audit_pb2_grpc
from trafficd.convert.audit import report_message
from trafficd.core.audit import AuditInput, audited, read_all
from trafficd.core.telemetry import TelemetryStore
from trafficd.server.control import Control


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Readings are taken on the event loop, where they are written; rules run on a thread."""

    def __init__(self, control: Control, telemetry: TelemetryStore) -> None:
        self._control = control
        self._telemetry = telemetry

    async def Audit(  # noqa: N802 - the method's name in the contract
        self, request: audit_pb2.AuditRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> audit_pb2.AuditResponse:
        state = self._control.state
        given = AuditInput(state, read_all(state, self._telemetry), frozenset(request.nodes))
        return await asyncio.to_thread(lambda: report_message(audited(given)))
