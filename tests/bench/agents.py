"""A controller with 200 connected agents of 9 ports each, scripted: they accept and report ready at once. How long a
plan, a rollout in waves and a pause take. The controller is a process of its own; all agents are one other.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import grpc
import scriptedagent
from scriptedagent import ScriptedAgent, eventually

from trafficd.api.v1 import operation_pb2, operation_pb2_grpc, policy_pb2, policy_pb2_grpc

scriptedagent.WAIT_S = 120.0  # 200 agents on one processor, beside whatever else runs there
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


@contextmanager
def _controller(folder: Path) -> Iterator[tuple[str, int]]:
    """``trafficd serve`` as a process of its own: its address, and its process id."""
    (folder / "fabric.yaml").write_text(fabric())
    files = ["--state", str(folder / "state.db"), "--fabric", str(folder / "fabric.yaml")]
    listen = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    main = "import sys; from trafficd.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", main, "serve", *files, *listen]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r"gRPC on (\S+) ", process.stdout.readline())
            assert found, (folder / "log").read_text()
            yield found[1], process.pid
        finally:
            process.terminate()


class Watch:
    """Time since it was made: on the clock, and of the processor, of the controller and of the agents."""

    def __init__(self, controller: int) -> None:
        self.controller = controller
        self.begin, self.theirs, self.ours = time.monotonic(), self._cpu(), time.process_time()

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self.controller}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def seconds(self, until: float = 0.0) -> str:
        wall = (until or time.monotonic()) - self.begin
        theirs, ours = self._cpu() - self.theirs, time.process_time() - self.ours
        return f"{wall:.2f} s (processor: controller {theirs:.2f} s, all agents together {ours:.2f} s)"


async def _measured(address: str, controller: int) -> list[str]:
    async with AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(ObedientAgent(address, n, NICS)) for n in NAMES]
        await asyncio.gather(*(a.hello() for a in agents))
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(address, options=[("grpc.max_receive_message_length", 64 * 2**20)])
        )
        return await _figures(channel, agents, controller)


async def _figures(channel: grpc.aio.Channel, agents: list[ObedientAgent], controller: int) -> list[str]:
    policies = policy_pb2_grpc.PolicyServiceStub(channel)
    orders = operation_pb2_grpc.OperationServiceStub(channel)
    first, second = (
        POLICY.format(rollout="", preset="dualpath"),
        POLICY.format(rollout=WAVES, preset="two-lane-strict"),
    )
    await policies.ApplyPolicy(policy_pb2.ApplyPolicyRequest(text=first))
    await eventually(lambda: all(a.accepted for a in agents))
    await asyncio.sleep(2)  # what the agents still say about it is no part of what is measured

    watch = Watch(controller)
    plan = await orders.PlanPolicy(operation_pb2.PlanPolicyRequest(policy_text=second))
    planned = watch.seconds()
    assert len(plan.scopes) == NODES * PORTS, f"{len(plan.scopes)} scopes would change"

    watch = Watch(controller)
    await policies.ApplyPolicy(policy_pb2.ApplyPolicyRequest(text=second))
    while (status := await orders.GetRollout(operation_pb2.GetRolloutRequest())).HasField("rollout"):
        assert status.rollout.phase != operation_pb2.ROLLOUT_PHASE_HALTED, status.rollout.reason
        await asyncio.sleep(0.2)
    rolled = watch.seconds()

    watch = Watch(controller)
    await orders.SetPause(operation_pb2.SetPauseRequest(paused=True, reason="bench"))
    await eventually(lambda: all(a.paused_at for a in agents))
    paused = watch.seconds(max(a.paused_at for a in agents))
    head = f"{NODES} agents of {PORTS} ports, load {os.getloadavg()[0]:.1f}"
    return [
        f"{head}: plan of a change of every port {planned}",
        f"{head}: rollout, canary and waves of 25 %, soak 0, verified {rolled}",
        f"{head}: pause heard by all {paused}",
    ]


def operations() -> Iterator[str]:
    """Figures, one line each."""
    with tempfile.TemporaryDirectory() as folder, _controller(Path(folder)) as (address, process):
        yield from asyncio.run(_measured(address, process))


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in operations())
