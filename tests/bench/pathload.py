"""The path service under load: batches, the paper's largest load over one stream, and the tail beside control work.

The paper's largest run (48P96D, 48K agents in 3,201 s) had 1,382 requests a second. Its scheduler names neither engine
here: prefill, decode and path are all chosen. CPU is that of the server's process, by the kernel.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
from path import ECHO, RATE, RECOMMEND, SAME, _server, asked

from trafficd.api.v1 import path_pb2 as pb
from trafficd.app import _new_loop
from trafficd.choice.request import EngineRef, Request
from trafficd.client.convert import request_message

BATCH = 64
BATCHES = 60
PER_S = 1382
SECONDS = 5
TICK_S = 0.01
BATCH_CALL = "/trafficd.api.v1.PathService/RecommendBatch"
CONVERSE = "/trafficd.api.v1.PathService/Converse"


def cpu_s(pid: int) -> float:
    """User and system time of a process so far (proc(5), stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _batches(port: int, pid: int) -> tuple[float, float]:
    """Decisions in batches, engines given: per second, and per second of the server's CPU."""
    requests = [request_message(asked(i)) for i in range(BATCH)]
    message = pb.RecommendBatchRequest(requests=requests).SerializeToString()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(BATCH_CALL, request_serializer=SAME, response_deserializer=SAME)
        await call(message)
        started, before = time.perf_counter(), cpu_s(pid)
        for _ in range(BATCHES):
            await call(message)
        count = BATCH * BATCHES
        return count / (time.perf_counter() - started), count / (cpu_s(pid) - before)


async def _stream(port: int, pid: int) -> tuple[int, float]:
    """(answers, seconds of the server's CPU per second) with PER_S requests a second, each released a second later."""
    leases: list[str] = []
    answered = 0

    async def say() -> AsyncIterator[pb.ConverseRequest]:
        begun, said = time.perf_counter(), 0
        while (passed := time.perf_counter() - begun) < SECONDS:
            due = int(passed * PER_S) - said
            if due:
                said += due
                ended = [
                    pb.ReleaseRequest(lease_id=leases.pop(0)) for _ in range(max(0, len(leases) - PER_S))
                ]
                batch = pb.RecommendBatchRequest(requests=[_any(said - k) for k in range(due)])
                yield pb.ConverseRequest(tag=said, batch=batch, releases=ended)
            await asyncio.sleep(TICK_S)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(
            CONVERSE,
            request_serializer=pb.ConverseRequest.SerializeToString,
            response_deserializer=pb.ConverseResponse.FromString,
        )
        before, begun = cpu_s(pid), time.perf_counter()
        async for told in call(say()):
            answered += len(told.batch.responses)
            leases += [r.lease.id for r in told.batch.responses]
        return answered, (cpu_s(pid) - before) / (time.perf_counter() - begun)


def _any(i: int) -> pb.RecommendRequest:
    return pb.RecommendRequest(
        request_id=f"s{i}",
        bytes=RATE // 300,
        source=pb.Source(pool="kv"),
        abilities=pb.Abilities(read_on_decode_side=True, max_legs=2),
        reserve_ttl_ms=30_000,
        max_plans=1,
    )


async def _tails(port: int) -> tuple[float, float]:
    """p99.9 of Recommend and of the echo, in turns, seconds."""
    requests = [request_message(_there(i)).SerializeToString() for i in range(4000)]
    ours: list[float] = []
    theirs: list[float] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method, spent in ((RECOMMEND, ours), (ECHO, theirs)) * 2:
            call = channel.unary_unary(method, request_serializer=SAME, response_deserializer=SAME)
            for request in requests:
                started = time.perf_counter()
                await call(request)
                spent.append(time.perf_counter() - started)
    return (sorted(spent)[int(len(spent) * 0.999)] for spent in (ours, theirs))  # type: ignore[return-value]


def _there(i: int) -> Request:
    """One of the pairs of the fabric that the busy server has."""
    pair = (EngineRef(f"p{1 + i % 48}", i % 8),), (EngineRef(f"d{1 + i % 96}", i % 8),)
    return replace(asked(i), prefill=pair[0], decode=pair[1])


def load() -> Iterator[str]:
    """Lines of figures."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        with _server() as (port, pid):
            per_s, per_cpu_s = runner.run(_batches(port, pid))
            yield f"batches of {BATCH}: {per_s:,.0f} decisions/s, {per_cpu_s:,.0f} per second of the server's CPU"
        with _server() as (port, pid):
            answered, share = runner.run(_stream(port, pid))
            yield (
                f"stream, PE, DE and path chosen, splits, reserved and released: {answered / SECONDS:,.0f} a second "
                f"on {share:.2f} of a core"
            )
        with _server("busy") as (port, _):
            ours, theirs = runner.run(_tails(port))
            yield (
                f"p99.9 beside telemetry of 144 nodes at 1 Hz and a policy compiled every second: "
                f"{ours * 1e3:.1f} ms, echo {theirs * 1e3:.1f} ms: {ours / theirs:.2f}x"
            )


if __name__ == "__main__":
    for line in load():
        sys.stdout.write(line + "\n")
