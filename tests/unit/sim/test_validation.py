"""The simulator against packets: the reads and lanes of ``make demo``, on its own fabric, with its own policy.

The figures are what the demo measures with real queues and real TCP streams (README): the same order, times within 15 %.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from demo import policies
from simlab import Bench

from trafficd.sim.compare import compare
from trafficd.sim.lanes import Htb
from trafficd.sim.parse import parse_scenario
from trafficd_topology.parsers.policy import parse_policies

CASE = Path(__file__).parents[2] / "cases" / "sim" / "demo.yaml"
MEASURED_MBPS = {"prefill-only": 141.0, "round-robin": 183.0, "recommended": 263.0}
MODEL_SHARE = 0.70


def test_reads_take_as_long_as_with_packets() -> None:
    cases, problems = parse_scenario(CASE.read_bytes(), lambda path: (CASE.parent / path).read_bytes())
    assert cases is not None, problems
    found = compare(cases, [1])
    got = {row.contender.name: row.outcomes[0].turns_per_s * 8 for row in found.rows}
    assert sorted(got, key=got.__getitem__) == sorted(MEASURED_MBPS, key=MEASURED_MBPS.__getitem__)
    # A time is a size over a rate: what holds for the one holds for the other.
    assert got == pytest.approx(MEASURED_MBPS, rel=0.15)


def test_lanes_split_a_link_as_with_packets() -> None:
    """The demo measures the model's part of a full link within 2 points of this."""
    found, _ = parse_policies(policies.SEVENTY_THIRTY)
    assert found is not None
    arbiter = Htb.of(found.policies[0].lanes)
    bench = Bench([100.0], arbiter)
    route = bench.route({0: 1.0})
    for lane in ("model", "kv"):
        for i in range(8):
            bench.start(route, 1e9, i, arbiter.lanes.index(lane))
    bench.clock.at(5.0, lambda _: None)
    bench.clock.run(bench.fluid.settle, lambda: bench.clock.now >= 5)
    bench.fluid.sync()
    moved = bench.resources[0].moved
    assert moved[arbiter.lanes.index("model")] / sum(moved) == pytest.approx(MODEL_SHARE, abs=0.02)
