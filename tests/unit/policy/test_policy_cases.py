"""A case is a folder: policy.yaml and, in expected.txt, its problems or what its policies work out to."""

import os
from pathlib import Path

import pytest

from trafficd_topology.diff import render
from trafficd_topology.model import LinkLayer
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.ets_shares import compile_ets_shares
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.render import ClassMarking, markings, render_ib
from trafficd_topology.qos.roce import arrange
from trafficd_topology.qos.shares import ContentionCase, compile_shares

CASES = sorted((Path(__file__).parents[2] / "cases" / "policy").iterdir())


def marked(m: ClassMarking) -> str:
    how = f"sl {m.service_levels}" if m.link_layer is LinkLayer.INFINIBAND else f"dscp {m.dscps} tos {m.tos}"
    return f"  {m.link_layer} {m.traffic_class} -> lane {m.lane_id}: {how}"


def contention(c: ContentionCase) -> str:
    return "  " + ", ".join(f"{s.lane} {s.ratio:.2%}" for s in c.shares)


def roce(p: Policy) -> list[str]:
    """How the lanes stand on a RoCE port."""
    if p.roce is None:
        return ["  no RoCE"]
    arranged = arrange(p.lanes, p.roce)
    rows = [
        f"  {x.name}: priority {x.priority}, TC {x.tc}, {'strict' if x.strict else f'{x.percent}%'}"
        f"{', lossless' if x.lossless else ''}{', ECN' if x.ecn else ''}, DSCP {x.dscps}"
        for x in arranged
    ]
    cases = [f"  ETS {contention(c).strip()}" for c in compile_ets_shares(arranged)]
    return [f"  {p.roce}", *rows, *cases]


def described(p: Policy) -> str:
    """Everything a policy says, and what comes of it."""
    lines = [f"policy {p.name}: {p.mode}, preset {p.preset}, {p.tc}"]
    lines += [f"  {s}" for s in p.selectors]
    lines += [f"  {lane}" for lane in p.lanes.lanes]
    lines += [f"  {c.name}: {c.lane} for {', '.join(c.intents)}" for c in p.lanes.classes]
    lines += [marked(m) for layer in LinkLayer for m in markings(p.lanes, layer)]
    lines += [contention(c) for c in compile_shares(p.lanes)]
    lines += roce(p)
    return "\n".join([*lines, *(f"  {x}" for x in render(render_ib(p.lanes, p.infiniband)).splitlines())])


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_case(case: Path) -> None:
    policies, problems = parse_policies((case / "policy.yaml").read_bytes())
    assert (policies is None) == bool(problems)
    shown = [str(p) for p in problems] if policies is None else [described(p) for p in policies.policies]
    if policies is not None and policies.rollout is not None:
        shown.insert(0, str(policies.rollout))
    text = "".join(f"{line}\n" for line in shown)
    if os.environ.get("REWRITE") == "1":
        (case / "expected.txt").write_text(text)
    assert text == (case / "expected.txt").read_text(), "REWRITE=1 makes it anew"
