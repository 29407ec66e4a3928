"""What a caller asks and what it is told: requests, plans, legs, leases. Field meanings as in ``trafficd.api.v1``.

What is made anew for every answer is a named tuple: several times cheaper to make than a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from trafficd.choice.evidence import Explanation, Shadow

NOT_FOUND = 5
INVALID_ARGUMENT = 3
RESOURCE_EXHAUSTED = 8
"""Numbers of google.rpc.Code."""


MOST_BYTES = 2**62
"""Sizes above this are taken as this, so that sums stay within what messages carry."""


class Side(IntEnum):
    """Which node's storage NIC reads."""

    PREFILL = 1
    DECODE = 2


class FallbackReason(IntEnum):
    NO_TELEMETRY = 1
    STALE_TELEMETRY = 2
    NO_QUEUE = 3
    LOCAL = 4
    STATIC = 5


class EngineRef(NamedTuple):
    """An inference engine: one GPU's worth of it."""

    node: str
    rank: int = 0

    def __str__(self) -> str:
        return f"{self.node}/{self.rank}"


class SourceNode(NamedTuple):
    """A storage node that holds ``bytes`` of what is to be read."""

    node: str
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where the KV lies: nodes that hold parts of it, or a pool any of whose hosts may serve any byte."""

    nodes: tuple[SourceNode, ...] = ()
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the caller can execute. The default is one leg on the prefill side."""

    read_on_decode_side: bool = False
    relay: bool = False
    max_legs: int = 1
    no_prefill_side: bool = False


PREFILL_ONLY = Abilities()
ANYWHERE = Source()


@dataclass(frozen=True, slots=True)
class Request:
    """A read to place. ``id`` makes a reservation idempotent and breaks near-ties. ``bytes`` 0: the sources' sum.

    Empty ``prefill`` or ``decode`` means any engine of the role. ``reserve_s`` above zero reserves the first plan
    for that long. ``max_plans`` 0 means all. ``strategy`` and ``engines`` are names of ``registry``; empty leaves them to
    the policy. ``prefill_hits`` (as many as ``prefill``, or none) are the tokens of the prompt that each candidate holds
    already; ``tokens`` is the prompt's length. ``strict`` leaves out plans that are much slower than the best.
    """

    id: str = ""
    bytes: int = 0
    prefill: tuple[EngineRef, ...] = ()
    decode: tuple[EngineRef, ...] = ()
    source: Source = ANYWHERE
    intent: str = "kv-read"
    abilities: Abilities = PREFILL_ONLY
    reserve_s: float = 0.0
    max_plans: int = 0
    strategy: str = ""
    engines: str = ""
    tokens: int = 0
    prefill_hits: tuple[int, ...] = ()
    strict: bool = False
    explain: bool = False


class Leg(NamedTuple):
    """One way for a part of the bytes. ``nics`` are ``node/nic`` in the order the bytes pass them."""

    side: Side
    reader: str
    source: str
    nics: tuple[str, ...]
    bytes: int
    expected_seconds: float
    bottleneck: str
    queue_bytes: int
    available_bps: int
    lane_id: int
    traffic_class: str
    loads: tuple[tuple[str, float], ...] = ()
    """Every resource this leg loads (``node/nic``, ``link:...``, ``dram:node``) and how many bytes it moves there per
    byte read. Empty: each of ``nics`` once."""


class Plan(NamedTuple):
    """Engines and legs. ``score``: 1 for the best, towards 0 for slower ones."""

    prefill: EngineRef | None
    decode: EngineRef | None
    legs: tuple[Leg, ...]
    expected_seconds: float
    score: float


class Fallback(NamedTuple):
    """Why an answer is not the full one; ``detail`` is one sentence."""

    reason: FallbackReason
    detail: str


class ItemProblem(NamedTuple):
    """Something named in the request that could not be used; ``code`` is a google.rpc.Code."""

    item: str
    code: int
    reason: str


class Lease(NamedTuple):
    """A reservation's name and how long it lasts from now, seconds."""

    id: str
    ttl_s: float


class Answer(NamedTuple):
    """``plans`` best first. ``fallback`` is None when everything rests on fresh data."""

    plans: tuple[Plan, ...]
    snapshot_version: str = ""
    measured_unix_ns: int = 0
    valid_for_ms: int = 0
    fallback: Fallback | None = None
    lease: Lease | None = None
    problems: tuple[ItemProblem, ...] = ()
    explanation: Explanation | None = None
    shadow: Shadow | None = None


class LegBytes(NamedTuple):
    """Bytes still to come through a NIC (``node/nic``)."""

    nic: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """A choice to be accounted for."""

    request_id: str
    legs: tuple[LegBytes, ...]
    ttl_s: float


def reservation_of(plan: Plan, request_id: str, ttl_s: float) -> Reservation:
    """What taking a plan puts on each resource: every leg loads all that it passes."""
    loads: dict[str, int] = {}
    for leg in plan.legs:
        if leg.loads:
            for name, weight in leg.loads:
                loads[name] = loads.get(name, 0) + round(leg.bytes * weight)
        else:
            for nic in leg.nics:
                loads[nic] = loads.get(nic, 0) + leg.bytes
    return Reservation(request_id, tuple([LegBytes(*load) for load in loads.items()]), ttl_s)


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What an engine says of itself; None leaves unsaid. Queue in bytes, or in tokens with bytes per token."""

    engine: EngineRef
    role: int = 0
    gpu: int | None = None
    read_queue_bytes: int | None = None
    read_queue_tokens: int | None = None
    bytes_per_token: int | None = None
    unfinished_tokens: int | None = None
    unfinished_sequences: int | None = None
    free_hbm_bytes: int | None = None
    free_dram_bytes: int | None = None
    tokens_per_s: int | None = None
    gone: bool = False

    @property
    def queue_bytes(self) -> int | None:
        """The node's read queue in bytes, however it was given; None when it was not."""
        if self.read_queue_bytes is not None:
            return min(self.read_queue_bytes, MOST_BYTES)
        if self.read_queue_tokens is None or self.bytes_per_token is None:
            return None
        return min(self.read_queue_tokens * self.bytes_per_token, MOST_BYTES)
