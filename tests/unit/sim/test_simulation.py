"""Whole runs: nothing is lost, nobody waits for ever, bounds hold, more capacity never makes a bound worse."""

from __future__ import annotations

import itertools
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simlab import window, world

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import choice

from trafficd.sim.bounds import bound_of, read_bytes
from trafficd.sim.plan import Cases, Shape, fabric_of
from trafficd.sim.run import Simulation
from trafficd.sim.scenario import (
    Caller,
    Compute,
    Conditions,
    Contender,
    Fault,
    FaultKind,
    Load,
    Telemetry,
    Where,
    World,
)
from trafficd.sim.workload import TABLE, agents_offline, agents_traced, parse_trace, trajectory

QUICK = Compute(scale=20)
DATA = Path(__file__).parents[4] / "shared" / "data" / "traces" / "mooncake-synthetic.jsonl"


@pytest.mark.parametrize("caller", list(Caller))
@pytest.mark.parametrize("strategy", ["dualpath", "weighted-bytes", "balanced", "oracle"])
def test_all_bytes_arrive_and_all_that_is_reserved_is_returned(strategy: str, caller: Caller) -> None:
    told = world(turns=60, compute=QUICK)
    run = Simulation(told, Contender("x", strategy, caller))
    outcome = run.run()
    assert outcome.turns == 60
    moved = sum(sum(run.cluster.nics[i].write.moved) for i in run.gauge.storage)
    assert moved == pytest.approx(read_bytes(told), rel=1e-6)
    assert all(len(service.ledger) == 0 for service in run.chooser.schedulers)
    assert all(
        (m.tokens, m.sequences) == (0, 0)
        for m in (*run.chooser.machines.prefill, *run.chooser.machines.decode)
    )
    assert outcome.completion_s >= bound_of(told).seconds


FAULTS = st.one_of(
    st.builds(
        Fault,
        st.sampled_from([FaultKind.NIC_DOWN, FaultKind.NIC_RATE]),
        st.sampled_from(["p1/s0", "d2/s0", "p1/c0", "d1/c1"]),
        st.floats(0.0, 0.5),
        st.floats(0.6, 3.0),
        st.sampled_from([0.0, 0.3]),
        st.booleans(),
    ),
    st.builds(Fault, st.just(FaultKind.TELEMETRY_STOPS), st.sampled_from(["*", "p1"]), st.floats(0.0, 1.0)),
    st.builds(
        Fault, st.just(FaultKind.SERVER_RATE), st.just("st1"), st.floats(0.0, 1.0), st.just(2.0), st.just(0.1)
    ),
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(FAULTS, max_size=3),
    st.sampled_from(list(Caller)),
    st.sampled_from([0.0, 0.5]),
    st.integers(1, 2),
)
def test_faults_end_and_every_turn_does(
    faults: list[Fault], caller: Caller, lost: float, schedulers: int
) -> None:
    # A rate of nothing is a NIC that is down.
    fit = tuple(
        replace(f, factor=0.3)
        if f.kind is FaultKind.NIC_RATE
        else replace(f, factor=f.factor if f.kind is FaultKind.SERVER_RATE else 0.0)
        for f in faults
    )
    conditions = Conditions(lost=lost, lease_s=1.0, schedulers=schedulers, detect_s=0.2)
    loads = (Load(Where.COMPUTE, 0.5, 0.25, hold_s=0.2), Load(Where.STORAGE, 0.4, 0.3, hold_s=0.3))
    told = world(
        turns=40, compute=QUICK, faults=fit, conditions=conditions, loads=loads, telemetry=Telemetry(0.1)
    )
    run = Simulation(told, Contender("x", "balanced", caller))
    outcome = run.run()
    assert outcome.turns == 40
    assert run.turns.live == {}
    assert all(m.sequences == 0 for m in (*run.chooser.machines.prefill, *run.chooser.machines.decode))


def test_no_read_stands_still_longer_than_detection_takes() -> None:
    fault = Fault(FaultKind.NIC_DOWN, "d1/s0", 0.2, 30.0)
    compute = Compute(scale=20, decode=False)
    for detect in (0.3, 1.0):
        told = world(turns=150, compute=compute, faults=(fault,), conditions=Conditions(detect_s=detect))
        calm = Simulation(replace(told, faults=()), Contender("x", "balanced")).run()
        hit = Simulation(told, Contender("x", "balanced")).run()
        assert hit.turns == 150
        assert (hit.ttft_max_s or 0.0) <= (calm.ttft_max_s or 0.0) * 2 + detect


def test_agents_that_die_leave_leases_that_end() -> None:
    lost = Fault(FaultKind.AGENTS_LOST, "*", 0.1, factor=0.5)
    told = world(
        turns=80, faults=(lost,), conditions=Conditions(lease_s=0.5), compute=Compute(scale=20, decode=False)
    )
    run = Simulation(told, Contender("x", "balanced"))
    outcome = run.run()
    assert 0 < outcome.turns < 80
    service = run.chooser.schedulers[0]
    assert service.totals(run.clock.now + 1.0) == {}


@settings(max_examples=6, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([100, 200, 400]),
    st.sampled_from(["storage_bps", "compute_bps"]),
)
def test_more_capacity_never_makes_a_bound_worse(p: int, d: int, gbps: int, what: str) -> None:
    shape = Shape(p, d, gpus=2, storage_bps=gbps * 10**9, compute_bps=gbps * 10**9)
    more = replace(shape, **{what: 2 * getattr(shape, what)})
    bounds = [bound_of(World("b", fabric_of(s), window(20))) for s in (shape, more)]
    assert bounds[1].seconds <= bounds[0].seconds * (1 + 1e-9)
    assert bounds[1].network_s is not None
    assert bounds[0].network_s is not None
    assert bounds[0].network_s >= bounds[0].ingress_s * (1 - 1e-9)


def test_trajectories_have_the_means_of_the_paper() -> None:
    for table in TABLE.values():
        agents = agents_offline(table, 500, seed=1)
        turns = [len(a.turns) for a in agents]
        totals = [a.turns[-1].hit + a.turns[-1].append + a.turns[-1].generate for a in agents]
        context = [sum(t.hit + t.append for t in a.turns) / len(a.turns) for a in agents]
        added = [sum(t.append for t in a.turns) / len(a.turns) for a in agents]
        made = [sum(t.generate for t in a.turns) / len(a.turns) for a in agents]
        means = [sum(x) / len(x) for x in (turns, totals, context, added, made)]
        assert means == pytest.approx(
            [table.turns, table.total, table.context, table.append, table.generate], rel=0.07
        )
        assert max(totals) <= table.longest * 1.01


def test_a_turn_reads_all_that_went_before() -> None:
    turns = trajectory(TABLE["32K"], random.Random(3))
    for before, after in itertools.pairwise(turns):
        assert after.hit == before.hit + before.append + before.generate


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="../shared/data has no Mooncake trace here")
def test_a_public_trace_runs() -> None:
    rows, problems = parse_trace(DATA.read_text())
    assert problems == ()
    agents = agents_traced(rows, scale=0.05, most=300)
    told = World("mooncake", fabric_of(Shape(1, 2, gpus=4)), agents, compute=Compute(scale=4))
    outcome = Simulation(told, Contender("x", "balanced")).run()
    assert outcome.turns == 300


def test_a_slice_of_the_figures() -> None:
    """A row as ``make figures`` makes it, small: ours is no worse than the paper's rule, and splits are better."""
    whole = next(f for f in choice.figures() if f.name == "half load, 2P4D, telemetry 1 s")

    def cases(turns: int) -> Cases:
        found = whole.cases(turns)
        return replace(found, contenders=(choice.YARDSTICK[0], *choice.OURS[1:]))

    names = tuple(c.name for c in choice.OURS[1:])
    for row in choice.seen(
        replace(whole, cases=cases, against=("dualpath",), callers=names), seeds=2, turns=250
    ):
        if not row.aim.absolute:
            assert row.ours["ours, either side"][0] <= 1.0, row
            assert row.ours["ours, splits"][0] <= 0.95, row
