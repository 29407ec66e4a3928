"""What an answer can say about itself: why a plan won, and what a scheduler's own choice would have taken."""

from __future__ import annotations

from typing import NamedTuple


class ExplainedResource(NamedTuple):
    """What one resource takes for one leg's bytes: ``seconds`` is the sum of the three that follow.

    ``queue_seconds`` (bytes ahead) and ``serialisation_seconds`` (own bytes) are at the resource's whole claimed rate;
    ``higher_lane_seconds`` is what both take longer because of higher lanes, foreign KV and a rate learned to be lower.
    ``data_age_s`` is None without telemetry.
    """

    name: str
    leg: int
    seconds: float
    queue_seconds: float
    higher_lane_seconds: float
    serialisation_seconds: float
    weight: float
    data_age_s: float | None
    learned_ratio: float
    hops: int


class ExplainedPlan(NamedTuple):
    """``resources`` of all legs, the slowest first."""

    note: str
    resources: tuple[ExplainedResource, ...]


class Explanation(NamedTuple):
    """``plans`` are parallel to the answer's; ``reason`` is one sentence."""

    strategy: str
    engines: str
    reason: str
    plans: tuple[ExplainedPlan, ...]


class Shadow(NamedTuple):
    """Predicted seconds of a scheduler's own choice and of ours. ``problem``: why its own cannot be reckoned."""

    own_seconds: float
    our_seconds: float
    problem: str = ""

    @property
    def saved_seconds(self) -> float:
        """Negative where its own is reckoned to be sooner."""
        return 0.0 if self.problem else self.own_seconds - self.our_seconds
