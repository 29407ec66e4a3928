"""PathService's messages <-> ``trafficd.choice``. On the way of every answer: one pass, nothing looked up twice."""

from __future__ import annotations

from typing import Any

from trafficd.api.v1 import path_pb2, qos_pb2
from trafficd.choice.request import (
    ANYWHERE,
    PREFILL_ONLY,
    Abilities,
    Answer,
    EngineRef,
    EngineReport,
    ItemProblem,
    Lease,
    Leg,
    LegBytes,
    Plan,
    Request,
    Reservation,
    Side,
    Source,
    SourceNode,
)
from trafficd.choice.settings import PathSettings
from trafficd.choice.snapshot import Engine, Marking, NicState, Snapshot
from trafficd.convert.evidence import explanation_message, shadow_message

_NS_PER_MS = 1_000_000


def request(message: path_pb2.RecommendRequest) -> Request:
    """What is asked; every default of the contract is filled in."""
    return Request(
        message.request_id,
        message.bytes,
        tuple([EngineRef(e.node, e.rank) for e in message.prefill]),
        tuple([EngineRef(e.node, e.rank) for e in message.decode]),
        _source(message.source) if message.HasField("source") else ANYWHERE,
        message.intent or "kv-read",
        _abilities(message.abilities) if message.HasField("abilities") else PREFILL_ONLY,
        message.reserve_ttl_ms / 1000,
        message.max_plans,
        message.strategy,
        message.engine_rule,
        message.prompt_tokens,
        tuple(message.prefill_hit_tokens),
        message.strict,
        message.explain,
    )


def _source(message: path_pb2.Source) -> Source:
    return Source(tuple([SourceNode(n.node, n.bytes) for n in message.nodes]), message.pool)


def _abilities(message: path_pb2.Abilities) -> Abilities:
    return Abilities(
        message.read_on_decode_side, message.relay, message.max_legs or 1, message.no_prefill_side
    )


def answer_message(answer: Answer) -> path_pb2.RecommendResponse:
    message = path_pb2.RecommendResponse(
        plans=[_plan(p) for p in answer.plans],
        snapshot_version=answer.snapshot_version,
        measured_unix_ns=answer.measured_unix_ns,
        valid_for_ms=answer.valid_for_ms,
        problems=[problem_message(p) for p in answer.problems],
    )
    if answer.fallback is not None:
        reason, detail = answer.fallback
        message.fallback.CopyFrom(path_pb2.Fallback(reason=int(reason), detail=detail))  # type: ignore[arg-type]
    if answer.lease is not None:
        message.lease.CopyFrom(lease_message(answer.lease))
    if answer.explanation is not None:
        message.explanation.CopyFrom(explanation_message(answer.explanation))
    if answer.shadow is not None:
        message.shadow.CopyFrom(shadow_message(answer.shadow))
    return message


def _plan(plan: Plan) -> path_pb2.PathPlan:
    return path_pb2.PathPlan(
        prefill=_engine(plan.prefill),
        decode=_engine(plan.decode),
        legs=[_leg(leg) for leg in plan.legs],
        expected_seconds=plan.expected_seconds,
        score=plan.score,
    )


def _engine(ref: EngineRef | None) -> path_pb2.EngineRef | None:
    return None if ref is None else path_pb2.EngineRef(node=ref[0], rank=ref[1])


def _leg(leg: Leg) -> path_pb2.PathLeg:
    return path_pb2.PathLeg(
        side=int(leg.side),  # type: ignore[arg-type]
        reader=leg.reader,
        source=leg.source,
        nics=leg.nics,
        bytes=leg.bytes,
        expected_seconds=leg.expected_seconds,
        bottleneck=leg.bottleneck,
        queue_bytes=leg.queue_bytes,
        available_bps=leg.available_bps,
        lane_id=leg.lane_id,
        traffic_class=leg.traffic_class,
        resources=[name for name, _ in leg.loads],
        weights=[weight for _, weight in leg.loads],
    )


def own_choice(message: path_pb2.PathPlan) -> Plan:
    """What a scheduler chose by itself. A leg without resources loads each of its NICs once."""
    legs = tuple(
        [
            Leg(
                Side.DECODE if leg.side == path_pb2.SIDE_DECODE else Side.PREFILL,
                leg.reader,
                leg.source,
                tuple(leg.nics),
                leg.bytes,
                0.0,
                "",
                0,
                0,
                leg.lane_id,
                leg.traffic_class,
                tuple(zip(leg.resources, leg.weights, strict=False)),
            )
            for leg in message.legs
        ]
    )
    prefill = EngineRef(message.prefill.node, message.prefill.rank) if message.HasField("prefill") else None
    decode = EngineRef(message.decode.node, message.decode.rank) if message.HasField("decode") else None
    return Plan(prefill, decode, legs, 0.0, 1.0)


def problem_message(problem: ItemProblem) -> path_pb2.ItemProblem:
    return path_pb2.ItemProblem(item=problem.item, code=problem.code, reason=problem.reason)


def lease_message(lease: Lease) -> path_pb2.Lease:
    return path_pb2.Lease(id=lease.id, ttl_ms=max(0, round(lease.ttl_s * 1000)))


def reservation(message: path_pb2.Reservation) -> Reservation:
    legs = tuple([LegBytes(leg.nic, leg.bytes) for leg in message.legs])
    return Reservation(message.request_id, legs, message.ttl_ms / 1000)


def _optional(message: Any, field: str) -> int | None:
    return int(getattr(message, field)) if message.HasField(field) else None


def engine_report(message: path_pb2.EngineReport) -> EngineReport:
    return EngineReport(
        EngineRef(message.engine.node, message.engine.rank),
        int(message.role),
        _optional(message, "gpu"),
        _optional(message, "read_queue_bytes"),
        _optional(message, "read_queue_tokens"),
        _optional(message, "bytes_per_token"),
        _optional(message, "unfinished_tokens"),
        _optional(message, "unfinished_sequences"),
        _optional(message, "free_hbm_bytes"),
        _optional(message, "free_dram_bytes"),
        _optional(message, "tokens_per_s"),
        message.gone,
    )


def snapshot_message(snapshot: Snapshot) -> path_pb2.Snapshot:
    """The whole snapshot; engines of nodes that the fabric does not have are left out."""
    node_ids = snapshot.layout.index.node_ids
    message = path_pb2.Snapshot(
        version=snapshot.version,
        built_unix_ns=snapshot.built_unix_ns,
        valid_for_ms=snapshot.valid_for_ms,
        nics=[_nic(snapshot, i, state) for i, state in enumerate(snapshot.states)],
        markings=[_marking(m) for m in snapshot.markings],
        engines=[_snapshot_engine(e, node_ids[e.node]) for e in snapshot.engines if e.node in node_ids],
        settings=_settings(snapshot.settings),
    )
    _add_layout(message, snapshot)
    return message


def _settings(settings: PathSettings) -> path_pb2.PathSettings:
    return path_pb2.PathSettings(
        strategy=settings.strategy,
        engine_rule=settings.engines,
        through_compute_nics=settings.through_compute_nics,
        alpha_s=settings.alpha_s,
        beta_s=settings.beta_s,
        min_part_bytes=settings.min_part_bytes,
        max_parts=settings.max_parts,
        hysteresis=settings.hysteresis,
        setup_s=settings.setup_s,
    )


def _add_layout(message: path_pb2.Snapshot, snapshot: Snapshot) -> None:
    layout = snapshot.layout
    message.nodes.extend(
        path_pb2.SnapshotNode(name=n.name, role=int(n.role), pool=n.pool)  # type: ignore[arg-type]
        for n in layout.nodes
    )
    message.attachments.extend(
        path_pb2.SnapshotAttachment(switch=a.switch, nics=a.nics) for a in layout.attachments
    )
    for p in layout.paths:
        row = message.paths.add(
            to=p.end,
            hops=p.hops,
            equal_cost_paths=p.equal_cost_paths,
            capacity_bps=p.capacity_bps,
            bottleneck=p.bottleneck,
        )
        setattr(row, "from", p.start)


def _nic(snapshot: Snapshot, i: int, state: NicState) -> path_pb2.SnapshotNic:
    nic = snapshot.layout.nics[i]
    age = None
    if state.measured_unix_ns is not None:
        age = max(0, (snapshot.built_unix_ns - state.measured_unix_ns) // _NS_PER_MS)
    return path_pb2.SnapshotNic(
        node=nic.node,
        name=nic.name,
        kind=int(nic.kind),  # type: ignore[arg-type]
        link_layer=int(nic.link_layer),  # type: ignore[arg-type]
        rate_bps=state.rate_bps,
        kv_available_bps=state.kv_available_bps,
        kv_bytes_per_s=state.kv_bytes_per_s,
        outstanding_bytes=state.outstanding_bytes,
        telemetry_age_ms=age,
        up=state.up,
        gpu=nic.gpu,
        rail=nic.rail,
        kv_lane_id=nic.kv_lane_id,
        learned_ratio=0.0 if state.learned == 1.0 else state.learned,
    )


def _marking(marking: Marking) -> qos_pb2.Marking:
    return qos_pb2.Marking(
        traffic_class=marking.traffic_class,
        link_layer=int(marking.link_layer),  # type: ignore[arg-type]
        lane_id=marking.lane_id,
        service_levels=marking.service_levels,
        dscps=marking.dscps,
        tos=marking.tos,
        so_priority=marking.so_priority,
        intents=marking.intents,
    )


def _snapshot_engine(engine: Engine, node: int) -> path_pb2.SnapshotEngine:
    return path_pb2.SnapshotEngine(
        node=node,
        rank=engine.rank,
        role=int(engine.role),  # type: ignore[arg-type]
        gpu=engine.gpu,
        read_queue_bytes=engine.read_queue_bytes,
        unfinished_tokens=engine.unfinished_tokens,
        unfinished_sequences=engine.unfinished_sequences,
        free_hbm_bytes=engine.free_hbm_bytes,
        free_dram_bytes=engine.free_dram_bytes,
        tokens_per_s=engine.tokens_per_s,
    )
