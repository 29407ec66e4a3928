"""The path service and its clients over real gRPC, with a snapshot made by hand."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest
from pathlab import BOTH, GB, RATE, read, snapshot
from pathserver import PathServer, eventually

from trafficd.api.v1 import path_pb2, path_pb2_grpc
from trafficd.choice.snapshot import Snapshot
from trafficd.client import (
    Answer,
    Client,
    EngineRef,
    EngineReport,
    FallbackReason,
    LegBytes,
    LinkLayer,
    Reservation,
    Settings,
    Side,
    aio,
    connect,
)

PATIENT_S = 10.0
ONE_SIDE = replace(BOTH, read_on_decode_side=False)


def lasting(version: str = "1") -> Snapshot:
    """A snapshot whose telemetry stays fresh for as long as a test runs."""
    return replace(snapshot(version), valid_for_ms=600_000)


@pytest.fixture
def server() -> Iterator[PathServer]:
    running = PathServer(lasting())
    yield running
    running.close()


@pytest.fixture
def client(server: PathServer) -> Iterator[Client]:
    with connect(server.target) as made:
        assert made.wait_ready(PATIENT_S)
        yield made


@pytest.fixture
def stub(server: PathServer) -> Iterator[path_pb2_grpc.PathServiceStub]:
    with grpc.insecure_channel(server.target) as channel:
        yield path_pb2_grpc.PathServiceStub(channel)


def announce(client: Client, server: PathServer) -> None:
    reports = [EngineReport(EngineRef(n, 0), gpu=0, read_queue_bytes=0) for n in ("p1", "d1", "p2", "d2")]
    assert client.report_engines(reports) == ()
    eventually(lambda: len(server.call(server.engine.engines)) == 4)


def reason(answer: Answer) -> FallbackReason | None:
    return None if answer.fallback is None else answer.fallback.reason


def test_the_whole_life_of_a_read(server: PathServer, client: Client) -> None:
    announce(client, server)
    answer = client.recommend(read(reserve_s=30.0, abilities=ONE_SIDE), PATIENT_S)
    assert (answer.fallback, answer.problems, answer.snapshot_version) == (None, (), "1")
    assert answer.plans[0].legs[0].nics == ("p1/s0",)
    assert answer.lease is not None
    assert server.totals() == {"p1/s0": 10 * GB}
    again = client.recommend(read(reserve_s=30.0, abilities=ONE_SIDE), PATIENT_S)
    assert again.lease is not None
    assert again.lease.id == answer.lease.id
    assert client.renew(answer.lease.id, [LegBytes("p1/s0", 4 * GB)])
    eventually(server.totals, lambda t: t == {"p1/s0": 4 * GB})
    assert client.release(answer.lease.id)
    eventually(server.totals, lambda t: t == {})
    assert not client.release(answer.lease.id)


def test_the_client_chooses_as_the_controller_does(server: PathServer, client: Client) -> None:
    announce(client, server)
    server.call(lambda: server.service.publish(replace(lasting("2"), engines=server.engine.engines())))
    eventually(lambda: client.snapshot is not None and client.snapshot.version == "2")
    for i in range(50):
        asked = read(f"r{i}")
        assert client.choose(asked) == client.recommend(asked, PATIENT_S)
    marking = client.marking("kv", LinkLayer.ETHERNET)
    assert marking is not None
    assert (marking.lane_id, marking.dscps, marking.tos) == (2, (10,), 40)


def test_the_snapshot_crosses_the_wire_whole(server: PathServer, client: Client) -> None:
    assert client.snapshot == lasting()


def test_what_is_unknown_is_named_over_the_wire(client: Client) -> None:
    answer = client.recommend(read(prefill=(EngineRef("p9"), EngineRef("p1"))), PATIENT_S)
    assert [(p.item, p.code) for p in answer.problems] == [("prefill[0] p9/0", 5)]
    assert answer.plans[0].prefill == ("p1", 0)


def test_controller_killed_then_local_then_static_then_back(server: PathServer, client: Client) -> None:
    announce(client, server)
    server.publish(replace(snapshot("2"), valid_for_ms=2500, engines=server.call(server.engine.engines)))
    eventually(lambda: client.snapshot is not None and client.snapshot.version == "2")
    server.stop()
    local = client.recommend(read("a", reserve_s=60.0))
    assert reason(local) is FallbackReason.LOCAL, local.fallback
    assert local.fallback is not None
    assert "cannot be reached" in local.fallback.detail
    assert local.lease is not None
    static = eventually(lambda: client.recommend(read("b")), lambda a: reason(a) is not FallbackReason.LOCAL)
    assert reason(static) is FallbackReason.STATIC
    server._snapshot = lasting("3")
    server.start()
    back = eventually(lambda: client.recommend(read("c"), PATIENT_S), lambda a: a.snapshot_version == "3")
    assert reason(back) in (None, FallbackReason.NO_QUEUE)
    # What was reserved meanwhile is announced, and so are the engines.
    nics = local.plans[0].legs[0].nics
    eventually(server.totals, lambda t: t == dict.fromkeys(nics, 10 * GB))
    eventually(lambda: len(server.call(server.engine.engines)) == 4)


def test_a_restarted_controller_takes_leases_back(server: PathServer, client: Client) -> None:
    answer = client.recommend(read(reserve_s=60.0, abilities=ONE_SIDE), PATIENT_S)
    assert answer.lease is not None
    assert answer.lease.id.startswith("controller1-")
    server.stop()
    server.start()
    eventually(server.totals, lambda t: t == {"p1/s0": 10 * GB})
    client.release(answer.lease.id)
    eventually(server.totals, lambda t: t == {})


def test_a_lease_is_renewed_until_it_is_released(server: PathServer, client: Client) -> None:
    lease, problems = client.reserve(Reservation("r", (LegBytes("p1/s0", GB), LegBytes("p1/s9", 1)), 0.6))
    assert lease is not None
    assert [p.item for p in problems] == ["legs[1] p1/s9"]
    eventually(server.totals, lambda t: t == {"p1/s0": GB})
    until = time.monotonic() + 1.5
    eventually(lambda: (server.totals(), time.monotonic()), lambda seen: seen[1] > until or not seen[0])
    assert server.totals() == {"p1/s0": GB}
    client.release(lease.id)
    eventually(server.totals, lambda t: t == {})


def test_a_client_that_dies_leaks_nothing(server: PathServer) -> None:
    with connect(server.target) as short:
        lease, _ = short.reserve(Reservation("r", (LegBytes("p1/s0", GB),), 0.5))
        assert lease is not None
        eventually(server.totals)
    eventually(server.totals, lambda t: t == {})


def test_a_release_just_before_the_end_still_arrives(server: PathServer) -> None:
    with connect(server.target) as short:
        answer = short.recommend(read(reserve_s=600.0), PATIENT_S)
        assert answer.lease is not None
        assert server.totals()
        short.release(answer.lease.id)
    assert server.totals() == {}


def test_a_hanging_controller_costs_no_more_than_the_timeout(server: PathServer, client: Client) -> None:
    free = threading.Event()
    server.block(free)
    spent = []
    try:
        for i in range(20):
            started = time.monotonic()
            answer = client.recommend(read(f"r{i}"), 0.02)
            spent.append(time.monotonic() - started)
            assert reason(answer) is FallbackReason.LOCAL
    finally:
        free.set()
    # Three pay for finding out; the others hardly wait.
    assert sorted(spent)[10] < 0.02
    eventually(
        lambda: client.recommend(read("z"), PATIENT_S), lambda a: reason(a) is not FallbackReason.LOCAL
    )


def test_with_nobody_there_the_prefill_side_at_once() -> None:
    with connect("127.0.0.1:1") as alone:
        started = time.monotonic()
        answer = alone.recommend(read(abilities=BOTH), 0.05)
        assert time.monotonic() - started < 1.0
        assert reason(answer) is FallbackReason.STATIC
        leg = answer.plans[0].legs[0]
        assert (leg.side, leg.reader, leg.bytes) == (Side.PREFILL, "p1", 10 * GB)
    closed = alone.recommend(read(), 0.05)
    assert closed.fallback is not None
    assert closed.fallback.detail.startswith("this client is closed")


def test_engines_come_and_go(server: PathServer, client: Client) -> None:
    announce(client, server)
    client.report_engines([EngineReport(EngineRef("p1", 0), gone=True)])
    eventually(lambda: len(server.call(server.engine.engines)) == 3)
    answer = client.recommend(read(), PATIENT_S)
    assert [p.item for p in answer.problems] == ["prefill[0] p1/0"]


def test_reports_that_cannot_be_used_are_named_at_the_end(stub: path_pb2_grpc.PathServiceStub) -> None:
    reports = [
        path_pb2.EngineReport(engine=path_pb2.EngineRef(node="p9")),
        path_pb2.EngineReport(engine=path_pb2.EngineRef(node="p1"), read_queue_tokens=5),
    ]
    told = stub.ReportEngines(iter([path_pb2.ReportEnginesRequest(engines=reports)]), timeout=PATIENT_S)
    assert [(p.item, p.code) for p in told.problems] == [("engines[0] p9/0", 5), ("engines[1] p1/0", 3)]


def test_watch_sends_the_first_at_once_and_then_the_latest_only(
    server: PathServer, stub: path_pb2_grpc.PathServiceStub
) -> None:
    call = stub.Watch(path_pb2.WatchRequest(min_interval_ms=300), timeout=PATIENT_S)
    seen = [next(call).snapshot.version]
    for version in ("2", "3", "4"):
        server.publish(lasting(version))
    seen.append(next(call).snapshot.version)
    call.cancel()
    assert seen == ["1", "4"]


def test_before_the_first_snapshot_the_controller_is_unavailable() -> None:
    empty = PathServer(None)
    try:
        with grpc.insecure_channel(empty.target) as channel, connect(empty.target) as client:
            stub = path_pb2_grpc.PathServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.Recommend(path_pb2.RecommendRequest(), timeout=PATIENT_S)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert reason(client.recommend(read(), PATIENT_S)) is FallbackReason.STATIC
            empty.publish(lasting())
            assert client.wait_ready(PATIENT_S)
    finally:
        empty.close()


def test_a_renewal_must_carry_the_reservation(stub: path_pb2_grpc.PathServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Renew(path_pb2.RenewRequest(lease_id="x"), timeout=PATIENT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_numbers_at_their_limits_are_answered(
    stub: path_pb2_grpc.PathServiceStub, server: PathServer
) -> None:
    most = 2**64 - 1
    reports = [
        path_pb2.EngineReport(
            engine=path_pb2.EngineRef(node="p1"), read_queue_tokens=most, bytes_per_token=most
        )
    ]
    stub.ReportEngines(iter([path_pb2.ReportEnginesRequest(engines=reports)]), timeout=PATIENT_S)
    for i in range(3):
        asked = path_pb2.RecommendRequest(request_id=f"r{i}", bytes=most, reserve_ttl_ms=2**32 - 1)
        asked.prefill.add(node="p1")
        told = stub.Recommend(asked, timeout=PATIENT_S)
        assert told.plans[0].legs[0].bytes == most
        assert told.lease.ttl_ms == 600_000
    server.publish(replace(lasting("2"), engines=server.call(server.engine.engines)))
    assert next(stub.Watch(path_pb2.WatchRequest(), timeout=PATIENT_S)).snapshot.version == "2"


def test_asyncio_does_the_same(server: PathServer) -> None:
    async def life() -> None:
        async with aio.connect(server.target, Settings(lease_limit_s=60.0)) as client:
            assert await client.wait_ready(PATIENT_S)
            client.report_engines([EngineReport(EngineRef(n, 0), read_queue_bytes=0) for n in ("p1", "d1")])
            await asyncio.to_thread(eventually, lambda: len(server.call(server.engine.engines)) == 2)
            answer = await client.recommend(read(reserve_s=30.0, abilities=ONE_SIDE), PATIENT_S)
            assert answer.lease is not None
            assert server.totals() == {"p1/s0": 10 * GB}
            client.release(answer.lease.id)
            await asyncio.to_thread(eventually, server.totals, lambda t: t == {})
            await asyncio.to_thread(server.stop)
            local = await client.recommend(read("a", reserve_s=30.0, abilities=ONE_SIDE))
            assert reason(local) is FallbackReason.LOCAL
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(eventually, server.totals, lambda t: t == {"p1/s0": 10 * GB})

        async with aio.connect(server.target) as short:
            answer = await short.recommend(read("b", reserve_s=600.0, abilities=ONE_SIDE), PATIENT_S)
            assert answer.lease is not None
            before = server.totals()["p1/s0"]
            short.release(answer.lease.id)
        assert server.totals()["p1/s0"] == before - 10 * GB

    asyncio.run(life())


def test_a_burst_through_the_service_spreads(server: PathServer) -> None:
    """10,000 requests between two samples, 32 in flight, end up as evenly as the NICs are fast."""
    halves = replace(snapshot(d1_s0={"kv_available_bps": RATE // 2}), valid_for_ms=600_000)
    server.publish(halves)

    async def burst() -> None:
        channel = grpc.aio.insecure_channel(server.target)
        stub = path_pb2_grpc.PathServiceStub(channel)

        async def some(first: int) -> None:
            for i in range(first, 10_000, 32):
                asked = path_pb2.RecommendRequest(request_id=f"r{i}", bytes=GB, reserve_ttl_ms=600_000)
                asked.prefill.add(node="p1")
                asked.decode.add(node="d1")
                asked.source.pool = "kv"
                asked.abilities.read_on_decode_side = True
                await stub.Recommend(asked)

        await asyncio.gather(*(some(first) for first in range(32)))
        await channel.close()

    asyncio.run(burst())
    totals = server.totals()
    assert totals["p1/s0"] + totals["d1/s0"] == pytest.approx(10_000 * GB, rel=0.02)
    assert totals["p1/s0"] / totals["d1/s0"] == pytest.approx(2.0, rel=0.06)
