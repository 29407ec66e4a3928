"""The ``paths`` section: read whole or refused whole, and the same words as the choice knows."""

from dataclasses import asdict

from trafficd.choice.registry import engine_rule_names, strategy_names
from trafficd.choice.settings import DEFAULTS
from trafficd.core.frame import settings_of
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.paths import EngineRule, PathRules, PathStrategy

HEAD = "version: 1\npolicies: []\n"


def test_words_are_those_of_the_choice() -> None:
    assert [str(s) for s in PathStrategy] == list(strategy_names())
    assert [str(e) for e in EngineRule if e is not EngineRule.OWN] == list(engine_rule_names())


def test_defaults_are_those_of_the_choice() -> None:
    assert settings_of(None) == settings_of(PathRules()) == DEFAULTS


def test_every_key_arrives() -> None:
    text = f"""{HEAD}
paths:
  strategy: weighted-bytes
  engines: rotation
  through_compute_nics: true
  alpha_seconds: 1
  beta_seconds: 2
  min_part_bytes: 1000
  max_parts: 3
  hysteresis: 10%
  setup_seconds: 0.25
"""
    found, problems = parse_policies(text)
    assert found is not None, problems
    assert asdict(settings_of(found.paths)) == {
        "strategy": "weighted-bytes",
        "engines": "rotation",
        "through_compute_nics": True,
        "alpha_s": 1.0,
        "beta_s": 2.0,
        "min_part_bytes": 1000,
        "max_parts": 3,
        "hysteresis": 0.1,
        "setup_s": 0.25,
    }


def test_every_problem_at_once() -> None:
    text = f"{HEAD}paths: {{strategy: best, engines: 5, max_parts: 0, hysteresis: 95%, alpha: 3}}\n"
    found, problems = parse_policies(text)
    assert found is None
    assert sorted(p.path for p in problems) == [
        "paths.alpha",
        "paths.engines",
        "paths.hysteresis",
        "paths.max_parts",
        "paths.strategy",
    ]
