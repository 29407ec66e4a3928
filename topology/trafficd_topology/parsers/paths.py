"""The ``paths`` section of a policy file: how the path service chooses."""

from __future__ import annotations

from trafficd_topology.parsers.lanes import read_ratio
from trafficd_topology.parsers.tree import Mapping
from trafficd_topology.qos.paths import EngineRule, PathRules, PathStrategy

HOUR_S = 3600
MOST_PARTS = 64


def read_paths(m: Mapping | None) -> PathRules | None:
    """The rules, with what is wrong noted; None where there is no such section."""
    if m is None:
        return None
    base = PathRules()
    rules = PathRules(
        strategy=m.choice("strategy", PathStrategy, base.strategy),
        engines=m.choice("engines", EngineRule, base.engines),
        through_compute_nics=m.flag("through_compute_nics", default=base.through_compute_nics),
        alpha_s=_seconds(m, "alpha_seconds", base.alpha_s),
        beta_s=_seconds(m, "beta_seconds", base.beta_s),
        min_part_bytes=m.whole("min_part_bytes", base.min_part_bytes, low=1, high=2**50),
        max_parts=m.whole("max_parts", base.max_parts, low=1, high=MOST_PARTS),
        hysteresis=read_ratio(m, "hysteresis", base.hysteresis),
        setup_s=_seconds(m, "setup_seconds", base.setup_s),
    )
    if rules.hysteresis > 0.9:
        m.problem("hysteresis", m.raw("hysteresis"), "must be at most 90%: nothing is ten times as fast")
    m.done()
    return rules


def _seconds(m: Mapping, key: str, default: float) -> float:
    return float(m.number(key, default, low=0, high=HOUR_S))
