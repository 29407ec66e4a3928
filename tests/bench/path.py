"""Speed of path choice: the choice code by itself, and the service against a bare gRPC echo.

The echo has messages of the same size on the same server, event loop and connection; neither side parses them. Both are
measured in turns, so that what the machine does besides hits both.
"""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import grpc
from control import Control

from trafficd.api.v1 import path_pb2
from trafficd.app import _new_loop
from trafficd.app.grpcserver import new_server
from trafficd.choice.engine import PathEngine
from trafficd.choice.request import Abilities, EngineRef, EngineReport, Request, Source
from trafficd.choice.snapshot import (
    Attachment,
    Layout,
    LinkLayer,
    Nic,
    NicKind,
    NicState,
    Node,
    Role,
    Snapshot,
)
from trafficd.client.convert import request_message
from trafficd.server.path import PathService, register

RUNS = 5
DECISIONS = 4000
CALLS = 1500
IN_FLIGHT = 32
RATE = 400_000_000_000
ECHO = "/bench.Echo/Call"
RECOMMEND = "/trafficd.api.v1.PathService/Recommend"
SAME = bytes
"""Serialises bytes as they are."""


def cluster(nodes: int) -> Snapshot:
    """Nodes of eight GPUs with a compute NIC each and one storage NIC; a third prefill; one switch per rail."""
    hosts = [Node(f"n{i}", Role.PREFILL if i % 3 == 0 else Role.DECODE) for i in range(nodes)]
    storage = [Node(f"st{i}", Role.STORAGE, "kv") for i in range(4)]
    nics: list[Nic] = []
    rails: list[list[int]] = [[] for _ in range(9)]
    for i in range(nodes):
        for gpu in range(8):
            rails[gpu].append(len(nics))
            nics.append(Nic(i, f"c{gpu}", NicKind.COMPUTE, LinkLayer.INFINIBAND, gpu, gpu, 2))
        rails[8].append(len(nics))
        nics.append(Nic(i, "s0", NicKind.STORAGE, LinkLayer.INFINIBAND, kv_lane_id=2))
    for i in range(4):
        rails[8].append(len(nics))
        nics.append(Nic(nodes + i, "s0", NicKind.STORAGE, LinkLayer.INFINIBAND, kv_lane_id=2))
    switches = tuple(Attachment(f"sw{k}", tuple(r)) for k, r in enumerate(rails))
    layout = Layout((*hosts, *storage), tuple(nics), switches)
    built = time.time_ns()
    states = tuple(NicState(RATE, RATE * 99 // 100, 10**9, 0, built) for _ in nics)
    return Snapshot("bench", built, 3_600_000, layout, states)


def engine(nodes: int) -> PathEngine:
    """A path engine on that cluster; every engine has reported."""
    made = PathEngine("bench")
    now = time.monotonic()
    made.swap(cluster(nodes), now)
    made.report(
        [
            EngineReport(
                EngineRef(f"n{i}", gpu),
                gpu=gpu,
                read_queue_bytes=10**9,
                unfinished_tokens=1000,
                unfinished_sequences=3,
            )
            for i in range(nodes)
            for gpu in range(8)
        ],
        now,
    )
    return made


def asked(i: int) -> Request:
    """One of 2,000 pairs of engines."""
    pair = ((EngineRef(f"n{3 * (i % 40)}", i % 8),), (EngineRef(f"n{3 * (i % 47) + 1}", i % 8),))
    return Request(f"r{i}", 10**9, *pair, source=Source(pool="kv"))


FORMS: tuple[tuple[str, Callable[[Request], Request]], ...] = (
    ("engines given, one leg", lambda r: r),
    ("engines given, either side", lambda r: replace(r, abilities=Abilities(read_on_decode_side=True))),
    ("engines given, one leg, reserved", lambda r: replace(r, reserve_s=30.0)),
    ("engines left to us, one leg", lambda r: replace(r, prefill=(), decode=(), max_plans=1)),
    (
        "engines left to us, splits, reserved",
        lambda r: replace(
            r,
            prefill=(),
            decode=(),
            max_plans=1,
            abilities=Abilities(read_on_decode_side=True, max_legs=2),
            reserve_s=30.0,
        ),
    ),
)


def _median_us(made: PathEngine, form: Callable[[Request], Request], run: int) -> float:
    requests = [form(asked(i)) for i in range(DECISIONS if form(asked(0)).prefill else 400)]
    requests = [replace(r, id=f"{run}-{r.id}") for r in requests]
    spent = []
    for request in requests:
        now = time.monotonic()
        started = time.perf_counter()
        made.recommend(request, now)
        spent.append(time.perf_counter() - started)
    return statistics.median(spent) * 1e6


def decisions() -> Iterator[str]:
    """Median of one decision, at 144 and 4,096 nodes."""
    small, large = engine(144), engine(4096)
    for name, form in FORMS:
        few, many = (
            statistics.median(_median_us(made, form, run) for run in range(RUNS)) for made in (small, large)
        )
        yield f"{name}: {few:.1f} us at 144 nodes (1,296 NICs), {many:.1f} us at 4,096: {many / few:.2f}x"


async def _serve(*, busy: bool) -> None:
    """One server with the path service and the echo, until its standard input ends; busy with control work besides."""
    made = engine(144)
    size = len(await _told(made))
    answer = bytes(size)

    async def echo(_request: bytes, _context: object) -> bytes:
        return answer

    server = new_server()
    service = PathService(made)
    register(service, server)
    handler = grpc.unary_unary_rpc_method_handler(echo, SAME, SAME)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Call": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    work = asyncio.create_task(Control(service).run()) if busy else None
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    if work is not None:
        work.cancel()
    await server.stop(None)


async def _told(made: PathEngine) -> bytes:
    """An answer as it goes over the wire."""
    message = request_message(asked(0))
    told = await PathService(made).Recommend(message, None)  # type: ignore[arg-type]
    return told.SerializeToString()


@contextlib.contextmanager
def _server(*modes: str) -> Iterator[tuple[int, int]]:
    """A server of its own: (port, process id)."""
    command = [sys.executable, __file__, "serve", *modes]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.communicate(timeout=10)


Call = Callable[[bytes], Awaitable[bytes]]


async def _rate(call: Call, requests: list[bytes], in_flight: int) -> float:
    """Calls per second."""
    share = [requests[i::in_flight] for i in range(in_flight)]

    async def some(mine: list[bytes]) -> None:
        for request in mine:
            await call(request)

    started = time.perf_counter()
    await asyncio.gather(*(some(mine) for mine in share))
    return len(requests) / (time.perf_counter() - started)


async def _compare(port: int, in_flight: int) -> tuple[float, float, float]:
    """Medians over the runs: recommendations per second, echoes per second, and the ratio within a run."""
    requests = [request_message(asked(i)).SerializeToString() for i in range(CALLS)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        recommend = channel.unary_unary(RECOMMEND, request_serializer=SAME, response_deserializer=SAME)
        echo = channel.unary_unary(ECHO, request_serializer=SAME, response_deserializer=SAME)
        path_pb2.RecommendResponse.FromString(await recommend(requests[0]))
        rows = [
            (await _rate(recommend, requests, in_flight), await _rate(echo, requests, in_flight))
            for _ in range(RUNS)
        ]
    ours, theirs = zip(*rows, strict=True)
    ratio = statistics.median(a / b for a, b in rows)
    return statistics.median(ours), statistics.median(theirs), ratio


def service() -> Iterator[str]:
    """Unary Recommend against the echo."""
    with _server() as (port, _), asyncio.Runner(loop_factory=_new_loop) as runner:
        for in_flight, name in ((1, "serial"), (IN_FLIGHT, f"{IN_FLIGHT} in flight")):
            ours, theirs, ratio = runner.run(_compare(port, in_flight))
            yield f"Recommend, {name}: {ours:,.0f}/s, bare echo {theirs:,.0f}/s: {ratio:.2f} of the echo"


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_new_loop) as main_runner:
        main_runner.run(_serve(busy="busy" in sys.argv))
