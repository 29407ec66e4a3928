"""A subnet manager that is not ours: files, what changes, steps in words, and every port read; nothing is written."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab.ibbench import FOUR_VLS, helper_env, overwrite, paper
from lab.ibsim import IbLab, ib_lab

from trafficd_agent.apply import Order, Result, reconcile
from trafficd_agent.drivers.opensm import OpensmDriver, OpensmOptions
from trafficd_topology.diff import State

pytestmark = pytest.mark.ib
POLICY = "version: 1\npolicies: [{name: lanes, preset: dualpath, mode: enforce}]\n"
AGENT = Path(sys.executable).parent / "trafficd-agent"


class Journal:
    def begin(self, before: State, target: State) -> None:
        raise AssertionError("nothing is to be written")

    def settle(self, holds: State) -> None: ...


@dataclass(frozen=True, slots=True)
class Site:
    lab: IbLab

    @property
    def directory(self) -> Path:
        return self.lab.directory

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        config = ["--config", str(self.directory / "agent.yaml")]
        command = [str(AGENT), "subnet", *words, *config]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def files(self) -> dict[str, bytes]:
        kept = ("opensm.conf", "qos-policy.conf", "partitions.conf")
        return {n: (self.directory / n).read_bytes() for n in kept if (self.directory / n).exists()}


@pytest.fixture
def site() -> Iterator[Site]:
    with ib_lab(FOUR_VLS) as lab:
        options = {"conf": str(lab.conf), "helper_env": list(helper_env(lab, "Hca2"))}
        rule = {"name": "ib", "driver": "opensm", "options": options}
        (lab.directory / "agent.yaml").write_text(json.dumps({"fabrics": [rule]}))
        (lab.directory / "policy.yaml").write_text(POLICY)
        yield Site(lab)


def test_rendered_by_us_applied_by_hand_and_verified_by_smp(site: Site) -> None:
    before, policy = site.files(), ("--policy", str(site.directory / "policy.yaml"))
    out = site.directory / "out"
    made = site.run("render", *policy, "--conf", str(site.lab.conf), "--out", str(out), "--sm", "ufm")
    assert made.returncode == 0, made.stderr
    assert "+qos_vlarb_low 0:192,1:192,2:64,3:192" in made.stdout
    assert "-max_op_vls" not in made.stdout
    assert "1. Back up the configuration of NVIDIA UFM." in made.stdout
    assert "Traffic goes on." in made.stdout
    assert site.files() == before
    first = site.run("verify", *policy)
    assert (first.returncode, "vlarb_low/* should be 0,192,1,192,2,64,3,192" in first.stdout) == (1, True), (
        first
    )
    # What a person does: the file goes to its place, and OpenSM is signalled.
    site.lab.conf.write_bytes((out / "opensm.conf").read_bytes())
    site.lab.hang_up()
    done = site.run("verify", *policy)
    assert (done.returncode, done.stdout) == (
        0, "24 ports, every pair of ports of every switch: as wanted\n",
    ), done.stderr  # fmt: skip
    overwrite(site.lab, "2", "0x17", "0x0105", "1111111111111111")
    odd = site.run("verify", *policy)
    assert (odd.returncode, odd.stdout.splitlines()[0]) == (
        1, "sl2vl/0x0000000000200000:1-5 reads " + ",".join("1" * 16) + ", other than the rest",
    )  # fmt: skip


def test_fewer_lanes_are_a_restart_in_words(site: Site) -> None:
    exported = site.directory / "exported.conf"
    exported.write_text("max_op_vls 5\nsm_priority 7\n")
    policy = ("--policy", str(site.directory / "policy.yaml"))
    made = site.run("render", *policy, "--conf", str(exported), "--offline", "--sm", "switch")
    assert made.returncode == 0, made.stderr
    assert "-max_op_vls 5\n+max_op_vls 3\n" in made.stdout
    assert "sm_priority" not in made.stdout
    assert "A change of max_op_vls takes links down: drain the subnet first." in made.stdout


def test_a_dump_is_what_ibnetdiscover_would_tell(site: Site) -> None:
    out = site.run("dump")
    assert out.returncode == 0, out.stderr
    assert 'Switch\t6 "S-0000000000200000"\t\t# "Leaf1"' in out.stdout


def test_the_driver_reads_and_compares_and_writes_nothing(site: Site) -> None:
    before = site.files()
    options = OpensmOptions(
        "ib", str(site.lab.conf), helper_env=helper_env(site.lab, "Hca2"), render_only=True
    )
    driver = OpensmDriver(options)
    try:
        out = reconcile(driver, Order("ib", paper()), Journal())
        assert (out.result, out.reason) == (Result.UNSUPPORTED, "PermissionMissing")
        assert "trafficd-agent subnet render" in out.message
        assert any(d.path == "vlarb_low/*.entries" for d in out.differences)
        assert site.files() == before
    finally:
        driver.close()


def test_without_a_subnet_the_reason_is_one_sentence(site: Site) -> None:
    (site.directory / "agent.yaml").write_text(json.dumps({"fabrics": [{"name": "ib", "driver": "opensm"}]}))
    out = site.run("dump")
    assert out.returncode == 5
    assert "has no umad device to send packets through" in out.stderr
    assert "Traceback" not in out.stderr
