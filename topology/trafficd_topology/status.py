"""Generations, conditions and the status of a scope: what an agent reports and a controller shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trafficd_topology.diff import Disruption, FieldDifference
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode


@dataclass(frozen=True, slots=True, order=True)
class Generation:
    """Orders desired states: by epoch (rises on recovery and change of leader), then by number."""

    epoch: int = 0
    number: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}.{self.number}"


class ConditionType(StrEnum):
    APPLIED = "Applied"
    VERIFIED = "Verified"
    DRIFTED = "Drifted"
    READY = "Ready"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """As metav1.Condition. ``reason`` is CamelCase; ``since_ns`` is the last transition, ns since the epoch."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str = ""
    observed_generation: int = 0
    since_ns: int = 0


@dataclass(frozen=True, slots=True)
class ScopeStatus:
    """How one scope stands on its agent; fields as in ``trafficd.api.v1.ScopeStatus``."""

    kind: ScopeKind
    name: str
    driver: str
    mode: Mode
    observed: Generation
    conditions: tuple[Condition, ...] = ()
    differences: tuple[FieldDifference, ...] = ()
    unreadable: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    repairs: int = 0
    drifts: int = 0
    drift_cause: str = ""
    apply_seconds: float = 0.0
    paused: bool = False
    waiting_for: Disruption | None = None
    waiting_steps: tuple[str, ...] = ()
    drained: bool | None = None
    latched: bool = False

    def condition(self, wanted: ConditionType) -> Condition | None:
        return next((c for c in self.conditions if c.type is wanted), None)

    def is_true(self, wanted: ConditionType) -> bool:
        condition = self.condition(wanted)
        return condition is not None and condition.status is ConditionStatus.TRUE
