"""The demo's measurements on a running cluster. Rates are Mbit/s of payload, times are seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from demo.workers import Worker, wait_all
from lab.cluster import COMPUTE, RATES, STORAGE, Cluster, wait_for

MODEL, KV, UNMARKED = 24, 32, 0
SERVE_PORT, SINK_PORT, ECHO_PORT, FLOOD_PORT = 9000, 9001, 9002, 9003
ENGINES = ("p1", "p2", "d1", "d2")
MODEL_ROUND_BYTES, MODEL_ROUND_SECONDS = 8_000, 0.025
PROBE_SECONDS = 0.002
KV_STREAMS = 8
READ_BYTES = 1_000_000


def percentile(values: list[float], q: float) -> float:
    """Nearest rank, q in 0..1."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(q * len(ranked)))]


@dataclass(slots=True)
class Traffic:
    """The traffic programs: one per node, and programs of their own for the probe's two ends."""

    cluster: Cluster
    nodes: dict[str, Worker] = field(default_factory=dict)
    probes: dict[str, Worker] = field(default_factory=dict)

    def start(self) -> None:
        self.nodes = {n: Worker(self.cluster.lab, n) for n in (*ENGINES, "st1")}
        self.probes = {n: Worker(self.cluster.lab, n) for n in ("p1", "d1")}
        for node in (*ENGINES, "st1"):
            self.nodes[node].serve("serve", SERVE_PORT)
        for node in ENGINES:
            self.nodes[node].serve("sink", SINK_PORT)
        self.nodes["d2"].serve("drain", FLOOD_PORT)
        self.probes["p1"].serve("echo", ECHO_PORT)

    def stop(self) -> None:
        for worker in (*self.nodes.values(), *self.probes.values()):
            worker.stop()

    def model(self, seconds: float) -> list[tuple[Worker, str]]:
        """All-to-all bursts between the engines."""
        return [
            (
                self.nodes[n],
                self.nodes[n].order(
                    "burst",
                    peers=[[COMPUTE[o], SINK_PORT] for o in ENGINES if o != n],
                    bytes=MODEL_ROUND_BYTES,
                    every=MODEL_ROUND_SECONDS,
                    seconds=seconds,
                    dscp=MODEL,
                ),
            )
            for n in ENGINES
        ]

    def decode_side_reads(self, reader: str, prefill: str, seconds: float) -> list[tuple[Worker, str]]:
        """Bulk KV: storage to a decode node, and on to a prefill node over the compute network."""
        worker = self.nodes[reader]
        order = {
            "server": [STORAGE["st1"], SERVE_PORT],
            "forward": [COMPUTE[prefill], SINK_PORT],
            "bytes": 4 * READ_BYTES,
            "seconds": seconds,
            "dscp": KV,
        }
        return [(worker, worker.order("stream", **order)) for _ in range(KV_STREAMS)]

    def probe(self, seconds: float) -> list[float]:
        """Round-trip times between d1 and p1, in the model's lane."""
        peer = [COMPUTE["p1"], ECHO_PORT]
        order = self.probes["d1"].order("probe", peer=peer, every=PROBE_SECONDS, seconds=seconds, dscp=MODEL)
        return list(self.probes["d1"].wait(order)["seconds"])


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """A probe among model bursts while KV flows: its p99 round trip, and what KV got meanwhile."""

    p99_s: float
    kv_mbps: float


def probe_among(traffic: Traffic, reader: str, prefill: str, seconds: float) -> ProbeRun:
    """The probe runs between d1 and p1; KV runs from ``reader`` to ``prefill``."""
    kv = traffic.decode_side_reads(reader, prefill, seconds)
    model = traffic.model(seconds)
    times = traffic.probe(seconds)
    carried = sum(answer["bytes"] for answer in wait_all(kv))
    wait_all(model)
    return ProbeRun(percentile(times, 0.99), carried * 8 / seconds / 1e6)


def kv_alone(traffic: Traffic, seconds: float) -> float:
    """Goodput of KV with nothing else on the network."""
    answers = wait_all(traffic.decode_side_reads("d1", "p1", seconds))
    return float(sum(a["bytes"] for a in answers)) * 8 / seconds / 1e6


def split(traffic: Traffic, seconds: float) -> float:
    """Model's part of what one link carries when model and KV both have more than fits, 0..1."""
    reader = traffic.nodes["p1"]

    def streams(dscp: int) -> list[tuple[Worker, str]]:
        order = {
            "server": [COMPUTE["d1"], SERVE_PORT],
            "bytes": 4 * READ_BYTES,
            "seconds": seconds,
            "dscp": dscp,
        }
        return [(reader, reader.order("stream", **order)) for _ in range(KV_STREAMS)]

    model, kv = streams(MODEL), streams(KV)
    got = [sum(a["bytes"] for a in wait_all(which)) for which in (model, kv)]
    return got[0] / sum(got)


@dataclass(slots=True)
class Pair:
    """A prefill and a decode node that read for each other, and the bytes that arrived in the window."""

    prefill: str
    decode: str
    arrived: int = 0


Chooser = Callable[[Pair, str], tuple[str, Callable[[], None]]]
"""(pair, request id) -> the node that reads, and what to call when the read is over."""


def reads(traffic: Traffic, choose: Chooser, seconds: float, in_flight: int = 6, warm: float = 1.0) -> float:
    """Aggregate goodput of closed-loop KV reads by two pairs while d2's storage NIC is half full of foreign traffic."""
    flood = traffic.nodes["st1"].order(
        "flood",
        peer=[STORAGE["d2"], FLOOD_PORT],
        rate_bps=RATES["d2"] // 2,
        seconds=seconds + warm + 0.5,
        dscp=UNMARKED,
    )
    pairs = [Pair("p1", "d1"), Pair("p2", "d2")]
    start = time.monotonic() + warm
    window = (start, start + seconds)
    threads = [
        threading.Thread(target=_loop, args=(traffic, choose, pair, window, n))
        for pair in pairs
        for n in range(in_flight)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    traffic.nodes["st1"].wait(flood)
    return sum(p.arrived for p in pairs) * 8 / seconds / 1e6


def _loop(traffic: Traffic, choose: Chooser, pair: Pair, window: tuple[float, float], slot: int) -> None:
    """One slot: read after read until the window closes; a read across an edge counts by the part inside."""
    count = 0
    while time.monotonic() < window[1]:
        reader, over = choose(pair, f"{pair.prefill}-{slot}-{count}")
        begun = time.monotonic()
        forward = None if reader == pair.prefill else [COMPUTE[pair.prefill], SINK_PORT]
        worker = traffic.nodes[reader]
        order = {"server": [STORAGE["st1"], SERVE_PORT], "forward": forward, "bytes": READ_BYTES, "dscp": KV}
        worker.wait(worker.order("read", **order))
        over()
        ended = time.monotonic()
        inside = max(0.0, min(ended, window[1]) - max(begun, window[0]))
        pair.arrived += int(READ_BYTES * inside / (ended - begun))
        count += 1


def repaired_after(cluster: Cluster, node: str, port: str) -> float:
    """Seconds from ``tc qdisc del`` by hand until the lanes are back."""

    def lanes() -> str:
        return cluster.lab.run(node, "tc", "class", "show", "dev", port).stdout

    before = len(lanes().splitlines())
    cluster.lab.run(node, "tc", "qdisc", "del", "dev", port, "root")
    return wait_for(f"lanes of {node}/{port} repaired", lambda: len(lanes().splitlines()) >= before)
