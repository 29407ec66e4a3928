"""What agents say and hear: messages of agent.proto <-> events, effects and values of the core."""

from __future__ import annotations

import zlib
from dataclasses import fields

from trafficd.api.v1 import agent_pb2
from trafficd.convert.words import (
    condition,
    condition_message,
    disruption,
    disruption_message,
    element_message,
    generation,
    generation_message,
    number,
    word,
)
from trafficd.core.effects import SendDesired, SendGrant, SendHeader, SendRetry
from trafficd.core.events import Acknowledged, Hello, InventoryReported, StatusReported
from trafficd.core.plan import ScopePlan
from trafficd.core.records import Pause
from trafficd_topology.diff import FieldDifference
from trafficd_topology.model import (
    DriverOffer,
    FabricInventory,
    FabricPortType,
    FabricSetting,
    Gpu,
    LinkLayer,
    NodeInventory,
    PortInventory,
    ScopeKind,
)
from trafficd_topology.qos.dcb import DcbFeatures
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import ScopeStatus


def hello(session: int, message: agent_pb2.Hello, now_unix_ns: int) -> Hello:
    offset_ns = message.sent_unix_ns - now_unix_ns if message.sent_unix_ns else 0
    return Hello(
        session=session,
        node=message.node,
        inventory=inventory(message.node, message.inventory),
        follows=message.controller_uuid,
        accepted=generation(message.accepted) if message.HasField("accepted") else None,
        digest=message.accepted_digest,
        agent_version=message.agent_version,
        boot_id=message.boot_id,
        offset_s=offset_ns / 1e9,
        kinds=frozenset(message.element_kinds),
    )


def acknowledged(session: int, node: str, message: agent_pb2.Acknowledgement) -> Acknowledged:
    return Acknowledged(
        session, node, generation(message.generation), message.digest, message.accepted, message.reason
    )


def status_reported(session: int, node: str, message: agent_pb2.StatusReport) -> StatusReported:
    return StatusReported(session, node, tuple(scope_status(s) for s in message.scopes))


def inventory_reported(session: int, node: str, message: agent_pb2.InventoryReport) -> InventoryReported:
    return InventoryReported(session, node, inventory(node, message))


def scope_status(message: agent_pb2.ScopeStatus) -> ScopeStatus:
    return ScopeStatus(
        kind=word(ScopeKind, message.kind, ScopeKind.PORT),
        name=message.name,
        driver=message.driver,
        mode=word(Mode, message.mode, Mode.OBSERVE),
        observed=generation(message.observed),
        conditions=tuple(c for m in message.conditions if (c := condition(m)) is not None),
        differences=tuple(FieldDifference(d.path, d.desired, d.observed) for d in message.differences),
        unreadable=tuple(message.unreadable),
        foreign=tuple(message.foreign),
        repairs=message.repairs,
        drifts=message.drifts,
        drift_cause=message.drift_cause,
        apply_seconds=message.apply_seconds,
        paused=message.paused,
        waiting_for=disruption(message.waiting_for),
        waiting_steps=tuple(message.waiting_steps),
        drained=message.drained if message.HasField("drained") else None,
        latched=message.latched,
    )


def scope_status_message(status: ScopeStatus) -> agent_pb2.ScopeStatus:
    message = agent_pb2.ScopeStatus(
        kind=number(status.kind),
        name=status.name,
        driver=status.driver,
        mode=number(status.mode),
        observed=generation_message(status.observed),
        conditions=[condition_message(c) for c in status.conditions],
        differences=[
            agent_pb2.FieldDifference(path=d.path, desired=d.desired, observed=d.observed)
            for d in status.differences
        ],
        unreadable=status.unreadable,
        foreign=status.foreign,
        repairs=status.repairs,
        drifts=status.drifts,
        drift_cause=status.drift_cause,
        apply_seconds=status.apply_seconds,
        paused=status.paused,
        waiting_for=None if status.waiting_for is None else disruption_message(status.waiting_for),
        waiting_steps=status.waiting_steps,
        latched=status.latched,
    )
    if status.drained is not None:
        message.drained = status.drained
    return message


def inventory(node: str, message: agent_pb2.InventoryReport) -> NodeInventory:
    return NodeInventory(
        node,
        tuple(_port(p) for p in message.ports),
        tuple(_fabric(f) for f in message.fabrics),
        tuple(_gpu(g) for g in message.gpus),
        message.memory_bytes or None,
    )


def _offers(message: agent_pb2.PortInventory | agent_pb2.FabricInventory) -> tuple[DriverOffer, ...]:
    return tuple(
        DriverOffer(o.driver, o.supported, o.reason, _dcb(o.dcb) if o.HasField("dcb") else None)
        for o in message.offers
    )


def _dcb(m: agent_pb2.DcbFeatures) -> DcbFeatures:
    return DcbFeatures(
        tuple(m.kinds), m.traffic_classes, m.lossless, m.buffer_bytes, m.cell_bytes, m.kernel_driver
    )


def _port(message: agent_pb2.PortInventory) -> PortInventory:
    return PortInventory(
        name=message.name,
        link_layer=word(LinkLayer, message.link_layer, LinkLayer.ETHERNET),
        rate_bps=message.rate_bps if message.HasField("rate_bps") else None,
        up=message.up if message.HasField("up") else None,
        pci=message.pci or None,
        guid=message.guid or None,
        rdma_device=message.rdma_device or None,
        numa_node=message.numa_node if message.HasField("numa_node") else None,
        pcie_switch=message.pcie_switch or None,
        gpu=message.gpu if message.HasField("gpu") else None,
        tx_queues=message.tx_queues if message.HasField("tx_queues") else None,
        offers=_offers(message),
    )


def _fabric(message: agent_pb2.FabricInventory) -> FabricInventory:
    return FabricInventory(
        message.name,
        message.ports if message.HasField("ports") else None,
        _offers(message),
        tuple(_port_type(t) for t in message.port_types),
        tuple(FabricSetting(s.name, s.value) for s in message.settings),
        _dump(message.dump),
    )


MOST_DUMP_BYTES = 1 << 26
"""Of a subnet's dump; one of 10,000 adapters has 4 MB."""


def _dump(data: bytes) -> str:
    """Empty where it is none, or longer than any subnet's."""
    if not data:
        return ""
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(data, MOST_DUMP_BYTES)
    except zlib.error:
        return ""
    return "" if reader.unconsumed_tail else text.decode(errors="replace")


def _port_type(t: agent_pb2.FabricPortType) -> FabricPortType:
    return FabricPortType(
        t.type, t.ports, t.vls, t.operational_vls, t.high_entries, t.low_entries, t.mtu_bytes
    )


def _gpu(message: agent_pb2.GpuInventory) -> Gpu:
    numa = message.numa_node if message.HasField("numa_node") else None
    return Gpu(message.index, numa, message.pcie_switch or None)


def inventory_message(inventory: NodeInventory) -> agent_pb2.InventoryReport:
    return agent_pb2.InventoryReport(
        ports=[_port_message(p) for p in inventory.ports],
        gpus=[gpu_message(g) for g in inventory.gpus],
        memory_bytes=inventory.memory_bytes or 0,
        fabrics=[
            agent_pb2.FabricInventory(
                name=f.name,
                ports=f.ports,
                offers=_offer_messages(f.offers),
                port_types=[_port_type_message(t) for t in f.port_types],
                settings=[agent_pb2.FabricSetting(name=s.name, value=s.value) for s in f.settings],
                dump=zlib.compress(f.dump.encode()) if f.dump else b"",
            )
            for f in inventory.fabrics
        ],
    )


def _port_type_message(t: FabricPortType) -> agent_pb2.FabricPortType:
    return agent_pb2.FabricPortType(
        type=t.type,
        ports=t.ports,
        vls=t.vls,
        operational_vls=t.operational_vls,
        high_entries=t.high_entries,
        low_entries=t.low_entries,
        mtu_bytes=t.mtu_bytes,
    )


def gpu_message(gpu: Gpu) -> agent_pb2.GpuInventory:
    return agent_pb2.GpuInventory(index=gpu.index, numa_node=gpu.numa_node, pcie_switch=gpu.pcie_switch or "")


def _offer_messages(offers: tuple[DriverOffer, ...]) -> list[agent_pb2.DriverOffer]:
    return [
        agent_pb2.DriverOffer(
            driver=o.driver,
            supported=o.supported,
            reason=o.reason,
            dcb=_dcb_message(o.dcb) if o.dcb else None,
        )
        for o in offers
    ]


def _dcb_message(f: DcbFeatures) -> agent_pb2.DcbFeatures:
    return agent_pb2.DcbFeatures(**{d.name: getattr(f, d.name) for d in fields(f)})


def _port_message(port: PortInventory) -> agent_pb2.PortInventory:
    message = agent_pb2.PortInventory(
        name=port.name,
        link_layer=number(port.link_layer),
        rate_bps=port.rate_bps,
        pci=port.pci or "",
        guid=port.guid or "",
        rdma_device=port.rdma_device or "",
        numa_node=port.numa_node,
        pcie_switch=port.pcie_switch or "",
        gpu=port.gpu,
        tx_queues=port.tx_queues,
        offers=_offer_messages(port.offers),
    )
    if port.up is not None:
        message.up = port.up
    return message


def desired_message(effect: SendDesired, uuid: str) -> agent_pb2.ControlResponse:
    return agent_pb2.ControlResponse(
        desired=agent_pb2.DesiredState(
            generation=generation_message(effect.generation),
            digest=effect.digest,
            scopes=[_scope_message(s) for s in effect.scopes],
            controller_uuid=uuid,
            revert_in_ms=round(effect.revert_in_s * 1000),
        )
    )


def pause_message(pause: Pause | None, uuid: str) -> agent_pb2.ControlResponse:
    """None lifts it."""
    told = agent_pb2.Pause(controller_uuid=uuid, paused=pause is not None)
    if pause is not None:
        by = f"{pause.origin.who}: " if pause.origin.who else ""
        told.reason = f"{by}{pause.reason or 'no reason given'}"
    return agent_pb2.ControlResponse(pause=told)


def retry_message(effect: SendRetry, uuid: str) -> agent_pb2.ControlResponse:
    scopes = [agent_pb2.ScopeRef(kind=number(kind), name=name) for kind, name in effect.scopes]
    return agent_pb2.ControlResponse(retry=agent_pb2.Retry(controller_uuid=uuid, scopes=scopes))


def grant_message(effect: SendGrant, uuid: str) -> agent_pb2.ControlResponse:
    return agent_pb2.ControlResponse(
        grant=agent_pb2.Grant(
            controller_uuid=uuid,
            kind=number(effect.waiting.kind),
            name=effect.waiting.name,
            generation=generation_message(effect.generation),
            disruption=disruption_message(effect.waiting.disruption),
            ttl_ms=round(effect.ttl_s * 1000),
        )
    )


def header_message(effect: SendHeader, uuid: str) -> agent_pb2.ControlResponse:
    return agent_pb2.ControlResponse(
        header=agent_pb2.Header(
            generation=generation_message(effect.generation), digest=effect.digest, controller_uuid=uuid
        )
    )


def _scope_message(scope: ScopePlan) -> agent_pb2.DesiredScope:
    classes = scope.lanes.classes
    return agent_pb2.DesiredScope(
        kind=number(scope.kind),
        name=scope.name,
        driver=scope.driver,
        mode=number(scope.mode),
        policy=scope.policy,
        rate_bps=scope.rate_bps or 0,
        nic_kind=number(scope.nic_kind) if scope.nic_kind else None,
        elements=[element_message(e) for e in scope.elements],
        lanes=[
            agent_pb2.ScopeLane(
                id=lane.id,
                name=lane.name,
                traffic_classes=[c.name for c in classes if c.lane == lane.name],
                guaranteed_ratio=ratio,
                unmarked=lane == scope.lanes.default,
                priority=scope.priorities[i] if scope.priorities else None,
            )
            for i, (lane, ratio) in enumerate(zip(scope.lanes.lanes, scope.guaranteed, strict=True))
        ],
    )
