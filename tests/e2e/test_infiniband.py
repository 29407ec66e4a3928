"""A policy file to every port of a simulated subnet and back, through a real controller, agent and OpenSM."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from demo.infiniband import POLICY, Plane, desired, holds, plane, run
from lab.ibbench import FOUR_VLS, LEAF1_LID, overwrite
from lab.ibsim import ib_lab
from lab.smpquery import read_ports

from trafficd.api.v1 import agent_pb2

pytestmark = pytest.mark.ib


@pytest.fixture
def up() -> Iterator[Plane]:
    with ib_lab(FOUR_VLS) as lab, plane(lab) as made:
        made.wait("the agent connects", made.connected)
        yield made


def scope(up: Plane) -> agent_pb2.ScopeStatus:
    found = up.fabric()
    assert found is not None
    return found


def equal_ports(up: Plane) -> int:
    wanted = desired(POLICY)
    return sum(holds(p, wanted) for p in read_ports(up.lab, "Hca3"))


def test_the_demo_leg() -> None:
    leg = run()
    assert (leg.ports, leg.equal, leg.verified, leg.unreadable) == (24, 24, True, ("high_limit",))
    assert leg.seconds > 0


def test_drift_is_repaired_and_a_policy_that_ends_leaves_the_file_as_it_was(up: Plane) -> None:
    as_found = up.lab.conf.read_bytes()
    up.write_policy(POLICY)
    up.wait("verified", up.fabric)
    assert equal_ports(up) == 24
    overwrite(up.lab, LEAF1_LID, "0x18", "0x30002", "000a")
    up.wait("repaired", lambda: (s := up.fabric()) is not None and s.repairs == 1)
    assert equal_ports(up) == 24
    assert scope(up).drift_cause
    up.write_policy("version: 1\npolicies: []\n")
    up.wait("as found", lambda: up.lab.conf.read_bytes() == as_found)


def test_opensm_dies_and_comes_back(up: Plane) -> None:
    up.write_policy(POLICY)
    up.wait("verified", up.fabric)
    up.lab.stop_opensm()
    up.wait("said so", lambda: "no OpenSM runs" in messages(up))
    assert equal_ports(up) == 24
    up.lab.start_opensm()
    up.wait("verified again", lambda: up.fabric() is not None and "no OpenSM runs" not in messages(up))
    assert equal_ports(up) == 24


def messages(up: Plane) -> str:
    status = up.status()
    nodes = status.nodes if status is not None else ()
    return " ".join(c.message for n in nodes for s in n.scopes for c in s.conditions)


def test_a_lab_to_look_at_comes_up_and_ends_cleanly(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "demo" / "subnet.py"
    command = [sys.executable, str(script), "--spines", "1", "--leaves", "2", "--adapters", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as lab:
        assert lab.stdout is not None
        guide = "".join(takewhile(lambda line: not line.startswith("Ctrl-C"), lab.stdout))
        assert guide.startswith("4 adapters, 3 switches, 12 ports with a link.")
        directory = Path(guide.split(" in ", 1)[1].split(".\n", 1)[0])
        assert (directory / "opensm.conf").exists()
        status = next(line for line in guide.splitlines() if "trafficd status" in line).split("stands")[1]
        assert (
            "Verified" in subprocess.run(status.split(), capture_output=True, text=True, check=False).stdout
        )
        lab.send_signal(signal.SIGINT)
        assert (lab.stdout.read(), lab.wait(20)) == ("ended\n", 0)
    assert not directory.exists()
    assert list(tmp_path.iterdir()) == []
