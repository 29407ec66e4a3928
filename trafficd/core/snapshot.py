"""Everything -> the snapshot that path choice works on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trafficd.choice.snapshot import Engine, NicState, Snapshot
from trafficd.core.balance import Balance, balance
from trafficd.core.frame import Frame, NicFrame
from trafficd.core.telemetry import PortUse, TelemetryStore
from trafficd_topology.counters import Direction
from trafficd_topology.model import NicKind, PortKey, Role

VALID_FOR_MS = 3000
"""Telemetry older than this is stale: three samples at the slowest usual pace."""


@dataclass(frozen=True, slots=True)
class Live:
    """What the path engine knows: engines as reported, and by ``node/nic`` outstanding bytes and learned rates."""

    engines: tuple[Engine, ...] = ()
    totals: Mapping[str, int] | None = None
    learned: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """``now`` is seconds of the loop's clock and ``unix_ns`` the same moment for everybody else."""

    version: str
    now: float
    unix_ns: int
    valid_for_ms: int = VALID_FOR_MS


def build_snapshot(frame: Frame, telemetry: TelemetryStore, live: Live, moment: Moment) -> Snapshot:
    """The snapshot of this moment."""
    totals, learned = live.totals or {}, live.learned or {}
    states = tuple(
        _state(nic, telemetry, totals.get(name, 0), moment)._replace(learned=learned.get(name, 1.0))
        for nic, name in zip(frame.nics, frame.layout.index.nic_names, strict=True)
    )
    return Snapshot(
        moment.version,
        moment.unix_ns,
        moment.valid_for_ms,
        frame.layout,
        states,
        live.engines,
        frame.markings,
        frame.settings,
    )


@dataclass(frozen=True, slots=True)
class _Split:
    """One direction of a NIC, bytes per second: KV, and what is served before or with it."""

    kv: float = 0.0
    ahead: float = 0.0


def _state(nic: NicFrame, telemetry: TelemetryStore, outstanding: int, moment: Moment) -> NicState:
    own = telemetry.use(nic.own)
    peer = telemetry.use(nic.peer) if nic.peer else None
    known = [use for use in (own, peer) if use is not None and use.known]
    splits = [_split(nic, _sent(nic, own)), _split(nic, _received(nic, own, peer))]
    ahead_bps = 8 * max(s.ahead for s in splits)
    floor_bps = nic.rate_bps * nic.guarantee if nic.guarantee is not None else 0.0
    at = min((use.at for use in known), default=None)
    return NicState(
        nic.rate_bps,
        int(min(nic.rate_bps, max(nic.rate_bps - ahead_bps, floor_bps))),
        int(_possible(nic, max(s.kv for s in splits))),
        outstanding,
        None if at is None else moment.unix_ns - int((moment.now - at) * 1e9),
        nic.up,
    )


@dataclass(frozen=True, slots=True)
class _Carried:
    """One direction of a NIC: the whole and by lane, bytes per second; empty where it is not counted."""

    whole: float | None
    lanes: Mapping[int, float]


def _sent(nic: NicFrame, own: PortUse | None) -> _Carried:
    if own is None:
        return _Carried(None, {})
    return _Carried(own.transmit, own.by_lane(Direction.TRANSMIT, nic.lane_of))


def _received(nic: NicFrame, own: PortUse | None, peer: PortUse | None) -> _Carried:
    """Lanes are arbitrated where a packet is sent: what a NIC receives, the switch's port counts by lane."""
    whole = own.receive if own is not None else None
    lanes = own.by_lane(Direction.RECEIVE, nic.lane_of) if own is not None else {}
    if peer is None:
        return _Carried(whole, lanes)
    return _Carried(peer.transmit if whole is None else whole, lanes or peer.by_lane(Direction.TRANSMIT))


def _possible(nic: NicFrame, bytes_per_s: float | None) -> float:
    """What was counted one way, at most what the NIC can carry: a counter that jumped is no load."""
    return min(bytes_per_s or 0.0, nic.rate_bps / 8)


def _split(nic: NicFrame, carried: _Carried) -> _Split:
    """Without counters by lane, what a storage NIC carries is taken for KV, and what a compute NIC does is not."""
    if carried.lanes and nic.guarantee is not None:
        ahead = sum(use for lane, use in carried.lanes.items() if lane in nic.ahead)
        return _Split(carried.lanes.get(nic.kv_lane_id, 0.0), ahead)
    whole = carried.whole or 0.0
    return _Split(whole, 0.0) if nic.kind is NicKind.STORAGE else _Split(0.0, whole)


@dataclass(frozen=True, slots=True)
class NicLoad:
    """Bytes per second that a NIC carries, both ways together."""

    port: PortKey
    kind: NicKind
    role: Role
    bytes_per_s: float


def loads(frame: Frame, telemetry: TelemetryStore) -> tuple[NicLoad, ...]:
    """What each NIC of the inference nodes carries; storage hosts are not theirs to balance."""
    nics = ((nic, telemetry.use(nic.own)) for nic in frame.nics if nic.role is not Role.STORAGE)
    return tuple(
        NicLoad(nic.port, nic.kind, nic.role, _possible(nic, use.transmit) + _possible(nic, use.receive))
        for nic, use in nics
        if use is not None
    )


def balance_of(kind: NicKind, among: Iterable[NicLoad]) -> Balance:
    """How evenly the NICs of one kind are used."""
    return balance(load.bytes_per_s for load in among if load.kind is kind)


@dataclass(frozen=True, slots=True)
class RoleUse:
    """NICs of one kind on the hosts of one role: what one of them carries on average, bytes per second, and how even."""

    kind: NicKind
    role: Role
    mean_bytes_per_s: float
    balance: Balance


def use_by_role(among: Iterable[NicLoad]) -> tuple[RoleUse, ...]:
    """Of every kind and role that has a NIC with counters."""
    groups: dict[tuple[NicKind, Role], list[float]] = {}
    for load in among:
        groups.setdefault((load.kind, load.role), []).append(load.bytes_per_s)
    return tuple(
        RoleUse(kind, role, sum(loads) / len(loads), balance(loads)) for (kind, role), loads in groups.items()
    )
