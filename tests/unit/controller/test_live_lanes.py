"""Lanes of a picture: what is guaranteed by the plan beside what the counters saw."""

from dataclasses import replace

from trafficd.cli.files import checked
from trafficd.core.frame import make_frame
from trafficd.core.live import Now, live
from trafficd.core.plan import plan
from trafficd.core.state import ControlState, FabricSource
from trafficd.core.telemetry import TelemetryStore
from trafficd_topology.counters import Column, Direction, Quantity, Sample
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import (
    DriverOffer,
    FabricSpec,
    Host,
    LinkLayer,
    Nic,
    NicKind,
    NodeInventory,
    PortInventory,
    Role,
)
from trafficd_topology.status import Generation

RATE = 10**9
POLICY = (
    b"version: 1\npolicies: [{name: main, preset: dualpath, mode: enforce, selectors: [{nodes: ['*']}]}]\n"
)
NICS = tuple(Nic(f"s{i}", NicKind.STORAGE, LinkLayer.ETHERNET, RATE) for i in range(2))
SPEC = FabricSpec("lab", (Host("p1", Role.PREFILL, NICS),))
PORTS = tuple(
    PortInventory(n.name, n.link_layer, RATE, up=True, offers=(DriverOffer("tc", supported=True),))
    for n in NICS
)


def test_lanes() -> None:
    file = checked("policy.yaml", POLICY)
    assert file.policies is not None
    inventory = NodeInventory("p1", PORTS)
    made = plan(file.policies.policies, SPEC, (inventory,))
    state = ControlState("u", Generation(1, 1), fabric=FabricSource("d", "t", SPEC))
    state = replace(state, plan=made)
    ids = [lane.id for lane in made.scopes[0].lanes.lanes]
    columns = [
        Column(n.name, q, Direction.TRANSMIT, lane_id=i)
        for n in NICS
        for i in ids
        for q in (Quantity.BYTES, Quantity.BACKLOG_BYTES)
    ]
    store = TelemetryStore()
    store.hello("p1", tuple(columns))
    store.sample("p1", Sample(0, 0, (0,) * len(columns)), 1.0)
    store.sample("p1", Sample(0, 10**9, (1000, 7) * (len(columns) // 2)), 2.0)
    frame = make_frame(Fabric(SPEC), made, (inventory,))
    lanes = live(Now(state, frame, store, (), (), (), 0, 2.5, 10**18)).lanes
    assert [x.lane_id for x in lanes] == ids
    assert {x.policy for x in lanes} == {"main"}
    assert {x.observed for x in lanes} == {1 / len(ids)}
    assert {(x.transmit_bps, x.receive_bps, x.backlog_bytes) for x in lanes} == {(16000, None, 14)}
    assert tuple(x.guaranteed for x in lanes) == made.scopes[0].guaranteed
    assert sum(x.guaranteed or 0 for x in lanes) <= 1.000001
