"""PathService's messages <-> ``trafficd.choice``, as the client needs them."""

from __future__ import annotations

from typing import Any

from trafficd.api.v1 import path_pb2, qos_pb2
from trafficd.choice.request import (
    Answer,
    EngineRef,
    EngineReport,
    Fallback,
    FallbackReason,
    ItemProblem,
    Lease,
    Leg,
    Plan,
    Request,
    Reservation,
    Side,
)
from trafficd.choice.settings import DEFAULTS, PathSettings
from trafficd.choice.snapshot import (
    Attachment,
    Engine,
    Layout,
    LinkLayer,
    Marking,
    Nic,
    NicKind,
    NicState,
    Node,
    Path,
    Role,
    Snapshot,
)

_ROLES = {int(r): r for r in Role}
_KINDS = {int(k): k for k in NicKind}
_LAYERS = {int(layer): layer for layer in LinkLayer}
_REASONS = {int(r): r for r in FallbackReason}
_NS_PER_MS = 1_000_000


def request_message(request: Request) -> path_pb2.RecommendRequest:
    """A well-formed request (see ``check``); ValueError or UnicodeError for one that is not."""
    source, abilities = request.source, request.abilities
    return path_pb2.RecommendRequest(
        request_id=request.id,
        source=path_pb2.Source(
            nodes=[path_pb2.SourceNode(node=n, bytes=b) for n, b in source.nodes], pool=source.pool
        ),
        bytes=request.bytes,
        prefill=[path_pb2.EngineRef(node=n, rank=r) for n, r in request.prefill],
        decode=[path_pb2.EngineRef(node=n, rank=r) for n, r in request.decode],
        intent=request.intent,
        abilities=path_pb2.Abilities(
            read_on_decode_side=abilities.read_on_decode_side,
            relay=abilities.relay,
            max_legs=abilities.max_legs,
            no_prefill_side=abilities.no_prefill_side,
        ),
        reserve_ttl_ms=int(request.reserve_s * 1000),
        max_plans=request.max_plans,
        strategy=request.strategy,
        engine_rule=request.engines,
        prompt_tokens=request.tokens,
        prefill_hit_tokens=request.prefill_hits,
        strict=request.strict,
        explain=request.explain,
    )


def answer(message: path_pb2.RecommendResponse) -> Answer:
    """What the controller said. Reasons that this version does not know are left out."""
    fallback = None
    if message.HasField("fallback"):
        reason = _REASONS.get(message.fallback.reason)
        fallback = None if reason is None else Fallback(reason, message.fallback.detail)
    return Answer(
        tuple([_plan(p) for p in message.plans]),
        message.snapshot_version,
        message.measured_unix_ns,
        message.valid_for_ms,
        fallback,
        lease(message.lease) if message.HasField("lease") else None,
        tuple([ItemProblem(p.item, p.code, p.reason) for p in message.problems]),
    )


def lease(message: path_pb2.Lease) -> Lease:
    return Lease(message.id, message.ttl_ms / 1000)


def _plan(message: path_pb2.PathPlan) -> Plan:
    return Plan(
        _engine(message.prefill) if message.HasField("prefill") else None,
        _engine(message.decode) if message.HasField("decode") else None,
        tuple([_leg(leg) for leg in message.legs]),
        message.expected_seconds,
        message.score,
    )


def _engine(message: path_pb2.EngineRef) -> EngineRef:
    return EngineRef(message.node, message.rank)


def _leg(message: path_pb2.PathLeg) -> Leg:
    return Leg(
        Side.DECODE if message.side == path_pb2.SIDE_DECODE else Side.PREFILL,
        message.reader,
        message.source,
        tuple(message.nics),
        message.bytes,
        message.expected_seconds,
        message.bottleneck,
        message.queue_bytes,
        message.available_bps,
        message.lane_id,
        message.traffic_class,
        tuple(zip(message.resources, message.weights, strict=False)),
    )


def reservation_message(reservation: Reservation) -> path_pb2.Reservation:
    return path_pb2.Reservation(
        request_id=reservation.request_id,
        legs=[path_pb2.LegBytes(nic=leg.nic, bytes=leg.bytes) for leg in reservation.legs],
        ttl_ms=max(1, int(reservation.ttl_s * 1000)),
    )


def report_message(report: EngineReport) -> path_pb2.EngineReport:
    return path_pb2.EngineReport(
        engine=path_pb2.EngineRef(node=report.engine[0], rank=report.engine[1]),
        role=int(report.role),  # type: ignore[arg-type]
        gpu=report.gpu,
        read_queue_bytes=report.read_queue_bytes,
        read_queue_tokens=report.read_queue_tokens,
        bytes_per_token=report.bytes_per_token,
        unfinished_tokens=report.unfinished_tokens,
        unfinished_sequences=report.unfinished_sequences,
        free_hbm_bytes=report.free_hbm_bytes,
        free_dram_bytes=report.free_dram_bytes,
        tokens_per_s=report.tokens_per_s,
        gone=report.gone,
    )


def snapshot(message: path_pb2.Snapshot, before: Snapshot | None) -> Snapshot:
    """The snapshot; the layout of ``before`` is kept where nothing of it changed. IndexError: it contradicts itself."""
    layout = Layout(
        tuple([Node(n.name, _ROLES.get(n.role, Role.OTHER), n.pool) for n in message.nodes]),
        tuple([_nic(n) for n in message.nics]),
        tuple([Attachment(a.switch, tuple(a.nics)) for a in message.attachments]),
        tuple([_path(p) for p in message.paths]),
    )
    if before is not None and before.layout == layout:
        layout = before.layout
    built = message.built_unix_ns
    return Snapshot(
        message.version,
        built,
        message.valid_for_ms,
        layout,
        tuple([_state(n, built) for n in message.nics]),
        tuple([_snapshot_engine(e, layout.nodes[e.node].name) for e in message.engines]),
        tuple([_marking(m) for m in message.markings]),
        _settings(message.settings) if message.HasField("settings") else DEFAULTS,
    )


def _settings(message: path_pb2.PathSettings) -> PathSettings:
    return PathSettings(
        message.strategy,
        message.engine_rule,
        message.through_compute_nics,
        message.alpha_s,
        message.beta_s,
        message.min_part_bytes,
        message.max_parts,
        message.hysteresis,
        message.setup_s,
    )


def _optional(message: Any, field: str) -> int | None:
    return int(getattr(message, field)) if message.HasField(field) else None


def _nic(message: path_pb2.SnapshotNic) -> Nic:
    return Nic(
        message.node,
        message.name,
        _KINDS.get(message.kind, NicKind.UNSPECIFIED),
        _LAYERS.get(message.link_layer, LinkLayer.UNSPECIFIED),
        _optional(message, "gpu"),
        _optional(message, "rail"),
        message.kv_lane_id,
    )


def _state(message: path_pb2.SnapshotNic, built_unix_ns: int) -> NicState:
    age_ms = _optional(message, "telemetry_age_ms")
    return NicState(
        message.rate_bps,
        message.kv_available_bps,
        message.kv_bytes_per_s,
        message.outstanding_bytes,
        None if age_ms is None else built_unix_ns - age_ms * _NS_PER_MS,
        message.up,
        message.learned_ratio or 1.0,
    )


def _path(message: path_pb2.SnapshotPath) -> Path:
    return Path(
        getattr(message, "from"),
        message.to,
        message.hops,
        message.equal_cost_paths,
        message.capacity_bps,
        message.bottleneck,
    )


def _snapshot_engine(message: path_pb2.SnapshotEngine, node: str) -> Engine:
    return Engine(
        node,
        message.rank,
        _ROLES.get(message.role, Role.UNSPECIFIED),
        _optional(message, "gpu"),
        _optional(message, "read_queue_bytes"),
        _optional(message, "unfinished_tokens"),
        _optional(message, "unfinished_sequences"),
        _optional(message, "free_hbm_bytes"),
        _optional(message, "free_dram_bytes"),
        _optional(message, "tokens_per_s"),
    )


def _marking(message: qos_pb2.Marking) -> Marking:
    return Marking(
        message.traffic_class,
        _LAYERS.get(message.link_layer, LinkLayer.UNSPECIFIED),
        message.lane_id,
        tuple(message.service_levels),
        tuple(message.dscps),
        _optional(message, "tos"),
        _optional(message, "so_priority"),
        tuple(message.intents),
    )
