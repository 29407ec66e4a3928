"""A real agent process against a real gRPC server, with devices that misbehave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from agentlab import A, B, name_of
from agentprocess import AgentProcess, Controller, wait_for

from trafficd_agent.cli import Code, main


@pytest.fixture
def controller() -> Iterator[Controller]:
    c = Controller("controller-1")
    yield c
    c.stop()


@pytest.fixture
def agent(tmp_path: Path, controller: Controller) -> Iterator[AgentProcess]:
    a = AgentProcess(tmp_path, controller.port)
    yield a
    if a.process is not None and a.process.poll() is None:
        a.kill()
    assert "Traceback" not in a.said()


def test_a_desired_state_from_acceptance_to_the_end(
    agent: AgentProcess, controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.start()
    hello = wait_for("hello", lambda: controller.hellos)[0]
    assert (hello.node, hello.controller_uuid, hello.HasField("accepted")) == ("n1", "", False)
    assert [(p.name, p.rate_bps, p.offers[0].supported) for p in hello.inventory.ports] == [
        ("c0", 100_000_000, True),
        ("c1", 100_000_000, True),
    ]
    assert {"qdisc", "class", "filter"} <= set(hello.element_kinds)
    assert controller.desire(1, {"c0": A, "c1": B}).accepted
    controller.wait_ready("c0", "True 1: Verified")
    controller.wait_ready("c1", "True 1: Verified")
    assert (name_of(agent.holds("c0")), name_of(agent.holds("c1"))) == ("A", "B")
    status = controller.status("c0")
    assert status is not None
    assert 0 < status.apply_seconds < 1
    assert controller.head(2, "digest-1").accepted
    wait_for("generation 2", lambda: controller.ready("c0").startswith("True 2"))
    wait_for("three samples", lambda: len(controller.samples) > 2)
    assert {c.port for c in controller.columns[0].columns} == {"c0", "c1"}
    assert len(controller.samples[0].values) == len(controller.columns[0].columns)
    lines = agent.get("/metrics").decode().splitlines()
    in_sync = [line for line in lines if line.startswith("trafficd_qos_in_sync{")]
    assert [line.endswith(" 1.0") for line in in_sync] == [True, True]
    shares = [line for line in lines if line.startswith("trafficd_class_share_desired_ratio{")]
    assert [line.partition(" ")[2] for line in shares] == ["0.75", "0.75"]
    assert (agent.get("/healthz"), agent.get("/readyz")) == (b"ok\n", b"ok\n")
    assert main(["status", "--http", agent.http()]) == Code.OK
    shown = capsys.readouterr().out
    assert "controller controller-1: connected to 127.0.0.1:" in shown
    assert "port c0  fake    enforce  1.2         True     True      False    True" in shown
    assert main(["status", "--http", agent.http(), "--output", "json"]) == Code.OK
    assert json.loads(capsys.readouterr().out)["accepted"] == {"epoch": 1, "number": 2}
    assert controller.desire(3, {"c0": A}).accepted
    controller.wait_ready("c1", "True 3: ReturnedToAsFound")
    assert name_of(agent.holds("c1")) == "empty"
    assert agent.end() == 0
    assert name_of(agent.holds("c0")) == "A", "the lanes stay as they are"


def test_an_older_generation_is_refused_and_a_repeated_one_is_harmless(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.start()
    assert controller.desire(5, {"c0": A}).accepted
    controller.wait_ready("c0", "True 5: Verified")
    stale = controller.desire(4, {"c0": B})
    assert (stale.accepted, stale.reason) == (False, "generation 1.4 is older than 1.5, which is in force")
    assert controller.desire(5, {"c0": A}).accepted
    twisted = controller.desire(5, {"c0": B}, digest="another")
    assert (twisted.accepted, twisted.reason) == (False, "generation 1.5 came before with another content")
    foreign = controller.desire(6, {"c0": B}, uuid="controller-9")
    assert (
        foreign.accepted,
        "follows controller controller-1 and refuses controller controller-9" in foreign.reason,
    ) == (
        False,
        True,
    )
    # A newer epoch counts more than any number.
    assert controller.desire(1, {"c0": B}, epoch=2).accepted
    controller.wait_ready("c0", "True 1: Verified")
    assert name_of(agent.holds("c0")) == "B"


def test_a_header_that_does_not_fit_makes_the_agent_greet_again(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.start()
    assert controller.desire(1, {"c0": A}).accepted
    answer = controller.head(2, "digest-unheard-of")
    assert (answer.accepted, "another digest" in answer.reason) == (False, True)
    hello = wait_for("second hello", lambda: controller.hellos[1:])[0]
    assert (hello.controller_uuid, hello.accepted.number, hello.accepted_digest) == (
        "controller-1",
        1,
        "digest-1",
    )
    assert controller.desire(2, {"c0": B}).accepted
    controller.wait_ready("c0", "True 2: Verified")


def test_a_second_controller_is_refused_by_name_and_changes_nothing(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.start()
    assert controller.desire(1, {"c0": A}).accepted
    controller.wait_ready("c0", "True 1: Verified")
    controller.stop()
    second = Controller("controller-2", controller.port)
    try:
        refused = wait_for("refusal", lambda: second.acknowledgements)[0]
        both = "this agent follows controller controller-1 and refuses controller controller-2"
        assert (refused.accepted, both in refused.reason) == (False, True)
        assert second.hellos[0].controller_uuid == "controller-1"
        said = wait_for(
            "condition",
            lambda: [s for s in agent.status()["scopes"] if both in s["conditions"][3]["message"]],
        )
        assert said[0]["conditions"][3]["status"] == "True"
        assert (second.reports, second.samples, name_of(agent.holds("c0"))) == ([], [], "A")
        agent.end()
        agent.start("--forget-controller")
        wait_for("free hello", lambda: not second.hellos[-1].controller_uuid)
        assert second.desire(1, {"c0": B}).accepted
        second.wait_ready("c0", "True 1: Verified")
    finally:
        second.stop()


def apply_up_to_verification(agent: AgentProcess, controller: Controller) -> None:
    """Stop c0 before its first write, then let every write through and stop it in the read that verifies."""
    agent.behave({"match": "c0", "hang": "write"})
    agent.start()
    controller.desire(1, {"c0": A})
    journal = agent.directory / "state" / "journal" / "port-c0.json"
    wait_for("journal", journal.exists)
    agent.behave({"match": "c0", "hang": "read"})
    wait_for("all writes", lambda: name_of(agent.holds("c0")) == "A")
    assert json.loads(journal.read_bytes())["body"]["open"] is True


def test_killed_between_write_and_verification_the_next_process_verifies(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.hold(c0=B)
    apply_up_to_verification(agent, controller)
    agent.kill()
    agent.behave()
    agent.start()
    controller.wait_ready("c0", "True 1: InSync")
    assert name_of(agent.holds("c0")) == "A"
    assert controller.desire(2, {}).accepted
    controller.wait_ready("c0", "True 2: ReturnedToAsFound")
    assert name_of(agent.holds("c0")) == "B"


def test_killed_between_write_and_verification_and_then_refused_it_is_as_before(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.hold(c0=B)
    apply_up_to_verification(agent, controller)
    agent.kill()
    # What was written is lost in part meanwhile, and one thing of it cannot be written again.
    agent.behave({"match": "c0", "refuse": ["class/11"]})
    agent.hold(c0=tuple(e for e in A if e.name not in ("filter/dscp-8", "class/11")))
    agent.start()
    controller.wait_ready("c0", "False 1: Refused")
    assert name_of(agent.holds("c0")) == "B"


def test_a_driver_that_hangs_holds_up_its_own_port_alone(agent: AgentProcess, controller: Controller) -> None:
    agent.behave({"match": "c0", "hang": "write"})
    agent.start()
    assert controller.desire(1, {"c0": A, "c1": A}).accepted
    controller.wait_ready("c1", "True 1: Verified")
    wait_for("hung", lambda: controller.ready("c0").endswith("DriverHung"), lambda: controller.ready("c0"))
    assert controller.desire(2, {"c0": A, "c1": B}).accepted
    controller.wait_ready("c1", "True 2: Verified")
    assert (name_of(agent.holds("c0")), name_of(agent.holds("c1"))) == ("empty", "B")
    assert main(["status", "--http", agent.http()]) == Code.NOT_READY
    assert agent.end() == 0, "a driver that hangs does not keep the process from ending"
    agent.start()
    wait_for("hung", lambda: controller.ready("c0").endswith("DriverHung"), lambda: controller.ready("c0"))
    agent.behave()
    controller.wait_ready("c0", "True 2: Verified")
    assert name_of(agent.holds("c0")) == "A"


def test_with_no_controller_the_last_accepted_state_is_enforced(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.start()
    assert controller.desire(1, {"c0": A}).accepted
    controller.wait_ready("c0", "True 1: Verified")
    agent.kill()
    controller.stop()
    agent.hold(c0=B)
    agent.start()
    wait_for("enforced", lambda: name_of(agent.holds("c0")) == "A", agent.said)
    wait_for("verification", lambda: agent.status()["scopes"][0]["conditions"][1]["status"] == "True")
    agent.hold(c0=tuple(e for e in A if e.kind != "leaf"))
    wait_for("repair", lambda: agent.status()["scopes"][0]["repairs"] > 0, agent.said)
    assert (agent.status()["scopes"][0]["drift_cause"], name_of(agent.holds("c0"))) == ("removed", "A")
    assert b"trafficd_qos_drift_total{" in agent.get("/metrics")
    back = Controller("controller-1", controller.port)
    try:
        hello = wait_for("hello", lambda: back.hellos, agent.said)[0]
        assert (hello.accepted.number, hello.accepted_digest) == (1, "digest-1")
    finally:
        back.stop()


def test_a_state_file_that_was_tampered_with_is_moved_aside_and_nothing_is_touched(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.start()
    assert controller.desire(1, {"c0": A}).accepted
    controller.wait_ready("c0", "True 1: Verified")
    agent.kill()
    path = agent.directory / "state" / "accepted.json"
    path.write_bytes(path.read_bytes()[:100])
    agent.start()
    hello = wait_for("hello", lambda: controller.hellos[1:])[0]
    assert not hello.HasField("accepted")
    assert "cannot be trusted (it is not JSON) and was moved aside to accepted.json.corrupt-1" in agent.said()
    assert name_of(agent.holds("c0")) == "A", "an agent that lost its orders leaves the lanes alone"
    assert controller.desire(1, {"c0": A}).accepted
    controller.wait_ready("c0", "True 1: InSync")


def test_a_refused_session_is_tried_again_and_says_why(tmp_path: Path) -> None:
    refusing = Controller("controller-1", refusal="a second agent of node n1")
    agent = AgentProcess(tmp_path, refusing.port)
    try:
        agent.start()
        wait_for("second try", lambda: len(refusing.hellos) > 1)
        problem = agent.status()["controller"]["problem"]
        assert problem == f"127.0.0.1:{refusing.port} refused this agent: a second agent of node n1"
        assert agent.end() == 0
    finally:
        refusing.stop()
