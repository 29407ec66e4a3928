"""From what was saved to the state the loop begins with."""

from __future__ import annotations

from trafficd.convert.revive import policy_source, sentence
from trafficd.core.plan import PlanOptions
from trafficd.core.state import (
    ControlState,
    FabricSource,
    Saved,
    SavedFabric,
)
from trafficd_topology.parsers.fabric import parse_fabric


def _fabric(saved: SavedFabric) -> FabricSource:
    spec, problems = parse_fabric(saved.text)
    return FabricSource(saved.digest, saved.text, spec, "" if spec else sentence(problems))


def restored(saved: Saved, options: PlanOptions) -> ControlState:
    """Nodes and their inventories are not known yet: they come with their agents' hellos."""
    return ControlState(
        uuid=saved.uuid,
        generation=saved.generation,
        policies=tuple(policy_source(p) for p in saved.policies),
        fabric=None if saved.fabric is None else _fabric(saved.fabric),
        roles=saved.roles,
        digests=dict(saved.digests),
        writers=dict(saved.writers),
        options=options,
        pause=saved.pause,
        history=saved.history,
        override=saved.override,
        rollout=saved.rollout,
        before=tuple(policy_source(p) for p in saved.before),
        leave=saved.leave,
    )
