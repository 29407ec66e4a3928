"""What stops a real agent, what it waits for, and what sets it going again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agentlab import A, B, name_of
from agentprocess import AgentProcess, Controller, wait_for

from trafficd.api.v1 import agent_pb2
from trafficd_agent.cli import Code, main


@pytest.fixture
def controller() -> Iterator[Controller]:
    c = Controller("controller-1")
    yield c
    c.stop()


@pytest.fixture
def agent(tmp_path: Path, controller: Controller) -> Iterator[AgentProcess]:
    a = AgentProcess(tmp_path, controller.port, disruptive=("leaf",))
    yield a
    if a.process is not None and a.process.poll() is None:
        a.kill()
    assert "Traceback" not in a.said()


BARE = tuple(e for e in A if e.kind != "leaf")
"""Without the elements whose change flaps the link."""


def stopped_by(agent: AgentProcess) -> tuple[str | None, str | None]:
    found = agent.status()["paused"]
    return found["controller"], found["node"]


def metric(agent: AgentProcess, name: str) -> list[str]:
    return [line for line in agent.get("/metrics").decode().splitlines() if line.startswith(name)]


def test_a_pause_of_the_controller_is_in_force_within_a_second_and_outlives_the_agent(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.start()
    assert controller.desire(1, {"c0": BARE}).accepted
    controller.wait_ready("c0", "True 1: Verified")
    controller.pause(paused=True, uuid="controller-9")
    began = time.monotonic()
    controller.pause(paused=True, reason="alice: maintenance")
    wait_for("pause", lambda: (s := controller.status("c0")) is not None and s.paused)
    assert time.monotonic() - began < 1
    agent.hold(c0=A)
    assert controller.desire(2, {"c0": BARE, "c1": BARE}).accepted
    controller.wait_ready("c1", "False 2: Paused")
    controller.wait_ready("c0", "False 2: Paused")
    assert (name_of(agent.holds("c0")), name_of(agent.holds("c1"))) == ("A", "empty")
    agent.kill()
    controller.paused = True
    agent.start()
    assert stopped_by(agent) == ("alice: maintenance", None)
    assert metric(agent, "trafficd_agent_paused") == [
        'trafficd_agent_paused{by="controller",node="n1"} 1.0',
        'trafficd_agent_paused{by="node",node="n1"} 0.0',
    ]
    wait_for("second hello", lambda: controller.hellos[1:])
    controller.wait_ready("c1", "False 2: Paused")
    controller.pause(paused=False)
    controller.wait_ready("c1", "True 2: Verified")
    assert not (agent.directory / "state" / "paused.json").exists()


def test_a_pause_on_the_node_needs_no_controller_and_only_the_node_lifts_it(
    agent: AgentProcess, controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--config", str(agent.settings)]
    assert main(["resume", *where]) == Code.OK
    assert capsys.readouterr().out == "writes were not stopped on this node\n"
    assert main(["pause", *where, "--reason", "new cable"]) == Code.OK
    agent.start()
    assert stopped_by(agent) == (None, "new cable")
    assert controller.desire(1, {"c0": BARE}).accepted
    controller.wait_ready("c0", "False 1: Paused")
    controller.pause(paused=True)
    wait_for("both", lambda: stopped_by(agent) == ("", "new cable"))
    controller.pause(paused=False)
    wait_for("one", lambda: stopped_by(agent) == (None, "new cable"))
    assert name_of(agent.holds("c0")) == "empty"
    capsys.readouterr()
    assert main(["status", "--http", agent.http()]) == Code.NOT_READY
    assert "writes are stopped by the node: new cable" in capsys.readouterr().out
    assert main(["resume", *where]) == Code.OK
    controller.wait_ready("c0", "True 1: Verified")
    began = time.monotonic()
    assert main(["pause", *where]) == Code.OK
    wait_for("pause", lambda: stopped_by(agent) == (None, ""))
    assert time.monotonic() - began < 1
    agent.end()
    # A file that cannot be trusted is a pause as well, until somebody lifts it.
    flag = agent.directory / "state" / "paused-here.json"
    flag.write_text("{")
    agent.start()
    assert stopped_by(agent) == (None, "why cannot be read any more")
    assert main(["resume", *where]) == Code.OK
    wait_for("resume", lambda: stopped_by(agent) == (None, None))


def test_a_step_that_flaps_a_link_waits_for_a_grant_of_its_generation(
    agent: AgentProcess, controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.start()
    assert controller.desire(1, {"c0": A, "c1": BARE}).accepted
    controller.wait_ready("c1", "True 1: Verified")
    controller.wait_ready("c0", "False 1: WaitingForLeave")
    wait_for("no", lambda: (s := controller.status("c0")) and s.HasField("drained") and not s.drained)
    status = controller.status("c0")
    assert status is not None
    assert (status.waiting_for, [w.split(" (")[0] for w in status.waiting_steps]) == (
        agent_pb2.DISRUPTION_LINK_FLAP,
        ["add qdisc", "add class/10", "add class/11", "add leaf/10", "add filter/dscp-8"],
    )
    (agent.directory / "drained-c0").touch()
    wait_for("yes", lambda: (s := controller.status("c0")) and s.drained)
    assert main(["status", "--http", agent.http()]) == Code.NOT_READY
    assert "port c0 waits for leave, drained:\n  add qdisc (hitless: in memory)" in capsys.readouterr().out
    controller.grant("c0", 7)
    assert controller.desire(2, {"c0": A, "c1": B}).accepted
    controller.wait_ready("c1", "True 2: Verified")
    assert name_of(agent.holds("c0")) == "empty"
    controller.grant("c0", 2)
    controller.wait_ready("c0", "True 2: Verified")
    assert name_of(agent.holds("c0")) == "A"
    agent.hold(c0=BARE, c1=B)
    controller.wait_ready("c0", "False 2: RepairNotHitless")
    controller.grant("c0", 2)
    controller.wait_ready("c0", "True 2: Repaired")


def test_what_failed_is_tried_again_on_demand(agent: AgentProcess, controller: Controller) -> None:
    agent.behave({"match": "c0", "refuse": ["filter/*"]})
    agent.start()
    assert controller.desire(1, {"c0": BARE}).accepted
    controller.wait_ready("c0", "False 1: Refused")
    assert controller.status("c0").latched  # type: ignore[union-attr]
    agent.behave()
    controller.retry("c0", "c9")
    wait_for("held", lambda: controller.ready("c0").startswith("True 1"))
    assert not controller.status("c0").latched  # type: ignore[union-attr]
    assert json.loads(agent.get("/status"))["scopes"][0]["latched"] is False


def cut_off(agent: AgentProcess, controller: Controller) -> None:
    """Generation 2 is written once the controller is silent."""
    agent.start()
    assert controller.desire(1, {"c0": BARE}).accepted
    controller.wait_ready("c0", "True 1: Verified")
    agent.behave({"match": "c0", "hang": "write"})
    assert controller.desire(2, {"c0": B}, revert_in_ms=1500).accepted
    controller.stop()
    agent.behave()
    wait_for("change", lambda: agent.holds("c0") == B, agent.said)


def reason(agent: AgentProcess) -> str:
    (scope,) = agent.status()["scopes"]
    return str(scope["conditions"][0]["reason"])


def test_a_change_after_which_the_controller_is_gone_is_undone(
    agent: AgentProcess, controller: Controller
) -> None:
    cut_off(agent, controller)
    wait_for("return", lambda: reason(agent) == "RevertedCutOff", agent.said)
    assert agent.holds("c0") == BARE
    agent.kill()
    agent.start()
    assert reason(agent) == "RevertedCutOff", "the latch outlives the agent"
    again = Controller("controller-1", controller.port)
    try:
        wait_for("hello", lambda: again.hellos)
        again.retry("c0")
        again.wait_ready("c0", "True 2: Verified")
        wait_for("proof", lambda: accepted(agent)["revert_in_s"] == 0.0)
        assert agent.holds("c0") == B
    finally:
        again.stop()


def accepted(agent: AgentProcess) -> dict[str, float]:
    found: dict[str, float] = json.loads((agent.directory / "state" / "accepted.json").read_bytes())["body"]
    return found


def test_a_kill_does_not_make_it_forget_what_it_must_undo(
    agent: AgentProcess, controller: Controller
) -> None:
    cut_off(agent, controller)
    agent.kill()
    agent.start()
    wait_for("return", lambda: reason(agent) == "RevertedCutOff", agent.said)
    assert agent.holds("c0") == BARE


def test_a_change_stays_once_the_controller_is_reached_and_a_later_silence_undoes_nothing(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.start()
    assert controller.desire(1, {"c0": BARE}, revert_in_ms=1500).accepted
    wait_for("proof", lambda: accepted(agent)["revert_in_s"] == 0.0)
    assert not list((agent.directory / "state" / "trials").iterdir())
    controller.stop()
    agent.kill()
    agent.device.unlink()
    agent.start()
    # As after a reboot: what was accepted is put there again, and stays although no controller answers.
    wait_for("lanes", lambda: agent.holds("c0") == BARE, agent.said)
    wait_for("a look", lambda: reason(agent) == "InSync", agent.said)
    assert agent.holds("c0") == BARE
