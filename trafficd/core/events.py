"""What can happen to the control loop. Every event is a value; the edges make them, ``loop.step`` consumes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trafficd.core.losses import Losses
from trafficd.core.records import NOBODY, Origin
from trafficd.core.state import HistoryEntry, Owner, PolicySource
from trafficd_topology.diff import Disruption
from trafficd_topology.model import FabricSpec, NodeInventory, Problem, Role
from trafficd_topology.qos.policy import PolicySet
from trafficd_topology.status import Generation, ScopeStatus


@dataclass(frozen=True, slots=True)
class Hello:
    """An agent began a session, or asks anew within it. ``session`` is a number the edge never uses twice.

    ``follows`` is the controller's uuid the agent has followed, ``accepted`` the last generation it took (None:
    none), ``digest`` that state's digest. ``offset_s`` is its clock minus ours, seconds.
    """

    session: int
    node: str
    inventory: NodeInventory
    follows: str = ""
    accepted: Generation | None = None
    digest: str = ""
    agent_version: str = ""
    boot_id: str = ""
    offset_s: float = 0.0
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Gone:
    """A session ended."""

    session: int
    node: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    session: int
    node: str
    generation: Generation
    digest: str
    accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StatusReported:
    """The status of every scope of the node: one that is not named is no longer managed."""

    session: int
    node: str
    scopes: tuple[ScopeStatus, ...]


@dataclass(frozen=True, slots=True)
class InventoryReported:
    session: int
    node: str
    inventory: NodeInventory


@dataclass(frozen=True, slots=True)
class PolicyOffered:
    """A policy text was read and parsed. ``policies`` is None when it was not good: ``problems`` says why.

    ``remove`` names policies of the API that shall end; a file ends its own by no longer naming them.
    """

    owner: Owner
    source: str
    digest: str
    text: str
    policies: PolicySet | None
    problems: tuple[Problem, ...] = ()
    remove: tuple[str, ...] = ()
    origin: Origin = NOBODY
    allow: LeaveGiven | None = None
    """Leave for disruptive steps that is given with this change, or not at all."""


@dataclass(frozen=True, slots=True)
class FabricOffered:
    """A fabric text was read and parsed. ``spec`` is None when it was not good: ``problems`` says why."""

    source: str
    digest: str
    text: str
    spec: FabricSpec | None
    problems: tuple[Problem, ...] = ()
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class RoleSet:
    host: str
    role: Role
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class PauseSet:
    """Stop every write of every agent, or let them write again."""

    paused: bool
    reason: str
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """Try latched scopes again: nodes, or node/scope; empty means all of them."""

    scopes: tuple[str, ...]
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class LeaveGiven:
    """The operator allows disruptive steps of the change in force, on that many nodes at once."""

    disruption: Disruption
    max_nodes: int
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Put the policies of an older entry in force again; ``sources`` are its texts, parsed."""

    entry: HistoryEntry
    sources: tuple[PolicySource, ...]
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class RolloutSteered:
    """Go on with a halted rollout, or (``abort``) put what was in force before it back everywhere."""

    abort: bool
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class RecoveryConfirmed:
    """The operator says that agents which are ahead of us, and follow ``uuid``, are ours."""

    uuid: str
    origin: Origin = NOBODY


@dataclass(frozen=True, slots=True)
class Settle:
    """The edge has handed over all it had: plan once for everything that came."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes: about once a second. ``losses`` is what each node loses now, by name; ``marked`` are the policies
    whose model traffic is known to be marked. None: as before.
    """

    losses: Mapping[str, Losses] | None = None
    marked: frozenset[str] | None = None


Event = (
    Hello
    | Gone
    | Acknowledged
    | StatusReported
    | InventoryReported
    | PolicyOffered
    | FabricOffered
    | RoleSet
    | PauseSet
    | RetryAsked
    | LeaveGiven
    | RolledBack
    | RolloutSteered
    | RecoveryConfirmed
    | Settle
    | Tick
)
