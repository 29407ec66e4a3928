"""What a scrape takes: of an agent with 9 NICs and 8 classes, and of a controller with 1,296 NICs; and what that does to
an answer.

The agent is a real ``trafficd-agent run``: lanes on veths in a namespace of its own, and the counters of real drivers for
the same interfaces from files (lab.hardware). The controller is a real ``trafficd serve``; 144 scripted agents of 9 ports,
together one process of their own, accept what it says and send a sample a second. Times are a client's, from the request
to the last byte. Answers are unary Recommends one after the other, in turns with and without a scrape at a time.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

import grpc
import scriptedagent
from agentprocess import wait_for
from cost import Asking
from lab import veth
from lab.hardware import Hardware
from lab.tcbench import lanes

import agents
from trafficd.api.v1 import agent_pb2, path_pb2, path_pb2_grpc, policy_pb2, policy_pb2_grpc
from trafficd_agent.desired import Desired, DesiredScope, ScopeId
from trafficd_agent.files import Files
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Generation

NICS, NODES = 9, 144
NAMES = tuple(f"nic{i}" for i in range(NICS))
HOSTS = tuple(f"n{i:03d}" for i in range(NODES))
MARKS = {"arp": 0, **{f"dscp-{8 * lane}": lane for lane in range(1, 8)}}
EIGHT = lanes(dict.fromkeys(range(8), 0.125), 1, MARKS)
SCRAPES, ROUNDS, CALLS = 30, 5, 400


@dataclass(frozen=True, slots=True)
class Scraped:
    """Of several scrapes: seconds of each, and the series and bytes of the last."""

    seconds: tuple[float, ...]
    series: int
    size: int

    def __str__(self) -> str:
        ordered = sorted(self.seconds)
        return (
            f"{self.series} series, {self.size / 1000:.0f} kB: median {1000 * statistics.median(ordered):.1f} ms, "
            f"longest of {len(ordered)} {1000 * ordered[-1]:.1f} ms"
        )


def _page(address: str) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read()
    finally:
        connection.close()


def scraped(address: str) -> Scraped:
    """Scrapes one after the other, a little apart."""
    spent, page = [], b""
    for _ in range(SCRAPES):
        began = time.perf_counter()
        page = _page(address)
        spent.append(time.perf_counter() - began)
        time.sleep(0.05)
    series = sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))
    return Scraped(tuple(spent), series, len(page))


# The agent.


def _settings(folder: Path, port: int, sysfs: Path) -> Path:
    path = folder / "agent.yaml"
    plain = {
        "node": "n1",
        "controller": f"127.0.0.1:{port}",
        "state_dir": str(folder / "state"),
        "http": "127.0.0.1:7602",
        "sysfs": str(sysfs),
        "ports": [{"match": "*", "driver": "tc", "options": {"allow_fast": True}}],
    }
    path.write_text(yaml.safe_dump(plain))
    return path


def _programmed(namespace: str) -> int:
    command = ["ip", "netns", "exec", namespace, "tc", "qdisc"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.count("htb 7f1d:")


def _agent() -> Scraped:
    with tempfile.TemporaryDirectory(prefix="tfd-scrape") as name, veth.pair() as pair:
        folder = Path(name)
        veth.batch(pair.near, ["link set lo up", *(f"link add {n} type veth peer name {n}x" for n in NAMES)])
        veth.batch(pair.near, [f"link set {n}{end} up" for n in NAMES for end in ("", "x")])
        hardware = Hardware(folder / "root", NAMES).make()
        scopes = tuple(
            DesiredScope(ScopeId(ScopeKind.PORT, n), "tc", Mode.ENFORCE, "p", EIGHT) for n in NAMES
        )
        Files(folder / "state").keep_accepted(Desired(Generation(1, 1), "d", "controller-1", scopes))
        controller = Asking("controller-1")  # a sample a second
        command = [sys.executable, "-m", "trafficd_agent.cli", "run", "--config"]
        settings = _settings(folder, controller.port, hardware.sysfs)
        with (folder / "log").open("wb") as log:
            agent = subprocess.Popen([*command, str(settings)], stdout=log, stderr=log)
        try:
            wait_for("lanes", lambda: _programmed(pair.near) == NICS, (folder / "log").read_text, 60)
            wait_for("lanes counted", lambda: len(_lanes(_page("127.0.0.1:7602"))) == 8 * NICS, seconds=30)
            return scraped("127.0.0.1:7602")
        finally:
            agent.kill()
            agent.wait(10)
            controller.stop()


def _lanes(page: bytes) -> list[bytes]:
    return [line for line in page.splitlines() if line.startswith(b"trafficd_class_backlog_bytes{")]


def agent() -> Iterator[str]:
    """An agent with everything that its NICs count."""
    found: list[Scraped] = []
    worker = threading.Thread(target=lambda: found.append(_agent()))  # it moves into the namespace
    worker.start()
    worker.join()
    yield from (f"agent, {NICS} NICs of 8 classes and 8 priorities: {s}" for s in found)


# The controller.


def fabric() -> str:
    """A third of the nodes prefill; 8 compute NICs and a storage NIC each; and a pool."""
    nics = ", ".join(f"{{name: {n}, kind: compute, rate: 100Gb/s}}" for n in NAMES[:-1])
    nics += f", {{name: {NAMES[-1]}, kind: storage, rate: 100Gb/s}}"
    hosts = [
        f"  - {{name: {n}, role: {'decode' if i % 3 else 'prefill'}, nics: [{nics}]}}"
        for i, n in enumerate(HOSTS)
    ]
    hosts.append("  - {name: st1, role: storage, pool: kv, nics: [{name: s0, kind: storage, rate: 400Gb/s}]}")
    links = [f"  - [{n}/{NAMES[-1]}, ssw/{n}]" for n in HOSTS] + ["  - [st1/s0, ssw/st1]"]
    switches = "switches:\n  - {name: ssw}\nlinks:\n"
    return "version: 1\nname: bench\nhosts:\n" + "\n".join(hosts) + "\n" + switches + "\n".join(links) + "\n"


COLUMNS = [
    agent_pb2.Column(port=n, quantity="bytes", direction=way, kind=agent_pb2.COUNTER_KIND_WRAP64)
    for n in NAMES
    for way in (agent_pb2.DIRECTION_TRANSMIT, agent_pb2.DIRECTION_RECEIVE)
]


class CountingAgent(agents.ObedientAgent):
    """Sends a sample a second besides."""

    async def count(self) -> None:
        call = self.stub.Telemetry()
        hello = agent_pb2.TelemetryHello(node=self.node, columns=COLUMNS)
        await call.write(agent_pb2.TelemetryRequest(hello=hello))
        total = 0
        while True:
            total += 10**9
            now = {"measured_unix_ns": time.time_ns(), "measured_monotonic_ns": time.monotonic_ns()}
            sample = agent_pb2.Sample(values=[total] * len(COLUMNS), **now)
            await call.write(agent_pb2.TelemetryRequest(sample=sample))
            await asyncio.sleep(1)


async def _agents(address: str) -> None:
    """All agents, until standard input ends."""
    scriptedagent.WAIT_S = 120.0
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(CountingAgent(address, n, NAMES)) for n in HOSTS]
        await asyncio.gather(*(a.hello() for a in made))
        counting = [asyncio.create_task(a.count()) for a in made]
        await scriptedagent.eventually(lambda: all(a.accepted for a in made))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        for task in counting:
            task.cancel()
        await asyncio.wait(counting)


@contextmanager
def _controller(folder: Path) -> Iterator[tuple[str, str]]:
    """Its gRPC and its HTTP address, with every agent ready."""
    (folder / "fabric.yaml").write_text(fabric())
    files = ["--state", str(folder / "state.db"), "--fabric", str(folder / "fabric.yaml")]
    own, web = f"unix:{folder}/c.sock", f"127.0.0.1:{_free()}"
    main = "import sys; from trafficd.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", main, "serve", *files, "--listen", own, "--http", web]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for(
                "controller",
                lambda: "gRPC on" in (folder / "log").read_text(),
                (folder / "log").read_text,
                60,
            )
            with grpc.insecure_channel(own) as channel:
                text = "version: 1\npolicies: [{name: main, preset: dualpath, mode: enforce}]\n"
                policy_pb2_grpc.PolicyServiceStub(channel).ApplyPolicy(
                    policy_pb2.ApplyPolicyRequest(text=text)
                )
            with subprocess.Popen([sys.executable, __file__, "agents", own], **pipes) as others:  # type: ignore[call-overload]
                assert others.stdout.readline() == "ready\n"
                yield own, web
                others.communicate(timeout=30)
        finally:
            process.terminate()


def _free() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _ask(i: int) -> path_pb2.RecommendRequest:
    return path_pb2.RecommendRequest(
        request_id=f"r{i}",
        bytes=10**9,
        source=path_pb2.Source(pool="kv"),
        prefill=[path_pb2.EngineRef(node=HOSTS[3 * (i % 48)])],
        decode=[path_pb2.EngineRef(node=HOSTS[3 * (i % 48) + 1])],
    )


def _p99_ms(stub: path_pb2_grpc.PathServiceStub) -> float:
    spent = []
    for i in range(CALLS):
        began = time.perf_counter()
        answer = stub.Recommend(_ask(i), timeout=10)
        spent.append(time.perf_counter() - began)
        assert answer.plans
    return 1000 * sorted(spent)[int(0.99 * len(spent))]


@contextmanager
def _scraper(web: str) -> Iterator[None]:
    """A process that scrapes without a pause."""
    with subprocess.Popen([sys.executable, __file__, "scraper", web], stdin=subprocess.PIPE) as process:
        try:
            yield
        finally:
            process.communicate(timeout=10)


def _scrape_on(web: str) -> None:
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.is_set():
        _page(web)


ended = threading.Event()


def controller() -> Iterator[str]:
    """A controller by itself, and its answers with and without a scraper that never pauses."""
    with tempfile.TemporaryDirectory() as name, _controller(Path(name)) as (address, web):
        wait_for("reports", lambda: _page(web).count(b"last_report_timestamp_seconds{") == NODES, seconds=60)
        yield f"controller, {NODES * NICS:,} NICs on {NODES} nodes: {scraped(web)}"
        with grpc.insecure_channel(address) as channel:
            stub = path_pb2_grpc.PathServiceStub(channel)
            _p99_ms(stub)
            alone, beside = [], []
            for _ in range(ROUNDS):
                alone.append(_p99_ms(stub))
                with _scraper(web):
                    beside.append(_p99_ms(stub))
        quiet, busy = statistics.median(alone), statistics.median(beside)
        yield (
            f"unary Recommend, p99 of {CALLS} one after the other, median of {ROUNDS}: {quiet:.2f} ms, "
            f"while scraped without a pause {busy:.2f} ms: {busy / quiet:.2f}x"
        )


def scrape() -> Iterator[str]:
    """Figures, one line each."""
    yield from agent()
    yield from controller()


if __name__ == "__main__":
    if sys.argv[1:2] == ["agents"]:
        asyncio.run(_agents(sys.argv[2]))
    elif sys.argv[1:2] == ["scraper"]:
        _scrape_on(sys.argv[2])
    else:
        sys.stdout.writelines(f"{line}\n" for line in scrape())
