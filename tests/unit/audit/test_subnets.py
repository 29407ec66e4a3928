"""Lanes of InfiniBand subnets: what runs in them against what the policy says."""

from trafficd_topology.audit.facts import Count, Facts, LaneFacts, NodeFacts, SubnetLanes, SubnetNic
from trafficd_topology.audit.rules import audit
from trafficd_topology.counters import Column, Direction, Quantity
from trafficd_topology.model import NicKind

STORAGE, COMPUTE = "0x0000000000200000:1", "0x0000000000200000:2"
GIB = 2**30
SUBNET = SubnetLanes(
    "ib0",
    "lanes",
    (
        LaneFacts(0, "default", unmarked=True),
        LaneFacts(1, "model", ("collectives",)),
        LaneFacts(2, "kv", ("kv",), kv=True),
    ),
    ((1, "collectives"), (2, "kv")),
    (SubnetNic(STORAGE, "s1/hca", NicKind.STORAGE), SubnetNic(COMPUTE, "p1/hca", NicKind.COMPUTE)),
)


def counted(port: str, *, laned: bool = True, **by_sl: int) -> tuple[Count, ...]:
    whole = [Count(Column(port, Quantity.BYTES, Direction.RECEIVE), sum(by_sl.values()), None)]
    if laned:
        whole.append(Count(Column(port, Quantity.BYTES, Direction.RECEIVE, lane_id=0), 0, None))
    sls = (
        Count(Column(port, Quantity.BYTES, Direction.RECEIVE, priority=int(name[2:])), None, n)
        for name, n in by_sl.items()
    )
    return (*whole, *sls)


def found(*counts: tuple[Count, ...]) -> list[str]:
    node = NodeFacts("n1", counts=tuple(c for some in counts for c in some), subnets=(SUBNET,))
    return [f"{f.rule} {f.where}: {f.evidence}" for f in audit(Facts((node,)))]


def test_traffic_where_it_belongs_is_no_finding() -> None:
    assert found(counted(STORAGE, sl0=GIB, sl2=9 * GIB), counted(COMPUTE, sl1=GIB, sl2=GIB)) == []


def test_an_sl_that_no_class_has_is_named_with_what_it_carried() -> None:
    assert found(counted(COMPUTE, sl1=GIB, sl7=2 * GIB), counted(STORAGE, sl2=GIB, sl7=GIB)) == [
        (
            "subnet-sl-unclaimed n1/subnet ib0, SL 7: it carried 3 GiB and no class of policy lanes has it: that runs in the "
            "default lane"
        )
    ]
    assert found(counted(COMPUTE, sl1=GIB, sl7=1000)) == []


def test_storage_that_does_not_mark_its_kv_is_named() -> None:
    assert found(counted(STORAGE, sl0=5 * GIB), counted(COMPUTE, sl0=5 * GIB)) == [
        "subnet-kv-unmarked n1/subnet ib0, s1/hca: it sent 5 GiB, nearly all on SL 0, and nothing on KV's SL 2"
    ]


def test_collectives_on_a_storage_nic_are_named() -> None:
    assert found(counted(STORAGE, sl1=GIB, sl2=9 * GIB)) == [
        (
            "subnet-lane-misused n1/subnet ib0, s1/hca: of 10 GiB that this storage NIC sent, 10% went on SL 1, which is class "
            "collectives's"
        )
    ]


def test_where_sls_are_not_counted_that_is_said_and_nothing_is_guessed() -> None:
    assert found(counted(STORAGE, laned=False), counted(COMPUTE, sl1=GIB)) == [
        (
            f"subnet-class-unknown n1/subnet ib0, 1 of 2 switch ports: class use unavailable on {STORAGE}: no 64-bit counters by "
            "SL"
        )
    ]
