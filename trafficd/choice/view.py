"""What a strategy looks at: the latest snapshot joined with the ledger and the engines' reports."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from trafficd.choice.account import Account
from trafficd.choice.evidence import Explanation
from trafficd.choice.feedback import Feedback
from trafficd.choice.ranking import Ranking
from trafficd.choice.request import EngineRef, Fallback, Plan, Request, Side
from trafficd.choice.roster import Known, Roster
from trafficd.choice.settings import PathSettings
from trafficd.choice.snapshot import Index, Layout, LinkLayer, NicState, Role, Snapshot

MOST_REMEMBERED = 4096
"""Look-ups by what callers name are remembered up to this many, so that odd names do not fill memory."""


class Serving(NamedTuple):
    """What a source (a node or a pool) can send to a NIC: bytes per second, and the narrowest link on the way."""

    rate: float
    name: str
    link_rate: float
    link: str


class Hop(NamedTuple):
    """From a compute NIC of one node to one of another, by way of the fabric."""

    out: int
    into: int
    link_rate: float
    link: str


class Reader(NamedTuple):
    """A storage NIC that reaches every source of a read. ``per_byte`` is seconds per byte of the slowest of the
    sources and the links from them, named by ``limit``.
    """

    nic: int
    account: Account
    per_byte: float
    limit: str


@dataclass(slots=True)
class Given:
    """What this engine has handed out, for rules that need a memory and no telemetry.

    ``turn`` counts recommendations; ``sides`` are bytes reserved through prefill and decode nodes.
    """

    turn: int = 0
    sides: list[float] = field(default_factory=lambda: [0.0, 0.0])


@dataclass(slots=True)
class View:
    """Everything by index into ``layout.nics`` or ``layout.nodes``. Made once per snapshot; read by every choice.

    ``fresh_until`` is when a NIC's telemetry becomes stale, by the clock of ``now``; minus infinity without any.
    """

    snapshot: Snapshot
    layout: Layout
    index: Index
    states: tuple[NicState, ...]
    accounts: list[Account]
    fresh_until: list[float]
    roster: Roster
    given: Given
    feedback: Feedback
    lanes: dict[tuple[str, LinkLayer], tuple[str, int]]
    """(intent, link layer) -> (traffic class, lane id)."""
    readers: dict[tuple[int, str], tuple[Reader, ...]] = field(default_factory=dict)
    own: dict[EngineRef, int | None] = field(default_factory=dict)
    capacities: dict[Side, float] = field(default_factory=dict)
    serving: dict[tuple[int, str], Serving | None] = field(default_factory=dict)
    hops: dict[tuple[int, int, int | None], tuple[Hop, ...]] = field(default_factory=dict)
    strangers: dict[EngineRef, Known] = field(default_factory=dict)
    roles: dict[Role, tuple[Known, ...]] = field(default_factory=dict)
    rankings: dict[Role, Ranking] = field(default_factory=dict)
    fastest: float = field(init=False)
    """Bytes per second of the NIC with the highest rate."""

    def __post_init__(self) -> None:
        self.fastest = max([state.rate_bps for state in self.states], default=0) / 8 or 1.0

    @property
    def settings(self) -> PathSettings:
        return self.snapshot.settings

    def own_nic(self, known: Known) -> int | None:
        """The compute NIC through which an engine's GPU is reached: its paired one while that is up, else another of
        its node; None when none is up. Remembered per snapshot.
        """
        ref = known.ref
        if ref not in self.own:
            if len(self.own) > MOST_REMEMBERED:
                self.own.clear()
            self.own[ref] = self._own_nic(known)
        return self.own[ref]

    def _own_nic(self, known: Known) -> int | None:
        nics = [i for i in self.index.movers[self.index.node_ids[known.ref.node]] if self.states[i].up]
        gpu = known.engine.gpu
        paired = [i for i in nics if gpu is not None and self.layout.nics[i].gpu == gpu]
        if paired:
            return paired[0]
        return nics[known.ref.rank % len(nics)] if nics else None

    def reach(self, start: int, end: int) -> tuple[float, str] | None:
        """Bytes per second and name of the narrowest link between two NICs; None when there is no way.

        NICs on one switch meet no link but their own. A fabric without any attachment says nothing: all reach all.
        """
        if not self.layout.attachments:
            return math.inf, ""
        a, b = self.index.attachment_of[start], self.index.attachment_of[end]
        if a < 0 or b < 0:
            return None
        if a == b:
            return math.inf, ""
        path = self.index.paths.get((a, b))
        return None if path is None else (path.capacity_bps / 8 or math.inf, path.bottleneck)

    def serve(self, nic: int, source: str, servers: tuple[int, ...]) -> Serving | None:
        """What the NICs of a source can send to ``nic``; None when none reaches it. Remembered per snapshot."""
        key = (self.index.attachment_of[nic], source)
        if key in self.serving:
            return self.serving[key]
        if len(self.serving) > MOST_REMEMBERED:
            self.serving.clear()
        found = self.serving[key] = self._serve(nic, source, servers)
        return found

    def _serve(self, nic: int, source: str, servers: tuple[int, ...]) -> Serving | None:
        ways = [(j, self.reach(j, nic)) for j in servers if self.states[j].up]
        open_ways = [(j, way) for j, way in ways if way is not None]
        if not open_ways:
            return None
        rate = sum(self.accounts[j].offered for j, _ in open_ways)
        link_rate, link = max(way for _, way in open_ways)
        name = f"nic:{self.index.nic_names[open_ways[0][0]]}" if len(open_ways) == 1 else source
        return Serving(max(rate, 1.0), name, link_rate, link)

    def ways(self, start: int, end: int, gpu: int | None) -> tuple[Hop, ...]:
        """NIC pairs from one node to a GPU of another: the GPU's paired NIC, and the sender's on the same rail."""
        key = (start, end, gpu)
        found = self.hops.get(key)
        if found is None:
            if len(self.hops) > MOST_REMEMBERED:
                self.hops.clear()
            found = self.hops[key] = tuple(self._ways(start, end, gpu))
        return found

    def _ways(self, start: int, end: int, gpu: int | None) -> list[Hop]:
        nics = self.layout.nics
        into = [i for i in self.index.movers[end] if self.states[i].up]
        into = [i for i in into if gpu is not None and nics[i].gpu == gpu] or into
        out = [i for i in self.index.movers[start] if self.states[i].up]
        found: list[Hop] = []
        for i in into:
            same_rail = [o for o in out if nics[o].rail is not None and nics[o].rail == nics[i].rail]
            for o in same_rail or out:
                way = self.reach(o, i)
                if way is not None:
                    found.append(Hop(o, i, *way))
        return found


class Ranked(NamedTuple):
    """A strategy's answer: plans best first, the NICs the first one rests on, and why it is not the full answer."""

    plans: tuple[Plan, ...]
    nics: tuple[int, ...]
    fallback: Fallback | None
    explanation: Explanation | None = None


@dataclass(slots=True)
class Task:
    """A request, resolved: names looked up, what is unknown left out."""

    view: View
    request: Request
    now: float
    size: int
    parts: tuple[tuple[str, int, tuple[int, ...]], ...]
    """(source, bytes, NICs that serve it); a pool's source begins with ``pool:``. Empty: from anywhere."""
    prefill: tuple[Known, ...]
    decode: tuple[Known, ...]
    key: str
    """The request id, or a number of our own for a request without one: spreads near-ties."""
    hits: tuple[int, ...] = ()
    """Parallel to ``prefill``: tokens that each holds already; empty when nobody said."""


class Strategy(Protocol):
    """Chooses. Pure but for reading accounts: the same task gives the same answer."""

    @property
    def name(self) -> str: ...

    def rank(self, task: Task) -> Ranked: ...
