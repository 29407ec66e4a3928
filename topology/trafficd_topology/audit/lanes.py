"""Rules about lanes: whether anything runs in them, and what keeps applications from reaching them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trafficd_topology.audit.facts import Facts, LaneFacts, NodeFacts, PortLanes
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.counters import Direction, Quantity
from trafficd_topology.model import LinkLayer, NicKind

ENOUGH_BYTES = 64 * 2**20
"""A port that carried less says nothing about who uses its lanes."""
MUCH_BYTES = 2**30
MOSTLY = 0.999
SHOWN_PORTS = 6


def size(count: int) -> str:
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} B"


def _sent(node: NodeFacts) -> dict[str, dict[int, int]]:
    """Bytes sent by port and lane; only lanes that are counted."""
    out: dict[str, dict[int, int]] = {lanes.port: {} for lanes in node.lanes}
    for c in node.counts:
        lane, sent = c.column.lane_id, (c.column.quantity, c.column.direction)
        if lane is not None and c.total is not None and sent == (Quantity.BYTES, Direction.TRANSMIT):
            out.setdefault(c.column.port, {})[lane] = c.total
    return out


def _is_unmarked_kv(node: NodeFacts, lane: LaneFacts, lanes: PortLanes, sent: Mapping[int, int]) -> bool:
    """KV's lane of a storage NIC is empty and nearly everything runs where unmarked packets go."""
    storage = any(p.name == lanes.port and p.kind is NicKind.STORAGE for p in node.ports)
    if not (storage and lane.kv) or sum(sent.values()) < ENOUGH_BYTES:
        return False
    unmarked = sum(sent.get(x.id, 0) for x in lanes.lanes if x.unmarked)
    return unmarked >= 0.9 * sum(sent.values())


def _idle(lane: LaneFacts, sent: Mapping[int, int]) -> bool:
    return not lane.idle_is_fine and not lane.unmarked and sent.get(lane.id) == 0


def kv_unmarked(facts: Facts) -> Iterator[Finding]:
    for node in facts.nodes:
        by_port = _sent(node)
        for lanes in node.lanes:
            sent = by_port[lanes.port]
            for lane in lanes.lanes:
                if _idle(lane, sent) and _is_unmarked_kv(node, lane, lanes, sent):
                    yield Finding(
                        "kv-unmarked",
                        Severity.WARNING,
                        node.at(lanes.port),
                        f"it sent {size(sum(sent.values()))}, nearly all unmarked, and none of it in lane {lane.name}, which is KV's",
                        "Mark KV where it is sent: reads at the storage server, writes at the writer; a lane is empty until the application marks.",
                    )


def lane_unused(facts: Facts) -> Iterator[Finding]:
    """One finding a lane and node."""
    for node in facts.nodes:
        idle: dict[tuple[str, str], list[str]] = {}
        carried: dict[tuple[str, str], int] = {}
        by_port = _sent(node)
        for lanes in node.lanes:
            sent = by_port[lanes.port]
            if sum(sent.values()) < ENOUGH_BYTES:
                continue
            for lane in lanes.lanes:
                if _idle(lane, sent) and not _is_unmarked_kv(node, lane, lanes, sent):
                    key = (lanes.policy, lane.name)
                    idle.setdefault(key, []).append(lanes.port)
                    carried[key] = carried.get(key, 0) + sum(sent.values())
        for (policy, name), ports in idle.items():
            yield Finding(
                "lane-unused",
                Severity.WARNING,
                node.at(f"lane {name}"),
                f"nothing was sent in it on {some(ports)}, where other lanes sent {size(carried[policy, name])} (policy {policy})",
                "Mark the traffic of this lane's classes at its sender, or take the lane out of the policy.",
            )


def some(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_PORTS])
    return f"{shown} and {len(names) - SHOWN_PORTS} more" if len(names) > SHOWN_PORTS else shown


def nothing_marked(facts: Facts) -> Iterator[Finding]:
    """By the counters of priorities, which count RDMA too."""
    for node in facts.nodes:
        by_port: dict[str, dict[int, int]] = {}
        for c in node.counts:
            sent = (Quantity.BYTES, Direction.TRANSMIT)
            # Switch ports of a subnet count by SL: rules of their own.
            subnet = c.column.port.startswith("0x")
            if (
                (c.column.quantity, c.column.direction) == sent
                and c.column.priority is not None
                and not subnet
            ):
                by_port.setdefault(c.column.port, {})[c.column.priority] = c.total or 0
        managed = {lanes.port for lanes in node.lanes}
        for port, sent_by in by_port.items():
            total = sum(sent_by.values())
            if total >= MUCH_BYTES and sent_by.get(0, 0) >= MOSTLY * total:
                yield Finding(
                    "nothing-marked",
                    Severity.WARNING if port in managed else Severity.INFO,
                    node.at(port),
                    f"of {size(total)} sent, {sent_by[0] / total:.2%} left in priority 0",
                    "Set the marking of each application (ToS or traffic class of its RDMA connections); until then all share one queue.",
                )


def global_class(facts: Facts) -> Iterator[Finding]:
    for node in facts.nodes:
        lanes = {x.port: len(x.lanes) for x in node.lanes}
        for p in node.ports:
            if p.traffic_class is None:
                continue
            several = lanes.get(p.name, 0) > 1
            yield Finding(
                "global-traffic-class",
                Severity.ERROR if several else Severity.WARNING,
                node.at(p.name),
                f"a global traffic class of {p.traffic_class} (DSCP {p.traffic_class >> 2}) is set on the device and overrides what applications set",
                "Take out what writes tc/<port>/traffic_class at boot, reload the driver, and mark per application.",
            )


def cma_default(facts: Facts) -> Iterator[Finding]:
    for node in facts.nodes:
        for p in node.ports:
            if p.cma_tos and p.link_layer is LinkLayer.ETHERNET:
                yield Finding(
                    "cma-default-tos",
                    Severity.INFO,
                    node.at(p.name),
                    f"RDMA-CM connections without a marking of their own get ToS {p.cma_tos} (DSCP {p.cma_tos >> 2})",
                    "Make sure that this is the lane you mean unmarked connections to use.",
                )
