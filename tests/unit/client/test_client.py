"""What a client promises a scheduler: no exception, no long wait, and no imports that it did not ask for."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pathlab import GB, read, snapshot

from trafficd.api.v1 import path_pb2, qos_pb2
from trafficd.choice.request import (
    Abilities,
    Answer,
    EngineRef,
    EngineReport,
    FallbackReason,
    Lease,
    LegBytes,
    Request,
    Reservation,
    Side,
    Source,
    SourceNode,
)
from trafficd.choice.snapshot import LinkLayer, NicKind, Role
from trafficd.client import Client, Settings, connect
from trafficd.client.breaker import Breaker
from trafficd.client.check import problems_of
from trafficd.client.convert import answer
from trafficd.client.local import Local

BLOCKED = ("networkx", "yaml", "prometheus_client", "pyroute2", "uvloop", "grpc_health", "trafficd_topology")
IMPORT = f"""
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r} or name.startswith(("trafficd.core", "trafficd.server", "trafficd.convert")):
            raise ImportError(name + " is not part of the client")

sys.meta_path.insert(0, Nothing())
import trafficd.client, trafficd.client.aio
with trafficd.client.connect("127.0.0.1:1") as client:
    answer = client.recommend(trafficd.client.Request("r", 1, (trafficd.client.EngineRef("p1"),)))
print(answer.plans[0].legs[0].side.name, answer.fallback.reason.name)
"""

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=4),
    st.just("\ud800"),
    st.just(object()),
    st.lists(st.integers(), max_size=2),
    st.tuples(st.text(max_size=3), st.integers()),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)
engines: Any = st.one_of(
    junk, st.lists(st.one_of(junk, st.builds(EngineRef, junk, junk)), max_size=3).map(tuple)
)
sources: Any = st.one_of(
    junk,
    st.builds(
        Source, st.one_of(junk, st.lists(st.builds(SourceNode, junk, junk), max_size=3).map(tuple)), junk
    ),
)
requests: Any = st.one_of(
    junk,
    st.builds(
        Request,
        id=st.one_of(junk, st.just("r")),
        bytes=st.one_of(junk, st.just(5)),
        prefill=st.one_of(engines, st.just((EngineRef("p1", 0),))),
        decode=st.one_of(engines, st.just(())),
        source=st.one_of(sources, st.just(Source(pool="kv"))),
        intent=st.one_of(junk, st.just("kv-read")),
        abilities=st.one_of(junk, st.builds(Abilities, junk, junk, junk, junk), st.just(Abilities())),
        reserve_s=st.one_of(junk, st.just(3.0)),
        max_plans=st.one_of(junk, st.just(0)),
    ),
)


@pytest.fixture(scope="module")
def lonely() -> Any:
    """A client whose controller is not there but whose last snapshot is."""
    with connect("127.0.0.1:1") as client:
        client._local.take(snapshot(), 0.0, first=True)
        yield client


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=requests, timeout=st.one_of(junk, st.just(0.001)))
def test_recommend_never_raises_and_says_what_is_wrong(lonely: Client, asked: Any, timeout: Any) -> None:
    told = lonely.recommend(asked, min(timeout, 0.001) if isinstance(timeout, float | int) else timeout)
    assert isinstance(told, Answer)
    assert told.plans or told.problems
    assert isinstance(lonely.choose(asked), Answer)


@settings(max_examples=300, deadline=None)
@given(
    legs=st.one_of(junk, st.lists(st.one_of(junk, st.builds(LegBytes, junk, junk)), max_size=3).map(tuple)),
    a=junk,
    b=junk,
)
def test_leases_and_reports_never_raise(lonely: Client, legs: Any, a: Any, b: Any) -> None:
    lease, problems = lonely.reserve(Reservation(a, legs, b))
    assert lease is not None or problems
    assert lonely.renew(a, legs) in (True, False)
    assert lonely.release(a) is False
    report: Any = EngineReport(EngineRef(a, b), role=b, gpu=a, read_queue_bytes=b)
    assert isinstance(lonely.report_engines([report, a]), tuple)
    if lease is not None:
        assert lonely.release(lease.id) is True


def test_a_lonely_client_still_spreads_by_its_own_reservations(lonely: Client) -> None:
    local = Local("me", Settings())
    local.take(snapshot(), 0.0, first=True)
    for i in range(1000):
        chosen = local.choose(read(f"r{i}", bytes=GB, reserve_s=100.0), 1.0, "the controller is gone")
        assert chosen.fallback is not None
        assert chosen.fallback.reason is FallbackReason.LOCAL
    totals = local._engine.totals(1.0)
    assert 0.95 < totals["p1/s0"] / totals["d1/s0"] < 1.05


def test_a_well_formed_request_has_no_problems() -> None:
    assert problems_of(read()) == ()


def test_everything_wrong_is_said_at_once() -> None:
    wrong: Any = Request(id=5, bytes=-1, prefill=["p1"], source="pool", reserve_s=float("nan"))  # type: ignore[arg-type]
    assert [p.item for p in problems_of(wrong)] == ["id", "bytes", "reserve_s", "prefill", "source"]


def test_imports_nothing_but_grpc_and_protobuf() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("PREFILL STATIC\n", "", 0)


def test_the_breaker_stops_asking_and_tries_again() -> None:
    breaker = Breaker()
    seen = []
    for now in (0.0, 0.1, 0.2, 0.3, 0.46, 0.6, 0.97):
        seen.append(breaker.allows(now))
        if seen[-1]:
            breaker.failed(now)
    assert seen == [True, True, True, False, True, False, True]
    breaker.succeeded()
    assert breaker.allows(0.98)


def orders(local: Local, now: float) -> list[tuple[str, int | None]]:
    """Lease and bytes for renewals, lease and None for releases; all of them get there."""
    found = local.orders(now)
    for order in found:
        local.told(order, 9.0, now)
    return [(o.lease_id, None if o.reservation is None else o.reservation.legs[0].bytes) for o in found]


def made(auto_renew: bool = True) -> Local:
    local = Local("me", Settings(auto_renew=auto_renew, lease_limit_s=20.0))
    local.take(snapshot(), 0.0, first=True)
    return local


def test_a_lease_is_announced_renewed_at_a_third_and_given_up_at_its_limit() -> None:
    local = made()
    lease, _ = local.reserve(Reservation("r", (LegBytes("p1/s0", 70),), 9.0), 0.0)
    seen = {t / 2: found for t in range(60) if (found := orders(local, t / 2))}
    times = [0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0]
    assert seen == {t: [(lease.id, 70)] for t in times}


def test_a_release_is_told_until_it_arrives_and_no_longer_than_the_lease_lasts() -> None:
    local = made()
    lease, _ = local.reserve(Reservation("r", (LegBytes("p1/s0", 70),), 3.0), 0.0)
    orders(local, 0.0)
    local.release(lease.id, 1.0)
    seen = [t / 2 for t in range(40) if [o.lease_id for o in local.orders(t / 2)] == [lease.id]]
    assert seen == [1.0, 2.0, 3.0]
    assert local.next_order() is None


def test_without_renewal_a_lease_is_announced_once() -> None:
    local = made(auto_renew=False)
    lease, _ = local.reserve(Reservation("r", (LegBytes("p1/s0", 70),), 9.0), 0.0)
    assert [orders(local, float(t)) for t in range(12)] == [[(lease.id, 70)]] + [[]] * 11


def test_the_first_snapshot_of_a_stream_announces_everything_again() -> None:
    local = made()
    told = Answer(made().choose(read(reserve_s=9.0), 0.0, "").plans, lease=Lease("theirs-1", 9.0))
    local.accept(read(), told, 0.0)
    assert orders(local, 0.1) == []
    local.take(snapshot("2"), 0.2, first=True)
    assert orders(local, 0.2) == [("theirs-1", 10 * GB)]


def test_reports_of_engines_that_left_are_told_once() -> None:
    local = made()
    local.report([EngineReport(EngineRef("p1"), gpu=1), EngineReport(EngineRef("p2"))])
    local.report([EngineReport(EngineRef("p1"), gone=True)])
    assert [[r.engine.node for r in local.reports()] for _ in range(2)] == [["p1", "p2"], ["p2"]]


def test_numbers_of_the_api_and_of_the_choice_are_the_same() -> None:
    pairs = [
        (Role, qos_pb2.Role, "ROLE_"),
        (NicKind, qos_pb2.NicKind, "NIC_KIND_"),
        (LinkLayer, qos_pb2.LinkLayer, "LINK_LAYER_"),
        (Side, path_pb2.Side, "SIDE_"),
        (FallbackReason, path_pb2.FallbackReason, "FALLBACK_REASON_"),
    ]
    for ours, theirs, prefix in pairs:
        numbers = {name.removeprefix(prefix): number for name, number in theirs.items()}  # type: ignore[attr-defined]
        known = {m.name: int(m) for m in ours}  # type: ignore[attr-defined]
        assert known | {"UNSPECIFIED": 0} == numbers


def test_the_static_answer_spreads_over_candidates_and_keeps_the_parts() -> None:
    local = Local("me", Settings())
    wanted = tuple(EngineRef(f"p{i}") for i in range(4))
    source = Source((SourceNode("st1", 3), SourceNode("st2", 4)))
    answers = [
        local.choose(read(f"r{i}", prefill=wanted, bytes=0, source=source), 0.0, "") for i in range(400)
    ]
    readers = [a.plans[0].legs[0].reader for a in answers]
    assert all(70 < readers.count(ref.node) < 130 for ref in wanted)
    assert [(leg.source, leg.bytes) for leg in answers[0].plans[0].legs] == [("st1", 3), ("st2", 4)]


def test_an_answer_of_a_newer_controller_is_read() -> None:
    message: Any = SimpleNamespace(
        plans=[],
        snapshot_version="1",
        measured_unix_ns=0,
        valid_for_ms=1,
        fallback=SimpleNamespace(reason=99, detail="something new"),
        problems=[],
        HasField=lambda field: field == "fallback",
    )
    assert answer(message).fallback is None
