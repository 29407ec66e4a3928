"""A whole small cluster on one machine: namespaces, one real controller, one real agent per node.

    p1 p2 d1 d2   ctl         p1 p2 d1 d2   st1  ctl
     |  |  |  |    |  c0       |  |  |  |    |    |  s0
    ====== csw ======         ======== ssw =========

The controller lives in ``ctl``, on both networks, and is reached in band, so that the lanes protect what programs
them; operators reach it from outside through a Unix socket.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from lab.netns import Cable, Lab, lab

from trafficd.api.v1 import policy_pb2, policy_pb2_grpc, qos_pb2

MBIT = 10**6
RATES = {"p1": 50 * MBIT, "p2": 100 * MBIT, "d1": 100 * MBIT, "d2": 100 * MBIT, "st1": 400 * MBIT}
"""Storage NICs: that of p1 runs at half rate."""
COMPUTE_BPS = 100 * MBIT
COMPUTE = {name: f"10.77.1.{i}" for i, name in enumerate(("p1", "p2", "d1", "d2", "ctl"), 1)}
STORAGE = {name: f"10.77.2.{i}" for i, name in enumerate(("p1", "p2", "d1", "d2", "ctl", "st1"), 1)}
BRIDGES = {"csw": "10.77.1.100/24", "ssw": "10.77.2.100/24"}
AGENTS = ("p1", "p2", "d1", "d2", "st1", "csw", "ssw")
GRPC_PORT, HTTP_PORT, AGENT_HTTP_PORT = 7600, 7601, 7602
FABRIC = Path(__file__).parent / "fabric.yaml"
BIN = Path(sys.executable).parent
START_S = 60.0
"""Eight Python processes start at once, the first time without compiled files."""


class ClusterError(Exception):
    """The cluster did not come up; the text says what and where to look."""


def cables() -> list[Cable]:
    compute = [Cable(n, "c0", "csw", f"{a}/24", COMPUTE_BPS) for n, a in COMPUTE.items()]
    storage = [Cable(n, "s0", "ssw", f"{a}/24", RATES.get(n, 100 * MBIT)) for n, a in STORAGE.items()]
    return compute + storage


def wait_for(what: str, ready: Callable[[], Any], seconds: float = 60.0, every: float = 0.02) -> float:
    """Wait until ``ready()`` is true; returns how long that took. Raises ClusterError naming ``what``."""
    start = time.monotonic()
    while not ready():
        if time.monotonic() - start > seconds:
            raise ClusterError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - start


@dataclass(slots=True)
class Controlled:
    """A controller and its agents as processes, their files in ``dir``, and how to talk to them."""

    dir: Path
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def socket(self) -> str:
        return f"unix:{self.dir}/controller.sock"

    @property
    def policy_file(self) -> Path:
        return self.dir / "policy.yaml"

    def log(self, name: str) -> Path:
        return self.dir / f"{name}.log"

    def kill(self, name: str) -> None:
        """kill -9, as a crash would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def status(self) -> policy_pb2.GetStatusResponse:
        with grpc.insecure_channel(self.socket) as channel:
            stub = policy_pb2_grpc.PolicyServiceStub(channel)
            answer: policy_pb2.GetStatusResponse = stub.GetStatus(policy_pb2.GetStatusRequest(), timeout=5)
            return answer

    def write_policy(self, text: str) -> None:
        """Replace the policy file at once, as an editor or a ConfigMap does."""
        fresh = self.policy_file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.policy_file)

    def _settled(self, scopes: int, ready: Callable[[Any], bool]) -> bool:
        """Every node acknowledged the controller's generation, and every one of ``scopes`` scopes is ``ready`` in it."""
        try:
            status = self.status()
        except grpc.RpcError:
            return False
        found = [s for node in status.nodes for s in node.scopes]
        current = all(n.acknowledged == status.generation for n in status.nodes)
        current = current and all(s.observed == status.generation for s in found)
        return current and len(found) == scopes and all(ready(s) for s in found)

    def wait_observed(self, scopes: int) -> float:
        """Wait until every scope was read in observe mode, which includes the start of all processes; returns seconds."""
        ready = _is(qos_pb2.CONDITION_TYPE_READY, qos_pb2.MODE_OBSERVE)
        what = f"ports observed (see {self.dir}/*.log)"
        return wait_for(what, lambda: self._settled(scopes, ready), START_S)

    def wait_verified(self, scopes: int) -> float:
        """Wait until every scope is verified in enforce mode; returns seconds."""
        ready = _is(qos_pb2.CONDITION_TYPE_VERIFIED, qos_pb2.MODE_ENFORCE)
        return wait_for(f"lanes verified (see {self.dir}/*.log)", lambda: self._settled(scopes, ready))

    def change_policy(self, text: str, scopes: int) -> float:
        """Write a policy that enforces; returns seconds until it is verified everywhere."""
        before, start = self.generation(), time.monotonic()
        self.write_policy(text)
        wait_for("a new generation", lambda: self.generation() > before)
        self.wait_verified(scopes)
        return time.monotonic() - start

    def generation(self) -> tuple[int, int]:
        status = self.status()
        return status.generation.epoch, status.generation.number


@dataclass(slots=True)
class Cluster(Controlled):
    """The processes stand in the nodes of a lab."""

    lab: Lab = field(kw_only=True)

    def _start(self, name: str, node: str, command: list[str]) -> None:
        with self.log(name).open("a") as log:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self.processes[name] = self.lab.start(node, command, **pipes)

    def start_controller(self) -> None:
        listen = ["--listen", f"0.0.0.0:{GRPC_PORT}", "--listen", self.socket, "--insecure"]
        files = ["--policy", str(self.policy_file), "--fabric", str(self.dir / "fabric.yaml")]
        state = ["--state", str(self.dir / "controller.db"), "--http", f"0.0.0.0:{HTTP_PORT}"]
        self._start("controller", "ctl", [str(BIN / "trafficd"), "serve", *listen, *files, *state])

    def start_agent(self, node: str) -> None:
        network = STORAGE if node in ("st1", "ssw") else COMPUTE
        controller = ["--controller", f"{network['ctl']}:{GRPC_PORT}", "--insecure"]
        state = ["--state-dir", str(self.dir / f"agent-{node}"), "--http", f"0.0.0.0:{AGENT_HTTP_PORT}"]
        self._start(node, node, [str(BIN / "trafficd-agent"), "run", "--node", node, *controller, *state])


def _is(kind: Any, mode: Any) -> Callable[[Any], bool]:
    true = qos_pb2.CONDITION_STATUS_TRUE
    return lambda scope: (
        scope.mode == mode and any(c.type == kind and c.status == true for c in scope.conditions)
    )


@contextmanager
def cluster(directory: Path, policy: str, *, keep: bool = False) -> Iterator[Cluster]:
    """Bring all of it up with a policy, hand it out, and take it down again unless ``keep``."""
    with lab(cables(), list(BRIDGES), keep=keep) as made:
        for switch, address in BRIDGES.items():
            made.run(switch, "ip", "addr", "add", address, "dev", "br0")
        up = Cluster(directory, lab=made)
        (directory / "fabric.yaml").write_text(FABRIC.read_text())
        up.write_policy(policy)
        try:
            up.start_controller()
            for node in AGENTS:
                up.start_agent(node)
            yield up
        finally:
            if not keep:
                up.stop()
