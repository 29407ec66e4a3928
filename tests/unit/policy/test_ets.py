"""ETS shares against a scheduler of packets written here from 802.1Q: strict, deficit round robin, token ceilings."""

import random
from dataclasses import dataclass, replace

import pytest

from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.dcb import DcbEts, DcbFeatures
from trafficd_topology.qos.dcb_render import ets_of, render_dcb
from trafficd_topology.qos.ets_shares import compile_ets_shares, ets_guarantees
from trafficd_topology.qos.headroom import lossless_buffer_bytes, xoff_bytes
from trafficd_topology.qos.kinds import DCB_KINDS
from trafficd_topology.qos.lanes import Lane, LaneSet, LaneUse
from trafficd_topology.qos.policy import Policy, Preset
from trafficd_topology.qos.roce import RoceLane, RoceOptions, arrange, whole_percents

PRESETS = [p.value for p in Preset if p is not Preset.NONE]
RATE_BPS = 100_000_000_000
PACKET = 4096
WHOLE = DcbFeatures(DCB_KINDS, 8, 8, 4 * 2**20, 144, "mlx5_core")


def preset(name: str) -> Policy:
    policies, problems = parse_policies(f"version: 1\npolicies: [{{name: p, preset: {name}}}]")
    assert policies is not None, problems
    return policies.policies[0]


@dataclass
class Queue:
    """One TC with a backlog that never ends."""

    tc: int
    strict: bool
    percent: int
    ceiling_bps: float
    tokens: float = 0.0
    deficit: float = 0.0
    sent: int = 0


def wire(ets: DcbEts, ceilings: tuple[float, ...], busy: frozenset[int], packets: int) -> dict[int, float]:
    """Send so many packets' worth of time at RATE_BPS; each TC's part of it. A strict TC of the largest number goes
    first; the others take turns by deficit; a TC out of tokens waits; one of 0 % goes when all others wait.
    """
    queues = [Queue(t, ets.tsa[t] == "strict", ets.percent[t], ceilings[t]) for t in range(8) if t in busy]
    turn = 0
    for _ in range(packets):
        for q in queues:
            q.tokens = min(4 * PACKET, q.tokens + PACKET * q.ceiling_bps / RATE_BPS)
        ready = [q for q in queues if q.ceiling_bps >= RATE_BPS or q.tokens >= PACKET]
        strict = [q for q in ready if q.strict]
        weighted = [q for q in ready if not q.strict and q.percent]
        idle = [q for q in ready if not q.strict and not q.percent]
        if strict:
            chosen = max(strict, key=lambda q: q.tc)
        elif weighted:
            while max(q.deficit for q in weighted) < PACKET:
                for q in weighted:
                    q.deficit = min(q.deficit + q.percent * PACKET / 100, 8 * PACKET)
            turn += 1
            able = [q for q in weighted if q.deficit >= PACKET]
            chosen = able[turn % len(able)]
            chosen.deficit -= PACKET
        elif idle:
            turn += 1
            chosen = idle[turn % len(idle)]
        else:
            continue
        chosen.sent += PACKET
        chosen.tokens -= PACKET
    return {q.tc: q.sent / (packets * PACKET) for q in queues}


def held(arranged: tuple[RoceLane, ...], busy: tuple[str, ...], packets: int) -> dict[str, float]:
    ceilings = {x.tc: x.lane.limit * RATE_BPS for x in arranged}
    by_tc = tuple(ceilings.get(t, RATE_BPS) for t in range(8))
    tcs = {x.tc: x.name for x in arranged}
    measured = wire(ets_of(arranged), by_tc, frozenset(x.tc for x in arranged if x.name in busy), packets)
    return {tcs[t]: ratio for t, ratio in measured.items()}


@pytest.mark.parametrize("name", PRESETS)
def test_a_wire_gives_the_presets_what_was_compiled(name: str) -> None:
    policy = preset(name)
    assert policy.roce is not None
    arranged = arrange(policy.lanes, policy.roce)
    cases = compile_ets_shares(arranged)
    for compiled in cases[:: -(-len(cases) // 16)]:
        measured = held(arranged, compiled.backlogged, 4_000)
        assert measured == {lane: pytest.approx(compiled.ratio(lane), abs=0.01) for lane in measured}


def some(rng: random.Random) -> tuple[LaneSet, RoceOptions]:
    n = rng.randint(2, 6)
    lanes = [
        Lane(
            i, f"l{i}", LaneUse.CLASS if i else LaneUse.DEFAULT,
            share=round(rng.choice([0.0, 0.01, rng.random() / n]), 3) if i else 0.05,
            limit=rng.choice([1.0, 1.0, 0.5, 0.2]), may_starve=True,
        )
        for i in range(n)
    ]  # fmt: skip
    strict = ["l1"] if rng.random() < 0.3 else []
    lanes[1] = replace(lanes[1], limit=0.1) if strict else lanes[1]
    return LaneSet(tuple(lanes), ()), RoceOptions(strict=tuple(strict))


@pytest.mark.parametrize("seed", range(20))
def test_a_wire_gives_any_lanes_what_was_compiled(seed: int) -> None:
    rng = random.Random(seed)
    arranged = arrange(*some(rng))
    cases = compile_ets_shares(arranged)
    for compiled in (cases[0], *rng.sample(cases[1:], min(3, len(cases) - 1))):
        assert sum(s.ratio for s in compiled.shares) <= 1 + 1e-12
        measured = held(arranged, compiled.backlogged, 4_000)
        assert measured == {lane: pytest.approx(compiled.ratio(lane), abs=0.015) for lane in measured}


@pytest.mark.parametrize("seed", range(200))
def test_whole_percents(seed: int) -> None:
    rng = random.Random(seed)
    shares = [rng.choice([0.0, round(rng.random(), 4), 0.001]) for _ in range(rng.randint(1, 8))]
    got = whole_percents(shares)
    assert sum(got) == 100
    if any(shares):
        ideal = [100 * s / sum(shares) for s in shares]
        assert all((n >= 1) == (s > 0) for n, s in zip(got, shares, strict=True))
        small = sum(1 for x in ideal if 0 < x < 1)
        assert all(abs(n - x) <= 1 + small for n, x in zip(got, ideal, strict=True))


def test_no_shares_and_no_lanes() -> None:
    assert whole_percents([]) == ()
    assert whole_percents([0.0, 0.0, 0.0]) == (34, 33, 33)
    assert whole_percents([0.87, 0.1, 0.01]) == (89, 10, 1)


@pytest.mark.parametrize("seed", range(100))
def test_what_is_rendered_is_what_the_standard_asks(seed: int) -> None:
    lanes, options = some(random.Random(seed))
    made = render_dcb(lanes, options, RATE_BPS, WHOLE)
    assert not made.problems
    held = {e.name: e.value for e in made.elements}
    ets = held["ets"]
    assert sum(ets.percent) == (100 if "ets" in ets.tsa else 0)
    assert all(n == 0 or t == "ets" for n, t in zip(ets.percent, ets.tsa, strict=True))
    used = sorted({ets.prio_tc[held[f"dscp/{d}"].priorities[0]] for d in range(64)})
    assert used[0] == 0  # what nobody marked has a queue of its own, and it is served
    assert ets.percent[0] >= 1
    assert {e.kind for e in made.elements} == set(DCB_KINDS) - {"app"}
    assert sum(held["buffer"].size_bytes) <= WHOLE.buffer_bytes
    assert all(n % WHOLE.cell_bytes == 0 for n in held["buffer"].size_bytes)
    assert ets_guarantees(arrange(lanes, options))[0] > 0 or options.strict


def test_one_driver_wants_to_be_told_which_priority_is_roce() -> None:
    policy = preset("dualpath")
    assert policy.roce is not None
    bnxt = replace(WHOLE, kernel_driver="bnxt_en")
    found = [e for e in render_dcb(policy.lanes, policy.roce, RATE_BPS, bnxt).elements if e.kind == "app"]
    assert [(e.key, e.value.priorities) for e in found] == [("dgram-4791", (3,))]


def test_headroom_is_what_the_kernel_reckons() -> None:
    """xoff = ((301 + 2.16 x m) x Gb/s + 2.72 x MTU), whole numbers, 40 Gb/s at least."""
    assert xoff_bytes(100_000_000_000, 7, 1500) == (301 + 15) * 100 + 4080
    assert xoff_bytes(10_000_000_000, 7, 1500) == xoff_bytes(40_000_000_000, 7, 1500) == 316 * 40 + 4080
    assert xoff_bytes(400_000_000_000, 300, 9000) == (301 + 648) * 400 + 24480
    assert lossless_buffer_bytes(100_000_000_000, 7, 1500, 1) == 35680 + 9216 + 1
    for cell in (128, 144, 192):  # whatever the cell of a NIC that does not say it
        assert lossless_buffer_bytes(100_000_000_000, 7, 1500) % cell == 0
    assert lossless_buffer_bytes(100_000_000_000, 7, 1500, 144) % 144 == 0
