"""A controller as a process, with counters that a script makes up: what a status page is tried on.

``python tests/statuslab.py FABRIC POLICY STATE [N]`` serves until its standard input ends and prints its gRPC and HTTP
ports. Every NIC of the fabric but each 17th (which nobody measures) carries a load of its own that changes a little all the
time, N (4) recommendations a second are asked for, and the counters go in where the agents' streams end.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc

from trafficd.api.v1 import path_pb2, path_pb2_grpc
from trafficd.app import _new_loop
from trafficd.app.controller import Controller
from trafficd.config import Address, ControllerConfig, parse_listen
from trafficd.store import Store
from trafficd_topology.counters import Column, Direction, Quantity, Sample
from trafficd_topology.model import FabricSpec, Host, Role

EVERY_S = 0.5
LANES = (0, 1, 2)
UNMEASURED = 17


@contextlib.contextmanager
def serving(fabric: Path, policy: Path, state: Path, rate: int = 4) -> Iterator[tuple[int, int]]:
    """The gRPC and the HTTP port of one that runs."""
    command = [sys.executable, __file__, *map(str, (fabric, policy, state, rate))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            first, second = process.stdout.readline().split()
            yield int(first), int(second)
        finally:
            process.communicate(timeout=20)


class Load:
    """One host's counters, rising."""

    def __init__(self, host: Host, first: int) -> None:
        chance = random.Random(host.name)
        ports = [n for i, n in enumerate(host.nics, first) if i % UNMEASURED]
        self.columns = tuple(
            Column(n.name, Quantity.BYTES, way, lane_id=lane)
            for n in ports
            for way in Direction
            for lane in (None, *LANES)
        )
        self.parts = [chance.random() ** 2 * n.rate_bps / 8 for n in ports for _ in Direction]
        self.values = [0] * len(self.columns)

    def sample(self, seconds: float, at: float) -> Sample:
        for i, most in enumerate(self.parts):
            now = most * (0.85 + 0.15 * math.sin(at + i))
            shares = (1.0, 0.02, 0.55, 0.43)
            for k, share in enumerate(shares):
                self.values[4 * i + k] += int(now * share * seconds)
        return Sample(time.time_ns(), int(at * 1e9), tuple(self.values))


async def feed(controller: Controller, spec: FabricSpec) -> None:
    first, loads = 0, {}
    for host in spec.hosts:
        loads[host.name] = Load(host, first)
        first += len(host.nics)
        controller._heard.hello(host.name, loads[host.name].columns)
    while True:
        at = time.monotonic()
        for name, load in loads.items():
            controller._heard.sample(name, load.sample(EVERY_S, at), time.monotonic())
            await asyncio.sleep(0)
        await asyncio.sleep(EVERY_S)


async def ask(port: int, spec: FabricSpec, rate: int) -> None:
    hosts = {role: [h.name for h in spec.hosts if h.role is role] for role in Role}
    storage = next((h for h in spec.hosts if h.role is Role.STORAGE and h.pool), None)
    if storage is None:
        return
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = path_pb2_grpc.PathServiceStub(channel)
        for i in range(10**9):
            request = path_pb2.RecommendRequest(
                request_id=f"turn-{i}",
                bytes=4 * 10**9,
                prefill=[path_pb2.EngineRef(node=hosts[Role.PREFILL][i % len(hosts[Role.PREFILL])])],
                decode=[path_pb2.EngineRef(node=hosts[Role.DECODE][i % len(hosts[Role.DECODE])])],
                source=path_pb2.Source(pool=storage.pool),
                abilities=path_pb2.Abilities(read_on_decode_side=True),
            )
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.Recommend(request, timeout=5)
            await asyncio.sleep(1 / rate)


async def main(fabric: Path, policy: Path, state: Path, rate: int) -> None:
    config = ControllerConfig(
        listen=(parse_listen("127.0.0.1:0"),),
        http=Address("127.0.0.1", 0),
        state=state,
        policy=policy,
        fabric=fabric,
    )
    store = Store.open(state)
    controller = Controller(config, store)
    async with controller.running():
        spec = controller.control.state.spec
        assert spec is not None
        port = controller.grpc[0].tcp.port
        async with asyncio.timeout(30):
            while controller._paths._service.engine.snapshot is None:
                await asyncio.sleep(0.02)
        tasks = [asyncio.create_task(feed(controller, spec)), asyncio.create_task(ask(port, spec, rate))]
        sys.stdout.write(f"{port} {controller.http_port}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        for task in tasks:
            task.cancel()
    store.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        given = sys.argv[1:]
        runner.run(main(Path(given[0]), Path(given[1]), Path(given[2]), int(given[3]) if given[3:] else 4))
