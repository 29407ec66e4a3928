"""The longest wait of a lane, against an arbiter that sends packet after packet as IBA 7.6.9 says."""

from __future__ import annotations

import random

import pytest

from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.fit import Room, derive_tables
from trafficd_topology.qos.ib_options import PLAIN
from trafficd_topology.qos.ib_ports import UNKNOWN, patience
from trafficd_topology.qos.ib_wait import lane_waits
from trafficd_topology.qos.lanes import Lane, LaneSet, LaneUse
from trafficd_topology.qos.vlarb import IbTables, VlWeight, packets

PACKET = 4096


def longest(tables: IbTables, vls: frozenset[int], vl: int, rounds: int = 40_000) -> int | None:
    """Packets of others between two of ``vl``, all lanes always having packets; None: it had no second one."""
    high = [(e.vl, packets(e.weight, PACKET)) for e in tables.vlarb_high if e.weight and e.vl in vls]
    low = [(e.vl, packets(e.weight, PACKET)) for e in tables.vlarb_low if e.weight and e.vl in vls]
    order = [[v for v, n in table for _ in range(n)] for table in (high, low)]
    at, left, worst, since = [0, 0], max(1, tables.high_limit), 0, None
    for _ in range(rounds):
        use_low = not high or (bool(low) and tables.high_limit != 255 and left <= 0)
        if use_low:
            sent, left = order[1][at[1] % len(order[1])], max(1, tables.high_limit)
            at[1] += 1
        else:
            sent, left = order[0][at[0] % len(order[0])], left - 1
            at[0] += 1
        if sent == vl:
            worst, since = max(worst, since or 0), 0
        elif since is not None:
            since += 1
    return None if since is None or since > rounds // 2 else worst


def lanes(count: int) -> LaneSet:
    uses = [LaneUse.DEFAULT, *[LaneUse.CLASS] * (count - 1)]
    return LaneSet(tuple(Lane(i, f"l{i}", u, share=0.1) for i, u in enumerate(uses)), ())


@pytest.mark.parametrize("seed", range(30))
def test_no_lane_waits_longer_than_said(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randint(2, 4)

    def table() -> tuple[VlWeight, ...]:
        size = rng.randint(1, 5)
        return tuple(VlWeight(rng.randrange(count), rng.choice([0, 64, 128, 192])) for _ in range(size))

    tables = IbTables(4, rng.choice([0, 1, 5, 20, 255]), table(), table())
    vls = frozenset(range(count))
    for wait in lane_waits(lanes(count), tables, PACKET):
        vl = int(wait.lane[1:])
        seen = longest(tables, vls, vl)
        if wait.wait_bytes is None:
            assert seen is None
        elif seen is not None:
            assert seen * PACKET <= wait.wait_bytes


def test_the_papers_tables() -> None:
    """KV waits for 10 bursts of 240 packets, 9 of the low table's, and one that was begun: 2,410 packets."""
    found, _ = parse_policies("version: 1\npolicies: [{name: p, preset: dualpath}]")
    assert found is not None
    policy = found.policies[0]
    assert policy.infiniband is not None
    waits = {w.lane: w.wait_bytes for w in lane_waits(policy.lanes, policy.infiniband)}
    assert waits["kv"] == 2410 * PACKET
    assert longest(policy.infiniband, frozenset(range(4)), 2) == 2409
    limits = patience(PLAIN, UNKNOWN)
    assert (round(limits.rc_timeout_s, 4), round(limits.queue_lifetime_s or 0, 3)) == (0.0671, 0.268)


def test_strict_waits_for_ever() -> None:
    found, _ = parse_policies("version: 1\npolicies: [{name: p, preset: two-lane-strict}]")
    assert found is not None
    policy = found.policies[0]
    assert policy.infiniband is not None
    assert [w.wait_bytes for w in lane_waits(policy.lanes, policy.infiniband)][1] is None


@pytest.mark.parametrize("mtu", [256, 512, 1024, 2048, 4096])
@pytest.mark.parametrize("entries", [4, 8])
def test_derived_tables_fit_their_ports(mtu: int, entries: int) -> None:
    """Whole packets of the MTU, as many entries as there is room, no weight that OpenSM would cut."""
    found, _ = parse_policies(
        "version: 1\npolicies: [{name: p, preset: dualpath, lanes: [{name: model, share: 80%}]}]"
    )
    assert found is not None
    tables = derive_tables(found.policies[0].lanes, Room(entries, mtu))
    for table in (tables.vlarb_high, tables.vlarb_low):
        assert len(table) <= entries
        assert all(e.weight <= 255 and e.weight * 64 % mtu == 0 for e in table)
    assert 0 <= tables.high_limit < 255
