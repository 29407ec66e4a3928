"""What the fault tests need: kernel state as text, a record of every queue that was deleted, and processes to hurt."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
from lab.cluster import BIN, RATES, STORAGE, Cluster, wait_for
from lab.netns import Cable, _plug

from trafficd.api.v1 import path_pb2, path_pb2_grpc, policy_pb2, policy_pb2_grpc, qos_pb2

ROOT = "qdisc htb 7f1d:"
PORTS = {
    **dict.fromkeys(("p1", "p2", "d1", "d2"), ("c0", "s0")),
    "st1": ("s0",),
    "csw": ("p1", "p2", "d1", "d2"),
    "ssw": ("p1", "p2", "d1", "d2", "st1"),
}
"""Every port of the lab that has lanes; the ports to the controller are not in the fabric file."""
SCOPES = sum(map(len, PORTS.values()))


def kernel(up: Cluster, node: str) -> str:
    """Everything that the kernel holds on the node's ports: queues, classes and filters, as tc shows them."""
    lines = [f"{what} show dev {port}" for port in PORTS[node] for what in ("qdisc", "class", "filter")]
    command = ["tc", "-n", up.lab.ns(node), "-batch", "-"]
    text = "\n".join(lines) + "\n"
    done = subprocess.run(command, check=False, input=text, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    # Leaf queues get handles of the kernel's choosing.
    return re.sub(r"(qdisc pfifo|leaf) [0-9a-f]+:", r"\1", done.stdout)


def kernels(up: Cluster) -> dict[str, str]:
    return {node: kernel(up, node) for node in PORTS}


@contextmanager
def deletions(up: Cluster, directory: Path) -> Iterator[Callable[[], tuple[str, ...]]]:
    """Every deletion of a root queue of ours from now on, on any node, as the kernel announces them.

    A queue on each loopback that comes and goes proves that its monitor listens, and begins the record.
    """
    with ExitStack() as stack:
        logs = [directory / f"monitor-{node}" for node in PORTS]
        monitors = []
        for node, log in zip(PORTS, logs, strict=True):
            out = stack.enter_context(log.open("w"))
            command = ["stdbuf", "-oL", "tc", "-n", up.lab.ns(node), "monitor"]
            monitors.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT))
            stack.callback(_end, monitors[-1])

        for node, log in zip(PORTS, logs, strict=True):
            for command in (("add", "handle", "7f1d:", "htb"), ("del",)):
                up.lab.run(node, "tc", "qdisc", command[0], "dev", "lo", "root", *command[1:])
            wait_for(f"a deletion in {log}", lambda log=log: f"deleted {ROOT} dev lo" in log.read_text())

        def found() -> tuple[str, ...]:
            assert [m.poll() for m in monitors] == [None] * len(monitors), (
                "a monitor ended: it missed something"
            )
            lines = [f"{log.name}: {line}" for log in logs for line in log.read_text().splitlines()]
            return tuple(line for line in lines if f"deleted {ROOT}" in line and " dev lo " not in line)

        yield found


def _end(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait(10)


def logs(up: Cluster) -> str:
    return "".join(p.read_text() for p in sorted(up.dir.glob("*.log")))


def recreate(up: Cluster, node: str, name: str) -> None:
    """Take a NIC out and put a new one of the same name in its place, cable and wire included."""
    address, rate = f"{STORAGE[node]}/24", RATES[node]
    up.lab.run(node, "ip", "link", "delete", name)
    up.lab.run("wires", "ip", "link", "delete", f"{node}{name}x")
    _plug(up.lab, Cable(node, name, "ssw", address, rate))


class Controller:
    """``trafficd serve`` as a process on loopback, in a directory of its own."""

    def __init__(self, directory: Path, fabric: str, policy: str, prefix: Sequence[str] = ()) -> None:
        self.directory, self.prefix = directory, tuple(prefix)
        self.policy, self.fabric = directory / "policy.yaml", directory / "fabric.yaml"
        self.state, self.log = directory / "state.db", directory / "controller.log"
        self.policy.write_text(policy)
        self.fabric.write_text(fabric)
        self.process: subprocess.Popen[bytes] | None = None
        self.grpc_port = self.http_port = 0

    def start(self, *more: str) -> None:
        files = ["--policy", str(self.policy), "--fabric", str(self.fabric), "--state", str(self.state)]
        listen = ["--listen", f"127.0.0.1:{self.grpc_port}", "--http", "127.0.0.1:0"]
        before = len(self.said())
        with self.log.open("ab") as log:
            command = [*self.prefix, str(BIN / "trafficd"), "serve", *files, *listen, *more]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        where = re.compile(r"serves gRPC on 127\.0\.0\.1:(\d+) and HTTP on 127\.0\.0\.1:(\d+)")
        wait_for(f"a controller (see {self.log})", lambda: where.search(self.said(), before))
        found = where.search(self.said(), before)
        assert found
        self.grpc_port, self.http_port = int(found[1]), int(found[2])

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def status(self) -> policy_pb2.GetStatusResponse:
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            stub = policy_pb2_grpc.PolicyServiceStub(channel)
            answer: policy_pb2.GetStatusResponse = stub.GetStatus(policy_pb2.GetStatusRequest(), timeout=5)
            return answer

    def end(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(15)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            _end(self.process)


def descriptors(process: subprocess.Popen[Any]) -> int:
    return sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())


WORDS = {qos_pb2.CONDITION_STATUS_TRUE: "True", qos_pb2.CONDITION_STATUS_FALSE: "False"}


def readiness(status: policy_pb2.GetStatusResponse) -> dict[str, tuple[str, str]]:
    """Scope -> its Ready condition, such as ``False VerificationFailed``, and its message."""
    return {
        scope.name: (f"{WORDS.get(c.status, 'Unknown')} {c.reason}", c.message)
        for node in status.nodes
        for scope in node.scopes
        for c in scope.conditions
        if c.type == qos_pb2.CONDITION_TYPE_READY
    }


def kill_after(up: Cluster, name: str, instant: float) -> None:
    """kill -9, ``instant`` seconds from now: the seed's choice of a moment, not a wait for anything."""
    threading.Event().wait(instant)
    up.kill(name)


SEND = """\
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 32 << 2)
while True:
    try:
        for _ in range(10):
            s.sendto(bytes(1400), (sys.argv[1], 9))
    except OSError:
        pass
    time.sleep(0.01)
"""


@contextmanager
def sending(up: Cluster, node: str, to: str) -> Iterator[None]:
    """About 1.4 MB/s of KV from a node, over whatever happens to its NIC."""
    process = up.lab.start(node, [sys.executable, "-c", SEND, STORAGE[to]])
    try:
        yield
    finally:
        _end(process)


class Seen:
    """What snapshots said of every NIC's KV, bytes per second."""

    def __init__(self) -> None:
        self._rates: dict[tuple[str, str], list[int]] = {}
        self._all: dict[tuple[str, str], list[int]] = {}

    def take(self, snapshot: path_pb2.Snapshot) -> None:
        for nic in snapshot.nics:
            key = snapshot.nodes[nic.node].name, nic.name
            self._rates.setdefault(key, []).append(nic.kv_bytes_per_s)
            self._all.setdefault(key, []).append(nic.kv_bytes_per_s)

    def forget(self) -> None:
        """``now`` is from here on about snapshots to come."""
        self._rates = {}

    def now(self, node: str, nic: str) -> int:
        return self._rates.get((node, nic), [0])[-1]

    def all(self, node: str, nic: str) -> list[int]:
        return self._all[node, nic]


@contextmanager
def watched(up: Cluster) -> Iterator[Seen]:
    """Every snapshot while inside; a stream that ends by itself is a failure."""
    seen, failures = Seen(), list[grpc.RpcError]()
    with grpc.insecure_channel(up.socket) as channel:
        call = path_pb2_grpc.PathServiceStub(channel).Watch(path_pb2.WatchRequest())

        def read() -> None:
            try:
                for response in call:
                    seen.take(response.snapshot)
            except grpc.RpcError as e:
                failures.append(e)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            yield seen
            assert thread.is_alive(), failures
        finally:
            call.cancel()
            thread.join(10)
