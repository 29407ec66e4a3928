"""From a policy to what one InfiniBand subnet is told, and why it may not be: pure over what its agent offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from trafficd.core.targets import Target, least
from trafficd_topology.diff import State
from trafficd_topology.model import FabricInventory, LinkLayer, Problem
from trafficd_topology.qos.fit import Room, derive_tables
from trafficd_topology.qos.ib_files import Partition, PathRule
from trafficd_topology.qos.ib_options import PortGroup
from trafficd_topology.qos.ib_ports import UNKNOWN, SubnetPorts, patience, subnet_ports, unfit, waits
from trafficd_topology.qos.ib_render import Paths, render_subnet
from trafficd_topology.qos.lanes import TrafficClass
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.shares import all_busy
from trafficd_topology.qos.vlarb import IbTables

WORTH_SAYING_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class MadeSubnet:
    """``problems``: why it must not be written; the elements are then for comparing only."""

    elements: State
    guaranteed: tuple[float, ...]
    problems: tuple[Problem, ...] = ()
    waits: tuple[str, ...] = ()
    """A sentence each: how long a lane may wait at the slowest port, and how long its packets live."""


def tables_for(policy: Policy, ports: SubnetPorts = UNKNOWN) -> IbTables:
    """The policy's tables, or those derived from its lanes for these ports."""
    return policy.infiniband or derive_tables(policy.lanes, Room(ports.entries, ports.packet_bytes))


def make_subnet(policy: Policy, offered: FabricInventory, ports: Iterable[Target]) -> MadeSubnet:
    """``ports`` are all of the fabric file's in this subnet."""
    among = tuple(ports)
    known = subnet_ports(offered, least(t.rate_bps for t in among))
    tables = tables_for(policy, known)
    lanes = policy.subnet_lanes
    problems = [*unfit(lanes, tables, policy.subnet, known), *_no_guid(policy, among)]
    elements = render_subnet(policy, tables, known, _paths(policy, among))
    busy = all_busy(lanes, tables, known.packet_bytes)
    return MadeSubnet(
        elements,
        tuple(busy.ratio(lane.name) for lane in lanes.lanes),
        tuple(_placed(p, policy, offered) for p in problems),
        tuple(_waits(policy, tables, known)),
    )


def _waits(policy: Policy, tables: IbTables, ports: SubnetPorts) -> Iterator[str]:
    """Of lanes that wait longer than for a packet or two."""
    rate, limit = ports.rate_bps, patience(policy.subnet, ports)
    lives = f"RC retry time-out {limit.rc_timeout_s * 1e3:.3g} ms"
    if limit.queue_lifetime_s is not None:
        lives += f", head-of-queue lifetime {limit.queue_lifetime_s * 1e3:.3g} ms"
    for wait in waits(policy.subnet_lanes, tables, policy.subnet, ports):
        seconds = wait.seconds(rate) if rate else None
        if wait.wait_bytes is None:
            yield f"lane {wait.lane} may wait without end while others are busy ({lives})"
        elif seconds is not None and wait.wait_bytes > WORTH_SAYING_BYTES:
            yield (
                f"lane {wait.lane} may wait {seconds * 1e6:.3g} us at a port of {(rate or 0) / 1e9:g} Gb/s, for "
                f"{wait.wait_bytes / 2**20:.3g} MiB of others ({lives})"
            )


def _placed(problem: Problem, policy: Policy, offered: FabricInventory) -> Problem:
    return replace(problem, path=f"policy {policy.name} on subnet {offered.name}: {problem.path}")


def _sl(policy: Policy, name: str) -> int:
    """The SL that a class's packets are sent with; SL 0 for none."""
    found: TrafficClass | None = next((c for c in policy.lanes.classes if c.name == name), None)
    return found.marking.sl[0] if found and found.marking.sl else 0


def _paths(policy: Policy, among: tuple[Target, ...]) -> Paths | None:
    options = policy.subnet
    if not options.writes_paths:
        return None
    rules = [
        PathRule(
            _sl(policy, w.traffic_class), w.pkey, w.service_ids, tuple(_guids(w.to, among)) if w.to else ()
        )
        for w in options.paths
    ]
    # A rule for each partition: the file's default rule would else win over the partition's SL.
    rules += [PathRule(_sl(policy, p.traffic_class), pkey=p.pkey) for p in options.partitions]
    partitions = tuple(
        Partition(
            p.name,
            p.pkey,
            _sl(policy, p.traffic_class),
            p.ipoib,
            tuple(_guids(p.members, among)) if p.members else (),
        )
        for p in options.partitions
        if p.members is None or any(_guids(p.members, among))  # a group of nobody is not everybody
    )
    return Paths(tuple(rules), partitions, _sl(policy, options.ipoib))


def _of_group(group: PortGroup, among: tuple[Target, ...]) -> Iterator[Target]:
    for t in among:
        if t.nic is None or t.host is None or t.link_layer is not LinkLayer.INFINIBAND:
            continue
        named = not group.nodes or any(fnmatchcase(t.host.name, g) for g in group.nodes)
        fits = (not group.roles or t.host.role in group.roles) and (
            not group.kinds or t.nic.kind in group.kinds
        )
        if named and fits:
            yield t


def _guids(group: PortGroup, among: tuple[Target, ...]) -> Iterator[int]:
    for t in _of_group(group, among):
        if t.nic is not None and t.nic.guid is not None:
            yield int(t.nic.guid, 16)


def _no_guid(policy: Policy, among: tuple[Target, ...]) -> Iterator[Problem]:
    """Ports that a path or partition means and that cannot be written down; groups that mean nobody."""
    groups = [(f"infiniband.paths[{i}].to", w.to) for i, w in enumerate(policy.subnet.paths)]
    groups += [
        (f"infiniband.partitions[{i}].members", p.members) for i, p in enumerate(policy.subnet.partitions)
    ]
    for path, group in groups:
        if group is None:
            continue
        found = tuple(_of_group(group, among))
        if not found:
            yield Problem(path, "", "fits no InfiniBand port of this subnet: change it, or take it out")
        if nameless := [str(t.port) for t in found if t.nic is not None and t.nic.guid is None]:
            reason = (
                "these ports have no GUID in the fabric file: give them one (trafficd topology discover does)"
            )
            yield Problem(path, ", ".join(nameless[:5]), reason)
