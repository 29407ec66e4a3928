"""Audit and doctor as a person or a script meets them: whole answers, exit codes, and nothing written."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scriptedagent import ScriptedAgent
from trees import DATA as TREES
from trees import machine, plant, same

from trafficd.api.v1 import agent_pb2
from trafficd_agent.app.doctor import examine
from trafficd_agent.app.drivers import bind
from trafficd_agent.config import Config, DriverRule
from trafficd_topology.audit.report import checks
from trafficd_topology.model import ScopeKind

DATA = Path(__file__).parent.parent / "scenarios" / "controller" / "data"
BIN = Path(sys.executable).parent
MIB = 2**20


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def command(*words: str | Path) -> Outcome:
    """One command. A traceback is never an answer."""
    line = [str(BIN / words[0]), *map(str, words[1:])]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A controller that holds the lab's fabric and policy; its gRPC address."""
    inputs = ("--policy", DATA / "main.yaml", "--fabric", DATA / "lab.yaml", "--state", folder / "state.db")
    line = [BIN / "trafficd", "serve", *inputs, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(list(map(str, line)), stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r"gRPC on (\S+) ", process.stdout.readline())
            assert found, (folder / "log").read_text()
            yield found[1]
        finally:
            process.terminate()
            process.wait(10)


TX = agent_pb2.DIRECTION_TRANSMIT
COLUMNS = (
    agent_pb2.Column(
        port="s0", quantity="bytes", direction=TX, kind=agent_pb2.COUNTER_KIND_WRAP64, lane_id=0
    ),
    agent_pb2.Column(
        port="s0", quantity="bytes", direction=TX, kind=agent_pb2.COUNTER_KIND_WRAP64, lane_id=1
    ),
    agent_pb2.Column(
        port="s0", quantity="bytes", direction=TX, kind=agent_pb2.COUNTER_KIND_WRAP64, lane_id=2
    ),
    agent_pb2.Column(
        port="s0", quantity="bytes", direction=TX, kind=agent_pb2.COUNTER_KIND_WRAP64, lane_id=3
    ),
    agent_pb2.Column(port="s0", quantity="bytes", direction=TX, kind=agent_pb2.COUNTER_KIND_WRAP64),
    agent_pb2.Column(port="c0", quantity="drops", direction=TX, kind=agent_pb2.COUNTER_KIND_WRAP64),
)


def reading(second: int, *values: int) -> agent_pb2.TelemetryRequest:
    sample = agent_pb2.Sample(measured_monotonic_ns=second * 10**9, measured_unix_ns=1, values=values)
    return agent_pb2.TelemetryRequest(sample=sample)


async def found(address: str, what: str) -> Outcome:
    """The audit's answer, once this is in it."""
    async with asyncio.timeout(20):
        while (
            what
            not in (
                done := await asyncio.to_thread(command, "trafficd", "audit", "--controller", address)
            ).out
        ):
            await asyncio.sleep(0.05)
    return done


def test_a_running_controller_is_audited(tmp_path: Path) -> None:
    """Unmarked KV on one node, an agent that never came for the other: both are said, with who must act."""

    async def body(address: str) -> None:
        async with ScriptedAgent(address, "p1") as p1:
            await p1.hello()
            call = p1.stub.Telemetry()
            hello = agent_pb2.TelemetryHello(node="p1", columns=COLUMNS)
            await call.write(agent_pb2.TelemetryRequest(hello=hello))
            await call.write(reading(1, 0, 0, 0, 0, 0, 5))
            await call.write(reading(11, 900 * MIB, MIB, 0, 0, 901 * MIB, 9))
            done = await found(address, "discards")
            assert done.code == 1
            same(TREES / "audit" / "controller.txt", done.out)
            narrowed = await asyncio.to_thread(
                command, "trafficd", "audit", "--controller", address, "--node", "d1", "-o", "json"
            )
            assert (narrowed.code, json.loads(narrowed.out)) == (
                0,
                {
                    "judged": [],
                    "findings": [],
                    "unjudged": [
                        {
                            "source": "d1",
                            "reason": "its host is in the fabric file, and no agent has reported",
                        }
                    ],
                },
            )

    with serving(tmp_path) as address:
        asyncio.run(body(address))


def test_doctor_beside_a_controller(tmp_path: Path) -> None:
    async def body(address: str) -> tuple[Outcome, Outcome]:
        ask = (
            "trafficd",
            "doctor",
            "--controller",
            address,
            "--http",
            address,
            "--state",
            tmp_path / "state.db",
        )
        alone = await asyncio.to_thread(
            command, *ask, "--policy", DATA / "bad.yaml", "--fabric", DATA / "main.yaml"
        )
        async with ScriptedAgent(address, "p1") as p1:
            await p1.hello(agent_version="0.0.9")
            return alone, await asyncio.to_thread(command, *ask)

    with serving(tmp_path) as address:
        alone, met = asyncio.run(body(address))
    assert alone.code == met.code == 1
    for said in (
        r"ok      state       state \S+/state.db: readable and writable",
        r"error   files       \S+bad.yaml: \d+ problems, the first: policies\[0\].preset",
        r"error   files       \S+main.yaml: it is no fabric file",
        r"ok      controller  \S+: controller \S+ answers",
        r"warning agents      nodes: no agent has connected yet",
    ):
        assert re.search(said, alone.out), alone.out
    assert re.search(r"warning versions    p1: agents of version 0.0.9, controller \S+", met.out), met.out
    assert re.search(r"warning agents      p1: no counters for 30 s", met.out), met.out


def test_commands_that_cannot_answer(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\0")
    assert command("trafficd", "audit", tmp_path / "nothing").code == 2
    blind = command("trafficd", "audit", tmp_path)
    assert (blind.code, "it is binary" in blind.out) == (2, True)
    assert command("trafficd", "audit", "--controller", "127.0.0.1:9", "--timeout", "1").code == 3
    gone = command("trafficd-agent", "audit", "--sysfs", tmp_path / "no" / "sys")
    assert (gone.code, gone.out) == (5, "")
    assert (
        gone.err == f"trafficd-agent: cannot look for ports below {tmp_path}/no: No such file or directory\n"
    )


def test_a_copy_of_a_machine_is_audited(tmp_path: Path) -> None:
    root = machine("gpu-host", tmp_path / "copy")
    conf = root / "etc/opensm/opensm.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("qos TRUE\nmax_op_vls 2\nqos_sl2vl 0,1,2,3,0,0,0,0,0,0,0,0,0,0,0,0\n")
    (root / "sys/class/infiniband/mlx5_0/tc/1").mkdir(parents=True)
    (root / "sys/class/infiniband/mlx5_0/tc/1/traffic_class").write_text("Global tclass=106\n")
    (root / "sys/kernel/config/rdma_cm/mlx5_0/ports/1").mkdir(parents=True)
    (root / "sys/kernel/config/rdma_cm/mlx5_0/ports/1/default_roce_tos").write_text("104\n")
    before = sorted((str(p), p.lstat().st_mtime_ns) for p in root.rglob("*"))
    done = command("trafficd-agent", "audit", "--node", "g1", "--sysfs", root / "sys")
    assert done.code == 1
    same(TREES / "audit" / "gpu-host.txt", done.out)
    assert sorted((str(p), p.lstat().st_mtime_ns) for p in root.rglob("*")) == before
    values = json.loads(
        command("trafficd-agent", "audit", "--node", "g1", "--sysfs", root / "sys", "--output", "json").out
    )
    assert len(values["findings"]) == done.out.count("->")


HOST = """
proc/self/status = Name: x\\nCapEff: 0000000000000000
proc/sys/kernel/osrelease = 6.1.0-test
proc/77/comm = lldpad
proc/77/cmdline = lldpad
proc/self/ns/net -> net:[5]
proc/1/ns/net -> net:[1]
proc/1/comm = init
lib/modules/6.1.0-test/modules.builtin = kernel/net/sched/sch_htb.ko
lib/modules/6.1.0-test/modules.dep = kernel/net/dummy.ko:
sys/class/net = /
"""


def test_doctor_of_a_sick_node(tmp_path: Path) -> None:
    """Every check on a host where little is right; no check hides another."""
    root = plant(HOST, tmp_path / "host")
    for pid in ("88", "89"):
        plant(f"proc/{pid}/comm = trafficd-agent", root)
        (root / "proc" / pid / "cmdline").write_text("/usr/bin/trafficd-agent\0run\0")
    control = tmp_path / "control.yaml"
    control.write_text('scopes:\n  - {match: "c0", foreign: ["a root qdisc of somebody else\'s"]}\n')
    state = tmp_path / "state"
    state.mkdir()
    (state / "accepted.json").write_text("{}")
    options = {"ports": ["c0"], "control": str(control)}
    config = Config(
        "n1",
        controllers=("127.0.0.1:9", "10.255.255.1:7600"),
        state_dir=str(state),
        http="",
        rules=(
            DriverRule(ScopeKind.PORT, "*", "fake", options, "ports[0]"),
            DriverRule(ScopeKind.PORT, "*", "tc", None, "ports[1]"),
        ),
    )
    drivers, problems = bind(config)
    assert not problems
    found = examine(config, drivers, root, "0.1.0")
    same(TREES / "audit" / "doctor.txt", checks(found).replace(str(tmp_path), "TMP") + "\n")
    assert (state / "accepted.json").read_text() == "{}"
