"""docs/infiniband.md: every policy in it is accepted, and its figures are those that the code works out."""

from __future__ import annotations

import re
from pathlib import Path

from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.ib_options import PLAIN
from trafficd_topology.qos.ib_ports import UNKNOWN, patience
from trafficd_topology.qos.ib_wait import lane_waits
from trafficd_topology.qos.policy import Policy

DOC = (Path(__file__).parents[3] / "docs" / "infiniband.md").read_text()


def policies() -> list[Policy]:
    blocks = [
        b for b in re.findall(r"^```yaml\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL) if "policies:" in b
    ]
    found = [parse_policies(b) for b in blocks]
    assert [problems for _, problems in found] == [()] * len(blocks)
    return [p for given, _ in found if given is not None for p in given.policies]


def test_every_policy_is_one() -> None:
    assert [p.name for p in policies()] == ["as-in-the-paper", "storage-paths"]
    assert policies()[0].subnet_lanes.default.name == "kv"
    assert len(policies()[1].subnet.paths) == 3


def test_figures() -> None:
    paper = policies()[1]
    assert paper.infiniband is not None
    (kv,) = (w for w in lane_waits(paper.lanes, paper.infiniband) if w.lane == "kv")
    limits = patience(PLAIN, UNKNOWN)
    said = [
        f"{(kv.wait_bytes or 0) / 2**20:.2g} MiB: {(kv.seconds(400_000_000_000) or 0) * 1e6:.0f} us at 400 Gb/s",
        f"{(limits.queue_lifetime_s or 0) * 1e3:.0f} ms unless set",
        f"{limits.rc_timeout_s * 1e3:.0f} ms unless set",
    ]
    assert [s for s in said if s not in DOC.replace("\n", " ")] == []
