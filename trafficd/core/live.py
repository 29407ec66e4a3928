"""What a person sees of a running cluster, all of one moment: the status page and ``trafficd top`` show this.

Rates are bits per second. None is what is not known; it is never 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from trafficd.choice.request import Plan, Side
from trafficd.core.balance import KindBalance
from trafficd.core.frame import Frame, NicFrame
from trafficd.core.overview import overview
from trafficd.core.plan import ScopePlan
from trafficd.core.recent import Recommended, reason
from trafficd.core.snapshot import VALID_FOR_MS
from trafficd.core.state import ControlState, NodeState
from trafficd.core.telemetry import LaneUse, PortUse, TelemetryStore
from trafficd_topology.model import NicKind, PortKey
from trafficd_topology.status import Condition, ConditionStatus, ConditionType

MOST_NOTES = 100
MOST_NAMES = 24


@dataclass(frozen=True, slots=True)
class Now:
    """What the picture is made from. ``now`` is seconds of the loop's clock; ``heard`` are (node, seconds since)."""

    state: ControlState
    frame: Frame | None
    telemetry: TelemetryStore
    balances: tuple[KindBalance, ...]
    heard: tuple[tuple[str, float], ...]
    recommended: tuple[Recommended, ...]
    answered: int
    now: float
    unix_ns: int


@dataclass(frozen=True, slots=True)
class LaneNow:
    """One lane of a port, or of all NICs under a policy. ``guaranteed`` and ``observed`` are parts of 1."""

    policy: str
    lane_id: int
    name: str
    classes: tuple[str, ...]
    guaranteed: float | None
    observed: float | None
    transmit_bps: int | None
    receive_bps: int | None
    backlog_bytes: int | None


@dataclass(frozen=True, slots=True)
class NicNow:
    """``fresh``: measured within the time for which telemetry is believed."""

    port: PortKey
    kind: NicKind
    rate_bps: int
    transmit_bps: int | None
    receive_bps: int | None
    up: bool
    fresh: bool
    age_s: float | None

    @property
    def utilisation(self) -> float | None:
        """The busier direction, 0 to 1."""
        known = [r for r in (self.transmit_bps, self.receive_bps) if r is not None]
        return min(1.0, max(known) / self.rate_bps) if known and self.fresh else None


@dataclass(frozen=True, slots=True)
class NodeNow:
    name: str
    connected: bool
    in_sync: bool | None
    acknowledged: str = ""
    heard_s: float | None = None
    scopes: int = 0
    drifted: int = 0
    latched: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class WaveNow:
    """``nodes`` are the first of ``count``."""

    count: int
    admitted: int
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RolloutNow:
    phase: str
    wave: int
    reason: str
    waves: tuple[WaveNow, ...]


@dataclass(frozen=True, slots=True)
class LegNow:
    side: str
    reader: str
    source: str
    lane_id: int
    traffic_class: str
    bytes: int
    bottleneck: str


@dataclass(frozen=True, slots=True)
class RecommendationNow:
    unix_ns: int
    request_id: str
    bytes: int
    engines: str
    expected_s: float | None
    legs: tuple[LegNow, ...]
    reason: str
    fallback: str
    reserved: bool


@dataclass(frozen=True, slots=True)
class Live:
    """The whole picture. ``nics`` are in the order of the fabric file."""

    unix_ns: int
    uuid: str
    generation: str
    conditions: tuple[Condition, ...]
    notes: tuple[str, ...]
    paused: str
    nics: tuple[NicNow, ...]
    lanes: tuple[LaneNow, ...]
    balances: tuple[KindBalance, ...]
    nodes: tuple[NodeNow, ...]
    rollout: RolloutNow | None
    recommendations: tuple[RecommendationNow, ...]
    answered: int


def live(now: Now) -> Live:
    """The picture of this moment."""
    state, seen = now.state, overview(now.state)
    notes = seen.notes[:MOST_NOTES]
    if len(seen.notes) > MOST_NOTES:
        notes += (f"and {len(seen.notes) - MOST_NOTES} more: trafficd status has them all",)
    frames = () if now.frame is None else now.frame.nics
    return Live(
        now.unix_ns,
        state.uuid,
        str(state.generation),
        seen.conditions,
        notes,
        "" if state.pause is None else state.pause.reason or "no reason given",
        tuple(nic_now(nic, now) for nic in frames),
        lanes_of(frames, state, now.telemetry),
        now.balances,
        _nodes(state, dict(seen.in_sync), dict(now.heard)),
        _rollout(state),
        tuple(map(_recommendation, now.recommended)),
        now.answered,
    )


def nic_now(nic: NicFrame, now: Now) -> NicNow:
    """One NIC; where it does not count, the switch's port at its cable counts the other way."""
    own = now.telemetry.use(nic.own)
    peer = now.telemetry.use(nic.peer) if nic.peer is not None else None
    use = own or peer
    if use is None:
        return NicNow(nic.port, nic.kind, nic.rate_bps, None, None, nic.up, fresh=False, age_s=None)
    sent, received = use.transmit, use.receive
    if own is None:
        sent, received = received, sent
    elif peer is not None:
        sent = peer.receive if sent is None else sent
        received = peer.transmit if received is None else received
    age = max(0.0, now.now - use.at)
    return NicNow(
        nic.port,
        nic.kind,
        nic.rate_bps,
        None if sent is None else min(nic.rate_bps, round(sent * 8)),
        None if received is None else min(nic.rate_bps, round(received * 8)),
        nic.up,
        age * 1000 <= VALID_FOR_MS,
        age,
    )


@dataclass(slots=True)
class _Sum:
    """What one lane carries, over one port or several; None while nothing is known."""

    transmit: float | None = None
    receive: float | None = None
    backlog: int | None = None

    @property
    def both(self) -> float | None:
        known = [r for r in (self.transmit, self.receive) if r is not None]
        return sum(known) if known else None

    def add(self, nic: NicFrame, lane_id: int, telemetry: TelemetryStore) -> None:
        """Count what this NIC carries in that lane; what it receives, the switch's port at its cable may count."""
        own = _lane(telemetry.use(nic.own), lane_id)
        peer = _lane(telemetry.use(nic.peer) if nic.peer else None, lane_id)
        self.transmit = _plus(self.transmit, own.transmit)
        self.receive = _plus(self.receive, peer.transmit if own.receive is None else own.receive)
        self.backlog = _count(self.backlog, own.backlog_bytes)


def _plus(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else a + b


def _count(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


def _lane(use: PortUse | None, lane_id: int) -> LaneUse:
    lanes = () if use is None else use.lanes
    return next((lane for lane in lanes if lane.lane_id == lane_id), LaneUse(lane_id))


def _scope_of(nic: NicFrame, scopes: Mapping[PortKey, ScopePlan]) -> ScopePlan | None:
    """Where the NIC's lanes are planned: at its own port, else at the switch's port that it is cabled to."""
    return scopes.get(nic.port) or (scopes.get(nic.peer) if nic.peer else None)


def _scopes(state: ControlState) -> dict[PortKey, ScopePlan]:
    return {port: scope for scope in (state.plan.scopes if state.plan else ()) for port in scope.ports}


def lanes_of(nics: Iterable[NicFrame], state: ControlState, telemetry: TelemetryStore) -> tuple[LaneNow, ...]:
    """Every lane of every policy, over these NICs together, by policy and lane."""
    scopes = _scopes(state)
    by_policy: dict[str, list[tuple[NicFrame, ScopePlan]]] = defaultdict(list)
    for nic in nics:
        if (scope := _scope_of(nic, scopes)) is not None:
            by_policy[scope.policy].append((nic, scope))
    return tuple(row for _, found in sorted(by_policy.items()) for row in _lanes(found, telemetry))


def _lanes(found: list[tuple[NicFrame, ScopePlan]], telemetry: TelemetryStore) -> Iterator[LaneNow]:
    first = found[0][1]
    sums = [_Sum() for _ in first.lanes.lanes]
    for nic, _ in found:
        for lane, total in zip(first.lanes.lanes, sums, strict=True):
            total.add(nic, lane.id, telemetry)
    everything = sum(s.both or 0.0 for s in sums)
    for i, (lane, total) in enumerate(zip(first.lanes.lanes, sums, strict=True)):
        yield LaneNow(
            first.policy,
            lane.id,
            lane.name,
            tuple(c.name for c in first.lanes.classes if c.lane == lane.name),
            min((s.guaranteed[i] for _, s in found if i < len(s.guaranteed)), default=None),
            None if total.both is None or not everything else total.both / everything,
            _bits(total.transmit),
            _bits(total.receive),
            total.backlog,
        )


def _bits(bytes_per_s: float | None) -> int | None:
    return None if bytes_per_s is None else round(bytes_per_s * 8)


def _nodes(
    state: ControlState, in_sync: Mapping[str, bool], heard: Mapping[str, float]
) -> tuple[NodeNow, ...]:
    return tuple(
        _node(name, state.nodes.get(name), in_sync.get(name), heard.get(name))
        for name in sorted({*state.nodes, *in_sync})
    )


def _node(name: str, node: NodeState | None, in_sync: bool | None, heard_s: float | None) -> NodeNow:
    if node is None:
        why = "no agent has ever connected"
        return NodeNow(name, connected=False, in_sync=in_sync, heard_s=heard_s, trouble=why)
    return NodeNow(
        name,
        node.session is not None,
        in_sync,
        "" if node.acknowledged is None else str(node.acknowledged),
        heard_s,
        len(node.scopes),
        sum(s.is_true(ConditionType.DRIFTED) for s in node.scopes),
        sum(s.latched for s in node.scopes),
        _trouble(node),
    )


def _trouble(node: NodeState) -> str:
    """Why the node is not as it should be, the first sentence of it; empty when it is."""
    if node.refusal:
        return f"refused its desired state: {node.refusal}"
    if node.session is None:
        return "not connected: its agent keeps what it accepted last"
    for scope in node.scopes:
        ready = scope.condition(ConditionType.READY)
        if ready is not None and ready.status is ConditionStatus.FALSE:
            return f"{scope.name}: {ready.message or ready.reason}"
    return ""


def _rollout(state: ControlState) -> RolloutNow | None:
    r = state.rollout
    if r is None:
        return None
    waves = tuple(WaveNow(len(w), sum(n in r.admitted for n in w), w[:MOST_NAMES]) for w in r.waves)
    return RolloutNow(r.phase.value, r.wave, r.reason, waves)


def _recommendation(entry: Recommended) -> RecommendationNow:
    best = entry.plans[0] if entry.plans else None
    return RecommendationNow(
        entry.unix_ns,
        entry.request_id,
        entry.bytes,
        "" if best is None else " + ".join(str(e) for e in (best.prefill, best.decode) if e is not None),
        None if best is None else best.expected_seconds,
        () if best is None else tuple(_legs(best)),
        reason(entry),
        entry.fallback,
        entry.reserved,
    )


def _legs(plan: Plan) -> Iterator[LegNow]:
    for leg in plan.legs:
        side = "prefill" if leg.side is Side.PREFILL else "decode"
        yield LegNow(side, leg.reader, leg.source, leg.lane_id, leg.traffic_class, leg.bytes, leg.bottleneck)
