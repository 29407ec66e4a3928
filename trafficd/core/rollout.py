"""A change on its way through the cluster: canary, waves, soak; halted by the first thing that goes wrong.

Pure: ``advance`` is a function of the rollout, how each node stands, and the time. Nodes that are **admitted** get the
new desired state; all others keep the one of before. Nodes of no wave (those that were not connected when it began)
get the new state at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from trafficd.core.losses import NO_LOSSES, Losses, risen
from trafficd_topology.qos.policy import RolloutSettings


class Phase(StrEnum):
    VERIFYING = "verifying"
    """The wave has its new state, and is applying and verifying it."""
    SOAKING = "soaking"
    """The wave is verified, and watched for a while."""
    HALTED = "halted"
    """Something went wrong: the operator resumes or aborts."""


class Standing(StrEnum):
    VERIFIED = "verified"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Seen:
    """How an admitted node stands; ``why`` is one sentence unless it is verified."""

    standing: Standing
    why: str = ""


@dataclass(frozen=True, slots=True)
class Rollout:
    """``since`` is when the phase or the last admission began, seconds of the loop's clock; None after a restart.

    ``baseline`` is what each admitted node lost just before it was admitted, by name.
    ``excused`` are nodes that failed and that the operator went on without. ``down`` are ports (node/port) that had
    no carrier when it began, so that nobody blames the change for them.
    """

    settings: RolloutSettings
    waves: tuple[tuple[str, ...], ...]
    phase: Phase = Phase.VERIFYING
    wave: int = 0
    admitted: frozenset[str] = frozenset()
    excused: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()
    reason: str = ""
    since: float | None = None
    baseline: Mapping[str, Losses] = field(default_factory=dict)


def watched_from(rollout: Rollout, losses: Mapping[str, Losses]) -> Rollout:
    """The nodes that were just admitted are compared, from now on, with what they lose now."""
    new = {name: losses.get(name, NO_LOSSES) for name in rollout.admitted if name not in rollout.baseline}
    return replace(rollout, baseline={**rollout.baseline, **new}) if new else rollout


def loses(rollout: Rollout, name: str, now: Losses) -> str:
    """What this node loses more than before it was admitted, and than the settings allow; empty when it does not."""
    before = rollout.baseline.get(name, NO_LOSSES)
    return risen(now, before, (rollout.settings.discards_per_s, rollout.settings.retransmits_per_s))


def waves(nodes: Iterable[str], settings: RolloutSettings) -> tuple[tuple[str, ...], ...]:
    """The canary first, then equal waves of ``wave_percent`` of all, by name."""
    names = sorted(nodes)
    named = [n for n in names if n in settings.canary_nodes]
    canary = named or names[: settings.canary_count]
    rest = [n for n in names if n not in canary]
    size = max(1, math.ceil(len(names) * settings.wave_percent / 100))
    cut = [tuple(rest[i : i + size]) for i in range(0, len(rest), size)]
    return tuple(w for w in (tuple(canary), *cut) if w)


def advance(rollout: Rollout, seen: Mapping[str, Seen], now: float) -> Rollout | None:
    """One turn; None when every wave is verified and has soaked.

    ``seen`` holds every admitted node. At most one admission a turn, because how a node stands under its new state
    is known at a later one.
    """
    if rollout.phase is Phase.HALTED:
        return rollout
    if rollout.since is None:
        rollout = replace(rollout, since=now)
    bad = [(n, seen[n].why) for n in sorted(_watched(rollout)) if seen[n].standing is Standing.FAILED]
    if bad:
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        return halt(rollout, f"node {bad[0][0]}: {bad[0][1]}{more}")
    if rollout.phase is Phase.SOAKING:
        return _soak(rollout, seen, now)
    return _verify(rollout, seen, now)


def halt(rollout: Rollout, reason: str) -> Rollout:
    return replace(rollout, phase=Phase.HALTED, reason=reason)


def resume(rollout: Rollout, seen: Mapping[str, Seen], down: frozenset[str]) -> Rollout:
    """Go on without the admitted nodes that are not verified now; ports that are down now are taken as they are."""
    lost = {n for n in _watched(rollout) if seen[n].standing is not Standing.VERIFIED}
    return replace(
        rollout,
        phase=Phase.VERIFYING,
        reason="",
        since=None,
        excused=rollout.excused | lost,
        down=rollout.down | down,
    )


def _watched(rollout: Rollout) -> frozenset[str]:
    return rollout.admitted - rollout.excused


def _pending(rollout: Rollout, seen: Mapping[str, Seen]) -> list[str]:
    return [n for n in sorted(_watched(rollout)) if seen[n].standing is Standing.PENDING]


def _late(rollout: Rollout, now: float) -> bool:
    return now - (rollout.since or 0.0) > rollout.settings.deadline_s


def _verify(rollout: Rollout, seen: Mapping[str, Seen], now: float) -> Rollout | None:
    pending = _pending(rollout, seen)
    left = [n for n in rollout.waves[rollout.wave] if n not in rollout.admitted]
    room = (rollout.settings.max_unavailable or len(left)) - len(pending)
    if left and room > 0:
        return replace(rollout, admitted=rollout.admitted | set(left[:room]), since=now, reason="")
    if pending and _late(rollout, now):
        text = f"not verified within {rollout.settings.deadline_s:g} seconds"
        return halt(rollout, f"node {pending[0]} is {text}: {seen[pending[0]].why}")
    if left or pending:
        return rollout
    return _soak(replace(rollout, phase=Phase.SOAKING, since=now, reason=""), seen, now)


def _soak(rollout: Rollout, seen: Mapping[str, Seen], now: float) -> Rollout | None:
    soaked = now - (rollout.since or 0.0) >= rollout.settings.soak_s
    pending = _pending(rollout, seen)
    if not soaked:
        return rollout
    if pending:
        # It was verified and is not any more: the next wave waits for it, and not for ever.
        late = now - (rollout.since or 0.0) > rollout.settings.soak_s + rollout.settings.deadline_s
        return halt(rollout, f"node {pending[0]}: {seen[pending[0]].why}") if late else rollout
    if rollout.wave + 1 == len(rollout.waves):
        return None
    after = replace(rollout, phase=Phase.VERIFYING, wave=rollout.wave + 1, since=now)
    return _verify(after, seen, now)
