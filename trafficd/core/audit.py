"""What a running controller knows, as facts for an audit: inventories, counters, the fabric file and the plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trafficd.core.frame import kv_lane
from trafficd.core.place import place
from trafficd.core.plan import ScopePlan
from trafficd.core.settle import inventories
from trafficd.core.state import ControlState
from trafficd.core.targets import targets
from trafficd.core.telemetry import Readings, TelemetryStore
from trafficd_topology.audit import Facts, audit
from trafficd_topology.audit.facts import LaneFacts, NodeFacts, PortFacts, PortLanes, SubnetLanes, SubnetNic
from trafficd_topology.audit.gather import counts, port_facts, seconds
from trafficd_topology.audit.report import Report, Unjudged
from trafficd_topology.ib_match import port_number
from trafficd_topology.model import FabricSpec, Nic, NodeInventory, PortInventory, PortKey, ScopeKind
from trafficd_topology.qos.lanes import LaneSet

Read = tuple[tuple[str, Readings | None], ...]


@dataclass(frozen=True, slots=True)
class AuditInput:
    """The state and the newest readings of each of its nodes; ``wanted`` narrows it to these nodes, empty is all."""

    state: ControlState
    readings: Read
    wanted: frozenset[str] = frozenset()


def read_all(state: ControlState, telemetry: TelemetryStore) -> Read:
    """The newest readings of every node; to be taken where the store is written."""
    return tuple((node, telemetry.readings(node)) for node in sorted(state.nodes))


def _nics(state: ControlState) -> dict[tuple[str, str], Nic]:
    """(node, its agent's name of a port) -> the NIC of the fabric file."""
    if state.spec is None:
        return {}
    among = targets(state.spec)
    by_port = {t.port: t.nic for t in among if t.nic is not None and not t.switch}
    placed = place(state.spec, among, inventories(state)).ports
    return {(key.node, port.name): by_port[key] for key, port in placed.items() if key in by_port}


def _port(port: PortInventory, nic: Nic | None) -> PortFacts:
    facts = port_facts(port)
    if nic is None:
        return facts
    return replace(facts, kind=nic.kind, expected_bps=nic.rate_bps, expected_gpu=nic.gpu)


def lane_facts(lanes: LaneSet) -> tuple[LaneFacts, ...]:
    kv = kv_lane(lanes)
    return tuple(
        LaneFacts(
            lane.id,
            lane.name,
            tuple(c.name for c in lanes.classes if c.lane == lane.name),
            kv=lane is kv,
            unmarked=lane is lanes.default,
            idle_is_fine=lane is lanes.control,
        )
        for lane in lanes.lanes
    )


def _lanes(scopes: Iterable[ScopePlan]) -> tuple[PortLanes, ...]:
    """Of ports; a subnet's lanes are not counted apart."""
    return tuple(PortLanes(s.name, s.policy, lane_facts(s.lanes)) for s in scopes if s.kind is ScopeKind.PORT)


def _subnets(state: ControlState, node: str) -> tuple[SubnetLanes, ...]:
    """The subnets that this node's agent counts, with the NICs that their switch ports lead to."""
    if state.plan is None or state.spec is None:
        return ()
    scopes = (s for s in state.plan.of(node) if s.kind is ScopeKind.FABRIC)
    nics = tuple(_behind_switches(state.spec))
    return tuple(
        SubnetLanes(
            s.name,
            s.policy,
            lane_facts(s.lanes),
            tuple((sl, c.name) for c in s.lanes.classes for sl in c.marking.sl),
            nics,
        )
        for s in scopes
    )


def _behind_switches(spec: FabricSpec) -> Iterable[SubnetNic]:
    guids = {s.name: int(s.guid, 16) for s in spec.switches if s.guid}
    kinds = {PortKey(h.name, n.name): n.kind for h in spec.hosts for n in h.nics}
    for link in spec.links:
        for nic, port in ((link.a, link.b), (link.b, link.a)):
            if nic in kinds and port.node in guids:
                yield SubnetNic(f"0x{guids[port.node]:016x}:{port_number(port.port)}", str(nic), kinds[nic])


def _facts(given: AuditInput) -> Facts:
    state, nics, readings = given.state, _nics(given.state), dict(given.readings)
    roles = {h.name: h.role for h in state.spec.hosts} if state.spec else {}

    def node(found: NodeInventory) -> NodeFacts:
        seen = readings.get(found.node)
        return NodeFacts(
            found.node,
            tuple(_port(p, nics.get((found.node, p.name))) for p in found.ports),
            counts(seen.columns, seen.first, seen.last) if seen else (),
            seconds(seen.first, seen.last) if seen else 0.0,
            found.gpus,
            _lanes(state.plan.of(found.node)) if state.plan else (),
            roles.get(found.node),
            _subnets(state, found.node),
        )

    return Facts(tuple(node(i) for i in inventories(state) if not given.wanted or i.node in given.wanted))


def _unjudged(given: AuditInput) -> Iterable[Unjudged]:
    state, readings = given.state, dict(given.readings)
    hosts = {h.name for h in state.spec.hosts} if state.spec else set()
    for name in sorted(given.wanted or hosts | set(state.nodes)):
        if name not in state.nodes:
            known = (
                "its host is in the fabric file, and no agent has reported"
                if name in hosts
                else "no such node"
            )
            yield Unjudged(name, known)
        elif state.nodes[name].session is None:
            yield Unjudged(name, "its agent is not connected: what it reported last was judged")
        elif readings.get(name) is None:
            yield Unjudged(name, "it has sent no counters yet: only its ports were judged")


def audited(given: AuditInput) -> Report:
    """Every finding about the nodes that are asked for, and which of them could not be judged in full."""
    facts = _facts(given)
    return Report(tuple(n.name for n in facts.nodes), audit(facts), tuple(_unjudged(given)))
