"""What may be accepted, and messages to and from values."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from agentlab import PORT, A, enforced

from trafficd.api.v1 import agent_pb2, qos_pb2
from trafficd.convert.agents import scope_status
from trafficd.convert.words import element_message
from trafficd_agent.desired import Desired, ScopeLane
from trafficd_agent.session import messages
from trafficd_agent.session.admission import Heading, admit, admit_header
from trafficd_agent.session.dial import Backoff, host_of, is_loopback
from trafficd_topology.counters import Column, CounterKind, Direction, Sample
from trafficd_topology.diff import Disruption, FieldDifference
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Condition, ConditionStatus, ConditionType, Generation, ScopeStatus

ACCEPTED = Desired(Generation(2, 5), "d5", "one")
OTHER = (
    "this agent follows controller one and refuses controller two: stop one of them, "
    "or start the agent once with --forget-controller"
)


@pytest.mark.parametrize(
    ("accepted", "uuid", "generation", "digest", "reason"),
    [
        (None, "one", Generation(1, 1), "d", ""),
        (None, "", Generation(1, 1), "d", "a controller without a UUID is refused: update the controller"),
        (ACCEPTED, "one", Generation(2, 6), "d6", ""),
        (ACCEPTED, "one", Generation(3, 1), "d6", ""),
        (ACCEPTED, "one", Generation(2, 5), "d5", ""),
        (ACCEPTED, "one", Generation(2, 5), "d6", "generation 2.5 came before with another content"),
        (ACCEPTED, "one", Generation(2, 4), "d4", "generation 2.4 is older than 2.5, which is in force"),
        (ACCEPTED, "one", Generation(1, 9), "d9", "generation 1.9 is older than 2.5, which is in force"),
        (ACCEPTED, "two", Generation(9, 9), "d9", OTHER),
    ],
)
def test_whole_states(
    accepted: Desired | None, uuid: str, generation: Generation, digest: str, reason: str
) -> None:
    answer = admit(accepted, Heading(uuid, generation, digest))
    assert (answer.accepted, answer.reason) == (not reason, reason)


@pytest.mark.parametrize(
    ("accepted", "heading", "reason", "resync"),
    [
        (ACCEPTED, Heading("one", Generation(2, 6), "d5"), "", False),
        (
            ACCEPTED,
            Heading("one", Generation(2, 6), "d6"),
            "generation 2.6 has another digest than what is in force",
            True,
        ),
        (
            ACCEPTED,
            Heading("one", Generation(2, 4), "d4"),
            "generation 2.4 has another digest than what is in force",
            False,
        ),
        (
            ACCEPTED,
            Heading("one", Generation(2, 4), "d5"),
            "generation 2.4 is older than 2.5, which is in force",
            False,
        ),
        (ACCEPTED, Heading("two", Generation(2, 6), "d5"), OTHER, False),
        (
            None,
            Heading("one", Generation(2, 6), "d5"),
            "no desired state was accepted yet: send the whole",
            True,
        ),
    ],
)
def test_headers(accepted: Desired | None, heading: Heading, reason: str, resync: bool) -> None:
    answer = admit_header(accepted, heading)
    assert (answer.accepted, answer.reason, answer.resync) == (not reason, reason, resync)


def message_of(kind: str, key: str, **value: object) -> qos_pb2.Element:
    return qos_pb2.Element(kind=kind, key=key, **value)  # type: ignore[arg-type]


def scope_message(*elements: qos_pb2.Element, mode: int = qos_pb2.MODE_ENFORCE) -> agent_pb2.DesiredScope:
    return agent_pb2.DesiredScope(
        kind=agent_pb2.SCOPE_KIND_PORT,
        name="c0",
        driver="fake",
        mode=mode,  # type: ignore[arg-type]
        policy="p",
        elements=elements,
        lanes=[agent_pb2.ScopeLane(id=1, name="kv", traffic_classes=["kv-read"], guaranteed_ratio=0.01)],
    )


def state_a() -> list[qos_pb2.Element]:
    return [element_message(e) for e in A]


def test_a_desired_state_as_the_controller_writes_it() -> None:
    message = agent_pb2.DesiredState(
        generation=agent_pb2.Generation(epoch=2, number=5),
        digest="d5",
        scopes=[scope_message(*state_a())],
        controller_uuid="one",
    )
    (scope,) = (desired := messages.desired_in(message)).scopes
    assert (desired.generation, desired.digest, desired.controller_uuid) == (Generation(2, 5), "d5", "one")
    assert (scope.id, scope.elements, scope.lanes, scope.refusal) == (
        PORT,
        A,
        (ScopeLane(1, "kv", ("kv-read",), 0.01),),
        "",
    )
    assert (scope.mode, scope.policy) == (Mode.ENFORCE, enforced(A).policy)


@pytest.mark.parametrize(
    ("elements", "refusal"),
    [
        (
            [message_of("warp", "1")],
            "element warp/1 is of a kind that this agent does not know: update the agent",
        ),
        (
            [message_of("leaf", "10", tc_filter=qos_pb2.TcFilter(minor=1))],
            "element leaf/10 does not carry tc_leaf: update the agent or the controller",
        ),
        (
            [message_of("leaf", "10")],
            "element leaf/10 does not carry tc_leaf: update the agent or the controller",
        ),
        ([message_of("leaf", "1", tc_leaf=qos_pb2.TcLeaf())] * 2, "leaf/1 stands twice in one state"),
        (
            [message_of("other", "x")],
            "element other/x does not carry (observed only): update the agent or the controller",
        ),
    ],
)
def test_a_scope_with_an_unknown_element_is_refused_alone(
    elements: list[qos_pb2.Element], refusal: str
) -> None:
    message = agent_pb2.DesiredState(scopes=[scope_message(*elements), scope_message(*state_a())])
    bad, good = messages.desired_in(message).scopes
    assert (bad.refusal, bad.elements, good.refusal) == (refusal, (), "")


def test_an_unspecified_mode_is_refused_and_never_enforced() -> None:
    (scope,) = messages.desired_in(
        agent_pb2.DesiredState(scopes=[scope_message(mode=qos_pb2.MODE_UNSPECIFIED)])
    ).scopes
    assert (scope.mode, scope.refusal) == (Mode.OBSERVE, "c0 is of a kind or mode unknown to this agent")


def test_a_status_comes_to_the_controller_as_it_was() -> None:
    status = ScopeStatus(
        ScopeKind.FABRIC,
        "ib0",
        "opensm",
        Mode.OBSERVE,
        Generation(1, 2),
        tuple(Condition(t, s, "Why", "m", 2, 9) for t in ConditionType for s in ConditionStatus),
        (FieldDifference("qdisc.rate_bps", "1", "2"),),
        ("vlarb_low",),
        ("cake",),
        1,
        2,
        "removed",
        0.25,
    )
    assert scope_status(messages.status_out(status)) == status


def test_what_waits_and_what_is_stopped_is_told() -> None:
    plain = ScopeStatus(ScopeKind.PORT, "c0", "fake", Mode.ENFORCE, Generation(1, 2))
    waiting = replace(
        plain, waiting_for=Disruption.LINK_FLAP, waiting_steps=("change leaf/10",), drained=False
    )
    told = messages.status_out(replace(waiting, paused=True, latched=True))
    assert (told.paused, told.latched, list(told.waiting_steps)) == (True, True, ["change leaf/10"])
    assert (told.waiting_for, told.HasField("drained"), told.drained) == (
        agent_pb2.DISRUPTION_LINK_FLAP,
        True,
        False,
    )
    told = messages.status_out(plain)
    assert (told.waiting_for, told.HasField("drained")) == (agent_pb2.DISRUPTION_UNSPECIFIED, False)


def test_samples_tell_missing_from_zero() -> None:
    values = (1, None, 0, 2**64 - 1, None, 0, 0, 0, None)
    out = messages.sample_out(Sample(5, 6, values))
    assert list(out.values) == [1, 0, 0, 2**64 - 1, 0, 0, 0, 0, 0]
    assert out.missing == bytes([0b10010, 0b1])
    column = messages.column_out(Column("c0", "bytes", Direction.RECEIVE, CounterKind.WRAP32, 0, None))
    assert (column.HasField("lane_id"), column.lane_id, column.HasField("priority")) == (True, 0, False)
    assert messages.column_out(Column("c0", "link_downs")).direction == agent_pb2.DIRECTION_UNSPECIFIED


def test_waits_double_with_jitter_up_to_a_limit_and_are_those_of_their_seed() -> None:
    waits = [Backoff(random.Random(3)).next() for _ in range(2)]
    assert waits[0] == waits[1]
    backoff = Backoff(random.Random(1), base=1.0, most=8.0)
    grown = [backoff.next() for _ in range(50)]
    assert all(0.5 * min(8.0, 2.0**i) <= w <= min(8.0, 2.0**i) for i, w in enumerate(grown))
    backoff.reset()
    assert backoff.next() <= 1.0


@pytest.mark.parametrize(
    ("address", "host", "near"), [("[::1]:1", "::1", True), ("127.8.9.1:2", "127.8.9.1", True)]
)
def test_hosts(address: str, host: str, near: bool) -> None:
    assert (host_of(address), is_loopback(address)) == (host, near)
