"""``trafficd check --opensm``: everything that OpenSM would do otherwise, all at once; and plans that an offer is refused by."""

from __future__ import annotations

from pathlib import Path

import pytest

from trafficd.cli import main
from trafficd.core.evidence import marked
from trafficd.core.plan import plan
from trafficd_topology.model import DriverOffer, FabricInventory, FabricPortType, NodeInventory
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies

POLICY = "version: 1\npolicies: [{name: a, preset: dualpath, mode: enforce}]\n"
FABRIC = "version: 1\nname: f\nhosts: [{name: a, nics: [{name: mlx5_0, kind: compute, link_layer: infiniband, rate: 400G}]}]\n"
CONF = """qos TRUE
max_op_vls 3
routing_engine torus-2QoS
ar_sl_mask 0x01
sm_sl 2
leaf_head_of_queue_lifetime 0x4
sweep_interval 10
"""
SAID = """\
policy a: DIR/opensm.conf: routing_engine: this routing engine owns SLs and VLs and overrides the map of the lanes: choose another in opensm.conf (found torus-2QoS)
policy a: DIR/opensm.conf: ar_sl_mask: the mask leaves SL 1, 2, 3 of this policy's classes without adaptive routing: set it to 0xf (found 0x01)
policy a: DIR/opensm.conf: sm_sl: the subnet manager answers with SL 2, which goes to lane kv: use an SL of the default or control lane (found 2)
policy a: infiniband.high_limit: a packet of lane kv may wait 0.197 ms at a port of 400 Gb/s, longer than the head-of-queue lifetime of 0.0655 ms: make high_limit or the other weights smaller (found 240)
4 problems
"""


def test_against_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("policy.yaml", POLICY), ("fabric.yaml", FABRIC), ("opensm.conf", CONF)):
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in ("policy.yaml", "fabric.yaml")]
    assert main(["check", *files, "--opensm", str(tmp_path / "opensm.conf")]) == 1
    assert capsys.readouterr().err.replace(str(tmp_path), "DIR") == SAID
    assert main(["check", *files]) == 0
    (tmp_path / "opensm.conf").write_text(
        "qos TRUE\nmax_op_vls 3\nrouting_engine ftree,updn\nsweep_interval 10\n"
    )
    assert main(["check", *files, "--opensm", str(tmp_path / "opensm.conf")]) == 0


def test_what_stood_before_is_not_the_offers_fault() -> None:
    """A subnet that cannot hold its policy refuses the policy; where it came to that later, other changes are taken."""
    fabric = parse_fabric(FABRIC)[0]
    policies = parse_policies(POLICY)[0]
    assert fabric is not None
    assert policies is not None
    narrow = FabricPortType("ca", 8, 2, 2, 8, 8, 4096)
    offered = FabricInventory("ib", offers=(DriverOffer("opensm", supported=True),), port_types=(narrow,))
    found = (NodeInventory("a", fabrics=(offered,)),)
    before = plan(policies.policies, fabric, ())
    after = plan(policies.policies, fabric, found)
    assert before.problems == ()
    assert [p.path for p in after.problems_beside(before)] == ["policy a on subnet ib: infiniband.max_vls"]
    assert after.problems_beside(after) == ()
    (scope,) = after.scopes
    assert (scope.mode, scope.wanted) == ("observe", "enforce")
    assert marked(frozenset(), after, lambda _: None) == frozenset()
