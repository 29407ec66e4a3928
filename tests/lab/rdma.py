"""Real RDMA traffic in a guest: two soft-RoCE devices at the ends of one cable, the lanes of a policy on the near one.

Both devices stay in the guest's first network namespace, where alone soft-RoCE of this kernel carries data; routing rules
send what is for the other end over the cable. tc schedules here, because soft-RoCE's packets pass the kernel's queues;
a NIC's pass its own, which DCB programs. The policy and its compiled shares are the same.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lab.dcbport import sh
from lab.veth import until

from trafficd_agent.apply import Order, Result, reconcile
from trafficd_agent.drivers.tc import TcDriver
from trafficd_agent.drivers.tc_counters import TcReader
from trafficd_agent.netlink import link
from trafficd_agent.netlink.channel import Channel
from trafficd_topology.counters import Quantity
from trafficd_topology.diff import State
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.render import render_tc, root_rate_bps
from trafficd_topology.qos.shares import compile_shares

NEAR, FAR = "va", "vb"
NEAR_RDMA, FAR_RDMA = "rxa", "rxb"
RATE_BPS = 12_000_000
"""So little that the emulated processors of a busy machine keep both lanes backlogged."""
MODEL, KV = "model", "kv"
MODEL_DSCP, KV_DSCP, PROBE_DSCP = 24, 32, 26
POLICY = f"""\
version: 1
policies:
  - name: lab
    preset: none
    selectors: [{{kinds: [compute]}}]
    lanes:
      - {{name: default, use: default, share: 4%, priority: 1}}
      - {{name: control, use: control, share: 1%, limit: 10%, priority: 0}}
      - {{name: {MODEL}, share: 66.5%, priority: 1}}
      - {{name: {KV}, share: 28.5%, priority: 1}}
    classes:
      - {{name: control, lane: control, markings: {{dscp: [48]}}}}
      - {{name: collectives, lane: {MODEL}, intents: [collective], markings: {{dscp: [{MODEL_DSCP}]}}}}
      - {{name: kv, lane: {KV}, intents: [kv-read], markings: {{dscp: [{KV_DSCP}]}}}}
"""
MARKED = re.compile(r"tos 0x([0-9a-f]+),.*length (\d+)\)")
LONGEST_S = 120.0
MARGIN_S = 6.0
"""How much longer a flow runs than it is measured: what it takes to begin on a busy machine."""
RUNNING_BYTES = 300_000
DATA_BYTES = 500
"""Packets longer than this carry data; requests and acknowledgements are shorter."""
NUMBERS = iter(range(20_000, 30_000))


def policy() -> Policy:
    """The policy of this laboratory: model and KV as 70 to 30, whoever else is quiet."""
    found, problems = parse_policies(POLICY)
    assert found is not None, problems
    return found.policies[0]


def compiled_kv() -> float:
    """The part of model's and KV's bytes that is KV's, with both backlogged."""
    case = next(c for c in compile_shares(policy().lanes) if set(c.backlogged) == {MODEL, KV})
    return case.ratio(KV) / (case.ratio(KV) + case.ratio(MODEL))


def _mac(device: str) -> str:
    return sh("cat", f"/sys/class/net/{device}/address").strip()


@contextmanager
def fabric() -> Iterator[None]:
    """Devices ``rxa`` and ``rxb`` on a cable ``va``-``vb``."""
    for module in ("crc32_generic", "rdma_rxe", "ib_uverbs"):
        sh("modprobe", module)
    sh("ip", "link", "add", NEAR, "type", "veth", "peer", "name", FAR)
    for number, (device, other) in enumerate(((NEAR, FAR), (FAR, NEAR)), start=1):
        sh("ip", "addr", "add", f"10.88.0.{number}/24", "dev", device)
        sh("ip", "link", "set", device, "up", "mtu", "4200")
        for key, value in (("accept_local", 1), ("rp_filter", 0), ("arp_ignore", 1)):
            sh(
                "sysctl",
                "-q",
                "-w",
                f"net.ipv4.conf.{device}.{key}={value}",
                f"net.ipv4.conf.all.{key}={value}",
            )
        peer = 3 - number
        sh(
            "ip",
            "neigh",
            "replace",
            f"10.88.0.{peer}",
            "lladdr",
            _mac(other),
            "dev",
            device,
            "nud",
            "permanent",
        )
        sh("ip", "rule", "add", "pref", str(9 + number), "oif", device, "lookup", str(100 + number))
        sh("ip", "route", "add", f"10.88.0.{peer}", "dev", device, "table", str(100 + number))
    sh("ip", "rule", "add", "pref", "100", "lookup", "local")
    sh("ip", "rule", "del", "pref", "0")
    for device, name in ((NEAR, NEAR_RDMA), (FAR, FAR_RDMA)):
        sh("rdma", "link", "add", name, "type", "rxe", "netdev", device)
    try:
        yield
    finally:
        sh("ip", "rule", "add", "pref", "0", "lookup", "local")
        sh("ip", "link", "del", NEAR, check=False)


@dataclass(frozen=True, slots=True)
class Flow:
    """One perftest: ``tool`` is ib_write_bw or ib_read_bw; the client stands at the near end. None: unmarked."""

    tool: str = "ib_write_bw"
    client_dscp: int | None = None
    server_dscp: int | None = None
    size: int = 4096

    def command(self, device: str, dscp: int | None, port: int, *more: str) -> list[str]:
        marks = [] if dscp is None else [f"--tclass={dscp << 2}"]
        shape = ["-x", "1", "-s", str(self.size), "-m", "4096", "-q", "2"]
        return [self.tool, "-d", device, "-p", str(port), *shape, "-F", *marks, *more]


@contextmanager
def running(flow: Flow, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """The flow, from its start to its own end: soft-RoCE of this kernel hangs where a program is killed in mid-flow."""
    port, quiet = next(NUMBERS), {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(
        flow.command(FAR_RDMA, flow.server_dscp, port, *more), stdout=subprocess.DEVNULL
    )
    until(lambda: f":{port:04X} " in open_ports(), f"{flow.tool} listens", LONGEST_S)
    command = flow.command(NEAR_RDMA, flow.client_dscp, port, *more, "127.0.0.1")
    client = subprocess.Popen(command, **quiet)
    try:
        yield client
        for process in (client, server):
            assert process.wait(LONGEST_S) == 0, f"{flow.tool} ended with {process.returncode}"
    finally:
        for process in (client, server):
            process.kill()


def open_ports() -> str:
    """Local addresses of listening TCP sockets."""
    found = (line.split() for line in sh("cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines())
    return "\n".join(f"{row[1]} " for row in found if len(row) > 3 and row[3] == "0A")


class Lanes:
    """The lanes on the near end, written by the tc driver and read by the agent's own counters."""

    def __init__(self) -> None:
        self.driver = TcDriver()
        self.lanes = policy().lanes
        self.names = {lane.id: lane.name for lane in self.lanes.lanes}
        self.found: State = self.driver.read(NEAR).state

    def go(self, desired: State) -> None:
        outcome = reconcile(self.driver, Order(NEAR, desired), Nobody())
        assert outcome.result in (Result.APPLIED, Result.IN_SYNC), outcome.message

    def on(self) -> None:
        self.go(render_tc(self.lanes, RATE_BPS))

    def off(self) -> None:
        self.go(self.found)

    def bytes(self) -> dict[str, int]:
        """What each lane has sent."""
        reader = TcReader(lambda: (NEAR,))
        try:
            columns = reader.columns()
            rows = zip(columns, reader.read(), strict=True)
            sent = ((c.lane_id, v) for c, v in rows if c.quantity == Quantity.BYTES)
            return {self.names[i]: v or 0 for i, v in sent if i in self.names}
        finally:
            reader.close()


class Nobody:
    """A journal that keeps nothing."""

    def begin(self, before: State, target: State) -> None: ...

    def settle(self, holds: State) -> None: ...


def gained(lanes: Lanes, seconds: float) -> dict[str, float]:
    """Bits per second of each lane over the next ``seconds``."""
    began, before = time.monotonic(), lanes.bytes()
    time.sleep(seconds)
    after, took = lanes.bytes(), time.monotonic() - began
    return {name: 8 * (after[name] - before[name]) / took for name in after}


def wire_bytes() -> int:
    with Channel() as channel:
        return link.counters(channel, link.find(channel, NEAR).index).tx_bytes


def goodput(flow: Flow, seconds: float) -> float:
    """Bits per second at the near end's wire, once the flow runs."""
    with running(flow, "-D", str(int(seconds + MARGIN_S))):
        start = wire_bytes()
        until(lambda: wire_bytes() > start + RUNNING_BYTES, "the flow runs", LONGEST_S)
        began, before = time.monotonic(), wire_bytes()
        time.sleep(seconds)
        return 8 * (wire_bytes() - before) / (time.monotonic() - began)


@contextmanager
def limiter() -> Iterator[None]:
    """The same link limit without lanes."""
    rate = root_rate_bps(RATE_BPS, policy().tc.headroom)
    sh(
        "tc",
        "qdisc",
        "add",
        "dev",
        NEAR,
        "root",
        "tbf",
        "rate",
        f"{rate}bit",
        "burst",
        "16kb",
        "latency",
        "200ms",
    )
    try:
        yield
    finally:
        sh("tc", "qdisc", "del", "dev", NEAR, "root")


@contextmanager
def capture(device: str, packets: int = 400) -> Iterator[list[int]]:
    """ToS bytes of the data packets that arrive at a device meanwhile; complete when the block ends."""
    seen: list[int] = []
    command = [
        "tcpdump",
        "-n",
        "-v",
        "-l",
        "-Q",
        "in",
        "-c",
        str(packets),
        "-i",
        device,
        "udp",
        "port",
        "4791",
    ]
    tcpdump = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert tcpdump.stderr is not None
    tcpdump.stderr.readline()
    try:
        yield seen
    finally:
        tcpdump.terminate()
        out, _ = tcpdump.communicate(timeout=30)
        found = MARKED.findall(out)
        seen += [int(tos, 16) for tos, length in found if int(length) > DATA_BYTES]


def whose_marking(tool: str, client: int | None, server: int | None) -> tuple[set[int], set[int]]:
    """ToS bytes of data packets seen (at the far end, at the near end) of a short run."""
    flow = Flow(tool, client, server)
    with capture(FAR) as far, capture(NEAR) as near, running(flow, "-n", "100"):
        pass
    return set(far), set(near)


def split(lanes: Lanes, seconds: float) -> dict[str, float]:
    """Bits per second of each lane with model and KV both backlogged."""
    lasting = str(int(seconds + 2 * MARGIN_S))
    model, kv = (Flow(client_dscp=d) for d in (MODEL_DSCP, KV_DSCP))
    with running(model, "-D", lasting), running(kv, "-D", lasting):
        for name in (MODEL, KV):
            until(lambda n=name: lanes.bytes()[n] > RUNNING_BYTES, f"{name} runs", LONGEST_S)  # type: ignore[misc]
        return gained(lanes, seconds)


def figures(seconds: float) -> Iterator[str]:
    """Every figure as a line of text; AssertionError where one is not as it must be."""
    lanes = Lanes()
    yield from markings()
    lanes.on()
    rates = split(lanes, seconds)
    measured, wanted = rates[KV] / (rates[KV] + rates[MODEL]), compiled_kv()
    text = f"{rates[MODEL] / 1e6:.2f} and {rates[KV] / 1e6:.2f} Mbit/s"
    assert rates[KV] + rates[MODEL] > 0.85 * RATE_BPS, f"the lanes were not backlogged: {rates}"
    yield f"model and KV both backlogged: {text}: KV {measured:.1%}, compiled {wanted:.1%}"
    assert abs(measured - wanted) < 0.03, f"KV has {measured:.1%} and should have {wanted:.1%}"
    alone = goodput(Flow(client_dscp=KV_DSCP), seconds)
    lanes.off()
    with limiter():
        plain = goodput(Flow(client_dscp=KV_DSCP), seconds)
    yield f"KV alone: {alone / 1e6:.2f} Mbit/s in its lane, {plain / 1e6:.2f} without lanes: {alone / plain:.1%}"
    assert alone > 0.95 * plain, f"KV alone has {alone / plain:.1%} of what it has without lanes"


def markings() -> Iterator[str]:
    """Whose marking data carries: the writer's of a WRITE, the responder's of a READ."""
    tos = PROBE_DSCP << 2
    rows: Sequence[tuple[str, int | None, int | None, set[int], set[int]]] = (
        ("ib_write_bw", PROBE_DSCP, None, {tos}, set()),
        ("ib_write_bw", None, PROBE_DSCP, {0}, set()),
        ("ib_read_bw", PROBE_DSCP, None, set(), {0}),
        ("ib_read_bw", None, PROBE_DSCP, set(), {tos}),
    )
    for tool, client, server, far, near in rows:
        seen = whose_marking(tool, client, server)
        who = "client" if client is not None else "server"
        where, carried = ("far", seen[0]) if far else ("near", seen[1])
        yield f"{tool}, only the {who} marks: data at the {where} end carries ToS {sorted(carried)}"
        assert seen == (far, near), f"{tool} {client} {server}: {seen}"
