"""FabricService: the fabric as the loop holds it."""

from __future__ import annotations

from typing import Any

import grpc

from trafficd.api.v1 import fabric_pb2, fabric_pb2_grpc
from trafficd.convert.fabric import fabric_message, host_message, inventories_message
from trafficd.convert.words import word
from trafficd.core.effects import Declined
from trafficd.core.events import RoleSet
from trafficd.core.settle import inventories
from trafficd.server.answers import NO_FABRIC, abort, origin, verdict
from trafficd.server.control import Control
from trafficd_topology.model import Role

Context = grpc.aio.ServicerContext[Any, Any]


class FabricServicer(fabric_pb2_grpc.FabricServiceServicer):
    def __init__(self, control: Control) -> None:
        self._control = control

    async def GetFabric(  # noqa: N802 - the method's name in the contract
        self, _request: fabric_pb2.GetFabricRequest, context: Context
    ) -> fabric_pb2.GetFabricResponse:
        spec = self._control.state.spec
        if spec is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, NO_FABRIC)
        return fabric_pb2.GetFabricResponse(fabric=fabric_message(spec))

    async def GetInventory(  # noqa: N802
        self, _request: fabric_pb2.GetInventoryRequest, _context: Context
    ) -> fabric_pb2.GetInventoryResponse:
        return inventories_message(inventories(self._control.state))

    async def SetRole(  # noqa: N802
        self, request: fabric_pb2.SetRoleRequest, context: Context
    ) -> fabric_pb2.SetRoleResponse:
        role = word(Role, request.role, None)
        if role is None:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "role must be one of prefill, decode, storage, other"
            )
        answer = verdict(await self._control.submit(RoleSet(request.host, role, origin(context))))
        if isinstance(answer, Declined):
            await abort(context, answer)
        spec = self._control.state.spec
        host = spec.host(request.host) if spec else None
        if host is None:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"host {request.host} has left the fabric meanwhile"
            )
        return fabric_pb2.SetRoleResponse(host=host_message(host))
