"""A scripted agent over real gRPC: says what a test tells it to, keeps everything the controller said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Self

import grpc

from trafficd.api.v1 import agent_pb2, agent_pb2_grpc, qos_pb2

WAIT_S = 10.0


def inventory(*ports: str) -> agent_pb2.InventoryReport:
    offers = [agent_pb2.DriverOffer(driver="tc", supported=True)]
    return agent_pb2.InventoryReport(
        ports=[
            agent_pb2.PortInventory(
                name=p, link_layer=qos_pb2.LINK_LAYER_ETHERNET, rate_bps=100_000_000, up=True, offers=offers
            )
            for p in ports
        ]
    )


def port_status(name: str, generation: agent_pb2.Generation, **conditions: bool) -> agent_pb2.ScopeStatus:
    """Applied, Verified and Ready unless told otherwise; not Drifted."""
    holds = {"APPLIED": True, "VERIFIED": True, "DRIFTED": False, "READY": True, **conditions}
    return agent_pb2.ScopeStatus(
        kind=agent_pb2.SCOPE_KIND_PORT,
        name=name,
        driver="tc",
        mode=qos_pb2.MODE_ENFORCE,
        observed=generation,
        conditions=[
            qos_pb2.Condition(
                type=qos_pb2.ConditionType.Value(f"CONDITION_TYPE_{kind}"),
                status=qos_pb2.CONDITION_STATUS_TRUE if ok else qos_pb2.CONDITION_STATUS_FALSE,
                reason="Told",
            )
            for kind, ok in holds.items()
        ],
    )


async def eventually(what: Callable[[], Any]) -> Any:
    """Wait until ``what`` returns something true, and return it."""
    async with asyncio.timeout(WAIT_S):
        while True:
            if found := what():
                return found
            await asyncio.sleep(0.01)


class ScriptedAgent:
    """One Control stream. ``said`` holds every response, newest last."""

    def __init__(
        self,
        address: str,
        node: str,
        ports: tuple[str, ...] = ("s0", "c0"),
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._credentials = credentials
        self.address, self.node, self.ports = address, node, ports
        self.said: list[agent_pb2.ControlResponse] = []
        self._stack = AsyncExitStack()
        self.accepted: agent_pb2.Generation | None = None
        self.digest = ""
        self.follows = ""

    async def __aenter__(self) -> Self:
        if self._credentials is None:
            opened = grpc.aio.insecure_channel(self.address)
        else:
            opened = grpc.aio.secure_channel(self.address, self._credentials)
        channel = await self._stack.enter_async_context(opened)
        self.stub: Any = agent_pb2_grpc.AgentServiceStub(channel)
        self.call = self.stub.Control()
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()
        await asyncio.wait([self._reader])
        await self._stack.aclose()

    async def _read(self) -> None:
        try:
            async for response in self.call:
                self.said.append(response)
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass

    async def hello(self, **more: Any) -> agent_pb2.Welcome:
        """Say hello with what it has accepted; returns the welcome."""
        before = len(self.welcomes)
        hello = agent_pb2.Hello(
            node=self.node,
            inventory=inventory(*self.ports),
            boot_id="boot",
            controller_uuid=self.follows,
            accepted=self.accepted,
            accepted_digest=self.digest,
            **more,
        )
        await self.call.write(agent_pb2.ControlRequest(hello=hello))
        await eventually(lambda: len(self.welcomes) > before)
        return self.welcomes[-1]

    @property
    def welcomes(self) -> list[agent_pb2.Welcome]:
        return [r.welcome for r in self.said if r.HasField("welcome")]

    @property
    def desired(self) -> list[agent_pb2.DesiredState]:
        return [r.desired for r in self.said if r.HasField("desired")]

    @property
    def headers(self) -> list[agent_pb2.Header]:
        return [r.header for r in self.said if r.HasField("header")]

    async def next_desired(self, count: int = 1) -> agent_pb2.DesiredState:
        """The desired state that makes it ``count``."""
        await eventually(lambda: len(self.desired) >= count)
        return self.desired[count - 1]

    async def accept(self, order: agent_pb2.DesiredState | agent_pb2.Header) -> None:
        """Acknowledge and remember it, and report every port ready."""
        self.accepted, self.digest, self.follows = order.generation, order.digest, order.controller_uuid
        acknowledgement = agent_pb2.Acknowledgement(
            generation=order.generation, digest=order.digest, accepted=True
        )
        await self.call.write(agent_pb2.ControlRequest(acknowledgement=acknowledgement))
        await self.report(*(port_status(p, order.generation) for p in self.ports))

    async def report(self, *scopes: agent_pb2.ScopeStatus) -> None:
        status = agent_pb2.StatusReport(scopes=scopes)
        await self.call.write(agent_pb2.ControlRequest(status=status))
