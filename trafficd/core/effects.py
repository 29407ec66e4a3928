"""What the control loop wants done.

The order is part of the contract: a ``Persist`` comes first, and if it fails none of the others may be carried
out and the state of before stands (``loop.unsaved``). All others cannot fail in a way that matters: a message to
an agent that is gone is repeated at its next hello.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trafficd.core.plan import ScopePlan
from trafficd.core.records import LogRecord, Pause
from trafficd.core.slots import Waiting
from trafficd.core.state import Saved
from trafficd_topology.model import Problem, ScopeKind
from trafficd_topology.status import Generation


@dataclass(frozen=True, slots=True)
class Persist:
    """Commit durably, then go on. ``records`` are appended to the audit log in the same commit."""

    saved: Saved
    records: tuple[LogRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Greet:
    """Serve this session; ``pause`` when every write is stopped."""

    session: int
    node: str
    pause: Pause | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not serve this session; ``reason`` is one sentence."""

    session: int
    node: str
    reason: str


@dataclass(frozen=True, slots=True)
class SendDesired:
    """The whole desired state of a node."""

    session: int
    node: str
    generation: Generation
    digest: str
    scopes: tuple[ScopePlan, ...]
    revert_in_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SendHeader:
    """Nothing changed for this node: it acknowledges the generation, or says hello anew to get its state."""

    session: int
    node: str
    generation: Generation
    digest: str


@dataclass(frozen=True, slots=True)
class SendPause:
    """Stop every write, or (``pause`` is None) write again."""

    session: int
    node: str
    pause: Pause | None


@dataclass(frozen=True, slots=True)
class SendRetry:
    """Try these scopes again, as (kind, name)."""

    session: int
    node: str
    scopes: tuple[tuple[ScopeKind, str], ...]


@dataclass(frozen=True, slots=True)
class SendGrant:
    """Leave for the disruptive steps of one scope, for ``ttl_s`` seconds."""

    session: int
    waiting: Waiting
    generation: Generation
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Accepted:
    """The offer is in force; ``what`` is policy, fabric, role, pause, retry, leave, rollback or rollout."""

    what: str
    source: str
    generation: Generation


class Blame(StrEnum):
    """Who must act on a declined offer."""

    INPUT = "input"
    """The author: the text is wrong, or cannot be planned."""
    CONFLICT = "conflict"
    """Nobody here: the offer is good, but something else owns what it asks for, or holds the controller back."""
    STORE = "store"
    """The operator of the controller: the change could not be saved."""
    UNKNOWN = "unknown"
    """The caller: it names something that does not exist."""
    FAULT = "fault"
    """Us: judging it failed in a way that nobody foresaw."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The offer changed nothing."""

    what: str
    source: str
    problems: tuple[Problem, ...]
    blame: Blame = Blame.INPUT


@dataclass(frozen=True, slots=True)
class Publish:
    """What the path engine's snapshot is made of (fabric, roles, policies, inventories) has changed."""


Effect = (
    Persist
    | Greet
    | Refuse
    | SendDesired
    | SendHeader
    | SendPause
    | SendRetry
    | SendGrant
    | Accepted
    | Declined
    | Publish
)
Effects = tuple[Effect, ...]
