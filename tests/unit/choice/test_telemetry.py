"""Samples -> rates -> snapshot, on a fabric with a managed switch."""

from dataclasses import replace

import pytest

from trafficd.choice.engine import PathEngine
from trafficd.choice.request import Abilities, EngineRef, Request, Source
from trafficd.core.frame import make_frame
from trafficd.core.plan import Plan, plan
from trafficd.core.snapshot import Live, Moment, balance_of, build_snapshot, loads
from trafficd.core.telemetry import TelemetryStore
from trafficd_topology.counters import Column, CounterKind, Direction, Quantity, Sample
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import (
    DriverOffer,
    FabricSpec,
    Host,
    Link,
    LinkLayer,
    Nic,
    NicKind,
    NodeInventory,
    PortInventory,
    PortKey,
    Role,
    Switch,
)
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.dcb import DcbFeatures

GBIT = 10**9
UNIX = 1_700_000_000 * 10**9
T, R = Direction.TRANSMIT, Direction.RECEIVE


def nic(name: str, kind: NicKind = NicKind.STORAGE) -> Nic:
    return Nic(name, kind, LinkLayer.ETHERNET, GBIT)


def fabric() -> Fabric:
    """p1 and st1 on a managed storage switch; p1's compute NIC alone."""
    hosts = (
        Host("p1", Role.PREFILL, (nic("s0"), nic("c0", NicKind.COMPUTE))),
        Host("st1", Role.STORAGE, (nic("s0"),), pool="kv"),
    )
    links = (
        Link(PortKey("p1", "s0"), PortKey("sw", "port1")),
        Link(PortKey("st1", "s0"), PortKey("sw", "port2")),
    )
    return Fabric(FabricSpec("f", hosts, (Switch("sw", managed=True),), links))


def inventory(node: str, *ports: str, rate_bps: int = GBIT) -> NodeInventory:
    offers = (DriverOffer("tc", supported=True),)
    return NodeInventory(
        node, tuple(PortInventory(p, LinkLayer.ETHERNET, rate_bps, True, offers=offers) for p in ports)
    )


INVENTORIES = (inventory("p1", "s0", "c0"), inventory("st1", "s0"), inventory("sw", "port1", "port2"))
POLICY = """
version: 1
policies:
  - name: all
    mode: enforce
    preset: dualpath
    selectors: [{}, {switches: true}]
"""


def planned() -> Plan:
    policies, problems = parse_policies(POLICY)
    assert policies is not None, problems
    return plan(policies.policies, fabric().spec, INVENTORIES)


def lanes() -> dict[str, int]:
    return {lane.name: lane.id for lane in planned().scopes[0].lanes.lanes}


def sample(store: TelemetryStore, node: str, at_s: float, *values: int | None) -> None:
    store.sample(node, Sample(0, int(at_s * 1e9), values), at_s)


def test_rates_are_per_second_of_the_nodes_own_clock_by_port_and_lane() -> None:
    store = TelemetryStore()
    columns = (
        Column("s0", Quantity.BYTES, T),
        Column("s0", Quantity.BYTES, R),
        Column("s0", Quantity.BYTES, T, lane_id=2),
        Column("s0", Quantity.BACKLOG_BYTES, T, CounterKind.GAUGE, lane_id=2),
        Column("s0", Quantity.PACKETS, T),
    )
    store.hello("p1", columns)
    store.sample("p1", Sample(0, 10**9, (0, 100, 50, 7, 1)), 50.0)
    assert store.use(PortKey("p1", "s0")) is None
    store.sample("p1", Sample(0, 3 * 10**9, (2000, 100, 250, 9, 2)), 51.0)
    assert repr(store.use(PortKey("p1", "s0"))) == (
        "PortUse(at=51.0, transmit=1000.0, receive=0.0, "
        "lanes=(LaneUse(lane_id=2, transmit=100.0, receive=None, backlog_bytes=9),), priorities=())"
    )
    assert (store.age_s("p1", 51.5), store.age_s("p2", 51.5)) == (0.5, None)


def test_a_reset_is_unknown_and_a_repeated_or_foreign_sample_changes_nothing() -> None:
    store = TelemetryStore()
    store.hello("p1", (Column("s0", Quantity.BYTES, T),))
    for at, value in ((1.0, 10**6), (2.0, 2 * 10**6)):
        sample(store, "p1", at, value)
    sample(store, "p1", 2.0, 9 * 10**6)
    sample(store, "p1", 3.0, 1, 2)
    use = store.use(PortKey("p1", "s0"))
    assert use is not None
    assert (use.at, use.transmit) == (2.0, 10**6)
    sample(store, "p1", 3.0, 5)
    use = store.use(PortKey("p1", "s0"))
    assert use is not None
    assert (use.at, use.transmit) == (3.0, None)


def told(store: TelemetryStore, with_plan: bool = True, now: float = 2.0) -> dict[str, str]:
    """NIC -> what KV may use and uses, in Mbit/s and MB/s, and the age of that."""
    frame = make_frame(fabric(), planned() if with_plan else None, INVENTORIES)
    taken = build_snapshot(frame, store, Live(), Moment("1", now, UNIX))
    found = {}
    for name, s in zip(taken.layout.index.nic_names, taken.states, strict=True):
        age = None if s.measured_unix_ns is None else (UNIX - s.measured_unix_ns) / 1e9
        found[name] = (
            f"{s.kv_available_bps / 1e6:g} of {s.rate_bps / 1e6:g}, KV {s.kv_bytes_per_s / 1e6:g}, age {age}"
        )
    return found


def carry(store: TelemetryStore, node: str, columns: tuple[Column, ...], *megabytes_per_s: int) -> None:
    store.hello(node, columns)
    sample(store, node, 0.5, *([0] * len(columns)))
    sample(store, node, 1.5, *(m * 10**6 for m in megabytes_per_s))


def test_what_a_nic_receives_by_lane_is_what_the_switch_port_sends() -> None:
    ids = lanes()
    store = TelemetryStore()
    carry(store, "p1", (Column("s0", Quantity.BYTES, R),), 90)
    switch = tuple(Column("port1", Quantity.BYTES, T, lane_id=ids[n]) for n in ("kv", "model"))
    carry(store, "sw", switch, 40, 50)
    assert told(store)["p1/s0"] == "600 of 1000, KV 40, age 0.5"


def test_a_roce_port_is_counted_by_priority_and_told_by_lane() -> None:
    features = DcbFeatures(("dscp", "ets", "pfc", "ecn", "maxrate"))
    roce = replace(INVENTORIES[0].ports[0], offers=(DriverOffer("dcb", supported=True, dcb=features),))
    found = (replace(INVENTORIES[0], ports=(roce, INVENTORIES[0].ports[1])), *INVENTORIES[1:])
    policies, _ = parse_policies(POLICY)
    assert policies is not None
    frame = make_frame(fabric(), plan(policies.policies, fabric().spec, found), found)
    nic = next(n for n in frame.nics if str(n.port) == "p1/s0")
    assert nic.lane_of == (
        0,
        0,
        0,
        3,
        2,
        0,
        1,
        0,
    )  # model is priority 3, kv 4, control 6; the rest is unmarked
    assert nic.guarantee == pytest.approx(0.009)
    store = TelemetryStore()
    columns = (
        Column("s0", Quantity.BYTES, R),
        *(Column("s0", Quantity.BYTES, R, priority=p) for p in (0, 3, 4, 5)),
    )
    carry(store, "p1", columns, 90, 5, 50, 30, 5)
    store.count_priorities(frozenset({nic.own}))
    store.count_priorities(frozenset({nic.own}))
    sample(store, "p1", 2.5, *(2 * m * 10**6 for m in (90, 5, 50, 30, 5)))
    use = store.use(nic.own)
    assert use is not None
    assert use.by_lane(R, nic.lane_of) == {0: 10e6, 3: 50e6, 2: 30e6}
    taken = build_snapshot(frame, store, Live(), Moment("1", 2.5, UNIX))
    state = next(s for n, s in zip(taken.layout.index.nic_names, taken.states, strict=True) if n == "p1/s0")
    assert (state.kv_bytes_per_s, state.kv_available_bps) == (30 * 10**6, GBIT - 8 * 60 * 10**6)


def test_kv_always_gets_its_guarantee() -> None:
    ids = lanes()
    store = TelemetryStore()
    carry(store, "p1", (Column("s0", Quantity.BYTES, T, lane_id=ids["model"]),), 124)
    assert told(store)["p1/s0"] == "10 of 1000, KV 0, age 0.5"


def test_without_lanes_a_storage_nic_carries_kv_and_a_compute_nic_the_model() -> None:
    store = TelemetryStore()
    carry(store, "p1", (Column("s0", Quantity.BYTES, R), Column("c0", Quantity.BYTES, T)), 30, 50)
    assert told(store, with_plan=False) == {
        "p1/s0": "1000 of 1000, KV 30, age 0.5",
        "p1/c0": "600 of 1000, KV 0, age 0.5",
        "st1/s0": "1000 of 1000, KV 0, age None",
    }


def test_a_port_whose_counters_tell_nothing_was_not_measured() -> None:
    store = TelemetryStore()
    store.hello("p1", (Column("s0", Quantity.BYTES, R), Column("c0", Quantity.BYTES, T)))
    sample(store, "p1", 0.5, None, 0)
    sample(store, "p1", 1.5, None, 0)
    assert told(store, with_plan=False) == {
        "p1/s0": "1000 of 1000, KV 0, age None",
        "p1/c0": "1000 of 1000, KV 0, age 0.5",
        "st1/s0": "1000 of 1000, KV 0, age None",
    }


def test_a_counter_that_jumped_is_at_most_what_the_nic_can_carry() -> None:
    store = TelemetryStore()
    columns = (Column("s0", Quantity.BYTES, R), Column("s0", Quantity.BYTES, T))
    carry(store, "p1", columns, 2**55 // 10**6, 2**55 // 10**6)
    assert told(store, with_plan=False)["p1/s0"] == "1000 of 1000, KV 125, age 0.5"
    found = loads(make_frame(fabric(), None, INVENTORIES), store)
    assert {(str(x.port), x.bytes_per_s) for x in found} == {("p1/s0", 2 * 125e6)}


def test_a_link_that_came_up_slower_counts_as_it_is_and_one_that_is_down_is_down() -> None:
    port = replace(INVENTORIES[0].ports[0], rate_bps=GBIT // 2, up=False)
    other = (replace(INVENTORIES[0], ports=(port,)), *INVENTORIES[1:])
    frame = make_frame(fabric(), None, other)
    state = build_snapshot(frame, TelemetryStore(), Live(), Moment("1", 0.0, UNIX)).states[0]
    assert (state.rate_bps, state.up) == (GBIT // 2, False)


def test_the_layout_is_kept_while_nothing_of_it_changes() -> None:
    first = make_frame(fabric(), planned(), INVENTORIES)
    again = make_frame(fabric(), planned(), INVENTORIES, first)
    assert again.layout is first.layout
    without = make_frame(fabric(), None, INVENTORIES, first)
    assert without.layout is not first.layout


def test_a_snapshot_of_a_fabric_answers() -> None:
    frame = make_frame(fabric(), planned(), INVENTORIES)
    engine = PathEngine("t")
    engine.swap(build_snapshot(frame, TelemetryStore(), Live(), Moment("7", 0.0, UNIX)), 0.0)
    asked = Request("r", 125 * 10**6, (EngineRef("p1"),), source=Source(pool="kv"), abilities=Abilities())
    answer = engine.recommend(asked, 0.0)
    leg = answer.plans[0].legs[0]
    assert (leg.nics, leg.lane_id, leg.traffic_class) == (("p1/s0",), lanes()["kv"], "kv")
    assert leg.expected_seconds == pytest.approx(1.0)
    assert {m.link_layer.name for m in frame.markings} == {"ETHERNET", "INFINIBAND"}


def test_balance_is_of_the_inference_nodes_nics_by_kind() -> None:
    store = TelemetryStore()
    columns = (Column("s0", Quantity.BYTES, R), Column("s0", Quantity.BYTES, T))
    carry(store, "p1", columns, 30, 10)
    carry(store, "st1", columns, 10, 30)
    frame = make_frame(fabric(), None, INVENTORIES)
    found = loads(frame, store)
    assert [(str(x.port), x.bytes_per_s) for x in found] == [("p1/s0", 4e7)]
    assert balance_of(NicKind.STORAGE, found).max_over_average == 1.0
    assert balance_of(NicKind.COMPUTE, found).jain is None
