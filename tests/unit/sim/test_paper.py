"""The paper's loads (DualPath, section 4.2) come out of the simulator's own routes, at any size of cluster."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trafficd.sim.chooser import Choice, Piece
from trafficd.sim.clock import Clock
from trafficd.sim.cluster import Cluster, Options, build
from trafficd.sim.fluid import Fluid
from trafficd.sim.plan import Shape, fabric_of
from trafficd.sim.turns import loading, transfer
from trafficd_topology.capacity import analyse

B = 400e9 / 8


def loads(cluster: Cluster) -> dict[str, float]:
    """Bytes per second on every resource when all storage NICs read at their rate, every pair of engines alike."""
    found: dict[str, float] = defaultdict(float)
    readers = cluster.layout.index.readers
    pairs = [(p, d) for p in cluster.prefill for d in cluster.decode]
    for side in ("prefill", "decode"):
        for p, d in pairs:
            nic = readers[p.node if side == "prefill" else d.node][0]
            here = [
                e
                for e in pairs
                if (e[0].node if side == "prefill" else e[1].node)
                == (p.node if side == "prefill" else d.node)
            ]
            rate = cluster.full[nic] / len(here)
            piece = Piece(nic, rate) if side == "prefill" else Piece(nic, rate, d.nic, p.nic)
            steps, whole = transfer(cluster, Choice(p, d, (piece,)), 0.0)
            assert whole == rate
            for resource, weight in [*steps, *loading(cluster, d), *cluster.reading(nic, "kv").steps]:
                found[resource.name] += weight * rate
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2, 4, 8]), st.sampled_from([0.5, 1.0, 2.0]))
def test_loads_are_those_of_the_formulas(P: int, D: int, g: int, s: float) -> None:  # noqa: N803 - the paper's
    spec = fabric_of(Shape(prefill=P, decode=D, gpus=g, storage_bps=int(s * 400e9), servers=40))
    cluster = build(spec, Options(), Fluid(Clock()))
    found = loads(cluster)
    tp, tc = B * s / (D * g * g), B * s / (P * g * g)
    wanted = {
        "nic:p1/c0 read": 2 * tp * D * g,
        "nic:p1/c0 write": (tp + tc) * D * g,
        "nic:d1/c0 read": (tp + 2 * tc) * P * g,
        "nic:d1/c0 write": (2 * tp + tc) * P * g,
        "dram:p1": 2 * s * B,
        "dram:d1": (3 + 2 * P / D) * B * s,
        "nic:p1/s0 write": s * B,
        "nic:d1/s0 write": s * B,
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    # The same as trafficd topology capacity says, resource by resource.
    capacity, _ = analyse(spec)
    assert capacity is not None
    for resource in capacity.resources:
        name = (
            f"{resource.element} {resource.direction}"
            if resource.element.startswith("nic:")
            else resource.element
        )
        if name in found and "st" not in name.split("/")[0]:
            assert found[name] == pytest.approx(resource.demand.at(1.0) / 8), name
