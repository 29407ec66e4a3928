"""What of a snapshot changes only with the fabric, the plan or the inventories: made once, used by every snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from trafficd.choice import snapshot as choice
from trafficd.choice.settings import DEFAULTS, PathSettings
from trafficd.core.place import place
from trafficd.core.plan import Plan, ScopePlan
from trafficd.core.targets import Target, targets
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import Host, LinkLayer, Nic, NicKind, NodeInventory, PortInventory, PortKey, Role
from trafficd_topology.qos.dcb import PRIORITIES
from trafficd_topology.qos.lanes import Lane, LaneSet
from trafficd_topology.qos.paths import EngineRule, PathRules
from trafficd_topology.qos.render import ClassMarking, markings
from trafficd_topology.qos.shares import guarantees

KV_INTENT = "kv-read"
_ROLES = {
    Role.PREFILL: choice.Role.PREFILL,
    Role.DECODE: choice.Role.DECODE,
    Role.STORAGE: choice.Role.STORAGE,
    Role.OTHER: choice.Role.OTHER,
}
_KINDS = {NicKind.COMPUTE: choice.NicKind.COMPUTE, NicKind.STORAGE: choice.NicKind.STORAGE}
_LAYERS = {
    LinkLayer.ETHERNET: choice.LinkLayer.ETHERNET,
    LinkLayer.INFINIBAND: choice.LinkLayer.INFINIBAND,
}


@dataclass(frozen=True, slots=True)
class NicFrame:
    """A NIC and where its counters are.

    ``own`` is its port by its agent's name, ``peer`` the port of a managed switch that it is cabled to (by that
    agent's name), which counts per lane what the NIC receives. ``ahead`` are the lanes served before or with KV.
    ``guarantee`` is the part of the rate that KV always gets; None where no policy makes lanes here. ``lane_of``: the lane
    of each 802.1p priority, where the NIC counts by priority; empty elsewhere.
    """

    port: PortKey
    kind: NicKind
    role: Role
    rate_bps: int
    up: bool
    own: PortKey
    peer: PortKey | None
    kv_lane_id: int
    ahead: frozenset[int]
    guarantee: float | None
    lane_of: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """``nics`` is parallel to ``layout.nics``."""

    layout: choice.Layout
    nics: tuple[NicFrame, ...]
    markings: tuple[choice.Marking, ...]
    settings: PathSettings = DEFAULTS


def make_frame(
    fabric: Fabric, plan: Plan | None, inventories: tuple[NodeInventory, ...], before: Frame | None = None
) -> Frame:
    """The frame of this fabric; the layout of ``before`` is kept where nothing of it changed."""
    spec = fabric.spec
    among = targets(spec)
    by_port = {t.port: t for t in among}
    found = _Found(
        by_port, place(spec, among, inventories).ports, _peers(fabric, by_port), _lanes(plan), _scopes(plan)
    )
    nics = tuple(_nic(host, nic, found) for host in spec.hosts for nic in host.nics)
    layout = _layout(fabric, nics)
    if before is not None and before.layout == layout:
        layout = before.layout
    return Frame(layout, nics, _markings(plan))


def settings_of(rules: PathRules | None) -> PathSettings:
    """What a policy's ``paths`` section means to the choice."""
    if rules is None:
        return DEFAULTS
    named = asdict(rules)
    engines = "" if rules.engines is EngineRule.OWN else str(rules.engines)
    return PathSettings(**{**named, "strategy": str(rules.strategy), "engines": engines})


@dataclass(frozen=True, slots=True)
class _Found:
    targets: Mapping[PortKey, Target]
    placed: Mapping[PortKey, PortInventory]
    peers: Mapping[PortKey, PortKey]
    lanes: Mapping[PortKey, LaneSet]
    scopes: Mapping[PortKey, ScopePlan]


def _peers(fabric: Fabric, among: Mapping[PortKey, Target]) -> dict[PortKey, PortKey]:
    """NIC -> the managed switch's port at the other end of its cable."""
    ends = [end for link in fabric.spec.links for end in ((link.a, link.b), (link.b, link.a))]
    return {a: b for a, b in ends if a in fabric.nics and b in among and among[b].switch}


def _lanes(plan: Plan | None) -> dict[PortKey, LaneSet]:
    return {port: scope.lanes for scope in (plan.scopes if plan else ()) for port in scope.ports}


def _scopes(plan: Plan | None) -> dict[PortKey, ScopePlan]:
    return {port: scope for scope in (plan.scopes if plan else ()) for port in scope.ports}


def _lane_of(scope: ScopePlan | None) -> tuple[int, ...]:
    """The lane's id for each priority; those that no lane has belong to the default lane."""
    if scope is None or not scope.priorities:
        return ()
    lanes = {p: lane.id for p, lane in zip(scope.priorities, scope.lanes.lanes, strict=True)}
    return tuple(lanes.get(p, scope.lanes.default.id) for p in range(PRIORITIES))


def kv_lane(lanes: LaneSet) -> Lane:
    """Where KV reads go: the lane of the class with that intent, else the default lane."""
    found = lanes.class_for(KV_INTENT)
    return lanes.default if found is None else lanes.lane(found.lane)


def _nic(host: Host, nic: Nic, found: _Found) -> NicFrame:
    port = PortKey(host.name, nic.name)
    inventory, scope = found.placed.get(port), found.scopes.get(port)
    peer = found.peers.get(port)
    lanes = found.lanes.get(port) or (found.lanes.get(peer) if peer else None)
    kv = kv_lane(lanes) if lanes else None
    rates = [found.targets[port].rate_bps, inventory.rate_bps if inventory else None]
    return NicFrame(
        port,
        nic.kind,
        host.role,
        min((r for r in rates if r), default=nic.rate_bps),
        inventory is None or inventory.up is not False,
        PortKey(host.name, inventory.name) if inventory else port,
        _agents_name(peer, found.placed) if peer else None,
        kv.id if kv else 0,
        _ahead(lanes, kv) if lanes and kv else frozenset(),
        _guarantee(lanes, kv, scope) if lanes and kv else None,
        _lane_of(scope),
    )


def _ahead(lanes: LaneSet, kv: Lane) -> frozenset[int]:
    """Lanes that are served before KV's, or share with it."""
    return frozenset(x.id for x in lanes.lanes if x is not kv and x.priority <= kv.priority)


def _agents_name(port: PortKey, placed: Mapping[PortKey, PortInventory]) -> PortKey:
    return PortKey(port.node, placed[port].name) if port in placed else port


def _guarantee(lanes: LaneSet, kv: Lane, scope: ScopePlan | None) -> float:
    """On a RoCE port what ETS comes to; elsewhere what the lane asks for."""
    if scope is not None and scope.priorities:
        return scope.guaranteed[lanes.lanes.index(kv)]
    return float(guarantees(lanes.lanes)[lanes.lanes.index(kv)])


def _layout(fabric: Fabric, nics: Iterable[NicFrame]) -> choice.Layout:
    spec = fabric.spec
    lane_of = {n.port: n.kv_lane_id for n in nics}
    flat = [(i, host, nic) for i, host in enumerate(spec.hosts) for nic in host.nics]
    number = {PortKey(host.name, nic.name): k for k, (_, host, nic) in enumerate(flat)}
    attached = fabric.attachments()
    place_of = {a.name: i for i, a in enumerate(attached)}
    return choice.Layout(
        tuple(choice.Node(h.name, _ROLES[h.role], h.pool or "") for h in spec.hosts),
        tuple(_choice_nic(i, nic, lane_of[PortKey(host.name, nic.name)]) for i, host, nic in flat),
        tuple(choice.Attachment(a.name, tuple(number[p] for p in a.ports)) for a in attached),
        tuple(
            choice.Path(
                place_of[p.a], place_of[p.b], p.hops, p.equal_cost_paths, p.capacity_bps or 0, p.bottleneck
            )
            for p in fabric.attachment_paths()
        ),
    )


def _choice_nic(node: int, nic: Nic, kv_lane_id: int) -> choice.Nic:
    layer = _LAYERS[nic.link_layer]
    return choice.Nic(node, nic.name, _KINDS[nic.kind], layer, nic.gpu, nic.rail, kv_lane_id)


def _markings(plan: Plan | None) -> tuple[choice.Marking, ...]:
    """Once per (class, link layer); where policies differ, that of the first policy by name holds."""
    sets = {scope.policy: scope.lanes for scope in (plan.scopes if plan else ())}
    found: dict[tuple[str, LinkLayer], ClassMarking] = {}
    for _, lanes in sorted(sets.items()):
        for marking in (m for layer in LinkLayer for m in markings(lanes, layer)):
            found.setdefault((marking.traffic_class, marking.link_layer), marking)
    return tuple(
        choice.Marking(
            m.traffic_class,
            _LAYERS[m.link_layer],
            m.lane_id,
            m.service_levels,
            m.dscps,
            m.tos,
            m.so_priority,
            m.intents,
        )
        for m in found.values()
    )
