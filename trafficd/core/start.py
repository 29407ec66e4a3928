"""How a rollout begins: which nodes change, and in which waves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from trafficd.core.plan import Plan
from trafficd.core.rollout import Rollout, advance, watched_from, waves
from trafficd.core.settle import plan_of
from trafficd.core.state import ControlState
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.qos.policy import RolloutSettings


def changed(state: ControlState, old: Plan, new: Plan) -> tuple[str, ...]:
    """Connected nodes whose desired state differs, by name."""
    return tuple(
        name
        for name in sorted(state.nodes)
        if state.nodes[name].session is not None and old.of(name) != new.of(name)
    )


def down_ports(state: ControlState, nodes: Iterable[str]) -> frozenset[str]:
    """Ports without carrier, as node/port."""
    return frozenset(
        f"{name}/{port.name}"
        for name in nodes
        if name in state.nodes
        for port in state.nodes[name].inventory.ports
        if port.up is False
    )


def begun(before: ControlState, after: ControlState, settings: RolloutSettings, new: Plan) -> Rollout | None:
    """The rollout from one state's policies to another's; None where every node may have it at once.

    That is so when no node changes, and when nothing would be written: neither plan enforces anything there.
    """
    old = plan_of(before, before.policies) or Plan()
    names = changed(before, old, new)
    writes = any(s.mode is Mode.ENFORCE for n in names for s in (*old.of(n), *new.of(n)))
    if not names or not writes:
        return None
    return Rollout(settings, waves(names, settings), down=down_ports(after, after.nodes))


def started(
    before: ControlState, after: ControlState, settings: RolloutSettings | None, new: Plan | None
) -> ControlState:
    """``after`` with its rollout begun and the canary admitted, if it has one."""
    if settings is None or new is None:
        return after
    rollout = begun(before, after, settings, new)
    if rollout is None:
        return after
    canary = advance(rollout, {}, 0.0)
    # Its time begins with the next turn, which knows what time it is.
    begun_now = None if canary is None else replace(watched_from(canary, after.losses), since=None)
    return replace(after, rollout=begun_now, before=before.policies)
