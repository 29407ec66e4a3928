"""Every shipped preset, at every speed of port, is held by a real kernel and read back as it was rendered."""

from __future__ import annotations

import pytest
from contract.suite import reach
from lab.tcbench import tc_bench

from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.policy import Preset
from trafficd_topology.qos.render import render_tc

pytestmark = pytest.mark.kernel
RATES_BPS = (10_000_000, 97_531_001, 100_000_000, 10**9, 10**10, 25 * 10**9, 10**11, 4 * 10**11)


@pytest.mark.parametrize("preset", [p for p in Preset if p is not Preset.NONE])
def test_a_rendered_preset_is_read_back_as_it_was_written(preset: Preset) -> None:
    policies, problems = parse_policies(f"version: 1\npolicies:\n  - name: p\n    preset: {preset}\n")
    assert policies is not None, problems
    with tc_bench() as bench:
        for rate in RATES_BPS:
            reach(bench, render_tc(policies.policies[0].lanes, rate))
        reach(bench, ())
