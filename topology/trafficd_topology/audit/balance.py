"""Rules about balance: whether the NICs that could share the work do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trafficd_topology.audit.facts import Count, Facts, NodeFacts, PortFacts
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.audit.lanes import MUCH_BYTES, size
from trafficd_topology.counters import Direction, Quantity
from trafficd_topology.model import NicKind, Role

ALL_OF_IT = 0.9
UNEVEN = 1.5
"""Busiest over average, where 1 is even."""
SIDES_UNEVEN = 2.0
INTERVAL_BYTES = 2**20
"""Bytes within the interval, from which on it says more than totals do."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a port carried, both ways together."""

    node: NodeFacts
    port: PortFacts
    count: int


def _carried(node: NodeFacts, port: str, lanes: frozenset[int] | None) -> tuple[int, int] | None:
    """(total, risen) bytes of a whole port, or of these lanes of it; None where nothing is counted."""
    known = [c for c in node.counts if c.column.port == port and _counts(c, lanes)]
    if not any(c.total is not None for c in known):
        return None
    best: dict[tuple[Direction | None, int | None], tuple[int, int]] = {}
    for c in known:
        # On Ethernet RDMA may be counted apart or as part of the wire: the larger holds.
        key, value = (c.column.direction, c.column.lane_id), (c.total or 0, c.risen or 0)
        best[key] = max(best.get(key, (0, 0)), value)
    return sum(t for t, _ in best.values()), sum(r for _, r in best.values())


def _counts(c: Count, lanes: frozenset[int] | None) -> bool:
    if c.column.quantity not in (Quantity.BYTES, Quantity.RDMA_BYTES) or c.column.priority is not None:
        return False
    return c.column.lane_id is None if lanes is None else c.column.lane_id in lanes


def _kv_lanes(node: NodeFacts, port: str) -> frozenset[int]:
    return frozenset(x.id for lanes in node.lanes if lanes.port == port for x in lanes.lanes if x.kv)


def _loads(among: Iterable[tuple[NodeFacts, PortFacts]], *, kv: bool) -> tuple[tuple[Load, ...], str]:
    """The load of each port, all by their interval where enough moved in it, else all since the counters began."""
    found = [(n, p, _carried(n, p.name, _kv_lanes(n, p.name) if kv else None)) for n, p in among]
    known = [(n, p, both) for n, p, both in found if both is not None]
    recent = sum(risen for _, _, (_, risen) in known) >= INTERVAL_BYTES
    seconds = max((n.seconds for n, _, _ in known), default=0.0)
    when = f"in {seconds:.3g} s" if recent else "since the counters began"
    loads = tuple(Load(n, p, both[1] if recent else both[0]) for n, p, both in known)
    return loads if recent or sum(x.count for x in loads) >= MUCH_BYTES else (), when


def _groups(node: NodeFacts) -> Iterator[tuple[PortFacts, ...]]:
    """Ports that could stand in for each other: of one kind, or of one make and rate. Down ports cannot."""
    groups: dict[object, list[PortFacts]] = {}
    for p in node.ports:
        make = p.kind or p.model
        if make and p.up is not False:
            groups.setdefault((make, p.link_layer, p.rate_bps), []).append(p)
    return (tuple(g) for g in groups.values() if len(g) > 1)


def _busiest(loads: tuple[Load, ...]) -> tuple[Load, float] | None:
    """The port with most, and its part of all."""
    total = sum(x.count for x in loads)
    if len(loads) < 2 or not total:
        return None
    most = max(loads, key=lambda x: x.count)
    return most, most.count / total


def nic_balance(facts: Facts) -> Iterator[Finding]:
    """One NIC that carries all of a node's KV or traffic, or much more than its share."""
    for node in facts.nodes:
        for ports in _groups(node):
            both = [(node, p) for p in ports]
            kv, when = _loads(both, kv=True)
            yield from _uneven(kv, "KV", when)
            if not _busiest(kv):
                every, when = _loads(both, kv=False)
                yield from _uneven(every, "traffic", when)


def _uneven(loads: tuple[Load, ...], what: str, when: str) -> Iterator[Finding]:
    found = _busiest(loads)
    if found is None:
        return
    most, part = found
    n, total = len(loads), sum(x.count for x in loads)
    said = f"it carried {part:.0%} of the {size(total)} of {what} that {n} NICs of its sort carried {when}"
    if part >= ALL_OF_IT:
        yield Finding(
            "one-nic-carries-all",
            Severity.WARNING,
            most.node.at(most.port.name),
            said,
            "Spread reads over the node's NICs: name all of them in the transfer engine's device list, or ask the path service for each read.",
        )
    elif part * n >= UNEVEN:
        yield Finding(
            "nics-uneven",
            Severity.INFO,
            most.node.at(most.port.name),
            f"{said}, {part * n:.2f} times the average",
            "Ask the path service for each read, or check that the pairing of GPUs and NICs is even.",
        )


def sides_uneven(facts: Facts) -> Iterator[Finding]:
    """Storage NICs of the inference nodes over the whole cluster: idle ones beside full ones."""
    hosts = [n for n in facts.nodes if n.role in (Role.PREFILL, Role.DECODE)]
    ports = [(n, p) for n in hosts for p in n.ports if p.kind is NicKind.STORAGE and p.up is not False]
    loads, when = _loads(ports, kv=False)
    total = sum(x.count for x in loads)
    if len({x.node.name for x in loads}) < 2 or not total:
        return
    most = max(loads, key=lambda x: x.count)
    ratio = most.count * len(loads) / total
    if ratio >= SIDES_UNEVEN:
        yield Finding(
            "storage-nics-uneven",
            Severity.INFO,
            most.node.at(most.port.name),
            f"this storage NIC carried {ratio:.2f} times the average of {len(loads)} storage NICs of inference nodes {when}",
            "Let the scheduler ask the path service, so that reads also go through nodes whose storage NICs idle.",
        )
