"""A real agent process on a real kernel queue, without a controller: what it accepted last, it holds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from agentprocess import wait_for
from lab import veth
from lab.tcbench import FIRST

from trafficd_agent.desired import Desired, DesiredScope, ScopeId
from trafficd_agent.files import Files
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Generation

pytestmark = pytest.mark.kernel
MOST_S = 2.0
HANDLE = "qdisc htb 7f1d:"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Accepted: lanes on the near end of a cable. The timer is far away, so that notifications do the work."""
    scope = DesiredScope(ScopeId(ScopeKind.PORT, veth.NEAR), "tc", Mode.ENFORCE, "p", FIRST)
    Files(tmp_path / "state").keep_accepted(Desired(Generation(1, 1), "d", "controller-1", (scope,)))
    settings = tmp_path / "agent.yaml"
    settings.write_text(
        yaml.safe_dump(
            {
                "node": "n1",
                "controller": "127.0.0.1:9",
                "state_dir": str(tmp_path / "state"),
                "http": "127.0.0.1:7602",
                "verify_seconds": 600,
            }
        )
    )
    with veth.pair() as cable, (tmp_path / "log").open("wb") as log:
        assert cable.near
        veth.run("ip", "link", "set", "lo", "up")
        command = [sys.executable, "-m", "trafficd_agent.cli", "run", "--config", str(settings)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


def scope() -> Any:
    command = [sys.executable, "-m", "trafficd_agent.cli", "status", "--output", "json"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=20)
    return json.loads(done.stdout)["scopes"][0] if done.returncode in (0, 4) else None


def held() -> bool:
    return HANDLE in veth.run("tc", "qdisc", "show", "dev", veth.NEAR)


def test_lanes_removed_by_hand_are_back_within_two_seconds(agent: subprocess.Popen[bytes]) -> None:
    wait_for("lanes", held)
    wait_for("verification", lambda: (s := scope()) and s["conditions"][1]["status"] == "True")
    start = time.monotonic()
    veth.run("tc", "qdisc", "del", "dev", veth.NEAR, "root")
    wait_for("repair", held)
    took = time.monotonic() - start
    assert took < MOST_S
    repaired = wait_for("report", lambda: (s := scope()) and s["repairs"] == 1 and s)
    assert (repaired["drifts"], repaired["conditions"][3]["status"]) == (1, "True")
    assert repaired["drift_cause"].startswith("removed, by netlink port id ")
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(10) == 0
    assert held(), "the lanes stay as they are"


def test_two_writers_on_one_port_are_both_named_and_the_fight_ends(
    agent: subprocess.Popen[bytes],
) -> None:
    wait_for("lanes", held)
    wait_for("verification", lambda: (s := scope()) and s["conditions"][1]["status"] == "True")
    for count in range(1, 6):
        veth.run("tc", "qdisc", "del", "dev", veth.NEAR, "root")
        wait_for(f"repair {count}", held)
        wait_for("report", lambda n=count: (s := scope()) and s["repairs"] == n)
    veth.run("tc", "qdisc", "del", "dev", veth.NEAR, "root")
    latched = wait_for("latch", lambda: (s := scope()) and "RepairLimit" in str(s["conditions"]) and s)
    said = " ".join(c["message"] for c in latched["conditions"])
    assert "repaired 5 times within 600 s and changed again (removed, by netlink port id " in said
    assert "find who else writes here" in said
    assert not held(), "it is left to the other writer"
