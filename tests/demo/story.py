"""What the demo does with a running cluster, in order, and what it makes of the figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from demo import infiniband, policies
from demo.measure import (
    READ_BYTES,
    Pair,
    Traffic,
    kv_alone,
    probe_among,
    reads,
    repaired_after,
    split,
)
from demo.table import Row
from lab.cluster import COMPUTE_BPS, RATES, Cluster

from trafficd import client

FIRST_POLICY = policies.OBSERVE
SCOPES = 18
"""Two NICs of four engines' nodes, one of the storage node, and the nine bridge ports that face them."""
PROBE_S, ALONE_S, SPLIT_S, READS_S = 5.0, 4.0, 5.0, 8.0
ROOT, PAYLOAD = 0.98, 1448 / 1514
"""What the lanes' root leaves of the wire, and what headers leave of a packet."""
FOREIGN_BPS = RATES["d2"] // 2
COMPILED_MODEL_SHARE = 0.70
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figures:
    """One run. Times are seconds, rates Mbit/s of payload, shares 0..1."""

    probe_fifo_baseline_s: float
    probe_lanes_baseline_s: float
    probe_off_s: float
    probe_on_s: float
    kv_off_mbps: float
    kv_on_mbps: float
    model_share: float
    prefill_only_mbps: float
    round_robin_mbps: float
    recommended_mbps: float
    bound_mbps: float
    policy_change_s: float
    repair_s: float


def bound_mbps() -> float:
    """What KV could read at most: both pairs' storage NICs less the foreign load, as far as compute NICs carry it on; less headers."""
    decode_sides = min(RATES["d1"], COMPUTE_BPS) + min(RATES["d2"] - FOREIGN_BPS, COMPUTE_BPS)
    bps = RATES["p1"] + RATES["p2"] + decode_sides
    return bps * ROOT * PAYLOAD / 1e6


def prefill_only(pair: Pair, _: str) -> tuple[str, Callable[[], None]]:
    return pair.prefill, lambda: None


def round_robin() -> Callable[[Pair, str], tuple[str, Callable[[], None]]]:
    turns = {"p1": count(), "p2": count()}

    def choose(pair: Pair, _: str) -> tuple[str, Callable[[], None]]:
        return (pair.prefill, pair.decode)[next(turns[pair.prefill]) % 2], lambda: None

    return choose


def recommended(asked: client.Client) -> Callable[[Pair, str], tuple[str, Callable[[], None]]]:
    """Ask the path service, reserving; release when the last byte has arrived."""
    either_side = client.Abilities(read_on_decode_side=True)

    def choose(pair: Pair, request_id: str) -> tuple[str, Callable[[], None]]:
        request = client.Request(
            id=request_id,
            bytes=READ_BYTES,
            prefill=(client.EngineRef(pair.prefill, 0),),
            decode=(client.EngineRef(pair.decode, 0),),
            source=client.Source(pool="kv"),
            abilities=either_side,
            reserve_s=30.0,
            max_plans=1,
        )
        answer = asked.recommend(request, timeout_s=0.05)
        lease = answer.lease
        return answer.plans[0].legs[0].reader, lambda: asked.release(lease.id) if lease else None

    return choose


def measure_reads(up: Cluster, traffic: Traffic) -> tuple[float, float, float]:
    """Goodput of prefill-only, round robin and the path service."""
    with client.connect(up.socket) as asked:
        roles = {"p1": client.Role.PREFILL, "p2": client.Role.PREFILL}
        reports = [
            client.EngineReport(client.EngineRef(n, 0), role=roles.get(n, client.Role.DECODE))
            for n in ("p1", "p2", "d1", "d2")
        ]
        asked.report_engines(reports)
        asked.wait_ready(5.0)
        first = reads(traffic, prefill_only, READS_S)
        second = reads(traffic, round_robin(), READS_S)
        third = reads(traffic, recommended(asked), READS_S)
    return first, second, third


def measure(up: Cluster, say: Say) -> Figures:
    """The whole story; the cluster starts with a policy that only observes."""
    up.wait_observed(SCOPES)
    say("five nodes, two managed bridges, one controller; the policy observes: nothing is programmed")
    traffic = Traffic(up)
    try:
        traffic.start()
        fifo_baseline = probe_among(traffic, "d2", "p2", PROBE_S)
        off = probe_among(traffic, "d1", "p1", PROBE_S)
        kv_off = kv_alone(traffic, ALONE_S)
        say("measured without lanes; now the policy enforces")
        change_s = up.change_policy(policies.ENFORCE, SCOPES)
        lanes_baseline = probe_among(traffic, "d2", "p2", PROBE_S)
        on = probe_among(traffic, "d1", "p1", PROBE_S)
        kv_on = kv_alone(traffic, ALONE_S)
        say("measured with lanes; now KV reads on both sides, with unequal storage NICs")
        one_side, turns, asked = measure_reads(up, traffic)
        say("now shares of 70:30, and a hand that deletes lanes")
        up.change_policy(policies.SEVENTY_THIRTY, SCOPES)
        share = split(traffic, SPLIT_S)
        repair_s = repaired_after(up, "p1", "c0")
    finally:
        traffic.stop()
    return Figures(
        fifo_baseline.p99_s,
        lanes_baseline.p99_s,
        off.p99_s,
        on.p99_s,
        kv_off,
        kv_on,
        share,
        one_side,
        turns,
        asked,
        bound_mbps(),
        change_s,
        repair_s,
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def rows_of(f: Figures) -> list[Row]:
    """The figures as the table's rows."""
    on, off = f.probe_on_s / f.probe_lanes_baseline_s, f.probe_off_s / f.probe_fifo_baseline_s
    kept, gain = f.kv_on_mbps / f.kv_off_mbps, f.recommended_mbps / f.round_robin_mbps
    of_bound, apart = f.recommended_mbps / f.bound_mbps, abs(f.model_share - COMPILED_MODEL_SHARE) * 100
    return [
        Row("probe p99, KV on other links, plain FIFO", _ms(f.probe_fifo_baseline_s)),
        Row("probe p99, KV on other links, lanes on", _ms(f.probe_lanes_baseline_s)),
        Row("probe p99 beside KV, lanes on", f"{_ms(f.probe_on_s)} = {on:.2f}x", "at most 2x", on <= 2),
        Row(
            "probe p99 beside KV, plain FIFO",
            f"{_ms(f.probe_off_s)} = {off:.0f}x",
            "at least 10x",
            off >= 10,
        ),
        Row(
            "KV alone, lanes on / off",
            f"{f.kv_on_mbps:.1f} / {f.kv_off_mbps:.1f} Mbit/s = {kept:.3f}",
            "at least 0.95",
            kept >= 0.95,
        ),
        Row(
            "model : KV, both backlogged, compiled 70 : 30",
            f"{f.model_share * 100:.1f} : {100 - f.model_share * 100:.1f}",
            "within 2 points",
            apart <= 2,
        ),
        Row("KV reads, prefill side only", f"{f.prefill_only_mbps:.0f} Mbit/s"),
        Row("KV reads, round robin over both sides", f"{f.round_robin_mbps:.0f} Mbit/s"),
        Row(
            "KV reads, recommended",
            f"{f.recommended_mbps:.0f} Mbit/s = {gain:.2f}x round robin",
            "at least 1.25x",
            gain >= 1.25,
        ),
        Row(
            "KV reads, recommended / bound",
            f"{f.recommended_mbps:.0f} / {f.bound_mbps:.0f} Mbit/s = {of_bound:.2f}",
            "at least 0.85",
            of_bound >= 0.85,
        ),
        Row(
            "policy file written to verified on all nodes",
            f"{f.policy_change_s:.2f} s",
            "under 1 s",
            f.policy_change_s < 1,
        ),
        Row("lanes deleted by hand, repaired after", f"{f.repair_s:.2f} s", "under 2 s", f.repair_s < 2),
    ]


def infiniband_row() -> Row:
    leg = infiniband.run()
    seen = f"{leg.equal} of {leg.ports} ports, {leg.seconds:.2f} s"
    return Row("InfiniBand (ibsim, OpenSM): ports that hold the lanes", seen, "all", leg.verified)


def tell(up: Cluster, say: Say) -> list[Row]:
    """Measure, then the InfiniBand leg; returns the table."""
    rows = rows_of(measure(up, say))
    say("now the same preset on InfiniBand")
    return [*rows, infiniband_row()]
