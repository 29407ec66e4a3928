"""What is known about one scope, what may happen to it, and what may be asked for: the words of ``machine``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from trafficd_agent.apply import Outcome, Purpose
from trafficd_agent.conditions import Row, Verdict
from trafficd_agent.desired import DesiredScope
from trafficd_topology.diff import Disruption, digest
from trafficd_topology.status import Condition, Generation, ScopeStatus

NEVER = Generation()
PENDING = Verdict(Row.PENDING, "Pending")


class Stage(StrEnum):
    NEW = "new"
    HELD = "held"
    FAILED = "failed"
    FOUGHT = "fought"
    STUCK = "stuck"
    CUT = "cut-off"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds. ``repairs`` within ``window_s`` are undone before another writer is left alone."""

    verify_s: float = 30.0
    deadline_s: float = 10.0
    repairs: int = 5
    window_s: float = 600.0
    retries: int = 3
    retry_s: float = 1.0
    gap_s: float = 0.2
    """Shortest pause between two looks at one device, however many notifications come."""


@dataclass(frozen=True, slots=True)
class Now:
    """Monotonic seconds for intervals, nanoseconds since the Unix epoch for people."""

    seconds: float
    unix_ns: int


@dataclass(frozen=True, slots=True)
class Told:
    """A new generation says this of the scope; None: it is not in it (deselected).

    ``revert_s``: above 0, the change is undone unless Reached comes within so many seconds after it.
    """

    scope: DesiredScope | None
    generation: Generation
    revert_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Advanced:
    """A new generation says the same of the scope."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something changed on the device, and by whom as far as the kernel says, such as ``by netlink port id 7``."""

    cause: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing may be written from now on, and why as one sentence; empty: it may again. What is owed is still restored."""

    why: str


@dataclass(frozen=True, slots=True)
class Granted:
    """Leave to disrupt, for ``seconds`` from now: worth one try of this generation, and of no other."""

    generation: Generation
    disruption: Disruption
    seconds: float


@dataclass(frozen=True, slots=True)
class Drained:
    """Whether something runs through the port that a flap would break; None when that cannot be told."""

    drained: bool | None


@dataclass(frozen=True, slots=True)
class Retried:
    """Somebody wants it tried again, although it failed or another writer kept changing it."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The controller was reached after the change on trial."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; due whenever ``ScopeState.wake`` is reached."""


@dataclass(frozen=True, slots=True)
class Done:
    """The work of that number ended."""

    number: int
    outcome: Outcome


Event = Told | Advanced | Noticed | Paused | Granted | Drained | Retried | Reached | Tick | Done


@dataclass(frozen=True, slots=True)
class Work:
    """Reconcile the scope on its thread, and answer with Done. ``leave``: the worst disruption that is allowed.

    ``paused``: nothing is written but what an interrupted write owes. ``trial``: what is there before is kept until the
    controller is reached again; ``on_trial``: a change before this one still waits for that.
    """

    number: int
    purpose: Purpose
    scope: DesiredScope
    generation: Generation
    leaving: bool
    leave: Disruption = Disruption.HITLESS
    paused: bool = False
    trial: bool = False
    on_trial: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Let the work of that number write nothing more towards its desired state; it still answers with Done."""

    number: int


@dataclass(frozen=True, slots=True)
class Latch:
    """Keep on disk that this scope is not to be written (None: that it may be again). ``about``: which order it is of;
    after a restart it counts for no other. Empty, as an older agent left it, it counts for any.
    """

    stage: Stage | None
    verdict: Verdict | None
    about: str = ""


@dataclass(frozen=True, slots=True)
class EndTrial:
    """Forget what was there before the change on trial: it stays, or is undone."""


Effect = Work | Stop | Latch | EndTrial


@dataclass(frozen=True, slots=True)
class Running:
    """``order``: the count of orders when it began; the scope's was told otherwise since if that rose."""

    number: int
    purpose: Purpose
    order: int
    generation: Generation
    deadline: float
    hung: bool = False
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """A grant that was not used yet; ``until`` is monotonic seconds."""

    disruption: Disruption
    until: float


@dataclass(frozen=True, slots=True)
class ScopeState:
    """Everything known about one scope. ``due``: when to look next; ``generation`` was told, ``observed`` is served."""

    scope: DesiredScope
    limits: Limits = Limits()
    stage: Stage = Stage.NEW
    leaving: bool = False
    generation: Generation = NEVER
    observed: Generation = NEVER
    order: int = 0
    number: int = 0
    running: Running | None = None
    again: bool = False
    due: float = math.inf
    received: float | None = None
    tries: int = 0
    repaired_at: tuple[float, ...] = ()
    repairs: int = 0
    drifts: int = 0
    drifting: bool = False
    hint: str = ""
    cause: str = ""
    identity: str = ""
    apply_seconds: float = 0.0
    outcome: Outcome | None = None
    verdict: Verdict = PENDING
    paused: str = ""
    revert_s: float = 0.0
    trial: float | None = None
    """When the change on trial is undone, monotonic seconds."""
    leave: Leave | None = None
    drained: bool | None = None
    conditions: tuple[Condition, ...] = ()

    @property
    def wake(self) -> float:
        """When the next Tick is due, monotonic seconds."""
        if self.running is None:
            return self.due if self.trial is None else min(self.due, self.trial)
        return math.inf if self.running.hung else self.running.deadline


def order_of(scope: DesiredScope, *, leaving: bool) -> str:
    """What tells one order from another: what the scope is to hold, or that it is to be given back."""
    return "return" if leaving else f"{scope.driver} {scope.mode} {digest(scope.elements)}"


LATCHED = (Stage.FAILED, Stage.FOUGHT)
KEPT = (*LATCHED, Stage.STUCK, Stage.CUT)
"""Stages that outlive the process."""


def status(s: ScopeState) -> ScopeStatus:
    """What to report about the scope."""
    o = s.outcome
    waiting = o.waiting_for if o else None
    return ScopeStatus(
        kind=s.scope.id.kind,
        name=s.scope.id.name,
        driver=s.scope.driver,
        mode=s.scope.mode,
        observed=s.observed,
        conditions=s.conditions,
        differences=o.differences if o else (),
        unreadable=o.unreadable if o else (),
        foreign=o.foreign if o else (),
        repairs=s.repairs,
        drifts=s.drifts,
        drift_cause=s.cause,
        apply_seconds=s.apply_seconds,
        paused=bool(s.paused),
        waiting_for=waiting,
        waiting_steps=o.waiting_steps if o else (),
        drained=None if waiting is None else s.drained,
        latched=s.stage in KEPT,
    )
