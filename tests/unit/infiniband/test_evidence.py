"""``unmarked: low``: which lanes it makes, and what it waits for."""

from __future__ import annotations

import pytest

from trafficd.core.evidence import marked
from trafficd.core.plan import plan
from trafficd.core.telemetry import LaneUse, PortUse
from trafficd_topology.model import DriverOffer, LinkLayer, NodeInventory, PortInventory, PortKey
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.render import sl2vl

FABRIC = """
version: 1
name: f
hosts:
  - {name: a, nics: [{name: c0, kind: compute, rate: 100G}]}
  - {name: b, nics: [{name: c0, kind: compute, rate: 100G}]}
"""


def policies(text: str) -> tuple[Policy, ...]:
    found, problems = parse_policies(f"version: 1\npolicies: [{text}]")
    assert found is not None, problems
    return found.policies


def problems_of(text: str) -> list[str]:
    return [str(p) for p in parse_policies(f"version: 1\npolicies: [{text}]")[1]]


def test_everything_else_is_low() -> None:
    """The paper's: collectives and control by their SL, all other SLs in KV's lane."""
    (policy,) = policies("{name: p, preset: dualpath, infiniband: {unmarked: low}}")
    assert sl2vl(policy.subnet_lanes) == (2, 1, 2, 3, *[2] * 12)
    assert (policy.subnet_lanes.default.name, policy.subnet_lanes.control.name) == ("kv", "control")
    (three,) = policies("{name: p, preset: three-class, infiniband: {unmarked: low}}")
    assert sl2vl(three.subnet_lanes) == (1, 0, 2, 3, *[1] * 12)
    assert three.subnet_lanes.control.name == "default"
    (two,) = policies("{name: p, preset: dualpath-two-vl, infiniband: {unmarked: low}}")
    assert sl2vl(two.subnet_lanes) == (1, 0, 1, 0, *[1] * 12)


def test_a_lane_without_a_floor_takes_no_unmarked_traffic() -> None:
    (problem,) = problems_of("{name: p, preset: two-lane-strict, infiniband: {unmarked: low}}")
    assert problem == (
        "policies[0].infiniband.unmarked: lane kv may get nothing, and unmarked is also connection management and subnet "
        "administration: give it a floor (found low)"
    )


Rates = dict[str, dict[int, float]]


@pytest.mark.parametrize(
    ("rates", "before", "after"),
    [
        ({"a": {3: 1e9, 0: 1e5}, "b": {3: 1e9}}, False, True),
        ({"a": {3: 1e9, 0: 1e5}, "b": {0: 1e9}}, True, False),
        ({"a": {3: 1e9, 0: 4e7}}, False, True),
        ({"a": {3: 1e9, 0: 6e7}}, True, False),
        ({"a": {3: 1e3, 0: 1e3, 2: 1e9}}, False, False),
        ({"a": {3: 1e3, 0: 1e3}}, True, True),
        ({"a": {0: 1e9}}, True, False),
        ({}, True, True),
    ],
    ids=[
        "marked", "one host is not", "a little unmarked", "too much unmarked", "KV alone", "idle keeps",
        "unmarked alone", "unknown keeps",
    ],
)  # fmt: skip
def test_what_counters_show(rates: Rates, *, before: bool, after: bool) -> None:
    fabric = parse_fabric(FABRIC)[0]
    assert fabric is not None
    port = PortInventory("c0", LinkLayer.ETHERNET, offers=(DriverOffer("tc", supported=True),))
    made = plan(
        policies("{name: p, preset: dualpath}"), fabric, tuple(NodeInventory(n, (port,)) for n in "ab")
    )

    def use(port: PortKey) -> PortUse | None:
        lanes = rates.get(port.node)
        return None if lanes is None else PortUse(0.0, lanes=tuple(LaneUse(n, r) for n, r in lanes.items()))

    known = frozenset(["p"]) if before else frozenset()
    assert marked(known, made, use) == (frozenset(["p"]) if after else frozenset())
    assert marked(frozenset(["gone"]), made, use) <= {"p"}
