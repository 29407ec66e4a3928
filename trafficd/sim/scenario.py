"""What a simulation is told: a cluster, work, contenders, what goes wrong and when. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from trafficd.choice.request import Abilities
from trafficd.sim.workload import Agent
from trafficd_topology.model import FabricSpec
from trafficd_topology.qos.policy import Policy


class Caller(StrEnum):
    """What the scheduler that asks can execute."""

    PREFILL = "prefill"
    EITHER = "either"
    SPLIT = "split"
    RELAY = "relay"


ABILITIES = {
    Caller.PREFILL: Abilities(),
    Caller.EITHER: Abilities(read_on_decode_side=True),
    Caller.SPLIT: Abilities(read_on_decode_side=True, max_legs=4),
    Caller.RELAY: Abilities(read_on_decode_side=True, relay=True, max_legs=4),
}


class Pick(StrEnum):
    """Who picks the engines: the path service, or the caller by itself, which then names one of each."""

    SERVICE = "service"
    ROTATION = "rotation"
    RANDOM = "random"
    LEAST_LOADED = "least-loaded"
    HOME = "home"
    """Each agent has engines of its own and keeps them."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to choose. ``strategy`` and ``engines`` are names of ``trafficd.choice.registry``; empty is its own rule."""

    name: str
    strategy: str
    caller: Caller = Caller.EITHER
    engines: str = ""
    pick: Pick = Pick.SERVICE


@dataclass(frozen=True, slots=True)
class Compute:
    """Rates of one GPU. Prefill of a turn takes append / tokens_per_s x (1 + context / attention_tokens) seconds.

    A decode step of ``n`` sequences takes base + n x each seconds. ``layerwise``: KV moves to and from HBM layer by
    layer, beside the computation. ``streamed``: bytes pass the reader's buffer while they are read and are not
    computed on (the demo's reads); no compute at all.
    """

    kv_bytes_per_token: int = 40_000
    prefill_tokens_per_s: float = 5_300.0
    attention_tokens: float = 32_000.0
    decode_base_s: float = 0.030
    decode_each_s: float = 0.0006
    layerwise: bool = True
    write_back: bool = True
    decode: bool = True
    """False: a turn ends with its first token; what is generated takes as long whoever chooses."""
    streamed: bool = False
    scale: float = 1.0
    """Speed of compute as a whole: 2 halves every time above."""

    def prefill_s(self, hit: int, append: int) -> float:
        context = hit + append / 2
        seconds = append / self.prefill_tokens_per_s * (1 + context / self.attention_tokens)
        return seconds / self.scale

    def step_s(self, sequences: int) -> float:
        return (self.decode_base_s + sequences * self.decode_each_s) / self.scale


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Samples every ``interval_s`` (None: never), known to the service ``delay_s`` later."""

    interval_s: float | None = 1.0
    delay_s: float = 0.0
    valid_s: float = 3.0


class Where(StrEnum):
    """Which NICs of prefill and decode nodes carry a load."""

    COMPUTE = "compute"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True)
class Load:
    """Traffic beside KV: a part of the rate, evenly drawn from mean - spread to mean + spread and redrawn after
    ``hold_s``. On compute NICs it is the model's, one draw a node; on storage NICs foreign, one draw a NIC.
    """

    where: Where
    mean: float
    spread: float = 0.0
    hold_s: float = 5.0
    streams: int = 8
    nics: tuple[str, ...] = ()
    """Only these, as node/nic; empty: all of the kind."""


class FaultKind(StrEnum):
    NIC_DOWN = "nic-down"
    NIC_RATE = "nic-rate"
    LINK_DOWN = "link-down"
    SERVER_RATE = "server-rate"
    TELEMETRY_STOPS = "telemetry-stops"
    AGENTS_LOST = "agents-lost"


@dataclass(frozen=True, slots=True)
class Fault:
    """``target``: node/nic, a cable's name, or a storage host. ``known``: a changed rate is told to the service."""

    kind: FaultKind
    target: str
    at_s: float = 0.0
    until_s: float | None = None
    factor: float = 0.0
    known: bool = True


@dataclass(frozen=True, slots=True)
class Conditions:
    """What makes life hard. ``through`` is the part of the reads that ask us; the others go where they like, unreported.

    ``byte_error``: estimates are wrong by up to this part either way. ``read_cap_bytes_per_s`` and ``setup_s`` hold
    every leg. ``lost``: the part of releases that never arrive. ``schedulers``: callers with ledgers of their own.
    ``detect_s``: how long a caller takes to give up a read that stands still.
    """

    through: float = 1.0
    byte_error: float = 0.0
    read_cap_bytes_per_s: float | None = None
    setup_s: float = 0.0
    lost: float = 0.0
    lease_s: float = 60.0
    schedulers: int = 1
    detect_s: float = 1.0
    by_node: bool = False
    """Each agent's KV lies on one storage host instead of being striped over the pool."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything but who chooses and the seed's draws: agents are drawn already, so that all meet the same."""

    name: str
    fabric: FabricSpec
    agents: tuple[Agent, ...]
    policy: Policy | None = None
    goodput: float = 1.0
    compute: Compute = field(default_factory=Compute)
    telemetry: Telemetry = field(default_factory=Telemetry)
    loads: tuple[Load, ...] = ()
    faults: tuple[Fault, ...] = ()
    conditions: Conditions = field(default_factory=Conditions)
    in_flight: int | None = None
    """Agents under way at once; None: all."""
    seconds: float | None = None
    """The run ends here whatever is under way; None: with the last turn."""
    window_s: float = 1.0
    pool: str = "kv"
    settings: tuple[tuple[str, float | bool | str], ...] = field(default=())
    """Of the choice (``PathSettings``), by name."""
    seed: int = 1
