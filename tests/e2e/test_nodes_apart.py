"""Two nodes on a real link: one that its own change cuts off, and ones whose clocks are an hour off."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab.cluster import BIN, COMPUTE, COMPUTE_BPS, GRPC_PORT, Cluster, wait_for
from lab.netns import Cable, Lab, lab

from trafficd.api.v1 import qos_pb2

pytestmark = pytest.mark.kernel
NODES = ("p1", "p2")
FABRIC = "version: 1\nname: two\nhosts:\n" + "".join(
    f"  - {{name: {n}, role: prefill, nics: [{{name: c0, kind: compute, rate: 100M}}]}}\n" for n in NODES
)
OBSERVE = "version: 1\npolicies: [{name: lanes, preset: dualpath, mode: observe}]\n"
ENFORCE = OBSERVE.replace("observe", "enforce")
CAREFUL = ENFORCE + (
    "rollout: {canary: {count: 1}, soak_seconds: 15, revert_in_seconds: 3, deadline_seconds: 60}\n"
)
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@contextmanager
def two(directory: Path, policy: str, clocks: dict[str, str]) -> Iterator[Cluster]:
    """A controller and two nodes on one switch; ``clocks``: node -> how far off, as libfaketime reads it."""
    cables = [Cable(n, "c0", "csw", f"{COMPUTE[n]}/24", COMPUTE_BPS) for n in (*NODES, "ctl")]
    with lab(cables, ["csw"]) as made:
        up = Cluster(directory, lab=made)
        (directory / "fabric.yaml").write_text(FABRIC)
        up.write_policy(policy)
        try:
            up.start_controller()
            for node in NODES:
                start_agent(up, node, clocks.get(node))
            yield up
        finally:
            up.stop()


def start_agent(up: Cluster, node: str, clock: str | None) -> None:
    flags = ["--node", node, "--controller", f"{COMPUTE['ctl']}:{GRPC_PORT}", "--insecure", "--http", ""]
    command = [str(BIN / "trafficd-agent"), "run", *flags, "--state-dir", str(up.dir / f"agent-{node}")]
    fake = {"LD_PRELOAD": FAKETIME, "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"} if clock else {}
    with up.log(node).open("a") as log:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        up.processes[node] = up.lab.start(node, command, env={**os.environ, **fake}, **pipes)


def verdict(up: Cluster, node: str) -> str:
    (scope,) = [s for n in up.status().nodes if n.node == node for s in n.scopes]
    (ready,) = [c for c in scope.conditions if c.type == qos_pb2.CONDITION_TYPE_READY]
    return ready.reason


def has_lanes(made: Lab, node: str) -> bool:
    return "htb" in made.run(node, "tc", "qdisc", "show", "dev", "c0").stdout


@contextmanager
def breaking(made: Lab, node: str) -> Iterator[None]:
    """A link that is dead for as long as the node's port has lanes, as where they starve what carries them."""
    over = threading.Event()

    def watch() -> None:
        dead = False
        while not over.wait(0.05):
            if (wanted := has_lanes(made, node)) != dead:
                dead = wanted
                made.run(node, "ip", "neigh", "flush", "all")
                made.run(node, "ip", "link", "set", "c0", "arp", "off" if dead else "on")
                made.run(node, "ip", "route", "replace" if dead else "del", "blackhole", COMPUTE["ctl"])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(20)


def test_a_change_that_cuts_its_node_off_undoes_itself_and_halts_the_rollout(tmp_path: Path) -> None:
    with two(tmp_path, OBSERVE, {}) as up:
        up.wait_observed(2)
        with breaking(up.lab, "p1"):
            up.write_policy(CAREFUL)
            wait_for("lanes on p1", lambda: has_lanes(up.lab, "p1"), 30)
            wait_for("as before", lambda: not has_lanes(up.lab, "p1"), 60)
            wait_for("told", lambda: verdict(up, "p1") == "RevertedCutOff", 60)
        # p2 was to follow the canary, and did not.
        assert not has_lanes(up.lab, "p2")
        command = [str(BIN / "trafficd"), "rollout", "status", "--controller", up.socket]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
        assert "halted" in said
        assert "p1" in said


def test_clocks_an_hour_off_change_nothing_but_are_named(tmp_path: Path) -> None:
    with two(tmp_path, ENFORCE, {"p1": "+3600s", "p2": "-3600s"}) as up:
        up.wait_verified(2)
        wait_for("offsets", lambda: all(n.clock_offset_seconds for n in up.status().nodes), 30)
        offsets = {n.node: round(n.clock_offset_seconds / 60) for n in up.status().nodes}
        assert offsets == {"p1": 60, "p2": -60}
        # Counters are as old as their arrival says, not as the node's clock does.
        ages = json.loads(told(up, "status", "--output", "json", code=0))
        assert {n["node"] for n in ages["nodes"]} == set(NODES)
        assert "their clocks are off the controller's" in told(up, "doctor", code=1)
        up.lab.run("p1", "tc", "qdisc", "del", "dev", "c0", "root")
        wait_for("repaired", lambda: has_lanes(up.lab, "p1"), 30)
        up.wait_verified(2)


def told(up: Cluster, *command: str, code: int) -> str:
    words = [str(BIN / "trafficd"), *command, "--controller", up.socket]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout
