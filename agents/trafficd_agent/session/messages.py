"""Messages to and from values: what the agent says and hears, in its own words."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from trafficd.api.v1 import agent_pb2, qos_pb2
from trafficd_agent.desired import Desired, DesiredScope, ScopeId, ScopeLane
from trafficd_agent.scope import Granted
from trafficd_topology.counters import Column, CounterKind, Direction, Sample, Values
from trafficd_topology.diff import Disruption, Element, State, state
from trafficd_topology.model import (
    DriverOffer,
    FabricInventory,
    FabricPortType,
    Gpu,
    LinkLayer,
    NodeInventory,
    PortInventory,
    ScopeKind,
)
from trafficd_topology.qos.dcb import DcbFeatures
from trafficd_topology.qos.kinds import KINDS
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Condition, ConditionStatus, ConditionType, Generation, ScopeStatus

KIND_IN = {agent_pb2.SCOPE_KIND_PORT: ScopeKind.PORT, agent_pb2.SCOPE_KIND_FABRIC: ScopeKind.FABRIC}
KIND_OUT = {v: k for k, v in KIND_IN.items()}
MODE_IN = {qos_pb2.MODE_OBSERVE: Mode.OBSERVE, qos_pb2.MODE_ENFORCE: Mode.ENFORCE}
NIC_KIND_IN = {qos_pb2.NIC_KIND_COMPUTE: "compute", qos_pb2.NIC_KIND_STORAGE: "storage"}
MODE_OUT = {v: k for k, v in MODE_IN.items()}
TYPE_OUT = {
    ConditionType.APPLIED: qos_pb2.CONDITION_TYPE_APPLIED,
    ConditionType.VERIFIED: qos_pb2.CONDITION_TYPE_VERIFIED,
    ConditionType.DRIFTED: qos_pb2.CONDITION_TYPE_DRIFTED,
    ConditionType.READY: qos_pb2.CONDITION_TYPE_READY,
}
STATUS_OUT = {
    ConditionStatus.TRUE: qos_pb2.CONDITION_STATUS_TRUE,
    ConditionStatus.FALSE: qos_pb2.CONDITION_STATUS_FALSE,
    ConditionStatus.UNKNOWN: qos_pb2.CONDITION_STATUS_UNKNOWN,
}
LAYER_OUT = {
    LinkLayer.ETHERNET: qos_pb2.LINK_LAYER_ETHERNET,
    LinkLayer.INFINIBAND: qos_pb2.LINK_LAYER_INFINIBAND,
}
DISRUPTION_OUT = {
    None: agent_pb2.DISRUPTION_UNSPECIFIED,
    Disruption.HITLESS: agent_pb2.DISRUPTION_HITLESS,
    Disruption.LINK_FLAP: agent_pb2.DISRUPTION_LINK_FLAP,
    Disruption.FABRIC_FLAP: agent_pb2.DISRUPTION_FABRIC_FLAP,
}
DISRUPTION_IN = {v: k for k, v in DISRUPTION_OUT.items() if k is not None}
DIRECTION_OUT = {
    Direction.TRANSMIT: agent_pb2.DIRECTION_TRANSMIT,
    Direction.RECEIVE: agent_pb2.DIRECTION_RECEIVE,
}
COUNTER_OUT = {
    CounterKind.WRAP64: agent_pb2.COUNTER_KIND_WRAP64,
    CounterKind.WRAP32: agent_pb2.COUNTER_KIND_WRAP32,
    CounterKind.SATURATE32: agent_pb2.COUNTER_KIND_SATURATE32,
    CounterKind.GAUGE: agent_pb2.COUNTER_KIND_GAUGE,
}


def generation_in(m: agent_pb2.Generation) -> Generation:
    return Generation(m.epoch, m.number)


def generation_out(g: Generation) -> agent_pb2.Generation:
    return agent_pb2.Generation(epoch=g.epoch, number=g.number)


def scope_in(m: agent_pb2.ScopeRef | agent_pb2.Grant) -> ScopeId:
    return ScopeId(KIND_IN.get(m.kind, ScopeKind.PORT), m.name)


def grant_in(m: agent_pb2.Grant) -> Granted:
    """A cost that this agent does not know allows nothing."""
    cost = DISRUPTION_IN.get(m.disruption, Disruption.HITLESS)
    return Granted(generation_in(m.generation), cost, m.ttl_ms / 1000)


def _value(message: Any, kind: type) -> Any:
    """The value a message carries: fields of one name, repeated ones as tuples."""
    given = {f.name: getattr(message, f.name) for f in fields(kind)}
    plain = {n: v if isinstance(v, int | float | str) else tuple(v) for n, v in given.items()}
    return kind(**plain)


def element_in(m: qos_pb2.Element) -> Element:
    """Raises ValueError, one sentence, for a kind this agent does not know."""
    kind, carrier = KINDS.get(m.kind, (None, ""))
    if kind is None:
        raise ValueError(
            f"element {m.kind}/{m.key} is of a kind that this agent does not know: update the agent"
        )
    if m.WhichOneof("value") != carrier:
        raise ValueError(
            f"element {m.kind}/{m.key} does not carry {carrier}: update the agent or the controller"
        )
    return Element(m.kind, m.key, _value(getattr(m, carrier), kind))


def _scope_in(m: agent_pb2.DesiredScope) -> DesiredScope:
    scope = ScopeId(KIND_IN.get(m.kind, ScopeKind.PORT), m.name)
    lanes = tuple(
        ScopeLane(
            n.id,
            n.name,
            tuple(n.traffic_classes),
            n.guaranteed_ratio,
            n.unmarked,
            n.priority if n.HasField("priority") else None,
        )
        for n in m.lanes
    )
    elements: State = ()
    refusal = (
        ""
        if m.kind in KIND_IN and m.mode in MODE_IN
        else f"{m.name} is of a kind or mode unknown to this agent"
    )
    try:
        elements = state(element_in(e) for e in m.elements)
    except ValueError as e:
        refusal = str(e)
    mode, kind = MODE_IN.get(m.mode, Mode.OBSERVE), NIC_KIND_IN.get(m.nic_kind, "")
    return DesiredScope(scope, m.driver, mode, m.policy, elements, lanes, refusal, m.rate_bps or None, kind)


def desired_in(m: agent_pb2.DesiredState) -> Desired:
    scopes = tuple(_scope_in(s) for s in m.scopes)
    generation = generation_in(m.generation)
    return Desired(generation, m.digest, m.controller_uuid, scopes, m.revert_in_ms / 1000)


def _condition_out(c: Condition) -> qos_pb2.Condition:
    return qos_pb2.Condition(
        type=TYPE_OUT[c.type],
        status=STATUS_OUT[c.status],
        reason=c.reason,
        message=c.message,
        observed_generation=c.observed_generation,
        last_transition_unix_ns=c.since_ns,
    )


def status_out(s: ScopeStatus) -> agent_pb2.ScopeStatus:
    rows = [
        agent_pb2.FieldDifference(path=d.path, desired=d.desired, observed=d.observed) for d in s.differences
    ]
    message = agent_pb2.ScopeStatus(
        kind=KIND_OUT[s.kind],
        name=s.name,
        driver=s.driver,
        mode=MODE_OUT[s.mode],
        observed=generation_out(s.observed),
        conditions=[_condition_out(c) for c in s.conditions],
        differences=rows,
        unreadable=s.unreadable,
        foreign=s.foreign,
        repairs=s.repairs,
        drifts=s.drifts,
        drift_cause=s.drift_cause,
        apply_seconds=s.apply_seconds,
        paused=s.paused,
        waiting_for=DISRUPTION_OUT[s.waiting_for],
        waiting_steps=s.waiting_steps,
        latched=s.latched,
    )
    if s.drained is not None:
        message.drained = s.drained
    return message


def report_out(statuses: Iterable[ScopeStatus]) -> agent_pb2.StatusReport:
    return agent_pb2.StatusReport(scopes=[status_out(s) for s in statuses])


def _offers_out(offers: tuple[DriverOffer, ...]) -> list[agent_pb2.DriverOffer]:
    return [
        agent_pb2.DriverOffer(
            driver=o.driver, supported=o.supported, reason=o.reason, dcb=_dcb_out(o.dcb) if o.dcb else None
        )
        for o in offers
    ]


def _dcb_out(f: DcbFeatures) -> agent_pb2.DcbFeatures:
    return agent_pb2.DcbFeatures(**{d.name: getattr(f, d.name) for d in fields(f)})


def _port_out(p: PortInventory) -> agent_pb2.PortInventory:
    message = agent_pb2.PortInventory(
        name=p.name,
        link_layer=LAYER_OUT[p.link_layer],
        rate_bps=p.rate_bps,
        pci=p.pci or "",
        guid=p.guid or "",
        rdma_device=p.rdma_device or "",
        numa_node=p.numa_node,
        pcie_switch=p.pcie_switch or "",
        gpu=p.gpu,
        tx_queues=p.tx_queues,
        offers=_offers_out(p.offers),
    )
    if p.up is not None:
        message.up = p.up
    return message


def _gpu_out(g: Gpu) -> agent_pb2.GpuInventory:
    return agent_pb2.GpuInventory(index=g.index, numa_node=g.numa_node, pcie_switch=g.pcie_switch or "")


def _fabric_out(f: FabricInventory) -> agent_pb2.FabricInventory:
    return agent_pb2.FabricInventory(
        name=f.name,
        ports=f.ports,
        offers=_offers_out(f.offers),
        port_types=[_port_type_out(t) for t in f.port_types],
        settings=[agent_pb2.FabricSetting(name=s.name, value=s.value) for s in f.settings],
        dump=zlib.compress(f.dump.encode()) if f.dump else b"",
    )


def _port_type_out(t: FabricPortType) -> agent_pb2.FabricPortType:
    return agent_pb2.FabricPortType(
        type=t.type,
        ports=t.ports,
        vls=t.vls,
        operational_vls=t.operational_vls,
        high_entries=t.high_entries,
        low_entries=t.low_entries,
        mtu_bytes=t.mtu_bytes,
    )


def inventory_out(n: NodeInventory) -> agent_pb2.InventoryReport:
    return agent_pb2.InventoryReport(
        ports=[_port_out(p) for p in n.ports],
        gpus=[_gpu_out(g) for g in n.gpus],
        memory_bytes=n.memory_bytes or 0,
        fabrics=[_fabric_out(f) for f in n.fabrics],
    )


def column_out(c: Column) -> agent_pb2.Column:
    return agent_pb2.Column(
        port=c.port,
        quantity=c.quantity,
        direction=DIRECTION_OUT[c.direction] if c.direction else agent_pb2.DIRECTION_UNSPECIFIED,
        kind=COUNTER_OUT[c.kind],
        lane_id=c.lane_id,
        priority=c.priority,
    )


def sample_out(s: Sample) -> agent_pb2.Sample:
    return agent_pb2.Sample(
        measured_unix_ns=s.measured_unix_ns,
        measured_monotonic_ns=s.measured_monotonic_ns,
        values=[v or 0 for v in s.values],
        missing=missing_bits(s.values),
    )


def missing_bits(values: Values) -> bytes:
    """A bit per value, least significant bit of the first byte first: 1 where there is none."""
    bits = bytearray((len(values) + 7) // 8)
    for i, v in enumerate(values):
        if v is None:
            bits[i // 8] |= 1 << (i % 8)
    return bytes(bits)
