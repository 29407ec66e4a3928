"""What tc(8) put on a real port, as the policy that says the same."""

from __future__ import annotations

import pytest
from lab import veth

from trafficd_agent.app.adopt import read_tc
from trafficd_topology.adopt import adopt_tc, document
from trafficd_topology.parsers.policy import parse_policies

pytestmark = pytest.mark.kernel
TREE = f"""qdisc add dev {veth.NEAR} root handle 1: htb default 20
class add dev {veth.NEAR} parent 1: classid 1:1 htb rate 100mbit quantum 3000
class add dev {veth.NEAR} parent 1:1 classid 1:10 htb rate 70mbit ceil 100mbit prio 0 quantum 3000
class add dev {veth.NEAR} parent 1:1 classid 1:20 htb rate 20mbit ceil 100mbit prio 1 quantum 3000
class add dev {veth.NEAR} parent 1:1 classid 1:30 htb rate 10mbit ceil 50mbit prio 2 quantum 3000
filter add dev {veth.NEAR} parent 1: protocol ip prio 1 u32 match ip dsfield 0x60 0xfc flowid 1:10
filter add dev {veth.NEAR} parent 1: protocol ipv6 prio 2 u32 match u32 0x06000000 0x0fc00000 at 0 flowid 1:10
filter add dev {veth.NEAR} parent 1: protocol ip prio 3 u32 match ip dport 80 0xffff flowid 1:30
filter add dev {veth.NEAR} parent 1: protocol ip prio 4 u32 match ip tos 0x20 0xff flowid 1:30
"""


def test_a_tree_of_somebody_elses_is_read_and_left_as_it_is() -> None:
    with veth.pair():
        for line in TREE.splitlines():
            veth.run("tc", *line.split())
        before = veth.run("tc", "-d", "class", "show", "dev", veth.NEAR)
        found = adopt_tc("n1", veth.NEAR, read_tc(veth.NEAR))
        assert found.left == (
            "u32 filter of preference 3 to 1:30: what it matches is no DSCP",
            "DSCP 8 was recognised only without ECN: a policy looks at the DSCP alone",
        )
        policies, problems = parse_policies(document([found]))
        assert problems == ()
        assert policies is not None
        lanes = policies.policies[0].lanes.lanes
        assert sorted((n.name, n.share, n.limit) for n in lanes) == [
            ("class-10", 0.7, 1.0),
            ("class-30", 0.1, 0.5),
            ("default", 0.2, 1.0),
        ]
        assert veth.run("tc", "-d", "class", "show", "dev", veth.NEAR) == before
        veth.run("tc", "qdisc", "del", "dev", veth.NEAR, "root")
        assert read_tc(veth.NEAR) is None
