"""The ``paths`` section of a policy file: how the path service chooses. Meanings: docs/policy.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PathStrategy(StrEnum):
    """Names of ``trafficd.choice.registry``; a test holds the two against each other."""

    PREFILL_ONLY = "prefill-only"
    ROUND_ROBIN = "round-robin"
    RANDOM = "random"
    WEIGHTED = "weighted"
    WEIGHTED_BYTES = "weighted-bytes"
    TWO_CHOICES = "two-choices"
    DUALPATH = "dualpath"
    DUALPATH_LEDGER = "dualpath-ledger"
    SPLIT = "split"
    BALANCED = "balanced"


class EngineRule(StrEnum):
    """Names of ``trafficd.choice.registry``; ``own`` is the strategy's own."""

    OWN = "own"
    PAPER = "paper"
    PAPER_LEDGER = "paper-ledger"
    ROTATION = "rotation"
    LEAST_LOADED = "least-loaded"
    TWO_CHOICES = "two-choices"
    HEADROOM = "headroom"


@dataclass(frozen=True, slots=True)
class PathRules:
    """As ``trafficd.choice.settings.PathSettings``, which says what each does. Seconds, bytes, ratios."""

    strategy: PathStrategy = PathStrategy.BALANCED
    engines: EngineRule = EngineRule.OWN
    through_compute_nics: bool = False
    alpha_s: float = 3.0
    beta_s: float = 5.0
    min_part_bytes: int = 16 * 2**20
    max_parts: int = 4
    hysteresis: float = 0.02
    setup_s: float = 0.0005
