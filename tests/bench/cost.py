"""What an agent costs its node: 9 NICs with lanes programmed, samples sent at 1 Hz and at 10 Hz.

A real ``trafficd-agent run`` on veths in a namespace of its own, with a controller that asks for that many samples. CPU is
what /proc says of the process, without a tracer. System calls, and the time within those on rtnetlink sockets, are
counted by strace in a second stretch: the kernel does a request's work, under the rtnl lock, within the call that sends
it or fetches the next part of a dump. strace's own stops are in that time, so that it is an upper bound.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

from agentprocess import Controller, wait_for
from lab import veth
from lab.tcbench import FIRST

from trafficd.api.v1 import agent_pb2
from trafficd_agent.desired import Desired, DesiredScope, ScopeId
from trafficd_agent.files import Files
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Generation

NICS, STRETCH_S = 9, 31.0
NAMES = tuple(f"nic{i}" for i in range(NICS))
"""Longer than the time between two verifications."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one stretch. ``netlink_s`` is the time within ``netlink_calls`` system calls."""

    hertz: float
    cpu: float
    calls_per_s: float
    netlink_calls_per_s: float
    netlink_ms_per_s: float
    longest_ms: float
    samples_per_s: float


class Asking(Controller):
    """Asks for a sample so many milliseconds apart."""

    interval_ms = 1000

    def Control(self, request_iterator, context):  # type: ignore[no-untyped-def]  # noqa: N802
        for said in super().Control(request_iterator, context):
            response = agent_pb2.ControlResponse.FromString(said.SerializeToString())
            if response.WhichOneof("message") == "welcome":
                response.welcome.telemetry_interval_ms = self.interval_ms
            yield response


def _accept(state: Path) -> None:
    scopes = tuple(DesiredScope(ScopeId(ScopeKind.PORT, n), "tc", Mode.ENFORCE, "p", FIRST) for n in NAMES)
    Files(state).keep_accepted(Desired(Generation(1, 1), "d", "controller-1", scopes))


def _settings(folder: Path, port: int) -> Path:
    path = folder / "agent.yaml"
    plain = {
        "node": "n1",
        "controller": f"127.0.0.1:{port}",
        "state_dir": str(folder / "state"),
        "http": "127.0.0.1:7602",
        "telemetry_milliseconds": 50,
    }
    path.write_text(yaml.safe_dump(plain))
    return path


def _cpu_s(pid: int) -> float:
    """User and system time of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _traced(pid: int, file: Path) -> list[str]:
    """Every system call of a stretch, one a line, with the time within."""
    command = ["strace", "-f", "-qq", "-T", "-yy", "-o", str(file), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        time.sleep(STRETCH_S)
        tracer.send_signal(2)
        tracer.wait(10)
    return file.read_text(errors="replace").splitlines()


def _netlink(lines: list[str]) -> list[float]:
    """Seconds within each call on an rtnetlink socket; a call that another thread's interrupted ends on a later line."""
    found, open_ = [], set[str]()
    for line in lines:
        thread = line.split(" ", 1)[0]
        ours = "<NETLINK:[ROUTE" in line or (" resumed>" in line and thread in open_)
        if " resumed>" in line:
            open_.discard(thread)
        if not ours:
            continue
        if line.endswith("<unfinished ...>"):
            open_.add(thread)
        elif taken := re.search(r"<([\d.]+)>$", line):
            found.append(float(taken[1]))
    return found


def _stretch(pid: int, controller: Controller, folder: Path, hertz: float) -> Cost:
    before, samples, began = _cpu_s(pid), len(controller.samples), time.monotonic()
    time.sleep(STRETCH_S)
    took = time.monotonic() - began
    cpu, count = (_cpu_s(pid) - before) / took, (len(controller.samples) - samples) / took
    lines = _traced(pid, folder / "trace")
    within = _netlink(lines)
    calls = sum(1 for n in lines if " resumed>" not in n)
    return Cost(
        hertz,
        cpu,
        calls / STRETCH_S,
        len(within) / STRETCH_S,
        1000 * sum(within) / STRETCH_S,
        1000 * max(within, default=0.0),
        count,
    )


def _measured(hertz: float) -> Cost:
    with tempfile.TemporaryDirectory(prefix="tfd-cost") as name, veth.pair() as pair:
        folder = Path(name)
        veth.batch(pair.near, ["link set lo up", *(f"link add {n} type veth peer name {n}x" for n in NAMES)])
        veth.batch(pair.near, [f"link set {n}{end} up" for n in NAMES for end in ("", "x")])
        controller = Asking("controller-1")
        controller.interval_ms = round(1000 / hertz)
        _accept(folder / "state")
        command = [sys.executable, "-m", "trafficd_agent.cli", "run", "--config"]
        with (folder / "log").open("wb") as log:
            agent = subprocess.Popen(
                [*command, str(_settings(folder, controller.port))], stdout=log, stderr=log
            )
        try:
            wait_for("lanes", lambda: _programmed(pair.near) == NICS, (folder / "log").read_text)
            wait_for("samples", lambda: len(controller.samples) > 2, (folder / "log").read_text)
            return _stretch(agent.pid, controller, folder, hertz)
        finally:
            agent.kill()
            agent.wait(10)
            controller.stop()


def _programmed(namespace: str) -> int:
    shown = subprocess.run(
        ["ip", "netns", "exec", namespace, "tc", "qdisc"], capture_output=True, text=True, check=True
    )
    return shown.stdout.count("htb 7f1d:")


def cost() -> Iterator[str]:
    """One line a frequency."""
    for hertz in (1.0, 10.0):
        result: list[Cost] = []
        # A thread of its own: it moves into the namespace.
        worker = threading.Thread(target=lambda h=hertz, r=result: r.append(_measured(h)))  # type: ignore[misc]
        worker.start()
        worker.join()
        yield from map(_line, result)


def _line(c: Cost) -> str:
    return (
        f"{NICS} NICs at {c.hertz:g} Hz: {c.cpu:.1%} of one core, {c.calls_per_s:.0f} system calls/s, of them"
        f" {c.netlink_calls_per_s:.0f}/s on rtnetlink, {c.netlink_ms_per_s:.1f} ms/s within those"
        f" (longest {c.longest_ms:.2f} ms); {c.samples_per_s:.1f} samples/s arrived"
    )
