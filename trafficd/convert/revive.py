"""Saved policy texts become policies again."""

from __future__ import annotations

from trafficd.core.state import PolicySource, SavedPolicy
from trafficd_topology.model import Problem
from trafficd_topology.parsers.policy import parse_policies


def sentence(problems: tuple[Problem, ...]) -> str:
    """The first problem, and how many more there are."""
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"


def policy_source(saved: SavedPolicy) -> PolicySource:
    """A text that this version no longer understands is kept, named, and programs nothing."""
    policies, problems = parse_policies(saved.text)
    if policies is None:
        # A source that is in force with no policy (all were ended) needs no text to be readable.
        broken = sentence(problems) if saved.names else ""
        return PolicySource(saved.owner, saved.source, saved.digest, saved.text, (), broken)
    live = tuple(p for p in policies.policies if p.name in saved.names)
    said = policies.rollout, policies.paths
    return PolicySource(saved.owner, saved.source, saved.digest, saved.text, live, "", *said)
