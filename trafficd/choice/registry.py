"""Every strategy and every rule for engines, by name. To add one, write it and add a line here."""

from __future__ import annotations

from functools import lru_cache

from trafficd.choice.balanced import Balanced
from trafficd.choice.compose import Composed, EngineRule, PathRule
from trafficd.choice.explain import explanation_of
from trafficd.choice.headroom import Headroom
from trafficd.choice.pairs import LeastLoaded, Paper, Rotation, TwoAtRandom
from trafficd.choice.sides import (
    PaperQueue,
    PrefillOnly,
    Random,
    RoundRobin,
    Shorter,
    Weighted,
)
from trafficd.choice.split import Split
from trafficd.choice.view import Strategy

ENGINE_RULES: tuple[EngineRule, ...] = (
    Paper(),
    Paper("paper-ledger", ledger=True),
    Rotation(),
    LeastLoaded(),
    TwoAtRandom(),
    Headroom(),
)

STRATEGIES: tuple[tuple[str, str, PathRule], ...] = (
    ("prefill-only", "paper", PrefillOnly()),
    ("round-robin", "paper", RoundRobin()),
    ("random", "paper", Random()),
    ("weighted", "paper", Weighted()),
    ("weighted-bytes", "rotation", Weighted(by_bytes=True)),
    ("two-choices", "two-choices", Shorter()),
    ("dualpath", "paper", PaperQueue()),
    ("dualpath-ledger", "paper-ledger", PaperQueue(ledger=True)),
    ("split", "headroom", Split()),
    ("balanced", "headroom", Balanced()),
)
"""(name, its own rule for engines, its rule for paths)."""
DEFAULT = "balanced"
_RULES = {rule.name: rule for rule in ENGINE_RULES}
_OWN = {name: (engines, paths) for name, engines, paths in STRATEGIES}


@lru_cache(maxsize=256)
def strategy_of(name: str, engines: str = "") -> Strategy | None:
    """The strategy of that name, with another rule for engines if one is named; None when either is unknown."""
    if name not in _OWN or (engines and engines not in _RULES):
        return None
    own, paths = _OWN[name]
    return Composed(name, _RULES[engines or own], paths, explanation_of)


def strategy_names() -> tuple[str, ...]:
    return tuple(_OWN)


def engine_rule_names() -> tuple[str, ...]:
    return tuple(_RULES)
