"""A policy as it works out: lanes with their guarantees, what each gets in every contention case, ports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from trafficd.core.plan import Plan
from trafficd.core.state import ControlState
from trafficd.core.subnets import tables_for
from trafficd_topology.model import LinkLayer
from trafficd_topology.qos.ets_shares import compile_ets_shares
from trafficd_topology.qos.ib_ports import UNKNOWN, Patience, SubnetPorts, patience, waits
from trafficd_topology.qos.ib_wait import LaneWait
from trafficd_topology.qos.lanes import Lane, Mode
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.render import ClassMarking, markings
from trafficd_topology.qos.roce import RoceLane, arrange
from trafficd_topology.qos.shares import ContentionCase, compile_ib_shares, compile_shares, guarantees
from trafficd_topology.qos.switch import switch_digest


@dataclass(frozen=True, slots=True)
class GuaranteedLane:
    """``ratio`` is what the lane gets of a port with every lane backlogged, 0 to 1."""

    lane: Lane
    ratio: float


class Scheduler(StrEnum):
    """What shares a port among lanes."""

    HTB = "htb"
    ETS = "ets"
    VLARB = "vlarb"


@dataclass(frozen=True, slots=True)
class LayerCase:
    link_layer: LinkLayer
    scheduler: Scheduler
    case: ContentionCase


@dataclass(frozen=True, slots=True)
class SubnetLanes:
    """The longest waits at an InfiniBand port of ``rate_bps`` with packets of ``packet_bytes``, and how long packets
    live. ``subnet`` is empty where no agent has offered one: the values are then the usual ones.
    """

    subnet: str
    rate_bps: int
    packet_bytes: int
    waits: tuple[LaneWait, ...]
    patience: Patience


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """``owner`` is file, api, or empty for a policy that is only being checked. ``ports`` are node/port. ``roce``: empty
    where the policy says nothing of RoCE.
    """

    name: str
    mode: Mode
    owner: str
    digest: str
    lanes: tuple[GuaranteedLane, ...]
    cases: tuple[LayerCase, ...]
    markings: tuple[ClassMarking, ...]
    ports: tuple[str, ...] = ()
    roce: tuple[RoceLane, ...] = ()
    subnets: tuple[SubnetLanes, ...] = ()

    @property
    def switch_digest(self) -> str:
        """What switches must do, in short; empty where the policy says nothing of RoCE."""
        return switch_digest(self.roce) if self.roce else ""


def _ports(policy: str, plan: Plan | None) -> tuple[str, ...]:
    selections = () if plan is None else plan.selections
    return tuple(str(port) for s in selections if s.policy == policy for port in s.ports)


def compile_policy(policy: Policy, owner: str = "", plan: Plan | None = None) -> CompiledPolicy:
    """Everything a person wants to know of a policy; the ports are those of the plan."""
    ratios = guarantees(policy.lanes.lanes)
    tables = tables_for(policy)
    roce = arrange(policy.lanes, policy.roce) if policy.roce else ()
    ethernet, infiniband = LinkLayer.ETHERNET, LinkLayer.INFINIBAND
    cases = [
        *(LayerCase(ethernet, Scheduler.HTB, c) for c in compile_shares(policy.lanes)),
        *(LayerCase(ethernet, Scheduler.ETS, c) for c in (compile_ets_shares(roce) if roce else ())),
        *(LayerCase(infiniband, Scheduler.VLARB, c) for c in compile_ib_shares(policy.subnet_lanes, tables)),
    ]
    return CompiledPolicy(
        policy.name,
        policy.mode,
        owner,
        policy.digest,
        tuple(GuaranteedLane(lane, float(r)) for lane, r in zip(policy.lanes.lanes, ratios, strict=True)),
        tuple(cases),
        (*markings(policy.lanes, ethernet), *markings(policy.subnet_lanes, infiniband)),
        _ports(policy.name, plan),
        roce,
        (_usual(policy),),
    )


USUAL_RATE_BPS = 400_000_000_000


def _usual(policy: Policy, ports: SubnetPorts = UNKNOWN) -> SubnetLanes:
    found = waits(policy.subnet_lanes, tables_for(policy, ports), policy.subnet, ports)
    rate = ports.rate_bps or USUAL_RATE_BPS
    return SubnetLanes("", rate, ports.packet_bytes, found, patience(policy.subnet, ports))


def compiled(state: ControlState) -> tuple[CompiledPolicy, ...]:
    """Every policy in force, by name."""
    owners = {name: source.owner.value for source in state.policies for name in source.names}
    return tuple(compile_policy(p, owners[p.name], state.plan) for p in state.in_force)


def compile_all(policies: Iterable[Policy], plan: Plan | None) -> tuple[CompiledPolicy, ...]:
    """Policies that are only being checked."""
    return tuple(compile_policy(p, "", plan) for p in policies)
