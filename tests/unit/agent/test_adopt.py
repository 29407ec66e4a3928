"""What is programmed already, as a policy that the product's own parser takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trafficd_agent.cli import Code, main
from trafficd_agent.drivers.fake import ROCE_PORT, FakeDriver, FakeOptions
from trafficd_agent.netlink.tc import ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, Class, Filter, Qdisc
from trafficd_topology.adopt import Held, adopt_opensm, adopt_tc, document
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.dcb_render import render_dcb

ROOT = Qdisc(0x10000, 0xFFFFFFFF, "htb", default_minor=0x20)


def htb_class(minor: int, parent: int, rate: int, ceil: int, prio: int) -> Class:
    return Class(0x10000 | minor, parent, rate, ceil, 100, 100, 3000, prio)


def dscp(value: int, minor: int, protocol: int = ETH_P_IP) -> Filter:
    key = (0x00FC0000, value << 18, 0) if protocol == ETH_P_IP else (0x0FC00000, value << 22, 0)
    return Filter("u32", 1, protocol, 0x80000800, 0x10000 | minor, (key,))


G = 1_000_000_000
CLASSES = (
    htb_class(0x1, 0xFFFFFFFF, G, G, 0),
    htb_class(0x10, 0x10001, 700_000_000, G, 0),
    htb_class(0x20, 0x10001, 200_000_000, G, 1),
    htb_class(0x30, 0x10001, 100_000_000, G // 2, 2),
)
FILTERS = (
    dscp(24, 0x10),
    dscp(24, 0x10, ETH_P_IPV6),
    dscp(8, 0x30),
    Filter("u32", 3, ETH_P_IP, 0x80000801, 0x10030, ((0xFFFF, 80, 20),)),
    Filter("flower", 4, ETH_P_IP),
    Filter("u32", 5, ETH_P_ARP, 0x80000802, 0x10030, ((0, 0, 0),)),
)
QDISCS = (ROOT, Qdisc(0x80010000, 0x10030, "fq_codel"), Qdisc(0x80020000, 0x10010, "pfifo", limit=100))


def test_an_htb_tree_becomes_lanes_and_what_is_more_is_named() -> None:
    found = adopt_tc("n1", "eth0", Held(ROOT, QDISCS, CLASSES, FILTERS))
    assert found.left == (
        "u32 filter of preference 3 to 1:30: what it matches is no DSCP",
        "flower filter of preference 4: what it matches is no DSCP",
        "fq_codel 8001: below class 1:30 becomes a plain fifo",
    )
    policies, problems = parse_policies(document([found]))
    assert problems == ()
    assert policies is not None
    (policy,) = policies.policies
    assert [(n.name, n.use, n.priority, n.share, n.limit) for n in policy.lanes.lanes] == [
        ("class-10", "class", 0, 0.7, 1.0),
        ("default", "default", 1, 0.2, 1.0),
        ("control", "control", 2, 0.1, 0.5),
    ]
    assert [(c.name, c.marking.dscp) for c in policy.lanes.classes] == [
        ("class-10", (24,)),
        ("default", (0,)),
        ("control", (8,)),
    ]


def test_a_deeper_tree_is_flattened_and_said() -> None:
    deep = (*CLASSES[:2], htb_class(0x2, 0x10001, G // 2, G, 0), htb_class(0x20, 0x10002, G // 4, G, 1))
    found = adopt_tc("n1", "eth0", Held(ROOT, (ROOT,), deep, ()))
    assert found.left[0] == "class 1:2 hangs below 1:1: its lanes become lanes of the port"


def test_what_no_policy_can_say_is_no_policy() -> None:
    assert adopt_tc("n1", "eth0", None).left == (
        "eth0 has no htb root: there is nothing that a policy could say",
    )
    many = tuple(htb_class(0x10 + i, 0xFFFFFFFF, 1_000_000, G, 0) for i in range(9))
    assert adopt_tc("n1", "eth0", Held(ROOT, (ROOT,), many, ())).left == (
        "eth0 has 9 leaf classes: a policy has 1 to 8 lanes",
    )
    nobody = Qdisc(0x10000, 0xFFFFFFFF, "htb", default_minor=0)
    left = adopt_tc("n1", "eth0", Held(nobody, (nobody,), CLASSES, ())).left
    assert any("default" in s for s in left), (
        "unmarked packets pass by every class: the parser says what lacks"
    )


CONF = """qos TRUE
qos_max_vls 4
qos_high_limit 240
qos_vlarb_high 0:192,1:192,2:0,3:192
qos_vlarb_low 0:192,1:192,2:64,3:192
qos_sl2vl 0,1,2,3,0,0,0,0,0,0,0,0,0,0,0,0
"""


def test_an_opensm_conf_becomes_lanes_with_its_own_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = adopt_opensm("ib0", CONF)
    assert found.left == ()
    policies, problems = parse_policies(found.text)
    assert problems == ()
    assert policies is not None
    (policy,) = policies.policies
    assert [(n.id, n.name) for n in policy.lanes.lanes] == [
        (0, "default"),
        (1, "vl-1"),
        (2, "vl-2"),
        (3, "vl-3"),
    ]
    assert adopt_opensm("ib0", "qos FALSE\n").left == (
        "ib0: its opensm.conf sets no complete qos tables: there is nothing to adopt",
    )
    (tmp_path / "opensm.conf").write_text(CONF)
    settings = tmp_path / "agent.yaml"
    conf = {"conf": str(tmp_path / "opensm.conf")}
    settings.write_text(f"fabrics: [{{name: ib0, driver: opensm, options: {conf}}}]\n")
    assert main(["adopt", "--config", str(settings)]) == Code.OK
    assert capsys.readouterr().out == document([found])


def test_a_port_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", "no-such-port"]) == Code.FAILED
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("trafficd-agent: no-such-port cannot be read: ")
    assert said[1] == "trafficd-agent: nothing can be adopted"


def test_a_roce_port_becomes_lanes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policies, _ = parse_policies("version: 1\npolicies: [{name: p, preset: dualpath}]")
    assert policies is not None
    before = policies.policies[0]
    assert before.roce is not None
    device = str(tmp_path / "device.json")
    options = FakeOptions(device=device, ports=("ens1",), rate_bps=100 * G, dcb=True)
    FakeDriver(options).device.hold(
        "ens1", render_dcb(before.lanes, before.roce, 100 * G, ROCE_PORT).elements
    )
    settings = tmp_path / "agent.yaml"
    given = {"device": device, "ports": ["ens1"], "rate_bps": 100 * G, "dcb": True}
    settings.write_text(f"ports: [{{match: ens1, driver: fake, options: {json.dumps(given)}}}]\n")
    assert main(["adopt", "ens1", "--node", "n1", "--config", str(settings)]) == Code.OK
    policies, problems = parse_policies(capsys.readouterr().out)
    assert policies is not None, problems
    after = policies.policies[0]
    assert after.roce is not None
    assert render_dcb(after.lanes, after.roce, 100 * G, ROCE_PORT) == render_dcb(
        before.lanes, before.roce, 100 * G, ROCE_PORT
    )
