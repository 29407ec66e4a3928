"""A state file that was lost or put back, and two controllers by mistake: real controllers, a real agent."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from agentprocess import AgentProcess
from faultlab import Controller, readiness
from lab.cluster import wait_for
from served import Outcome, trafficd

FABRIC = """version: 1
name: lab
hosts:
  - {name: n1, role: prefill, nics: [{name: c0, kind: storage, rate: 100M}]}
  - {name: n2, role: prefill, nics: [{name: c0, kind: storage, rate: 100M}]}
"""
POLICY = (
    "version: 1\npolicies:\n  - {name: main, preset: dualpath, mode: enforce, selectors: [{nodes: [n1]}]}\n"
)
STRICT = POLICY.replace("dualpath", "two-lane-strict")


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    made = Controller(tmp_path, FABRIC, POLICY)
    with socket.create_server(("127.0.0.1", 0)) as free:
        # The same from the start: the control lane is made for the port that is listened on.
        made.grpc_port = free.getsockname()[1]
    made.start()
    yield made
    made.kill()
    assert "Traceback" not in made.said()


@pytest.fixture
def agent(tmp_path: Path, controller: Controller) -> Iterator[AgentProcess]:
    made = AgentProcess(tmp_path / "agent", controller.grpc_port, ("c0",))
    made.start()
    yield made
    made.kill()
    assert "Traceback" not in made.said()


def ask(controller: Controller, *args: str) -> Outcome:
    return trafficd(*args, "--controller", f"127.0.0.1:{controller.grpc_port}")


def settled(controller: Controller) -> Any:
    """The generation that n1's port is ready on."""

    def found() -> bool:
        status = controller.status()
        node = next((n for n in status.nodes if n.node == "n1" and n.connected), None)
        here = node is not None and node.acknowledged == status.generation
        return here and readiness(status).get("c0", ("", ""))[0].startswith("True")

    wait_for("n1/c0 ready", found)
    return controller.status()


def number(status: Any) -> tuple[int, int]:
    return status.generation.epoch, status.generation.number


def writes(agent: AgentProcess) -> Any:
    return json.loads(agent.device.read_bytes())["writes"]


def test_a_lost_state_file_is_recovered_from_the_agents(controller: Controller, agent: AgentProcess) -> None:
    before = settled(controller)
    written = writes(agent)
    controller.kill()
    controller.state.unlink()

    controller.start()
    said = f"follows controller {before.controller_uuid}"
    wait_for("the agent is refused", lambda: any(said in n for n in controller.status().notes))
    shown = ask(controller, "recover")
    assert shown.code == 1
    assert f"{before.controller_uuid}  1.1      1       n1" in shown.out
    assert "start this one with trafficd serve --recover" in shown.out
    refused = ask(controller, "recover", "--confirm", before.controller_uuid)
    assert refused.code == 4
    assert "was not started to recover" in refused.err
    controller.kill()

    controller.start("--recover")
    wait_for("the agent calls", lambda: ask(controller, "recover", "-o", "json").json["leads"])
    shown = ask(controller, "recover")
    assert shown.code == 1
    assert "not heard of 1 hosts of the fabric: n2" in shown.out
    assert f"go on without them: trafficd recover --confirm {before.controller_uuid}" in shown.out
    assert ask(controller, "recover", "--confirm", "another").code == 4
    assert not any(n.connected for n in controller.status().nodes), "nobody is served yet"

    done = ask(controller, "recover", "--confirm", before.controller_uuid)
    assert done.out == f"recovered: controller {before.controller_uuid} goes on from generation 2.1\n"
    after = settled(controller)
    assert after.controller_uuid == before.controller_uuid
    assert number(after) > (2, 0) > number(before)
    assert writes(agent) == written, "the port held what it should, and nothing was written"
    assert "recover" in ask(controller, "log").out

    controller.policy.write_text(STRICT)
    wait_for("the next change", lambda: number(controller.status()) > number(after))
    settled(controller)
    assert writes(agent) != written
    assert ask(controller, "recover").code == 0
    controller.kill()
    controller.start()
    assert controller.status().controller_uuid == before.controller_uuid, "and it stays so"


def test_an_older_copy_goes_on_above_its_agents(controller: Controller, agent: AgentProcess) -> None:
    first = settled(controller)
    controller.kill()
    older = controller.state.with_name("older.db")
    shutil.copy(controller.state, older)
    controller.policy.write_text(STRICT)
    controller.start()
    wait_for("the change", lambda: number(controller.status()) > number(first))
    newest = settled(controller)
    controller.kill()
    shutil.copy(older, controller.state)
    controller.policy.write_text(POLICY)

    controller.start("--recover")
    wait_for("the gap", lambda: any("was lost or restored" in n for n in controller.status().notes))
    controller.policy.write_text(POLICY.replace("dualpath", "three-class"))
    wait_for("a file that is refused", lambda: controller.status().rejected)
    assert number(controller.status()) == number(first), "nothing is programmed"
    assert f"{first.controller_uuid}  1.2      1       n1" in ask(controller, "recover").out
    assert ask(controller, "recover", "--confirm", first.controller_uuid).code == 0
    wait_for("the file", lambda: not controller.status().rejected)
    after = settled(controller)
    assert after.generation.epoch == 2
    assert number(after) > number(newest)


def test_two_controllers_by_mistake_are_both_named(
    controller: Controller, agent: AgentProcess, tmp_path: Path
) -> None:
    first = settled(controller)
    (tmp_path / "second").mkdir()
    second = Controller(tmp_path / "second", FABRIC, STRICT)
    second.start()
    try:
        agent.kill()
        settings = yaml.safe_load(agent.settings.read_text())
        both = [f"127.0.0.1:{c.grpc_port}" for c in (second, controller)]
        agent.settings.write_text(yaml.safe_dump({**settings, "controller": both}))
        agent.start()
        other = second.status().controller_uuid
        settled_again = settled(controller)
        names = (first.controller_uuid, other)

        def told() -> bool:
            scopes = [s for n in controller.status().nodes for s in n.scopes]
            return any(all(u in c.message for u in names) for s in scopes for c in s.conditions)

        wait_for("a condition that names both", told)
        assert all(u in agent.status()["controller"]["refused"] for u in names)
        assert any(all(u in n for u in names) for n in second.status().notes)
        assert number(settled_again) == number(first), "what was in force stays"
    finally:
        second.kill()
