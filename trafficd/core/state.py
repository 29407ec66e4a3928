"""What the control loop knows: immutable values, replaced whole by every step.

Three sorts of knowledge stand side by side. What is **saved** survives a restart (``Saved``): identity,
generation, accepted texts, roles, the digest of what each node was last told. What agents **report** is lost with
the process and comes back with their next hello (``NodeState``). What is **derived** (the plan) is computed from
both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from trafficd.core.losses import Losses
from trafficd.core.plan import Plan, PlanOptions
from trafficd.core.records import Leave, Origin, Pause
from trafficd.core.rollout import Rollout
from trafficd_topology.model import FabricSpec, NodeInventory, Problem, Role
from trafficd_topology.qos.paths import PathRules
from trafficd_topology.qos.policy import Policy, RolloutSettings
from trafficd_topology.status import Generation, ScopeStatus

DEFAULT_OPTIONS = PlanOptions()


class Owner(StrEnum):
    """Who may change a policy. A policy has one owner."""

    FILE = "file"
    API = "api"


@dataclass(frozen=True, slots=True)
class PolicySource:
    """An accepted policy text and those of its policies that are in force.

    ``digest`` is the SHA-256 of ``text``, in hex. ``source`` is the file's path, or ``api``. ``broken`` says why a
    saved text can no longer be read; until it is replaced nothing is programmed.
    """

    owner: Owner
    source: str
    digest: str
    text: str
    policies: tuple[Policy, ...]
    broken: str = ""
    rollout: RolloutSettings | None = None
    paths: PathRules | None = None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(p.name for p in self.policies)


@dataclass(frozen=True, slots=True)
class FabricSource:
    """The accepted fabric text; ``spec`` is None when a saved text can no longer be read (``broken`` says why)."""

    digest: str
    text: str
    spec: FabricSpec | None
    broken: str = ""


@dataclass(frozen=True, slots=True, order=True)
class RoleOverride:
    """A role set at run time. It holds until the fabric file gives the host another role than ``base``."""

    host: str
    role: Role
    base: Role


@dataclass(frozen=True, slots=True)
class SavedPolicy:
    """A ``PolicySource`` as it is kept: the text and the names that are in force."""

    owner: Owner
    source: str
    digest: str
    text: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Policies as they were accepted: ``generation`` is the first with them, ``cause`` file, api, rollback or abort."""

    generation: Generation
    origin: Origin
    cause: str
    sources: tuple[SavedPolicy, ...]


@dataclass(frozen=True, slots=True)
class Override:
    """A file's content that was rolled back: it stays out of force until the file's digest is another one.

    ``digest`` is that of the content rolled back, ``restored`` the generation whose policies are in force instead.
    """

    source: str
    digest: str
    restored: Generation


@dataclass(frozen=True, slots=True)
class SavedFabric:
    digest: str
    text: str


@dataclass(frozen=True, slots=True)
class Saved:
    """Everything that survives a restart. ``digests`` holds (node, digest of its desired state), by node; ``writers``
    holds (subnet, node that programs it), by subnet.
    """

    uuid: str
    generation: Generation
    policies: tuple[SavedPolicy, ...] = ()
    fabric: SavedFabric | None = None
    roles: tuple[RoleOverride, ...] = ()
    digests: tuple[tuple[str, str], ...] = ()
    writers: tuple[tuple[str, str], ...] = ()
    pause: Pause | None = None
    history: tuple[HistoryEntry, ...] = ()
    override: Override | None = None
    rollout: Rollout | None = None
    before: tuple[SavedPolicy, ...] = ()
    leave: Leave | None = None


@dataclass(frozen=True, slots=True)
class NodeState:
    """One agent as its session shows it. ``session`` is None while it is not connected.

    ``holds`` is the digest we believe it has; ``told`` the last generation sent in this session, at ``told_at``
    (seconds, the loop's clock). ``since`` is the generation under which it was last sent a whole state in this
    session: what it reports of an earlier one is about the past. ``offset_s`` is its clock minus ours.
    """

    name: str
    session: int | None
    inventory: NodeInventory
    agent_version: str = ""
    boot_id: str = ""
    offset_s: float = 0.0
    kinds: frozenset[str] = frozenset()
    holds: str = ""
    told: Generation | None = None
    told_at: float = 0.0
    since: Generation | None = None
    acknowledged: Generation | None = None
    refusal: str = ""
    scopes: tuple[ScopeStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A session that is not served and why, remembered while the agent keeps trying."""

    node: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Gap:
    """An agent has accepted more than we remember having said: our state file is older than the cluster."""

    node: str
    theirs: Generation
    ours: Generation

    def __str__(self) -> str:
        return (
            f"node {self.node} has accepted generation {self.theirs}, and what this controller remembers ends with {self.ours}: "
            "its state file was lost or restored from an older copy; nothing is programmed until the newest copy is put "
            "back, or an operator has it take over from its agents (trafficd serve --recover)"
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """Whom an agent follows, and the last generation it took from it, by its newest hello."""

    uuid: str
    accepted: Generation


@dataclass(frozen=True, slots=True)
class Rejected:
    """The last offer of this source that was turned down; what was in force stays."""

    source: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class ControlState:
    """The whole state of the loop. ``stale`` asks for a new plan at the next ``Settle``."""

    uuid: str
    generation: Generation
    policies: tuple[PolicySource, ...] = ()
    fabric: FabricSource | None = None
    roles: tuple[RoleOverride, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    writers: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, NodeState] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    gap: Gap | None = None
    plan: Plan | None = None
    stale: bool = False
    options: PlanOptions = DEFAULT_OPTIONS
    trouble: str = ""
    """Why the last change could not be saved; empty when it was."""

    pause: Pause | None = None
    history: tuple[HistoryEntry, ...] = ()
    override: Override | None = None
    rollout: Rollout | None = None
    before: tuple[PolicySource, ...] = ()
    """While a rollout is under way: what is in force on nodes that it has not admitted yet."""
    leave: Leave | None = None
    claims: Mapping[str, Claim] = field(default_factory=dict)
    """By node, of agents that are served and of those that are not."""
    losses: Mapping[str, Losses] = field(default_factory=dict)
    """What each node loses, as of the last tick."""
    marked: frozenset[str] = frozenset()
    """Policies of which counters showed that the model's traffic is marked; not saved."""
    recover: bool = False
    """Started with leave to take over agents that are ahead; an operator's confirmation ends it."""

    @property
    def recovering(self) -> bool:
        """Nothing is known but what agents say, and nobody has confirmed it yet: no agent is served."""
        return self.recover and not self.remembers

    @property
    def remembers(self) -> bool:
        """Whether this state file has ever told an agent anything."""
        return self.generation != Generation(1, 0) or bool(self.digests)

    def with_node(self, node: NodeState) -> ControlState:
        return replace(self, nodes={**self.nodes, node.name: node})

    def owner_of(self, policy: str) -> PolicySource | None:
        return next((s for s in self.policies if policy in s.names), None)

    @property
    def in_force(self) -> tuple[Policy, ...]:
        """Every policy in force, by name."""
        return tuple(sorted((p for s in self.policies for p in s.policies), key=lambda p: p.name))

    @property
    def paths(self) -> PathRules | None:
        """How paths are chosen: as the file says, else as the API's newest text does; None says nothing."""
        said = sorted(
            (s for s in self.policies if s.paths is not None), key=lambda s: s.owner is not Owner.FILE
        )
        return said[0].paths if said else None

    @property
    def spec(self) -> FabricSpec | None:
        """The fabric with the roles that hold now; None while there is none."""
        if self.fabric is None or self.fabric.spec is None:
            return None
        if not self.roles:
            return self.fabric.spec
        roles = {r.host: r.role for r in self.roles}
        hosts = tuple(replace(h, role=roles.get(h.name, h.role)) for h in self.fabric.spec.hosts)
        return replace(self.fabric.spec, hosts=hosts)


def saved_policies(sources: tuple[PolicySource, ...]) -> tuple[SavedPolicy, ...]:
    return tuple(SavedPolicy(s.owner, s.source, s.digest, s.text, tuple(sorted(s.names))) for s in sources)


def saved(state: ControlState) -> Saved:
    """What of a state survives a restart. Times of the loop's clock do not."""
    leave, rollout = state.leave, state.rollout
    return Saved(
        state.uuid,
        state.generation,
        saved_policies(state.policies),
        None if state.fabric is None else SavedFabric(state.fabric.digest, state.fabric.text),
        state.roles,
        tuple(sorted(state.digests.items())),
        tuple(sorted(state.writers.items())),
        state.pause,
        state.history,
        state.override,
        None if rollout is None else replace(rollout, since=None),
        saved_policies(state.before),
        None if leave is None else replace(leave, slots=tuple(replace(s, until=None) for s in leave.slots)),
    )
