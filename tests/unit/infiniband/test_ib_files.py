"""The QoS policy file and our block of the partition file: written, read back, and found among other lines."""

from __future__ import annotations

import pytest

from trafficd_topology.qos.ib_files import (
    Partition,
    PathQuery,
    PathRule,
    partition_block,
    partitions_text,
    path_queries,
    qos_policy_text,
    with_partition_block,
)

POLICY = """\
# Written by trafficd. Hand edits are found and undone.
qos-ulps
    any, pkey 0x0002 : 2
    any, service-id 0x1060005-0x1060009 : 3
    any, target-port-guid 0x0000000000000011 : 2
    any, target-port-guid 0x0000000000000012 : 2
    ipoib : 0
    default : 0
end-qos-ulps
"""
PARTITIONS = """\
kv=0x0002, sl=2, defmember=full :
    0x0000000000000011=full,
    0x0000000000000012=full;
ip=0x0003, ipoib, sl=0, defmember=full :
    ALL=full;
"""


def test_policy_file() -> None:
    rules = (
        PathRule(2, pkey=2),
        PathRule(3, service_ids=(0x1060005, 0x1060009)),
        PathRule(2, target_guids=(17, 18)),
    )
    assert qos_policy_text(rules, 0, 0) == POLICY
    assert path_queries(POLICY) == (
        PathQuery(2, pkey=2),
        PathQuery(3, service_id=0x1060005),
        PathQuery(2, target_guid=17),
        PathQuery(2, target_guid=18),
        PathQuery(0),
    )
    assert [q.key for q in path_queries(POLICY)] == [
        "pkey 0x0002",
        "service-id 0x1060005",
        "target-port-guid 0x0000000000000011",
        "target-port-guid 0x0000000000000012",
        "default",
    ]


@pytest.mark.parametrize(
    "around", ["", "Default=0x7fff, ipoib : ALL=full;\n", "no line feed", "# trafficd\n\n"], ids=repr
)
def test_block_of_the_partition_file(around: str) -> None:
    block = partitions_text((Partition("kv", 2, 2, guids=(17, 18)), Partition("ip", 3, 0, ipoib=True)))
    assert block == PARTITIONS
    inside = with_partition_block(around, block)
    assert partition_block(inside) == block
    assert inside.startswith(around)
    assert with_partition_block(inside, block) == inside
    assert with_partition_block(inside, "").rstrip("\n") == around.rstrip("\n")
    assert partition_block(around) == ""
    tail = inside + "Other=0x4 : ALL;\n"
    assert with_partition_block(tail, "x=0x5 : ALL;\n").endswith("trafficd: end\nOther=0x4 : ALL;\n")
