"""The fluid core against independent solvers: max-min by bisection, completion by small time steps, lanes by tables."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from simlab import ONE, Bench

from trafficd.sim.fill import Demand, fill
from trafficd.sim.lanes import Arbiter, Htb, VlArbiter
from trafficd.sim.share import Room, divide
from trafficd_topology.parsers.policy import read_policies
from trafficd_topology.qos.fit import derive_tables
from trafficd_topology.qos.policy import Policy, Preset
from trafficd_topology.qos.shares import compile_ib_shares, compile_shares

SEEDED = settings(max_examples=60, deadline=None)
weights = st.sampled_from([0.25, 0.5, 1.0, 2.0])
caps = st.one_of(st.just(math.inf), st.floats(1.0, 200.0))


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[float], list[Demand]]:
    capacities = draw(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=5))
    count = draw(st.integers(1, 7))
    demands = []
    for _ in range(count):
        used = draw(st.lists(st.integers(0, len(capacities) - 1), min_size=1, max_size=4, unique=True))
        demands.append(Demand(draw(st.integers(1, 3)), draw(caps), [(r, draw(weights)) for r in used]))
    return capacities, demands


def by_programs(capacities: list[float], demands: list[Demand]) -> list[float]:
    """Max-min by its definition: maximise the least rate, fix those that cannot have more, again (linear programs)."""
    n = len(demands)
    fixed: dict[int, float] = {}

    def solve(aim: list[float], least: list[tuple[int, float]]) -> np.ndarray:
        rows = [[0.0] * (n + 1) for _ in capacities]
        for i, d in enumerate(demands):
            for r, w in d.route:
                rows[r][i] += w * d.flows
        right = list(capacities)
        for i in range(n):
            if i not in fixed:
                row = [0.0] * (n + 1)
                row[i], row[n] = -1.0, 1.0
                rows.append(row)
                right.append(0.0)
        bounds: list[tuple[float, float | None]] = [
            (0.0, None if math.isinf(d.limit) else d.limit) for d in demands
        ]
        for i, rate in [*fixed.items(), *least]:
            bounds[i] = (max(rate - 1e-9, 0), bounds[i][1] if i not in fixed else rate)
        solved = linprog(aim, rows, right, bounds=[*bounds, (0.0, None)], method="highs")
        assert solved.status == 0
        return solved.x

    while len(fixed) < n:
        level = solve([0.0] * n + [-1.0], [])[n]
        free = [i for i in range(n) if i not in fixed]
        for i in free:
            aim = [0.0] * (n + 1)
            aim[i] = -1.0
            best = solve(aim, [(k, level) for k in free])[i]
            if best <= level * (1 + 1e-6) + 1e-9:
                fixed[i] = level
    return [fixed[i] for i in range(n)]


@SEEDED
@given(networks())
def test_filling_is_max_min_as_linear_programs_have_it(net: tuple[list[float], list[Demand]]) -> None:
    capacities, demands = net
    got = fill(demands, dict(enumerate(capacities)))
    assert got == pytest.approx(by_programs(capacities, demands), rel=1e-4, abs=1e-6)


@SEEDED
@given(networks())
def test_nothing_is_overloaded_and_every_flow_is_held_by_something(
    net: tuple[list[float], list[Demand]],
) -> None:
    capacities, demands = net
    rates = fill(demands, dict(enumerate(capacities)))
    used = [0.0] * len(capacities)
    for demand, rate in zip(demands, rates, strict=True):
        for r, w in demand.route:
            used[r] += demand.flows * w * rate
    assert all(u <= c * (1 + 1e-9) for u, c in zip(used, capacities, strict=True))
    for demand, rate in zip(demands, rates, strict=True):
        full = [r for r, _ in demand.route if used[r] >= capacities[r] * (1 - 1e-9)]
        fastest = any(
            rate >= max(x for d, x in zip(demands, rates, strict=True) if r in dict(d.route)) * (1 - 1e-9)
            for r in full
        )
        assert fastest or rate >= demand.limit * (1 - 1e-9)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[float], list[tuple[float, dict[int, float], float, float]]]:
    """Capacities, and flows as (start, route, size, own limit)."""
    capacities = draw(st.lists(st.floats(5.0, 50.0), min_size=1, max_size=4))
    routes = []
    for _ in range(draw(st.integers(1, 3))):
        used = draw(st.lists(st.integers(0, len(capacities) - 1), min_size=1, max_size=3, unique=True))
        routes.append({r: draw(weights) for r in used})
    flows = []
    for _ in range(draw(st.integers(1, 8))):
        cap = draw(st.one_of(st.just(math.inf), st.floats(2.0, 30.0)))
        flows.append(
            (draw(st.floats(0.0, 5.0)), draw(st.sampled_from(routes)), draw(st.floats(1.0, 60.0)), cap)
        )
    return capacities, flows


def by_events(
    capacities: list[float], flows: list[tuple[float, dict[int, float], float, float]]
) -> dict[int, float]:
    """Completion times with every rate worked out anew at every event, flow by flow."""
    left = {i: f[2] for i, f in enumerate(flows)}
    now, ends = 0.0, {}
    while left:
        live = [i for i in left if flows[i][0] <= now + 1e-12]
        starts = [flows[i][0] for i in left if flows[i][0] > now + 1e-12]
        demands = [Demand(1, flows[i][3], list(flows[i][1].items())) for i in live]
        rates = dict(zip(live, fill(demands, dict(enumerate(capacities))), strict=True))
        step = min([left[i] / rates[i] for i in live] + [s - now for s in starts])
        now += step
        for i in live:
            left[i] -= rates[i] * step
            if left[i] <= 1e-9 * flows[i][2]:
                ends[i] = now
                del left[i]
    return ends


@SEEDED
@given(stories())
def test_only_what_changed_is_recomputed_and_nothing_is_missed(
    story: tuple[list[float], list[tuple[float, dict[int, float], float, float]]],
) -> None:
    capacities, flows = story
    bench = Bench(capacities)
    routes = {id(f[1]): bench.route(f[1]) for f in flows}
    for i, (at, steps, size, cap) in enumerate(flows):
        bench.clock.at(at, lambda what: bench.start(*what), (routes[id(steps)], size, i, 0, cap))
    bench.run()
    assert bench.ends == pytest.approx(by_events(capacities, flows), rel=1e-6, abs=1e-6)
    for r, resource in enumerate(bench.resources):
        sent = sum(size * steps.get(r, 0.0) for _, steps, size, _ in flows)
        assert bench.moved(resource) == pytest.approx(sent, rel=1e-6, abs=1e-6)


def policy(preset: Preset) -> Policy:
    found, problems = read_policies({"version": 1, "policies": [{"name": "p", "preset": str(preset)}]})
    assert found is not None, problems
    return found.policies[0]


@pytest.mark.parametrize(
    "preset", [Preset.DUALPATH, Preset.TWO_LANE_STRICT, Preset.THREE_CLASS, Preset.NCCL_TWO_VL]
)
@pytest.mark.parametrize("infiniband", [False, True])
def test_every_contention_case_is_what_the_tables_say(preset: Preset, infiniband: bool) -> None:
    p = policy(preset)
    tables = p.infiniband or derive_tables(p.lanes)
    arbiter: Arbiter = VlArbiter.of(p.lanes, tables) if infiniband else Htb.of(p.lanes)
    cases = compile_ib_shares(p.lanes, tables) if infiniband else compile_shares(p.lanes)
    for case in cases:
        demands = [math.inf if name in case.backlogged else 0.0 for name in arbiter.lanes]
        got = arbiter.split(demands, 100.0)
        assert got == pytest.approx([100 * case.ratio(name) for name in arbiter.lanes], abs=1e-6)


@SEEDED
@given(st.lists(st.one_of(st.just(math.inf), st.floats(0.0, 150.0)), min_size=4, max_size=4), st.booleans())
def test_a_division_wastes_nothing_and_gives_nobody_more_than_it_wants(
    demands: list[float], infiniband: bool
) -> None:
    p = policy(Preset.DUALPATH)
    assert p.infiniband is not None
    arbiter: Arbiter = VlArbiter.of(p.lanes, p.infiniband) if infiniband else Htb.of(p.lanes)
    got = arbiter.split(demands, 100.0)
    assert all(g <= d * (1 + 1e-9) for g, d in zip(got, demands, strict=True))
    most = [min(d, limit * 100) for d, limit in zip(demands, arbiter.limits, strict=True)]
    assert sum(got) == pytest.approx(min(sum(most), 100.0), rel=1e-9)


def test_lanes_of_one_link_in_time() -> None:
    """KV waits for the model's lane and gets its guarantee meanwhile, and all of the link after."""
    p = policy(Preset.DUALPATH)
    bench = Bench([100.0], Htb.of(p.lanes))
    route, names = bench.route({0: 1.0}), bench.resources[0].arbiter.lanes
    share = compile_shares(p.lanes)
    both = next(c for c in share if set(c.backlogged) == {"kv", "model"})
    bench.start(route, 500.0, 0, names.index("model"))
    bench.start(route, 500.0, 1, names.index("kv"))
    bench.run()
    model = 500 / (100 * both.ratio("model"))
    assert bench.ends[0] == pytest.approx(model)
    assert bench.ends[1] == pytest.approx(10.0)


@SEEDED
@given(networks(), st.lists(st.integers(0, 3), min_size=7, max_size=7))
def test_lanes_over_several_resources_stay_within_all_and_leave_nobody_out(
    net: tuple[list[float], list[Demand]], lanes: list[int]
) -> None:
    capacities, demands = net
    arbiter = Htb.of(policy(Preset.DUALPATH).lanes)
    own = lanes[: len(demands)]
    rates = divide(demands, own, {r: Room(c, arbiter) for r, c in enumerate(capacities)})
    for r, capacity in enumerate(capacities):
        used = [0.0] * len(arbiter.lanes)
        for demand, lane, rate in zip(demands, own, rates, strict=True):
            used[lane] += sum(w for k, w in demand.route if k == r) * demand.flows * rate
        assert sum(used) <= capacity * (1 + 1e-9)
    assert all(rate > 0 for rate in rates)


def test_a_lane_alone_has_the_link_and_flows_within_share_it() -> None:
    bench = Bench([90.0], ONE)
    route = bench.route({0: 1.0})
    for i, size in enumerate((30.0, 60.0, 90.0)):
        bench.start(route, size, i)
    bench.run()
    assert bench.ends == pytest.approx({0: 1.0, 1: 1 + 30 / 45, 2: 2.0})


def test_a_capacity_that_changes_and_a_flow_that_is_stopped() -> None:
    bench = Bench([10.0])
    route, left = bench.route({0: 1.0}), []
    flow = bench.fluid.start(route, 100.0, lambda _: None)
    bench.start(route, 30.0, 1)
    bench.clock.at(2.0, lambda _: bench.fluid.set_capacity(bench.resources[0], 0.0))
    bench.clock.at(4.0, lambda _: bench.fluid.set_capacity(bench.resources[0], 20.0))
    bench.clock.at(5.0, lambda _: left.append(bench.fluid.stop(flow)))
    bench.run()
    assert left == pytest.approx([80.0])
    assert bench.ends[1] == pytest.approx(5.5)


def test_a_load_takes_what_it_offers_and_no_more() -> None:
    p = policy(Preset.DUALPATH)
    bench = Bench([100.0], Htb.of(p.lanes))
    names = bench.resources[0].arbiter.lanes
    route = bench.route({0: 1.0})
    load = bench.fluid.load(bench.route({0: 1.0}), names.index("model"), 8)
    bench.fluid.offer(load, 60.0)
    bench.start(route, 80.0, 0, names.index("kv"))
    bench.clock.at(1.0, lambda _: bench.fluid.offer(load, 0.0))
    bench.run()
    assert bench.ends[0] == pytest.approx(1.4)
    assert load.service * load.count == pytest.approx(60.0)


def test_the_same_story_is_the_same_to_the_bit() -> None:
    def told() -> list[tuple[int, float]]:
        bench = Bench([10.0, 20.0, 7.0])
        routes = [bench.route({a: 1.0, b: 0.5}) for a, b in itertools.permutations(range(3), 2)]
        for i in range(40):
            bench.clock.at(i * 0.1, lambda what: bench.start(*what), (routes[i % 6], 3.0 + i % 5, i))
        bench.run()
        return list(bench.ends.items())

    assert told() == told()
