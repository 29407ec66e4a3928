"""From what was saved to the state the loop begins with."""

from __future__ import annotations

from trafficd.core.plan import PlanOptions
from trafficd.core.state import (
    ControlState,
    FabricSource,
    PolicySource,
    Saved,
    SavedFabric,
    SavedPolicy,
)
from trafficd_topology.model import Problem
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies


def _sentence(problems: tuple[Problem, ...]) -> str:
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"


def _policy(saved: SavedPolicy) -> PolicySource:
    """A text that this version no longer understands is kept, named, and programs nothing."""
    policies, problems = parse_policies(saved.text)
    if policies is None:
        # A source that is in force with no policy (all were ended) needs no text to be readable.
        broken = _sentence(problems) if saved.names else ""
        return PolicySource(saved.owner, saved.source, saved.digest, saved.text, (), broken)
    live = tuple(p for p in policies.policies if p.name in saved.names)
    return PolicySource(saved.owner, saved.source, saved.digest, saved.text, live)


def _fabric(saved: SavedFabric) -> FabricSource:
    spec, problems = parse_fabric(saved.text)
    return FabricSource(saved.digest, saved.text, spec, "" if spec else _sentence(problems))


def restored(saved: Saved, options: PlanOptions) -> ControlState:
    """Nodes and their inventories are not known yet: they come with their agents' hellos."""
    return ControlState(
        uuid=saved.uuid,
        generation=saved.generation,
        policies=tuple(_policy(p) for p in saved.policies),
        fabric=None if saved.fabric is None else _fabric(saved.fabric),
        roles=saved.roles,
        digests=dict(saved.digests),
        writers=dict(saved.writers),
        options=options,
    )
