"""The share compiler against two machines written here from the sources: htb by tokens, VL arbitration by packets."""

import random
from dataclasses import dataclass
from itertools import combinations

import pytest

from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.parsers.presets import read_preset
from trafficd_topology.qos.fit import derive_tables
from trafficd_topology.qos.lanes import Lane, LaneSet, LaneUse
from trafficd_topology.qos.policy import Policy, Preset
from trafficd_topology.qos.render import render_tc
from trafficd_topology.qos.shares import (
    ContentionCase,
    compile_ib_shares,
    compile_shares,
    guarantees,
    starved,
)
from trafficd_topology.qos.tc import TcClass, TcQdisc, lane_minor
from trafficd_topology.qos.vlarb import IbTables, VlArb, VlWeight

PACKET = 1514
PRESETS = [p.value for p in Preset if p is not Preset.NONE]
MTU = 4096


def preset(name: str) -> Policy:
    policies, problems = parse_policies(f"version: 1\npolicies: [{{name: p, preset: {name}}}]")
    assert policies is not None, problems
    return policies.policies[0]


@dataclass
class Bucket:
    """One htb class: two token buckets in bytes, and the deficit of each level."""

    name: str
    value: TcClass
    tokens: float = 0.0
    ctokens: float = 0.0
    deficit: tuple[float, float] = (0.0, 0.0)
    sent: int = 0

    def pass_time(self, seconds: float) -> None:
        v = self.value
        self.tokens = min(v.burst_bytes, self.tokens + seconds * v.rate_bps / 8)
        self.ctokens = min(v.cburst_bytes, self.ctokens + seconds * v.ceil_bps / 8)

    def ready_in(self, root_s: float) -> float:
        """Seconds until it may send, by its own rate or by borrowing from a root that is ready in ``root_s``."""
        own, ceiling = -self.tokens * 8 / self.value.rate_bps, -self.ctokens * 8 / self.value.ceil_bps
        return max(ceiling, min(own, root_s), 1e-9)


def htb(lanes: LaneSet, backlogged: tuple[str, ...], seconds: float) -> dict[str, float]:
    """Send packets for so long; each backlogged lane's part of the root's rate. After sch_htb.c."""
    elements = {e.name: e.value for e in render_tc(lanes, 10**8)}
    qdisc: TcQdisc = elements["qdisc"]
    buckets = [
        Bucket(x.name, elements[f"class/{lane_minor(x.id):x}"]) for x in lanes.lanes if x.name in backlogged
    ]
    root, now = 0.0, 0.0
    turns: dict[tuple[int, int], int] = {}
    while now < seconds:
        green = [b for b in buckets if b.ctokens >= 0 and b.tokens >= 0]
        yellow = [b for b in buckets if b.ctokens >= 0 and b.tokens < 0] if root >= 0 else []
        ready, level = (green, 0) if green else (yellow, 1)
        if not ready:
            step = min(b.ready_in(max(0.0, -root * 8 / qdisc.rate_bps)) for b in buckets)
            now += step
            root = min(3000.0, root + step * qdisc.rate_bps / 8)
            for b in buckets:
                b.pass_time(step)
            continue
        prio = min(b.value.prio for b in ready)
        among = [b for b in ready if b.value.prio == prio]
        key = (level, prio)
        here = turns.setdefault(key, 0)
        bucket = min(among, key=lambda b: (buckets.index(b) - here) % len(buckets))
        bucket.sent += PACKET
        bucket.tokens -= PACKET
        bucket.ctokens -= PACKET
        root -= PACKET
        deficit = list(bucket.deficit)
        deficit[level] -= PACKET
        turns[key] = buckets.index(bucket)
        if deficit[level] < 0:
            deficit[level] += bucket.value.quantum_bytes
            turns[key] += 1
        bucket.deficit = (deficit[0], deficit[1])
    return {b.name: b.sent * 8 / seconds / qdisc.rate_bps for b in buckets}


class Table:
    """One arbitration table and where its turn stands."""

    def __init__(self, entries: VlArb) -> None:
        self.entries = [e for e in entries if e.weight]
        self.at, self.left = -1, 0

    def pick(self, waiting: frozenset[int]) -> int | None:
        if not any(e.vl in waiting for e in self.entries):
            return None
        while self.left <= 0 or self.entries[self.at].vl not in waiting:
            self.at = (self.at + 1) % len(self.entries)
            self.left = self.entries[self.at].weight
        self.left -= MTU // 64
        return self.entries[self.at].vl


def arbiter(tables: IbTables, waiting: frozenset[int], count: int) -> dict[int, float]:
    """Send ``count`` packets of 4 KB; each VL's part. After IBA 7.6.9."""
    high, low = Table(tables.vlarb_high), Table(tables.vlarb_low)
    sent = dict.fromkeys(waiting, 0)
    run = 0
    for _ in range(count):
        lows_turn = tables.high_limit != 255 and run > 0 and run >= tables.high_limit * 4096
        vl = low.pick(waiting) if lows_turn else None
        if vl is not None:
            run = 0
        else:
            vl = high.pick(waiting)
            run += MTU
            if vl is None:
                vl, run = low.pick(waiting), 0
        if vl is None:
            break
        sent[vl] += 1
    return {vl: n / count for vl, n in sent.items()}


def case(cases: tuple[ContentionCase, ...], *names: str) -> ContentionCase:
    return next(c for c in cases if set(c.backlogged) == set(names))


def lane_set(*lanes: Lane) -> LaneSet:
    return LaneSet(lanes, ())


def some_lanes(rng: random.Random) -> LaneSet:
    """Lanes as the parser lets them through, of any sort."""
    n = rng.randint(2, 6)
    parts = [rng.randint(1, 40) for _ in range(n + rng.randint(0, 1))]
    shares = [round(p / sum(parts) - 0.0005, 3) for p in parts]
    priorities = [rng.randint(1, 4) for _ in range(n)]
    lanes = []
    for i, priority in enumerate(priorities):
        share = shares[i] if rng.random() > 0.15 or i == 0 else 0.0
        limit = 1.0
        if priorities.count(priority) == 1 and rng.random() > 0.5:
            limit = min(1.0, round(share + (1 - share) * rng.random() + 0.001, 3))
        use = LaneUse.CLASS if i else LaneUse.DEFAULT
        lanes.append(Lane(i, f"l{i}", use, False, share, priority, limit, may_starve=share == 0))
    if rng.random() > 0.6:
        first = Lane(n, "strict", strict=True, limit=rng.choice([1.0, 0.1, 0.5]), priority=0)
        lanes.append(first)
    return LaneSet(tuple(lanes), ())


@pytest.mark.parametrize("name", PRESETS)
def test_htb_gives_the_presets_what_was_compiled(name: str) -> None:
    lanes = preset(name).lanes
    cases = compile_shares(lanes)
    for compiled in cases[:: -(-len(cases) // 16)]:
        measured = htb(lanes, compiled.backlogged, 2.0)
        assert measured == {lane: pytest.approx(compiled.ratio(lane), abs=0.01) for lane in measured}


@pytest.mark.parametrize("seed", range(12))
def test_htb_gives_any_lanes_what_was_compiled(seed: int) -> None:
    rng = random.Random(seed)
    lanes = some_lanes(rng)
    cases = compile_shares(lanes)
    for compiled in (cases[0], *rng.sample(cases[1:], min(2, len(cases) - 1))):
        measured = htb(lanes, compiled.backlogged, 1.0)
        assert measured == {lane: pytest.approx(compiled.ratio(lane), abs=0.02) for lane in measured}


def test_a_split_of_70_to_30_holds_whether_or_not_the_shares_fill_the_port() -> None:
    control = Lane(1, "control", LaneUse.CONTROL, share=0.02, priority=0)
    default = Lane(0, "default", LaneUse.DEFAULT, share=0.08, priority=2)
    model, kv = Lane(2, "model", share=0.63, priority=1), Lane(3, "kv", share=0.27, priority=1)
    lanes = lane_set(control, default, model, kv)
    both = case(compile_shares(lanes), "model", "kv")
    assert (both.ratio("model"), both.ratio("kv")) == (0.7, 0.3)
    measured = htb(lanes, ("model", "kv"), 3.0)
    assert measured == {"model": pytest.approx(0.7, abs=0.01), "kv": pytest.approx(0.3, abs=0.01)}


def test_what_is_left_over_goes_by_priority_up_to_the_limit() -> None:
    a = Lane(0, "a", LaneUse.DEFAULT, share=0.1, priority=0, limit=0.3)
    b, c = Lane(1, "b", share=0.2, priority=1, limit=0.4), Lane(2, "c", share=0.2, priority=1)
    cases = compile_shares(lane_set(a, b, c))
    assert [s.ratio for s in cases[0].shares] == [0.3, 0.35, 0.35]
    assert [s.ratio for s in case(cases, "b", "c").shares] == [0.4, 0.6]
    assert [s.ratio for s in case(cases, "a").shares] == [0.3]


def test_strict_lanes_leave_what_their_limits_leave() -> None:
    control = Lane(0, "control", LaneUse.CONTROL, strict=True, priority=0, limit=0.1)
    model = Lane(1, "model", strict=True, priority=1, limit=0.5)
    default, kv = (
        Lane(2, "default", LaneUse.DEFAULT, share=0.6, priority=2),
        Lane(3, "kv", share=0.2, priority=3),
    )
    lanes = lane_set(control, model, default, kv)
    assert [float(g) for g in guarantees(lanes.lanes)] == [0.1, 0.5, 0.3, 0.1]
    cases = compile_shares(lanes)
    assert [s.ratio for s in case(cases, "default", "kv").shares] == [0.9, 0.1]
    assert starved(cases) == ()


@pytest.mark.parametrize("name", PRESETS)
def test_vl_arbitration_gives_the_presets_what_was_compiled(name: str) -> None:
    policy = preset(name)
    for tables in {policy.infiniband or derive_tables(policy.lanes), derive_tables(policy.lanes)}:
        cases = compile_ib_shares(policy.lanes, tables)
        for compiled in cases[:: -(-len(cases) // 16)]:
            ids = frozenset(policy.lanes.lane(n).id for n in compiled.backlogged)
            measured = arbiter(tables, ids, 2410 * 12)
            assert measured == {
                policy.lanes.lane(n).id: pytest.approx(compiled.ratio(n), abs=2e-4)
                for n in compiled.backlogged
            }


@pytest.mark.parametrize("seed", range(12))
def test_vl_arbitration_gives_any_lanes_what_was_compiled(seed: int) -> None:
    rng = random.Random(seed)
    lanes = some_lanes(rng)
    some = [x.id for x in lanes.lanes]
    table = lambda: tuple(VlWeight(rng.choice(some), rng.randint(0, 255)) for _ in range(rng.randint(1, 8)))  # noqa: E731
    anything = IbTables(8, rng.choice([0, 1, 7, 100, 240, 255]), table(), table())
    for tables in (derive_tables(lanes), anything):
        cases = compile_ib_shares(lanes, tables)
        for compiled in (cases[0], *rng.sample(cases[1:], min(3, len(cases) - 1))):
            ids = frozenset(lanes.lane(n).id for n in compiled.backlogged)
            measured = arbiter(tables, ids, 25_000)
            assert measured == {
                lanes.lane(n).id: pytest.approx(compiled.ratio(n), abs=3e-3) for n in compiled.backlogged
            }


def test_the_papers_tables_reserve_more_than_99_percent() -> None:
    """A.1 of the paper: 240 x 4 KB of high packets, then one of the low table, of which one in ten is KV's."""
    policy = preset("dualpath")
    assert policy.infiniband == IbTables(
        4,
        240,
        (VlWeight(0, 192), VlWeight(1, 192), VlWeight(2, 0), VlWeight(3, 192)),
        (VlWeight(0, 192), VlWeight(1, 192), VlWeight(2, 64), VlWeight(3, 192)),
    )
    cases = compile_ib_shares(policy.lanes, policy.infiniband)
    assert cases[0].ratio("kv") == pytest.approx(1 / 2410)  # 99.96 % for the others
    assert case(cases, "model", "kv").ratio("kv") == pytest.approx(1 / 964)  # 99.90 %
    alone = IbTables(4, 240, policy.infiniband.vlarb_high, (VlWeight(2, 64),))
    assert compile_ib_shares(policy.lanes, alone)[0].ratio("kv") == pytest.approx(1 / 241)  # 99.6 %


def test_three_classes_share_alike_on_both_link_layers() -> None:
    policy = preset("three-class")
    assert policy.infiniband is not None
    ethernet = compile_shares(policy.lanes)
    infiniband = compile_ib_shares(policy.lanes, policy.infiniband)
    everyone = {"default": 2, "kv": 4, "model": 14}
    for lane, packets in everyone.items():
        assert infiniband[0].ratio(lane) == pytest.approx(packets / 20 * 100 / 101)
    assert infiniband[0].ratio("kv-background") == pytest.approx(1 / 101)
    # Collectives first, then foreground KV, then background KV; none is left with nothing.
    for cases in (ethernet, infiniband):
        both = case(cases, "kv", "model")
        assert both.ratio("model") > 3 * both.ratio("kv") > 0.59
        assert case(cases, "kv", "kv-background").ratio("kv-background") == pytest.approx(0.01, abs=1e-3)
        assert starved(cases) == ()


def test_the_guides_example_starves_what_is_not_marked_on_infiniband_only() -> None:
    """NCCL user guide, Quality of Service: one low and one high VL, for SL 0 and 1."""
    policy = preset("nccl-two-vl")
    assert policy.infiniband == IbTables(2, 255, (VlWeight(1, 4),), (VlWeight(0, 1), VlWeight(1, 4)))
    assert starved(compile_ib_shares(policy.lanes, policy.infiniband)) == ("low",)
    assert starved(compile_shares(policy.lanes)) == ()
    assert [x.name for x in policy.lanes.lanes if x.may_starve] == ["low"]


def test_smaller_packets_of_kv_get_less() -> None:
    policy = preset("dualpath")
    assert policy.infiniband is not None
    small = compile_ib_shares(policy.lanes, policy.infiniband, 1024)
    assert case(small, "model", "kv").ratio("kv") == pytest.approx((1 / 961) * (4 / 16))


def test_a_high_limit_of_255_starves_and_says_so() -> None:
    policy = preset("two-lane-strict")
    assert policy.infiniband is not None
    assert starved(compile_ib_shares(policy.lanes, policy.infiniband)) == ("kv",)
    assert starved(compile_shares(policy.lanes)) == ("kv",)
    assert starved(compile_shares(preset("dualpath").lanes)) == ()


def test_derived_tables_come_close_and_fit() -> None:
    """Two levels where a priority asks for it, one where that would be further from the shares."""
    cases = [
        ("dualpath", preset("dualpath").lanes, 99, 0.03),
        (
            "70:30",
            lane_set(
                Lane(0, "model", LaneUse.DEFAULT, share=0.7, priority=0), Lane(1, "kv", share=0.3, priority=1)
            ),
            0,
            0.001,
        ),
    ]
    for name, lanes, limit, error in cases:
        tables = derive_tables(lanes)
        assert (name, tables.high_limit) == (name, limit)
        everyone = compile_ib_shares(lanes, tables)[0]
        for lane, part in zip(lanes.lanes, guarantees(lanes.lanes), strict=True):
            assert everyone.ratio(lane.name) == pytest.approx(float(part), abs=error)


@pytest.mark.parametrize("seed", range(60))
def test_derived_tables_serve_every_lane_within_what_devices_hold(seed: int) -> None:
    lanes = some_lanes(random.Random(seed))
    tables = derive_tables(lanes)
    assert tables.served == {x.id for x in lanes.lanes}
    for table in (tables.vlarb_high, tables.vlarb_low):
        assert len(table) <= 8
        assert all(e.weight in (0, 64, 128, 192) and e.vl < tables.max_vls for e in table)
    hungry = {x.name for x, part in zip(lanes.lanes, guarantees(lanes.lanes), strict=True) if not part}
    assert set(starved(compile_ib_shares(lanes, tables))) <= hungry


def test_every_case_is_there_once_and_adds_up() -> None:
    cases = compile_shares(preset("dualpath").lanes)
    names = ("default", "control", "kv", "model")
    assert [c.backlogged for c in cases] == [s for n in (4, 3, 2, 1) for s in combinations(names, n)]
    assert all(sum(s.ratio for s in c.shares) <= 1 + 1e-12 for c in cases)
    assert PRESETS == [
        "dualpath", "dualpath-four-lossless", "dualpath-two-vl", "two-lane-strict", "three-class",
        "three-class-two-vl", "nccl-two-vl",
    ]  # fmt: skip
    assert read_preset(Preset.DUALPATH).startswith("# The model's collectives first")
