"""What to set on a node, and at the other end of its flows, so that a class's packets run in their lane. Pure.

The numbers are those of the policy that governs each NIC, typed for its link layer; what is set with them, where and
with which caution is the table ``trafficd_topology.qos.applications``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from trafficd.core.plan import Plan
from trafficd.core.targets import claims, targets
from trafficd_topology.model import FabricSpec, Host, LinkLayer, Nic, PortKey, Role, ScopeKind
from trafficd_topology.qos.applications import application
from trafficd_topology.qos.applications.render import Line, flows_of, lines, settings_of
from trafficd_topology.qos.applications.words import Application, Caution, Flow, Form, Library
from trafficd_topology.qos.lanes import Lane, Mode, TrafficClass
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.render import ClassMarking, markings

MOST_NAMES = 10
"""Names that a sentence lists."""


@dataclass(frozen=True, slots=True)
class Question:
    """How this library (a word of ``Library``) marks packets of this class on this host."""

    traffic_class: str
    library: str
    node: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name of the question that means nothing here, in one sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What answers rest on. ``tc``: ports that tc manages; None where that is not known (files alone)."""

    policies: tuple[Policy, ...]
    fabric: FabricSpec
    tc: frozenset[PortKey] | None = None


@dataclass(frozen=True, slots=True)
class End:
    """NICs that are marked alike: those of the node (``here``), or of hosts at the other end.

    ``policy`` is empty where none governs them. ``marking`` is None and ``lines`` empty where nothing can be set;
    ``notes`` say why. ``why``: whose data is marked here. ``ask`` is what to ask the vendor of a storage appliance
    for, where one may send.
    """

    here: bool
    nodes: tuple[str, ...]
    ports: tuple[PortKey, ...]
    link_layer: LinkLayer
    policy: str = ""
    mode: Mode = Mode.OBSERVE
    lane: Lane | None = None
    marking: ClassMarking | None = None
    why: tuple[Flow, ...] = ()
    lines: tuple[Line, ...] = ()
    ask: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """Everything to set, the node's own ends first."""

    question: Question
    role: Role
    title: str
    ends: tuple[End, ...]
    cautions: tuple[Caution, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """One question with what it names."""

    question: Question
    host: Host
    app: Application
    tc: frozenset[PortKey] | None
    governed: dict[PortKey, Policy]


@dataclass(frozen=True, slots=True)
class _Key:
    """NICs with one key are marked alike. ``tc``: tc manages them, or may."""

    here: bool
    role: Role
    link_layer: LinkLayer
    policy: Policy | None
    tc: bool


def advise(question: Question, ground: Ground) -> Advice | Unknown:
    """The whole answer, or which name is unknown."""
    unknown = _unknown(question, ground)
    host = ground.fabric.host(question.node)
    if unknown or host is None:
        return Unknown(unknown)
    app = application(Library(question.library))
    case = _Case(question, host, app, ground.tc, _governed(ground.policies, ground.fabric))
    others = [h for h in ground.fabric.hosts if h.name != host.name]
    ends = _merged([*_ends(case, [host], here=True), *_ends(case, others, here=False)])
    layers = {e.link_layer for e in ends}
    cautions = tuple(c for c in app.cautions if layers & set(c.layers))
    return Advice(question, host.role, app.title, ends, cautions, tuple(_contradictions(ends)))


def ground(policies: tuple[Policy, ...], fabric: FabricSpec, plan: Plan | None) -> Ground:
    """What a controller knows: its plan says which ports tc manages."""
    scopes = plan.scopes if plan else ()
    tc = frozenset(p for s in scopes if s.driver == "tc" for p in s.ports)
    return Ground(policies, fabric, tc)


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return (", ".join(found[:MOST_NAMES]) or "none") + more


def _meant(name: str, among: Iterable[str]) -> str:
    close = get_close_matches(name, list(among), 1)
    return f": did you mean {close[0]}?" if close else ""


def _unknown(question: Question, ground: Ground) -> str:
    """What is unknown of the question; empty when all of it is known."""
    libraries = [x.value for x in Library]
    if question.library not in libraries:
        return f"no library {question.library} is known: ask for one of {', '.join(libraries)}"
    hosts = [h.name for h in ground.fabric.hosts]
    if ground.fabric.switch(question.node):
        return f"{question.node} is a switch, and packets are marked by the hosts that send them: name a host"
    if question.node not in hosts:
        hint = _meant(question.node, hosts) or f", which has {_listed(hosts)}"
        return f"no host {question.node} is in the fabric{hint}"
    return _unknown_class(question.traffic_class, ground.policies)


def _unknown_class(name: str, policies: tuple[Policy, ...]) -> str:
    classes = [c for p in policies for c in p.lanes.classes]
    names = sorted({c.name for c in classes})
    if name in names:
        return ""
    if not policies:
        return f"no class {name}: no policy is in force"
    intent = next((c.name for c in classes if name in c.intents), "")
    if intent:
        return f"{name} is an intent and no class: ask for the class {intent}, which carries it"
    return f"no policy in force has a class {name}{_meant(name, names) or f': they have {_listed(names)}'}"


def _governed(policies: tuple[Policy, ...], fabric: FabricSpec) -> dict[PortKey, Policy]:
    """The policy whose tables each host NIC meets: OpenSM programs every port of a subnet, selected or not."""
    among = targets(fabric)
    owner = {(c.kind, c.name): c.policies[0] for c in claims(policies, among) if len(c.policies) == 1}
    found = {}
    for t in among:
        subnet = t.link_layer is LinkLayer.INFINIBAND
        key = (ScopeKind.FABRIC, t.subnet) if subnet else (ScopeKind.PORT, str(t.port))
        if key in owner and not t.switch:
            found[t.port] = owner[key]
    return found


def _used(app: Application, host: Host) -> tuple[Nic, ...]:
    """The NICs the library uses: those of its kinds, or all of them where the host has none of these."""
    return tuple(n for n in host.nics if n.kind in app.kinds) or host.nics


def _facing(case: _Case, host: Host) -> tuple[Nic, ...]:
    """Those of another host that meet ours: of one link layer, and of a network we are on, where it has any there."""
    mine = _used(case.app, case.host)
    layers, kinds = {n.link_layer for n in mine}, {n.kind for n in mine}
    met = tuple(n for n in _used(case.app, host) if n.link_layer in layers)
    return tuple(n for n in met if n.kind in kinds) or met


def _class_of(policy: Policy | None, name: str) -> TrafficClass | None:
    return next((c for c in policy.lanes.classes if c.name == name), None) if policy else None


def _key(case: _Case, host: Host, port: PortKey, nic: Nic, *, here: bool) -> _Key:
    tc = nic.link_layer is LinkLayer.ETHERNET and (case.tc is None or port in case.tc)
    return _Key(here, host.role, nic.link_layer, case.governed.get(port), tc)


def _ends(case: _Case, hosts: Iterable[Host], *, here: bool) -> Iterator[End]:
    """The NICs of these hosts by how they are marked; those of other hosts only where a flow joins them to ours."""
    found: dict[_Key, list[PortKey]] = {}
    for host in hosts:
        for nic in _used(case.app, host) if here else _facing(case, host):
            port = PortKey(host.name, nic.name)
            found.setdefault(_key(case, host, port, nic, here=here), []).append(port)
    for key, ports in found.items():
        traffic_class = _class_of(key.policy, case.question.traffic_class)
        among = flows_of(case.app, traffic_class) if traffic_class else case.app.flows
        flows = tuple(f for f in among if _marks(f, case.host.role, key))
        if here or flows:
            yield _end(case, key, tuple(ports), flows)


def _merged(ends: Iterable[End]) -> tuple[End, ...]:
    """Ends about which the same is to be said become one."""
    found: dict[End, list[End]] = {}
    for end in ends:
        found.setdefault(replace(end, nodes=(), ports=()), []).append(end)
    return tuple(
        replace(
            key, nodes=tuple(n for e in same for n in e.nodes), ports=tuple(p for e in same for p in e.ports)
        )
        for key, same in found.items()
    )


def _marks(flow: Flow, mine: Role, key: _Key) -> bool:
    """Whether the marking of this flow, which the node takes part in, is set at hosts of the key's role."""
    if key.role not in flow.set_at:
        return False
    if key.here:
        return mine in (*flow.sent_by, *flow.received_by)
    sent = mine in flow.sent_by and key.role in flow.received_by
    return sent or (mine in flow.received_by and key.role in flow.sent_by)


def _end(case: _Case, key: _Key, ports: tuple[PortKey, ...], flows: tuple[Flow, ...]) -> End:
    nodes = tuple(dict.fromkeys(p.node for p in ports))
    bare = End(key.here, nodes, ports, key.link_layer, why=flows)
    policy = key.policy
    if policy is None:
        return replace(
            bare, notes=("no policy governs these NICs: what is marked there has no lane of its own",)
        )
    bare = replace(bare, policy=policy.name, mode=policy.mode)
    found = _class_of(policy, case.question.traffic_class)
    if found is None:
        return replace(bare, notes=(f"policy {policy.name} has no class {case.question.traffic_class}",))
    marking = next(m for m in markings(policy.lanes, key.link_layer) if m.traffic_class == found.name)
    vendor = key.role is Role.STORAGE and any(f.vendor for f in flows)
    settings = settings_of(case.app, found) if flows else ()
    return replace(
        bare,
        lane=policy.lanes.lane(found.lane),
        marking=marking if key.tc else replace(marking, so_priority=None),
        lines=lines(settings, policy.lanes, found, key.link_layer, key.role),
        ask=_ask(marking) if vendor else "",
        notes=tuple(_notes(case, policy, marking, flows)),
    )


def _notes(case: _Case, policy: Policy, marking: ClassMarking, flows: tuple[Flow, ...]) -> Iterator[str]:
    if not (marking.service_levels or marking.dscps):
        word = "service level" if marking.link_layer is LinkLayer.INFINIBAND else "DSCP"
        yield f"class {marking.traffic_class} of policy {policy.name} has no {word}: give it one in its markings"
    if not flows:
        yield f"{case.app.title} sets no marking of this class on a {case.host.role} host: see the other end"
    if policy.mode is Mode.OBSERVE:
        yield f"policy {policy.name} only observes: its lanes are not programmed yet"


def _ask(marking: ClassMarking) -> str:
    """What an appliance must be able to do, because no client can set it."""
    if marking.service_levels:
        how = f"service level {marking.service_levels[0]} on its queue pairs"
    elif marking.dscps:
        how = f"DSCP {marking.dscps[0]} (ToS or traffic class {marking.tos}), and trust DSCP on its ports"
    else:
        return ""
    return (
        "where storage is an appliance: ask its vendor to send what clients read (RDMA READ responses, and RDMA WRITEs "
        f"of its own) with {how}, for each protocol in use (NFS over RDMA, NVMe-oF, S3 over RDMA); no client can set it"
    )


def _contradictions(ends: Iterable[End]) -> Iterator[str]:
    """Variables of the node that its NICs want otherwise: one process has one environment."""
    wanted: dict[str, dict[str, str]] = {}
    for end in (e for e in ends if e.here):
        for line in end.lines:
            if line.form in (Form.ENV, Form.UNSET):
                wanted.setdefault(line.name, {}).setdefault(line.value or "unset", str(end.ports[0]))
    for name, values in wanted.items():
        if len(values) > 1:
            each = " and ".join(f"{value} for {port}" for value, port in values.items())
            yield f"{name} is to be {each}: a process has one value, so let one process use NICs of one sort only"
