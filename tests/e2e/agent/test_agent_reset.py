"""Giving everything back with no agent running."""

from __future__ import annotations

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
    a = AgentProcess(tmp_path, controller.port, disruptive=("leaf",))
    yield a
    if a.process is not None and a.process.poll() is None:
        a.kill()
    assert "Traceback" not in a.said()


BARE = tuple(e for e in A if e.kind != "leaf")


def test_every_scope_is_put_back_and_forgotten(
    agent: AgentProcess, controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--config", str(agent.settings)]
    agent.hold(c0=B)
    agent.start()
    assert controller.desire(1, {"c0": BARE, "c1": BARE}).accepted
    controller.wait_ready("c0", "True 1: Verified")
    controller.wait_ready("c1", "True 1: Verified")
    assert main(["reset", *where, "--yes"]) == Code.FAILED
    assert capsys.readouterr().err == (
        f"trafficd-agent: an agent runs on {agent.directory}/state: stop it first\n"
    )
    agent.kill()
    assert main(["reset", *where]) == Code.OK
    shown = capsys.readouterr().out
    assert "port c0 (fake): 5 steps back to what was found\n  add class/12 (hitless: in memory)\n" in shown
    assert shown.endswith("nothing was written: add --yes to do this\n")
    assert (agent.holds("c0"), agent.holds("c1")) == (BARE, BARE)
    assert main(["pause", *where]) == Code.OK
    capsys.readouterr()
    assert main(["reset", *where, "--yes"]) == Code.OK
    assert capsys.readouterr().out.endswith(
        "port c0: as it was found, and forgotten\nport c1: as it was found, and forgotten\n"
    )
    assert (name_of(agent.holds("c0")), name_of(agent.holds("c1"))) == ("B", "empty")
    assert main(["reset", *where]) == Code.OK
    assert capsys.readouterr().out == "nothing on this node was written by its agent\n"
    agent.start()
    assert agent.status()["accepted"] is None, "what the controller wanted is not taken up again"
    assert not agent.status()["scopes"]
    assert agent.status()["paused"]["node"] == "", "a pause stays"


def test_a_link_is_flapped_only_with_leave_and_what_fails_is_said(
    agent: AgentProcess, controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--config", str(agent.settings)]
    agent.start()
    assert controller.desire(1, {"c0": A}).accepted
    controller.wait_ready("c0", "False 1: WaitingForLeave")
    controller.grant("c0", 1)
    controller.wait_ready("c0", "True 1: Verified")
    agent.end()
    assert main(["reset", *where, "--yes"]) == Code.FAILED
    said = capsys.readouterr()
    assert "port c0: WaitingForLeave: the change costs a link flap" in said.out
    assert "not everything is as it was found" in said.err
    assert agent.holds("c0") == A
    agent.behave({"match": "c0", "refuse": ["class/*"]})
    assert main(["reset", *where, "--yes", "--allow-disruptive"]) == Code.FAILED
    assert "port c0: Refused: c0: class/10 is refused" in capsys.readouterr().out
    agent.behave()
    assert main(["reset", *where, "--yes", "--allow-disruptive"]) == Code.OK
    assert name_of(agent.holds("c0")) == "empty"


def test_two_agents_do_not_share_a_directory(agent: AgentProcess, capsys: pytest.CaptureFixture[str]) -> None:
    agent.start()
    wait_for("page", agent.http)
    assert main(["run", "--config", str(agent.settings)]) == Code.FAILED
    assert "an agent runs on" in capsys.readouterr().err
