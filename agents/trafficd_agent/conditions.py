"""What a verdict about a scope means as conditions: one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trafficd_topology.status import Condition, ConditionStatus, ConditionType

_T, _F, _U = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


class Row(StrEnum):
    """How a scope stands."""

    PENDING = "pending"  # told, not yet looked at
    HELD = "held"  # as desired, verified
    OBSERVED = "observed"  # observe: as desired, though nobody wrote it
    DIFFERS = "differs"  # observe: not as desired
    DRIFTED = "drifted"  # it was verified and is not any more, and we leave it so
    BLOCKED = "blocked"  # nothing was written: foreign, unsupported, not saved, waiting for leave
    FAILED = "failed"  # written, not verified: restored or stuck
    UNKNOWN = "unknown"  # cannot be read
    LEFT = "left"  # deselected and back as found, verified


TABLE: dict[Row, tuple[ConditionStatus, ConditionStatus, ConditionStatus, ConditionStatus]] = {
    # Applied, Verified, Drifted, Ready
    Row.PENDING: (_U, _U, _U, _F),
    Row.HELD: (_T, _T, _F, _T),
    Row.OBSERVED: (_U, _T, _F, _T),
    Row.DIFFERS: (_U, _F, _F, _T),
    Row.DRIFTED: (_T, _F, _T, _F),
    Row.BLOCKED: (_F, _F, _F, _F),
    Row.FAILED: (_F, _F, _F, _F),
    Row.UNKNOWN: (_U, _U, _U, _F),
    Row.LEFT: (_T, _T, _F, _T),
}
TYPES = (ConditionType.APPLIED, ConditionType.VERIFIED, ConditionType.DRIFTED, ConditionType.READY)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row with its CamelCase reason and one sentence."""

    row: Row
    reason: str
    message: str = ""


def conditions(
    verdict: Verdict, generation: int, before: tuple[Condition, ...], unix_ns: int
) -> tuple[Condition, ...]:
    """The four conditions of a verdict; one whose status did not change keeps the time of its last transition."""
    since = {c.type: (c.status, c.since_ns) for c in before}
    rows = []
    for kind, status in zip(TYPES, TABLE[verdict.row], strict=True):
        was, at = since.get(kind, (None, 0))
        when = at if was is status else unix_ns
        rows.append(Condition(kind, status, verdict.reason, verdict.message, generation, when))
    return tuple(rows)
