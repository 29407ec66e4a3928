"""From policies, fabric and inventories to the whole desired state of every agent. Pure; equal inputs, equal plans.

Who governs what depends on policies and fabric alone, so that a conflict is found before any agent is there. What
can be programmed depends on the inventories too: what is missing or unsupported is a note and no scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType

from trafficd.core.agreement import Neighbours, disagreement, neighbours
from trafficd.core.found import found_notes
from trafficd.core.place import Placement, place
from trafficd.core.ports import Render, Wire, chosen, is_dcb, notes_of, renderer
from trafficd.core.subnets import make_subnet
from trafficd.core.targets import Claim, Target, claims, least, selected, targets
from trafficd_topology.diff import State
from trafficd_topology.model import (
    DriverOffer,
    FabricSpec,
    LinkLayer,
    NicKind,
    NodeInventory,
    PortKey,
    Problem,
    ScopeKind,
)
from trafficd_topology.qos.lanes import LaneSet, Mode
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.render import CONTROL_PORTS, MIN_PORT_RATE_BPS


@dataclass(frozen=True, slots=True)
class ScopePlan:
    """The desired state of one scope of one agent.

    ``name`` is the agent's name for the port, or the fabric's. ``ports`` are the fabric file's names of the ports
    it is about: one for a port, the selected ones for a fabric. ``guaranteed`` is what each of ``lanes`` gets of a
    port with every lane backlogged, 0 to 1, in their order. ``notes``: what an operator should know of it, sentences.
    ``rate_bps`` and ``nic_kind`` are what the fabric file says of a port. ``priorities``: the 802.1p priority of each of
    ``lanes`` on a RoCE port, empty elsewhere.
    """

    node: str
    kind: ScopeKind
    name: str
    driver: str
    mode: Mode
    policy: str
    elements: State
    lanes: LaneSet
    ports: tuple[PortKey, ...] = ()
    guaranteed: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    rate_bps: int | None = None
    nic_kind: NicKind | None = None
    unfit: tuple[Problem, ...] = ()
    """Why a subnet cannot hold its policy: it is then observed, whatever the policy says (``wanted``)."""
    wanted: Mode = Mode.OBSERVE
    priorities: tuple[int, ...] = ()
    waits: tuple[str, ...] = ()
    """How long lanes of a subnet may wait, a sentence each."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A scope that several policies select: none of them governs it. ``scope`` is node/port, or a subnet's name."""

    kind: ScopeKind
    scope: str
    policies: tuple[str, ...]

    @property
    def reason(self) -> str:
        what = "port" if self.kind is ScopeKind.PORT else "subnet"
        by = " and ".join(self.policies)
        return f"this {what} is selected by policies {by}: narrow their selectors so that one remains"


@dataclass(frozen=True, slots=True)
class Selection:
    """The ports that a policy selects, by the fabric file's names."""

    policy: str
    ports: tuple[PortKey, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything every agent is to hold. Scopes are ordered by node, kind and name."""

    scopes: tuple[ScopePlan, ...] = ()
    notes: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    selections: tuple[Selection, ...] = ()
    _by_node: Mapping[str, tuple[ScopePlan, ...]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        by_node: dict[str, tuple[ScopePlan, ...]] = {}
        for scope in self.scopes:
            by_node[scope.node] = (*by_node.get(scope.node, ()), scope)
        object.__setattr__(self, "_by_node", by_node)

    def of(self, node: str) -> tuple[ScopePlan, ...]:
        """The whole desired state of one agent; empty for a node that is told nothing."""
        return self._by_node.get(node, ())

    def ports_of(self, policy: str) -> tuple[str, ...]:
        """The ports this policy selects, as node/port."""
        return tuple(str(p) for s in self.selections if s.policy == policy for p in s.ports)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why this plan must not replace one that holds: its conflicts, and policies that a subnet cannot hold."""
        conflicts = (Problem(c.scope, "", c.reason) for c in self.conflicts)
        unfit = (p for s in self.scopes if s.wanted is Mode.ENFORCE for p in s.unfit)
        return tuple(dict.fromkeys((*conflicts, *unfit)))

    def problems_beside(self, held: Plan | None) -> tuple[Problem, ...]:
        """Those that the plan that holds has not: what stood before is not the fault of what is offered."""
        before = {p for s in held.scopes for p in s.unfit} if held else set()
        return tuple(p for p in self.problems if p not in before)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """``control_ports``: TCP ports, at either end, that belong to the control lane."""

    control_ports: tuple[int, ...] = CONTROL_PORTS


FABRIC_DRIVERS = ("opensm", "fake")
"""Drivers of whole fabrics, the preferred first. All are told OpenSM's options and the tables that follow."""

MEMBER_DRIVERS = ("opensm",)
"""Of these, the agents of a subnet all get its desired state: they know themselves which of them stands beside the
master."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the agents have reported, looked up by name. ``writers``: subnet -> the node that programmed it last, where
    that is still known of or in the fabric file.
    """

    nodes: Mapping[str, NodeInventory]
    placement: Placement
    writers: Mapping[str, str]
    near: Neighbours
    among: tuple[Target, ...]


NOBODY: Mapping[str, str] = MappingProxyType({})


def plan(
    policies: tuple[Policy, ...],
    fabric: FabricSpec,
    inventories: tuple[NodeInventory, ...],
    options: PlanOptions = PlanOptions(),
    writers: Mapping[str, str] = NOBODY,
) -> Plan:
    """The desired state of every node that has reported an inventory.

    ``writers`` (subnet -> node) had the subnets before: each keeps its own while it can, and until it has reported
    nobody else gets it. One that has not reported and is not in the fabric file has left.
    """
    among = targets(fabric)
    placement = place(fabric, among, inventories)
    nodes = {i.node: i for i in inventories}
    here = {*nodes, *(h.name for h in fabric.hosts), *(s.name for s in fabric.switches)}
    held = {s: n for s, n in writers.items() if n in here}
    known = _Known(nodes, placement, held, neighbours(fabric), among)
    every = claims(policies, among)
    # Thousands of ports share a few rates and policies: each pair is rendered once.
    render = cache(renderer(options.control_ports))
    outcomes = [o for c in every if len(c.policies) == 1 for o in _scope(c, known, render)]
    scopes = [o for o in outcomes if isinstance(o, ScopePlan)]
    selections = tuple(Selection(p.name, tuple(t.port for t in selected(p, among))) for p in policies)
    notes = [
        *placement.notes,
        *(f"policy {s.policy} selects no port of the fabric" for s in selections if not s.ports),
        *_absent(every, known),
        *(o for o in outcomes if isinstance(o, str) and o),
        *notes_of((str(s.ports[0]), note) for s in scopes for note in s.notes),
        *(_only_observed(p) for s in scopes for p in s.unfit),
        *_fabric_notes(scopes, among),
        *_standby_notes(scopes, known),
        *found_notes(fabric, inventories),
    ]
    conflicts = tuple(
        Conflict(c.kind, c.name, tuple(p.name for p in c.policies)) for c in every if len(c.policies) > 1
    )
    return Plan(
        tuple(sorted(scopes, key=lambda s: (s.node, s.kind, s.name))),
        tuple(sorted(set(notes))),
        conflicts,
        selections,
    )


def _absent(every: Iterable[Claim], known: _Known) -> Iterable[str]:
    """One note a node that has selected ports and no agent."""
    waiting: dict[str, int] = {}
    for claim in every:
        for t in claim.targets if claim.kind is ScopeKind.PORT else ():
            waiting[t.port.node] = waiting.get(t.port.node, 0) + (t.port.node not in known.nodes)
    return [f"node {n}: no agent has reported, {k} selected ports wait" for n, k in waiting.items() if k]


def _scope(claim: Claim, known: _Known, render: Render) -> tuple[ScopePlan | str, ...]:
    """The scope (of a fabric: one for each member), or why there is none; an empty reason when another note says it."""
    if claim.kind is not ScopeKind.FABRIC:
        return (_port_scope(claim, known, render),)
    first = _fabric_scope(claim, known)
    return (first,) if isinstance(first, str) else (first, *_members(first, known))


def _port_scope(claim: Claim, known: _Known, render: Render) -> ScopePlan | str:
    (target,), (policy,) = claim.targets, claim.policies
    if target.port.node not in known.nodes or target.port in known.placement.doubled:
        return ""
    port = known.placement.ports.get(target.port)
    if port is None:
        return f"port {target.port} was not found by its agent, by GUID, PCI address or name"
    offer = chosen(port.offers)
    if offer is None:
        return f"port {target.port} cannot be programmed: {_reasons(port.offers)}"
    rate = least([target.rate_bps, port.rate_bps])
    if rate is None:
        return f"port {target.port} has no known rate: give its link one in the fabric file"
    if rate < MIN_PORT_RATE_BPS:
        return f"port {target.port} has {rate} bit/s, too few to split: {MIN_PORT_RATE_BPS} are needed"
    made = render(policy, Wire(rate, offer.dcb), offer.driver)
    if made.problems:
        return f"port {target.port} cannot hold policy {policy.name}: {'; '.join(made.problems)}"
    enforced = policy.mode is Mode.ENFORCE and is_dcb(offer)
    alone = disagreement(target, policy, known.near) if enforced else ""
    mode, notes = (Mode.OBSERVE, (*made.notes, alone)) if alone else (policy.mode, made.notes)
    return ScopePlan(
        target.port.node, claim.kind, port.name, offer.driver, mode, policy.name, made.elements, policy.lanes,
        (target.port,), made.guaranteed, notes,
        target.rate_bps, _nic_kind(target), priorities=made.priorities,
    )  # fmt: skip


def _nic_kind(target: Target) -> NicKind | None:
    """Of a port of a host; a switch port has none of its own."""
    return target.nic.kind if target.nic is not None and not target.switch else None


def _choose(preferred: Iterable[str], offers: Iterable[DriverOffer]) -> str | None:
    supported = {o.driver for o in offers if o.supported}
    return next((name for name in preferred if name in supported), None)


def _reasons(offers: Iterable[DriverOffer]) -> str:
    said = [f"{o.driver}: {o.reason or 'not supported'}" for o in offers if not o.supported]
    return "; ".join(said) or "its agent offers no driver for it"


def _fabric_scope(claim: Claim, known: _Known) -> ScopePlan | str:
    """One agent beside the subnet manager writes for the whole subnet: who did before, else the first by name that can."""
    (policy,) = claim.policies
    offered = [
        (node, fabric.name, _choose(FABRIC_DRIVERS, fabric.offers), _reasons(fabric.offers))
        for node in sorted(known.nodes)
        for fabric in known.nodes[node].fabrics
        if claim.name in ("", fabric.name)
    ]
    subnet = claim.name or "(unnamed)"
    if len({name for _, name, _, _ in offered}) > 1:
        names = ", ".join(sorted({name for _, name, _, _ in offered}))
        return f"agents offer the fabrics {names}: name the subnet of each InfiniBand NIC in the fabric file"
    able = [(node, name, driver) for node, name, driver, _ in offered if driver]
    if not able:
        why = "; ".join(f"{node}: {reason}" for node, _, _, reason in offered)
        return f"subnet {subnet} cannot be programmed: {why or 'no agent runs beside its subnet manager'}"
    holder = known.writers.get(able[0][1])
    if holder is not None and holder not in known.nodes and able[0][2] not in MEMBER_DRIVERS:
        return (
            f"subnet {able[0][1]} is programmed by the agent of node {holder}, which has not reported yet: what it accepted"
            f" stays in force; to let {able[0][0]} take over, take {holder} out of the fabric file"
        )
    node, name, driver = next((a for a in able if a[0] == holder), able[0])
    fabric = next(f for f in known.nodes[node].fabrics if f.name == name)
    made = make_subnet(policy, fabric, (t for t in known.among if _in_subnet(t, claim.name)))
    mode = Mode.OBSERVE if made.problems else policy.mode
    ports = tuple(t.port for t in claim.targets)
    return ScopePlan(
        node, claim.kind, name, driver, mode, policy.name, made.elements, policy.subnet_lanes, ports,
        made.guaranteed, unfit=made.problems, wanted=policy.mode, waits=made.waits,
    )  # fmt: skip


def _members(first: ScopePlan, known: _Known) -> Iterable[ScopePlan]:
    """The same for the agents beside the subnet's other subnet managers.

    They keep the same files, and whichever stands beside the master programs the ports; so that one that takes over
    has the right files, also one whose OpenSM does not run at the moment.
    """
    if first.driver not in MEMBER_DRIVERS:
        return ()
    others = (
        node
        for node in sorted(known.nodes)
        for f in known.nodes[node].fabrics
        if f.name == first.name and any(o.driver == first.driver for o in f.offers)
    )
    return tuple(replace(first, node=node) for node in others if node != first.node)


def _in_subnet(target: Target, name: str) -> bool:
    return target.link_layer is LinkLayer.INFINIBAND and target.subnet == name


def _only_observed(problem: Problem) -> str:
    return f"{problem}; until then this subnet is only observed"


def _standby_notes(scopes: Iterable[ScopePlan], known: _Known) -> Iterable[str]:
    """Who else could program a subnet: nothing moves there by itself."""
    for scope in (s for s in scopes if s.kind is ScopeKind.FABRIC and s.driver not in MEMBER_DRIVERS):
        others = [
            node
            for node in sorted(known.nodes)
            for f in known.nodes[node].fabrics
            if f.name == scope.name and node != scope.node and _choose(FABRIC_DRIVERS, f.offers)
        ]
        if others:
            yield f"subnet {scope.name} is programmed by the agent of node {scope.node}; {', '.join(others)} could, too"


def _fabric_notes(scopes: Iterable[ScopePlan], among: tuple[Target, ...]) -> Iterable[str]:
    """A subnet manager programs every port of its subnet, the unselected too."""
    subnets = {t.port: t.subnet for t in among if t.link_layer is LinkLayer.INFINIBAND}
    for scope in (s for s in scopes if s.kind is ScopeKind.FABRIC):
        subnet = subnets[scope.ports[0]]
        total = sum(s == subnet for p, s in subnets.items())
        if total > len(scope.ports):
            yield (
                f"policy {scope.policy} selects {len(scope.ports)} of {total} ports of subnet {scope.name}, "
                "and OpenSM programs all of them"
            )
