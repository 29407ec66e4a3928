"""The demo where no network namespaces can be made: the loop on in-memory devices, without traffic.

Controller and agents are the real ones, as processes on the loopback; only the devices are the agent's ``fake`` driver,
whose files this program reads and whose control files it writes. Nothing here says how traffic fares.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import policies
from demo.table import Row
from lab.cluster import AGENTS, BIN, COMPUTE, FABRIC, START_S, STORAGE, Controlled, wait_for

from trafficd import client
from trafficd.api.v1 import agent_pb2, qos_pb2
from trafficd_agent.drivers.fake import FakeDevice
from trafficd_topology.diff import State

SCOPES = 18
"""As in the namespaces: nine ports of hosts, and the nine of switches that face them."""
LOOK_S = 0.5
"""Devices in memory tell nobody when they change: the agents look this often, seconds."""
LOST = "leaf/10"
ASKED = 200
Say = Callable[[str], None]


def ports_of(node: str) -> list[str]:
    """The fabric file's ports of a node that has an agent."""
    if node == "csw":
        return [n for n in COMPUTE if n != "ctl"]
    if node == "ssw":
        return [n for n in STORAGE if n != "ctl"]
    return ["s0"] if node == "st1" else ["c0", "s0"]


@dataclass(slots=True)
class Plane(Controlled):
    """Everything on the loopback of this machine; ports are the kernel's choice."""

    def _start(self, name: str, *command: str) -> None:
        with self.log(name).open("a") as log:
            self.processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
            )

    def start_controller(self) -> None:
        files = ["--policy", self.policy_file, "--fabric", FABRIC, "--state", self.dir / "controller.db"]
        listen = ["--listen", "127.0.0.1:0", "--listen", self.socket, "--http", "127.0.0.1:0"]
        self._start("controller", str(BIN / "trafficd"), "serve", *map(str, files), *listen)
        wait_for(f"controller (see {self.log('controller')})", self.port, START_S)

    def port(self) -> int:
        """Where the controller listens; 0 while it does not."""
        found = re.search(r"serves gRPC on 127\.0\.0\.1:(\d+)", self.log("controller").read_text())
        return int(found[1]) if found else 0

    def device(self, node: str) -> FakeDevice:
        return FakeDevice(self.dir / f"{node}.device.json")

    def start_agent(self, node: str) -> None:
        directory = self.dir / f"agent-{node}"
        (directory / "sys").mkdir(parents=True)
        device, control = self.dir / f"{node}.device.json", self.dir / f"{node}.control.yaml"
        options = {"ports": ports_of(node), "device": str(device), "control": str(control)}
        settings = {
            "node": node,
            "controller": f"127.0.0.1:{self.port()}",
            "state_dir": str(directory),
            "http": "",
            "sysfs": str(directory / "sys"),
            "verify_seconds": LOOK_S,
            "ports": [{"match": "*", "driver": "fake", "options": options}],
        }
        file = self.dir / f"{node}.yaml"
        file.write_text(json.dumps(settings))  # JSON is YAML
        self._start(node, str(BIN / "trafficd-agent"), "run", "--config", str(file))

    def behave(self, node: str, port: str, **how: object) -> None:
        """From now on a device misbehaves so; with nothing given it does as told."""
        file = self.dir / f"{node}.control.yaml"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({"scopes": [{"match": port, **how}] if how else []}))
        fresh.replace(file)

    def writes(self) -> int:
        return sum(self.device(node).writes(port) for node in AGENTS for port in ports_of(node))

    def scope(self, node: str, port: str) -> agent_pb2.ScopeStatus:
        nodes = {n.node: n for n in self.status().nodes}
        return next(s for s in nodes[node].scopes if s.name == port)


@contextmanager
def plane(directory: Path, policy: str) -> Iterator[Plane]:
    """Controller and seven agents with a policy; stopped at the end."""
    up = Plane(directory)
    up.write_policy(policy)
    try:
        up.start_controller()
        for node in AGENTS:
            up.start_agent(node)
        yield up
    finally:
        up.stop()


def ready(scope: agent_pb2.ScopeStatus) -> qos_pb2.Condition:
    return next(c for c in scope.conditions if c.type == qos_pb2.CONDITION_TYPE_READY)


def observed(up: Plane) -> Row:
    up.wait_observed(SCOPES)
    writes = up.writes()
    seen = f"{SCOPES} ports, {writes} writes"
    return Row("policy observes: ports compared, writes to devices", seen, "no write", writes == 0)


def enforced(up: Plane) -> Row:
    seconds = up.change_policy(policies.ENFORCE, SCOPES)
    return Row("policy file written to verified on all nodes", f"{seconds:.2f} s", "under 1 s", seconds < 1)


def repaired(up: Plane, say: Say) -> Row:
    """The device loses an element at a read, and holds up writes until that was seen from here."""

    def lost() -> bool:
        return all(e.name != LOST for e in up.device("p1").holds("c0"))

    def mended() -> bool:
        scope = up.scope("p1", "c0")
        return scope.repairs == 1 and ready(scope).status == qos_pb2.CONDITION_STATUS_TRUE

    up.behave("p1", "c0", drop=[LOST], hang="write")
    wait_for("a lane lost", lost)
    start = time.monotonic()
    up.behave("p1", "c0")
    wait_for("the lane repaired", mended)
    seconds = time.monotonic() - start
    say(f"p1/c0 had lost {LOST} ({up.scope('p1', 'c0').drift_cause}) and was repaired")
    whole = not lost()
    return Row(
        "lane lost by a device, repaired after", f"{seconds:.2f} s", "under 2 s", seconds < 2 and whole
    )


def found_out(up: Plane, say: Say) -> Row:
    """A device that says yes to every write of a class and carries out none."""

    def failed() -> bool:
        scope = up.scope("p2", "s0")
        return ready(scope).reason == "VerificationFailed"

    def others_verified() -> bool:
        status = up.status()
        found = [s for n in status.nodes for s in n.scopes if s.observed == status.generation]
        return sum(ready(s).status == qos_pb2.CONDITION_STATUS_TRUE for s in found) == SCOPES - 1

    before: State = up.device("p2").holds("s0")
    up.behave("p2", "s0", ignore=["class"])
    up.write_policy(policies.SEVENTY_THIRTY)
    wait_for("the device found out", failed)
    wait_for("the other ports verified", others_verified)
    condition = ready(up.scope("p2", "s0"))
    say(f"p2/s0 says yes and does nothing: {condition.reason}: {condition.message}")
    restored = up.device("p2").holds("s0") == before
    seen = f"{condition.reason} on 1 of {SCOPES} ports" + (", restored" if restored else "")
    return Row("device that ignores what it accepts", seen, "found, restored", restored)


def healed(up: Plane) -> Row:
    up.behave("p2", "s0")
    seconds = up.change_policy(policies.ENFORCE, SCOPES)
    return Row("it does as told again: next policy to verified", f"{seconds:.2f} s", "under 1 s", seconds < 1)


def recommended(up: Plane) -> Row:
    engines = {"p1": client.Role.PREFILL, "d1": client.Role.DECODE}
    request = client.Request(
        "first",
        1_000_000,
        (client.EngineRef("p1", 0),),
        (client.EngineRef("d1", 0),),
        client.Source(pool="kv"),
        abilities=client.Abilities(read_on_decode_side=True),
    )
    took = []
    with client.connect(up.socket) as asked:
        asked.report_engines(
            [client.EngineReport(client.EngineRef(n, 0), r, read_queue_bytes=0) for n, r in engines.items()]
        )
        asked.wait_ready(5.0)
        for _ in range(ASKED):
            start = time.monotonic()
            answer: Any = asked.recommend(request, timeout_s=1.0)
            took.append(time.monotonic() - start)
    plan, reason = answer.plans[0], answer.fallback
    why = f", {reason.reason.name.lower()}" if reason else ""
    seen = f"{plan.legs[0].reader} reads, {statistics.median(took) * 1e3:.2f} ms{why}"
    by_controller = reason is None or reason.reason not in (
        client.FallbackReason.LOCAL,
        client.FallbackReason.STATIC,
    )
    return Row("recommendation, median of 200", seen, "by the controller", by_controller)


def tell(say: Say) -> list[Row]:
    """Bring everything up, show it, take it down; returns the table."""
    with (
        tempfile.TemporaryDirectory(prefix="trafficd-demo-") as name,
        plane(Path(name), policies.OBSERVE) as up,
    ):
        rows = [observed(up)]
        say(
            "five nodes, two switches, one controller, devices in memory; the policy observed, now it enforces"
        )
        rows += [enforced(up), repaired(up, say), found_out(up, say), healed(up), recommended(up)]
    return rows
