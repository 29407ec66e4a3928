"""The demo's InfiniBand leg: a policy goes from file to every port of a simulated fabric, and smpquery agrees.

A real controller and a real agent run beside a real OpenSM; the subnet of 8 adapters is simulated by ibsim.
Run it alone: ``python tests/demo/infiniband.py``.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from lab.ibbench import FOUR_VLS, helper_env
from lab.ibsim import FatTree, IbLab, IbLabError, ib_lab, wait_until
from lab.smpquery import PortTables, padded, read_ports

from trafficd.api.v1 import agent_pb2, policy_pb2, policy_pb2_grpc, qos_pb2
from trafficd_topology.diff import State
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.ib import IbOption
from trafficd_topology.qos.render import render_ib

POLICY = "version: 1\npolicies: [{name: lanes, preset: dualpath, mode: enforce}]\n"
SUBNET = "ib0"
RATE = "200G"
VERIFY_SECONDS = 30.0
LOOK_SECONDS = 1.0
"""How often the agent reads every port."""
BIN = Path(sys.executable).parent


class LegError(Exception):
    """The leg did not come up; the text says what and where to look."""


@dataclass(frozen=True, slots=True)
class Leg:
    """How it went.

    ``seconds``: from the policy file to Verified. ``ports``: ports with a link; ``equal``: those on which smpquery
    finds the policy's tables. ``unreadable``: what the agent says it cannot read back.
    """

    ports: int
    equal: int
    seconds: float
    unreadable: tuple[str, ...]

    @property
    def verified(self) -> bool:
        return self.ports > 0 and self.equal == self.ports


def desired(policy: str) -> State:
    """What the first policy means on InfiniBand."""
    policies, problems = parse_policies(policy)
    if policies is None or not policies.policies:
        raise LegError(f"the policy cannot be used: {'; '.join(map(str, problems)) or 'it is empty'}")
    first = policies.policies[0]
    return render_ib(first.lanes, first.infiniband)


def holds(port: PortTables, wanted: State) -> bool:
    """Whether a port holds the tables of a policy, by what smpquery printed."""
    option = {e.key: e.value.text for e in wanted if isinstance(e.value, IbOption)}
    tables = padded(option["qos_vlarb_high"]), padded(option["qos_vlarb_low"]), {option["qos_sl2vl"]}
    return (port.high, port.low, port.sl2vl) == tables


def fabric_file(tree: FatTree) -> str:
    """The simulated fabric as an operator would describe it."""
    hcas = range(tree.hcas)
    leaf = [divmod(i, tree.hcas_per_leaf) for i in hcas]
    nic = {"name": "hca", "kind": "compute", "link_layer": "infiniband", "rate": RATE, "subnet": SUBNET}
    hosts = [{"name": f"n{i + 1}", "role": "decode" if i % 2 else "prefill", "nics": [nic]} for i in hcas]
    names = [f"leaf{n + 1}" for n in range(tree.leaves)] + [f"spine{n + 1}" for n in range(tree.spines)]
    links = [[f"n{i + 1}/hca", f"leaf{leaf[i][0] + 1}/{leaf[i][1] + 1}"] for i in hcas]
    links += [
        [f"leaf{n + 1}/{tree.hcas_per_leaf + s + 1}", f"spine{s + 1}/{n + 1}", RATE]
        for n in range(tree.leaves)
        for s in range(tree.spines)
    ]
    switches = [{"name": name, "link_layer": "infiniband"} for name in names]
    # JSON is YAML.
    return json.dumps({"version": 1, "name": "ib-lab", "hosts": hosts, "switches": switches, "links": links})


def agent_file(lab: IbLab, port: int) -> str:
    options = {"conf": str(lab.conf), "helper_env": list(helper_env(lab, "Hca2"))}
    rule = {"name": SUBNET, "driver": "opensm", "options": options}
    return json.dumps(
        {
            "node": "n2",
            "controller": f"127.0.0.1:{port}",
            "state_dir": str(lab.directory / "agent"),
            "http": "",
            "verify_seconds": LOOK_SECONDS,
            "fabrics": [rule],
        }
    )


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Plane:
    """A controller and the agent beside OpenSM."""

    lab: IbLab
    target: str
    processes: tuple[subprocess.Popen[bytes], ...]

    def write_policy(self, text: str) -> None:
        """Replace the policy file at once, as an editor does."""
        fresh = self.lab.directory / "policy.new"
        fresh.write_text(text)
        fresh.replace(self.lab.directory / "policy.yaml")

    def status(self) -> policy_pb2.GetStatusResponse | None:
        try:
            with grpc.insecure_channel(self.target) as channel:
                stub = policy_pb2_grpc.PolicyServiceStub(channel)
                answer: policy_pb2.GetStatusResponse = stub.GetStatus(
                    policy_pb2.GetStatusRequest(), timeout=5
                )
                return answer
        except grpc.RpcError:
            return None

    def connected(self) -> bool:
        status = self.status()
        return status is not None and any(n.node == "n2" and n.connected for n in status.nodes)

    def fabric(self) -> agent_pb2.ScopeStatus | None:
        """The subnet's status once it is verified in the controller's generation."""
        status = self.status()
        for node in status.nodes if status is not None else ():
            for s in node.scopes:
                if s.name == SUBNET and status is not None and _verified(s, status.generation):
                    return s
        return None

    def check(self) -> None:
        """Raises LegError when controller or agent have ended."""
        for process in self.processes:
            if process.poll() is not None:
                raise LegError(f"{process.args!r} ended: {self.words()}")

    def wait(self, what: str, ready: Callable[[], object], seconds: float = VERIFY_SECONDS) -> None:
        def check() -> bool:
            self.check()
            return bool(ready())

        try:
            wait_until(what, check, seconds)
        except IbLabError as e:
            raise LegError(f"{e}: {self.words()}") from e

    def words(self) -> str:
        logs = (self.lab.directory / f"{name}.log" for name in ("controller", "agent"))
        return " | ".join(" ".join(log.read_text().split("\n")[-4:]) for log in logs if log.exists())


def _verified(s: agent_pb2.ScopeStatus, wanted: agent_pb2.Generation) -> bool:
    at = (s.observed.epoch, s.observed.number) >= (wanted.epoch, wanted.number)
    true, kind = qos_pb2.CONDITION_STATUS_TRUE, qos_pb2.CONDITION_TYPE_VERIFIED
    return at and any(c.type == kind and c.status == true for c in s.conditions)


@contextmanager
def plane(lab: IbLab) -> Iterator[Plane]:
    """Controller and agent, without a policy yet; stopped at the end."""
    port, d = free_port(), lab.directory
    (d / "fabric.yaml").write_text(fabric_file(lab.tree))
    (d / "agent.yaml").write_text(agent_file(lab, port))
    files = ["--policy", str(d / "policy.yaml"), "--fabric", str(d / "fabric.yaml"), "--state", str(d / "db")]
    listen = ["--listen", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{free_port()}"]
    commands = {
        "controller": [str(BIN / "trafficd"), "serve", *files, *listen],
        "agent": [str(BIN / "trafficd-agent"), "run", "--config", str(d / "agent.yaml")],
    }
    with ExitStack() as stack:
        started = tuple(stack.enter_context(_running(name, c, d)) for name, c in commands.items())
        yield Plane(lab, f"127.0.0.1:{port}", started)


@contextmanager
def _running(name: str, command: list[str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(policy: str = POLICY) -> Leg:
    """Bring everything up, put the policy in force, read every port back, take everything down. Raises LegError."""
    wanted = desired(policy)
    with ib_lab(FOUR_VLS) as lab, plane(lab) as up:
        up.wait("the agent beside OpenSM connects", up.connected)
        start = time.monotonic()
        up.write_policy(policy)
        up.wait("the lanes are verified", up.fabric)
        seconds = time.monotonic() - start
        found = up.fabric()
        ports = read_ports(lab, "Hca3")
        unreadable = tuple(found.unreadable) if found is not None else ()
        return Leg(len(ports), sum(holds(p, wanted) for p in ports), seconds, unreadable)


if __name__ == "__main__":
    leg = run()
    sys.stdout.write(
        f"InfiniBand: {leg.equal} of {leg.ports} ports hold the policy's tables by smpquery, "
        f"{leg.seconds:.2f} s from policy file to Verified; cannot be read back: {', '.join(leg.unreadable) or 'nothing'}\n"
    )
    sys.exit(0 if leg.verified else 1)
