"""A controller with 200 connected agents of 9 ports each, scripted: they accept and report ready at once. How long a
plan, a rollout in waves and a pause take, controller and agents in one process.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import grpc
from scriptedagent import ScriptedAgent, eventually

from trafficd.api.v1 import operation_pb2, operation_pb2_grpc, policy_pb2, policy_pb2_grpc
from trafficd.app.controller import Controller
from trafficd.config import Address, ControllerConfig, parse_listen
from trafficd.store import Store

NODES, PORTS = 200, 9
NAMES = tuple(f"n{i:03d}" for i in range(NODES))
NICS = tuple(f"p{i}" for i in range(PORTS))
POLICY = "version: 1\n{rollout}policies: [{{name: main, preset: {preset}, mode: enforce}}]\n"
WAVES = "rollout: {canary: {count: 1}, wave_percent: 25, soak_seconds: 0}\n"


def fabric() -> str:
    nics = ", ".join(f"{{name: {n}, kind: compute, rate: 100Gb/s}}" for n in NICS)
    hosts = "\n".join(f"  - {{name: {n}, role: prefill, nics: [{nics}]}}" for n in NAMES)
    return f"version: 1\nname: bench\nhosts:\n{hosts}\n"


class ObedientAgent(ScriptedAgent):
    """Accepts whatever comes and reports every port ready; notes when it was paused."""

    paused_at = 0.0

    async def _read(self) -> None:
        try:
            async for response in self.call:
                self.said.append(response)
                kind = response.WhichOneof("message")
                if kind in ("desired", "header"):
                    await self.accept(getattr(response, kind))
                if kind == "pause" and response.pause.paused:
                    self.paused_at = time.monotonic()
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass


async def _measured(folder: Path) -> list[str]:
    (folder / "fabric.yaml").write_text(fabric())
    config = ControllerConfig(
        listen=(parse_listen("127.0.0.1:0"),),
        http=Address("127.0.0.1", 0),
        state=folder / "state.db",
        fabric=folder / "fabric.yaml",
    )
    store = Store.open(config.state)
    controller = Controller(config, store)
    async with controller.running(), AsyncExitStack() as stack:
        address = str(controller.grpc[0])
        agents = [await stack.enter_async_context(ObedientAgent(address, n, NICS)) for n in NAMES]
        await asyncio.gather(*(a.hello() for a in agents))
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(address, options=[("grpc.max_receive_message_length", 64 * 2**20)])
        )
        lines = await _figures(channel, agents)
    store.close()
    return lines


async def _figures(channel: grpc.aio.Channel, agents: list[ObedientAgent]) -> list[str]:
    policies = policy_pb2_grpc.PolicyServiceStub(channel)
    orders = operation_pb2_grpc.OperationServiceStub(channel)
    first, second = (
        POLICY.format(rollout="", preset="dualpath"),
        POLICY.format(rollout=WAVES, preset="two-lane-strict"),
    )
    await policies.ApplyPolicy(policy_pb2.ApplyPolicyRequest(text=first))
    await eventually(lambda: all(a.accepted for a in agents))

    begin = time.monotonic()
    plan = await orders.PlanPolicy(operation_pb2.PlanPolicyRequest(policy_text=second))
    planned = time.monotonic() - begin
    assert len(plan.scopes) == NODES * PORTS, f"{len(plan.scopes)} scopes would change"

    begin = time.monotonic()
    await policies.ApplyPolicy(policy_pb2.ApplyPolicyRequest(text=second))
    while (status := await orders.GetRollout(operation_pb2.GetRolloutRequest())).HasField("rollout"):
        assert status.rollout.phase != operation_pb2.ROLLOUT_PHASE_HALTED, status.rollout.reason
        await asyncio.sleep(0.05)
    rolled = time.monotonic() - begin

    begin = time.monotonic()
    await orders.SetPause(operation_pb2.SetPauseRequest(paused=True, reason="bench"))
    await eventually(lambda: all(a.paused_at for a in agents))
    paused = max(a.paused_at for a in agents) - begin
    head = f"{NODES} agents of {PORTS} ports"
    return [
        f"{head}: plan of a change of every port {planned:.2f} s",
        f"{head}: rollout, canary and waves of 25 %, soak 0, verified {rolled:.2f} s",
        f"{head}: pause heard by all {paused * 1000:.0f} ms",
    ]


def operations() -> Iterator[str]:
    """Figures, one line each."""
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_measured(Path(folder)))


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in operations())
