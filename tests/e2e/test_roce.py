"""RoCE from end to end: a controller and an agent as processes, on a NIC in memory that speaks DCB."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agentprocess import wait_for
from served import MAIN, trafficd
from unit.policy.test_switch import export

from trafficd_agent.drivers.fake import FakeDevice
from trafficd_topology.diff import State

AGENT = [sys.executable, "-c", "import sys; from trafficd_agent.cli import main; sys.exit(main())"]
FABRIC = """version: 1
name: roce
hosts: [{name: h1, nics: [{name: ens1, kind: compute, rate: 100G}]}]
switches: [{name: leaf1}]
links: [[h1/ens1, leaf1/Ethernet0]]
"""
POLICY = "version: 1\npolicies: [{name: p, preset: dualpath, mode: enforce}]\n"


@contextmanager
def process(log: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    with log.open("a") as out, subprocess.Popen(command, stdout=out, stderr=out, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


class Plane:
    """The files, the two processes, and what they say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fabric, self.policy = folder / "fabric.yaml", folder / "policy.yaml"
        self.fabric.write_text(FABRIC)
        self.policy.write_text(POLICY)
        self.device = FakeDevice(folder / "device.json")
        (folder / "control.yaml").write_text("scopes: []\n")

    def address(self) -> str:
        found = re.search(r"serves gRPC on (127\.0\.0\.1:\d+)", (self.folder / "controller.log").read_text())
        return found[1] if found else ""

    @contextmanager
    def run(self) -> Iterator[None]:
        given = ["--fabric", self.fabric, "--policy", self.policy, "--state", self.folder / "state.db"]
        listen = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        with process(self.folder / "controller.log", *MAIN, "serve", *map(str, given), *listen):
            address = wait_for("controller", self.address, seconds=60)
            settings = {
                "node": "h1",
                "controller": address,
                "state_dir": str(self.folder),
                "http": "",
                "sysfs": str(self.folder),
                "verify_seconds": 0.5,
                "drain_hook": ["true"],
                "ports": [{"match": "*", "driver": "fake", "options": self.options()}],
            }
            (self.folder / "agent.yaml").write_text(json.dumps(settings))
            with process(
                self.folder / "agent.log", *AGENT, "run", "--config", str(self.folder / "agent.yaml")
            ):
                yield

    def options(self) -> dict[str, object]:
        files = {"device": str(self.folder / "device.json"), "control": str(self.folder / "control.yaml")}
        return {"ports": ["ens1"], "rate_bps": 100_000_000_000, "dcb": True, **files}

    def status(self) -> str:
        done = trafficd("status", "--controller", self.address())
        return done.out + done.err

    def says(self, text: str) -> None:
        wait_for(text, lambda: text in " ".join(self.status().split()), self.status, seconds=60)

    def holds(self) -> State:
        return self.device.holds("ens1")


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    return Plane(tmp_path)


def value(state: State, name: str) -> object:
    return next((e.value for e in state if e.name == name), None)


def test_observed_until_the_switch_agrees_then_enforced_with_leave_and_repaired(plane: Plane) -> None:
    with plane.run():
        plane.says("leaf1 is not known to agree with policy p")
        assert plane.holds() == ()
        (plane.folder / "leaf1.json").write_text(json.dumps(export()))
        given = [
            "check",
            str(plane.policy),
            str(plane.fabric),
            "--switch",
            f"leaf1={plane.folder}/leaf1.json",
        ]
        said = trafficd(*given).out
        plane.fabric.write_text(FABRIC + said[said.index("agreements:") :].replace("no problems\n", ""))
        # The first PFC set flaps the link: it waits for the operator.
        plane.says("costs a link flap and waits")
        assert value(plane.holds(), "pfc") is None
        assert trafficd("resume", "--allow-disruptive", "--controller", plane.address()).code == 0
        wait_for("PFC", lambda: value(plane.holds(), "pfc"), plane.status, seconds=60)
        plane.says("Ready true")
        whole = plane.holds()
        assert len([e for e in whole if e.kind == "dscp"]) == 64
        # Drift is repaired; what flaps the link under the leave that was given for this generation.
        for name in ("dscp/24", "pfc"):
            plane.device.put("ens1", name, None)
            wait_for(f"repair of {name}", lambda: plane.holds() == whole, plane.status, seconds=60)
        plane.says("Ready true")


def test_a_nic_that_applies_half_holds_what_it_held_before(plane: Plane) -> None:
    (plane.folder / "leaf1.json").write_text(json.dumps(export()))
    plane.policy.write_text(POLICY.replace("enforce", "observe"))
    given = ["check", str(plane.policy), str(plane.fabric), "--switch", f"leaf1={plane.folder}/leaf1.json"]
    said = trafficd(*given).out
    plane.fabric.write_text(FABRIC + said[said.index("agreements:") :].replace("no problems\n", ""))
    (plane.folder / "control.yaml").write_text("scopes: [{match: '*', refuse: [ets]}]\n")
    with plane.run():
        plane.says("fake observe")
        plane.policy.write_text(POLICY)
        plane.says("fake enforce")
        trafficd("resume", "--allow-disruptive", "--controller", plane.address())
        plane.says("is refused")
        assert plane.holds() == ()
