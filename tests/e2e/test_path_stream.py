"""Batches, the stream and shadows over real gRPC."""

from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue

import grpc
import pytest
from pathlab import GB, snapshot
from pathserver import PathServer, eventually

from trafficd.api.v1 import path_pb2 as pb
from trafficd.api.v1 import path_pb2_grpc


@pytest.fixture
def server() -> Iterator[PathServer]:
    running = PathServer(replace(snapshot(), valid_for_ms=600_000))
    yield running
    running.close()


@pytest.fixture
def stub(server: PathServer) -> Iterator[path_pb2_grpc.PathServiceStub]:
    with grpc.insecure_channel(server.target) as channel:
        yield path_pb2_grpc.PathServiceStub(channel)


def asked(name: str, **more: object) -> pb.RecommendRequest:
    """10 GB for p1/0 or p2/0, reserved."""
    return pb.RecommendRequest(
        request_id=name,
        bytes=10 * GB,
        prefill=[pb.EngineRef(node=n) for n in ("p1", "p2")],
        source=pb.Source(pool="kv"),
        reserve_ttl_ms=60_000,
        max_plans=1,
        **more,  # type: ignore[arg-type]
    )


def reader(answer: pb.RecommendResponse) -> str:
    return answer.plans[0].legs[0].reader


def test_a_batch_spreads_as_if_asked_one_by_one(stub: path_pb2_grpc.PathServiceStub) -> None:
    told = stub.RecommendBatch(pb.RecommendBatchRequest(requests=[asked(f"r{i}") for i in range(20)]))
    readers = [reader(a) for a in told.responses]
    assert (readers.count("p1"), readers.count("p2")) == (10, 10)


def test_a_batch_has_an_end(stub: path_pb2_grpc.PathServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.RecommendBatch(pb.RecommendBatchRequest(requests=[pb.RecommendRequest()] * 1025))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "send several" in refused.value.details()


def test_the_whole_life_of_a_read_on_one_stream(
    server: PathServer, stub: path_pb2_grpc.PathServiceStub
) -> None:
    """Every kind of message, one after the other; each answer is waited for, as it names what comes next."""
    said: SimpleQueue[pb.ConverseRequest | None] = SimpleQueue()
    said.put(pb.ConverseRequest(tag=7, recommend=asked("r1")))
    answers = stub.Converse(iter(said.get, None))
    first = next(answers)
    lease = first.recommend.lease.id
    assert (first.tag, lease != "") == (7, True)
    said.put(pb.ConverseRequest(tag=8, progress=pb.Progress(lease_id=lease, moved_bytes=4 * GB)))
    assert next(answers).progress.existed
    assert sum(server.totals().values()) == 6 * GB
    said.put(pb.ConverseRequest(tag=9, batch=pb.RecommendBatchRequest(requests=[asked("r2"), asked("r3")])))
    more = next(answers).batch.responses
    assert len({a.lease.id for a in more} | {lease}) == 3
    own = pb.Reservation(request_id="own", legs=[pb.LegBytes(nic="d1/s0", bytes=GB)], ttl_ms=9000)
    said.put(pb.ConverseRequest(tag=10, reserve=pb.ReserveRequest(reservation=own)))
    kept = next(answers).reserve.lease.id
    said.put(pb.ConverseRequest(tag=11, renew=pb.RenewRequest(lease_id=kept)))
    assert next(answers).problem.reason == "a renewal names its lease and carries the whole reservation"
    said.put(pb.ConverseRequest(tag=12, renew=pb.RenewRequest(lease_id=kept, reservation=own)))
    assert next(answers).renew.lease.id == kept
    ended = [pb.ReleaseRequest(lease_id=i) for i in (lease, kept, *(a.lease.id for a in more))]
    said.put(pb.ConverseRequest(tag=13, releases=ended))  # says nothing that is answered
    said.put(pb.ConverseRequest(tag=99, release=pb.ReleaseRequest(lease_id=lease)))
    said.put(None)
    last = next(answers)
    assert (last.tag, last.release.existed) == (99, False)
    assert list(answers) == []
    assert server.totals() == {}


def test_a_client_that_dies_on_its_stream_leaks_nothing(server: PathServer) -> None:
    with grpc.insecure_channel(server.target) as channel:
        stub = path_pb2_grpc.PathServiceStub(channel)
        request = asked("r1")
        request.reserve_ttl_ms = 200
        answers = stub.Converse(iter([pb.ConverseRequest(recommend=request)]))
        assert next(answers).recommend.lease.id
        answers.cancel()
    eventually(server.totals, lambda totals: totals == {})


def test_explained_and_shadowed_over_the_wire(stub: path_pb2_grpc.PathServiceStub) -> None:
    leg = pb.PathLeg(nics=["p1/s0"], bytes=10 * GB, reader="p1")
    own = pb.PathPlan(prefill=pb.EngineRef(node="p1"), legs=[leg])
    answer = stub.Recommend(asked("r1", explain=True, own_choice=own, strategy="prefill-only"))
    assert answer.explanation.strategy == "prefill-only"
    assert answer.explanation.plans[0].note == "the choice"
    assert {r.name for r in answer.explanation.plans[0].resources} >= {"nic:p1/s0"} or reader(answer) == "p2"
    assert (answer.shadow.own_seconds, answer.shadow.saved_seconds) == (1.0, 0.0)
    assert answer.lease.id
