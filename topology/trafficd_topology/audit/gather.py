"""From an inventory and two readings of its counters to facts: the same for an agent and a controller."""

from __future__ import annotations

from collections.abc import Iterable

from trafficd_topology.audit.facts import Count, PortFacts
from trafficd_topology.counters import Column, Sample, delta
from trafficd_topology.model import PortInventory


def port_facts(port: PortInventory) -> PortFacts:
    """What an inventory says of a port."""
    return PortFacts(
        port.name,
        port.link_layer,
        rate_bps=port.rate_bps,
        up=port.up,
        rdma=port.rdma_device is not None,
        numa_node=port.numa_node,
        pcie_switch=port.pcie_switch,
    )


def counts(columns: Iterable[Column], first: Sample | None, last: Sample | None) -> tuple[Count, ...]:
    """Totals of the last reading, and how far they rose since the first of the same columns."""
    among = tuple(columns)
    if last is None or len(last.values) != len(among):
        return ()
    before = first.values if first is not None and len(first.values) == len(among) else (None,) * len(among)
    return tuple(Count(c, b, delta(c.kind, a, b)) for c, a, b in zip(among, before, last.values, strict=True))


def seconds(first: Sample | None, last: Sample | None) -> float:
    """The interval between two readings; 0 when there is none."""
    if first is None or last is None:
        return 0.0
    return max(0.0, (last.measured_monotonic_ns - first.measured_monotonic_ns) / 1e9)
