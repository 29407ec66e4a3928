"""Saved outputs of tc say the same policy as the kernel they were taken from, and our own lanes come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract.suite import reach
from lab import veth
from lab.tcbench import tc_bench

from trafficd.cli import main
from trafficd_agent.app.adopt import read_tc
from trafficd_topology.adopt import adopt_tc, document
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.parsers.tc_show import parse_tc_show
from trafficd_topology.qos.lanes import LaneSet
from trafficd_topology.qos.render import render_tc

pytestmark = pytest.mark.kernel
TREE = f"""qdisc add dev {veth.NEAR} root handle 1: htb default 20
class add dev {veth.NEAR} parent 1: classid 1:1 htb rate 100mbit quantum 3000
class add dev {veth.NEAR} parent 1:1 classid 1:10 htb rate 70mbit ceil 100mbit prio 0 quantum 3000
class add dev {veth.NEAR} parent 1:1 classid 1:20 htb rate 20mbit ceil 100mbit prio 1 quantum 3000
class add dev {veth.NEAR} parent 1:1 classid 1:30 htb rate 10mbit ceil 50mbit prio 2 quantum 3000
qdisc add dev {veth.NEAR} parent 1:30 handle 30: bfifo limit 20000
filter add dev {veth.NEAR} parent 1: protocol ip prio 1 u32 match ip dsfield 0x60 0xfc flowid 1:10
filter add dev {veth.NEAR} parent 1: protocol ipv6 prio 2 u32 match u32 0x06000000 0x0fc00000 at 0 flowid 1:10
filter add dev {veth.NEAR} parent 1: protocol ip prio 3 u32 match ip dport 80 0xffff flowid 1:30
filter add dev {veth.NEAR} parent 1: protocol ip prio 4 u32 match ip tos 0x20 0xff flowid 1:30
filter add dev {veth.NEAR} parent 1: protocol arp prio 5 u32 match u32 0 0 flowid 1:10
"""


def saved() -> str:
    """As somebody would take it; class and filter lines name no device."""
    return "".join(
        veth.run("tc", *more, what, "show", "dev", veth.NEAR)
        for what, more in (("qdisc", ()), ("class", ("-s",)), ("filter", ("-s",)))
    )


def test_a_saved_tree_is_adopted_like_the_live_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with veth.pair():
        for line in TREE.splitlines():
            veth.run("tc", *line.split())
        live = adopt_tc("n1", veth.NEAR, read_tc(veth.NEAR))
        text = saved()
    trees, strange = parse_tc_show(text, veth.NEAR)
    assert strange == ()
    assert list(trees) == [veth.NEAR]
    assert document([adopt_tc("n1", veth.NEAR, trees[veth.NEAR])]) == document([live])
    file = tmp_path / "tc.txt"
    file.write_text(text)
    assert main(["adopt", "--node", "n1", "--port", veth.NEAR, str(file)]) == 0
    assert capsys.readouterr().out == document([live])


@pytest.mark.parametrize("preset", ["dualpath", "three-class", "nccl-two-vl"])
def test_our_own_lanes_come_back_as_the_policy_that_made_them(preset: str) -> None:
    policies, _ = parse_policies(f"version: 1\npolicies: [{{name: p, preset: {preset}}}]\n")
    assert policies is not None
    lanes = policies.policies[0].lanes
    with tc_bench() as bench:
        reach(bench, render_tc(lanes, 100_000_000))
        text = "".join(
            veth.run("tc", what, "show", "dev", veth.NEAR) for what in ("qdisc", "class", "filter")
        )
        again, problems = parse_policies(
            document([adopt_tc("n1", veth.NEAR, parse_tc_show(text, veth.NEAR)[0][veth.NEAR])])
        )
        reach(bench, ())
    assert problems == ()
    assert again is not None
    back = again.policies[0].lanes
    # tc(8) prints rates in three digits or so, and htb knows no lane of no guarantee at all.
    assert sorted(round(n.share, 2) for n in back.lanes) == sorted(round(n.share, 2) for n in lanes.lanes)
    assert sorted(n.limit for n in back.lanes) == pytest.approx(
        sorted(n.limit for n in lanes.lanes), abs=0.01
    )

    def marks(of: LaneSet) -> set[tuple[int, ...]]:
        by_lane: dict[str, set[int]] = {}
        for c in of.classes:
            by_lane.setdefault(c.lane, set()).update(c.marking.dscp)
        # What goes to the default lane needs no filter, so which code points a policy named there is not seen.
        return {tuple(sorted(m)) for lane, m in by_lane.items() if lane != of.default.name}

    assert marks(back) == marks(lanes)
