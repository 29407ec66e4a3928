"""Who was heard when, and who is forgotten."""

from __future__ import annotations

import time

from trafficd.app.telemetry import FORGET_S, LastHeard
from trafficd.core.state import ControlState, FabricSource, NodeState
from trafficd.core.telemetry import TelemetryStore
from trafficd_topology.counters import Column, CounterKind, Direction, Quantity, Sample
from trafficd_topology.model import FabricSpec, Host, NodeInventory, PortKey, Role
from trafficd_topology.status import Generation

COLUMNS = (Column("c0", Quantity.BYTES, Direction.TRANSMIT, CounterKind.WRAP64),)
NODES = ("connected", "away", "left", "silent", "fresh")


def state(*hosts: str) -> ControlState:
    spec = FabricSpec("f", tuple(Host(h, Role.OTHER, ()) for h in hosts))
    connected = NodeState("connected", 1, NodeInventory("connected"))
    gone = NodeState("away", None, NodeInventory("away"))
    return ControlState(
        "uuid",
        Generation(1, 1),
        fabric=FabricSource("", "", spec),
        nodes={n.name: n for n in (connected, gone)},
    )


def test_rates_of_nodes_that_are_gone_for_long_are_dropped_and_of_those_that_left_all_trace() -> None:
    store = TelemetryStore()
    heard = LastHeard(store)
    begin = time.monotonic()
    for node in NODES:
        heard.hello(node, COLUMNS)
    for node in ("connected", "away", "left"):
        heard.sample(node, Sample(0, 10**9, (0,)), begin)
        heard.sample(node, Sample(0, 2 * 10**9, (7,)), begin + 1)
    heard.sample("fresh", Sample(0, 10**9, (0,)), begin + 500)
    in_fabric = state("connected", "away", "silent")

    heard.forget_gone(in_fabric, begin + FORGET_S - 1)
    assert store.nodes() == tuple(sorted(NODES))
    heard.forget_gone(in_fabric, begin + FORGET_S + 2)
    assert store.nodes() == ("connected", "fresh")
    assert store.use(PortKey("connected", "c0")) is not None
    assert store.use(PortKey("away", "c0")) is None
    assert [node for node, _ in heard.ages_s()] == ["away", "connected", "fresh"]

    # Out of the fabric file: nobody asks for it any more.
    heard.forget_gone(state("connected"), begin + FORGET_S + 3)
    assert [node for node, _ in heard.reports()] == ["connected", "fresh"]

    # It comes back as it came first.
    heard.hello("away", COLUMNS)
    heard.sample("away", Sample(0, 10**9, (0,)), begin + 900)
    heard.sample("away", Sample(0, 2 * 10**9, (9,)), begin + 901)
    assert store.use(PortKey("away", "c0")) is not None
