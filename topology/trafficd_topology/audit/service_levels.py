"""Rules about the lanes of InfiniBand subnets: whether what runs in them is what the policy says.

A switch's port counts by SL what it receives from the NIC at the other end of its cable: that is what the NIC sent, as it
was marked. What rose while it was watched counts; without that, what was counted so far.
"""

from __future__ import annotations

from collections.abc import Iterator

from trafficd_topology.audit.facts import Count, Facts, NodeFacts, SubnetLanes
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.audit.lanes import ENOUGH_BYTES, size, some
from trafficd_topology.counters import Direction, Quantity
from trafficd_topology.model import NicKind

MISUSED = 0.05
"""Of what a storage NIC sent."""
CAUSES = (
    "an application sets its SL itself (NCCL_IB_SL, NVSHMEM_IB_SL, UCX_IB_SL), or gets it from a PathRecord (QoS policy "
    "file) or its partition"
)


def _seen(c: Count) -> int:
    return (c.total if c.risen is None else c.risen) or 0


def _by_sl(node: NodeFacts) -> dict[str, dict[int, int]]:
    """Switch port -> SL -> bytes that it received."""
    out: dict[str, dict[int, int]] = {}
    for c in node.counts:
        received = (c.column.quantity, c.column.direction) == (Quantity.BYTES, Direction.RECEIVE)
        if received and c.column.priority is not None and c.column.port.startswith("0x"):
            out.setdefault(c.column.port, {})[c.column.priority] = _seen(c)
    return out


def _where(node: NodeFacts, subnet: SubnetLanes, what: str) -> str:
    return node.at(f"subnet {subnet.name}, {what}")


def _kv_sls(subnet: SubnetLanes) -> frozenset[int]:
    classes = {name for lane in subnet.lanes if lane.kv for name in lane.classes}
    return frozenset(sl for sl, name in subnet.classes if name in classes)


def uncounted(facts: Facts) -> Iterator[Finding]:
    """Where nothing can be said: never a guess."""
    for node in facts.nodes:
        counted = {c.column.port for c in node.counts if c.column.port.startswith("0x")}
        by_lane = {c.column.port for c in node.counts if c.column.lane_id is not None}
        if node.subnets and (left := sorted(counted - by_lane)):
            yield Finding(
                "subnet-class-unknown",
                Severity.INFO,
                _where(node, node.subnets[0], f"{len(left)} of {len(counted)} switch ports"),
                f"class use unavailable on {some(left)}: no 64-bit counters by SL",
                "Nothing can be done on these devices: their 32-bit counters by SL fill in less than a second.",
            )


def unclaimed(facts: Facts) -> Iterator[Finding]:
    """Traffic on an SL that no class claims runs in the default lane, whatever its sender wanted."""
    for node in facts.nodes:
        by_port = _by_sl(node)
        for subnet in node.subnets:
            known = {0, *(sl for sl, _ in subnet.classes)}
            strange = {sl for counts in by_port.values() for sl in counts} - known
            for sl in sorted(strange):
                sent = sum(counts.get(sl, 0) for counts in by_port.values())
                if sent >= ENOUGH_BYTES:
                    yield Finding(
                        "subnet-sl-unclaimed",
                        Severity.WARNING,
                        _where(node, subnet, f"SL {sl}"),
                        f"it carried {size(sent)} and no class of policy {subnet.policy} has it: that runs in the default lane",
                        f"Find who uses it ({CAUSES}), and give it a class or another SL.",
                    )


def kv_unmarked(facts: Facts) -> Iterator[Finding]:
    """A storage NIC that sends nearly all on SL 0 and nothing on KV's."""
    for node, subnet, nic, sent in _storage(facts):
        kv = sum(sent.get(sl, 0) for sl in _kv_sls(subnet))
        if not kv and sent.get(0, 0) >= 0.9 * sum(sent.values()) and _kv_sls(subnet):
            yield Finding(
                "subnet-kv-unmarked",
                Severity.WARNING,
                _where(node, subnet, nic),
                f"it sent {size(sum(sent.values()))}, nearly all on SL 0, and nothing on KV's SL "
                f"{', '.join(map(str, sorted(_kv_sls(subnet))))}",
                "Mark KV where it is sent: reads at the storage server, writes at the writer (trafficd marking says how).",
            )


def misused(facts: Facts) -> Iterator[Finding]:
    """A storage NIC that sends in the lanes of other classes than KV."""
    for node, subnet, nic, sent in _storage(facts):
        total, kv = sum(sent.values()), _kv_sls(subnet)
        for sl, name in subnet.classes:
            if sl and sl not in kv and MISUSED * total <= sent.get(sl, 0):
                yield Finding(
                    "subnet-lane-misused",
                    Severity.WARNING,
                    _where(node, subnet, nic),
                    f"of {size(total)} that this storage NIC sent, {sent[sl] / total:.0%} went on SL {sl}, which is class {name}'s",
                    f"Either {name} runs over storage NICs (limit its devices), or storage traffic carries its SL: {CAUSES}.",
                )


def _storage(facts: Facts) -> Iterator[tuple[NodeFacts, SubnetLanes, str, dict[int, int]]]:
    """Storage NICs that sent enough to be judged, with what they sent by SL."""
    for node in facts.nodes:
        by_port = _by_sl(node)
        for subnet in node.subnets:
            for nic in subnet.nics:
                sent = by_port.get(nic.port, {})
                if nic.kind is NicKind.STORAGE and sum(sent.values()) >= ENOUGH_BYTES:
                    yield node, subnet, nic.nic, sent
