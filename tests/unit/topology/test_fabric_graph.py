"""What a Fabric offers beside routes: queues, roles, rails, capacities, and that nothing changes it."""

from pathlib import Path

import networkx as nx
import pytest

from trafficd_topology.fabric import Bottleneck, EqualCost, Fabric, Queue
from trafficd_topology.fabric import Path as Route
from trafficd_topology.model import FabricSpec, Link, PortKey, Role
from trafficd_topology.parsers.fabric import parse_fabric

CASES = Path(__file__).parents[2] / "cases" / "fabric"


def fabric(case: str) -> Fabric:
    spec, problems = parse_fabric((CASES / case / "fabric.yaml").read_bytes())
    assert spec, problems
    return Fabric(spec)


def key(text: str) -> PortKey:
    return PortKey(*text.split("/", 1))


def test_queues_are_nodes_of_the_graph() -> None:
    plain = fabric("demo")
    laned = plain.with_lanes({key("p1/c0"): (2, 0), key("csw/p1"): range(2)})
    assert laned.queues() == (
        Queue(key("csw/p1"), 0),
        Queue(key("csw/p1"), 1),
        Queue(key("p1/c0"), 0),
        Queue(key("p1/c0"), 2),
    )
    assert sorted(n for n in laned.graph["nic:p1/c0"] if n.startswith("queue:")) == [
        "queue:p1/c0/0",
        "queue:p1/c0/2",
    ]
    assert sorted(laned.graph["queue:csw/p1/1"]) == ["port:csw/p1"]
    assert laned.with_lanes({}).queues() == plain.queues() == ()
    assert set(laned.with_lanes({}).graph) == set(plain.graph)
    with pytest.raises(KeyError, match="p9/c0"):
        plain.with_lanes({key("p9/c0"): (0,)})


def test_a_role_changes_at_run_time_in_a_new_fabric() -> None:
    before = fabric("demo")
    laned = before.with_lanes({key("d1/c0"): (0,)})
    after = laned.set_role("d1", Role.PREFILL)
    assert [h.role.value for h in after.spec.hosts] == ["prefill", "prefill", "prefill", "decode", "storage"]
    assert [h.role.value for h in before.spec.hosts] == ["prefill", "prefill", "decode", "decode", "storage"]
    assert after.queues() == laned.queues()
    assert after.attachment_paths() is after.set_role("d2", Role.OTHER).attachment_paths()
    with pytest.raises(KeyError, match="nobody"):
        before.set_role("nobody", Role.DECODE)


def test_nobody_changes_the_graph() -> None:
    with pytest.raises(nx.NetworkXError):
        fabric("demo").graph.add_node("x")
    with pytest.raises(TypeError):
        fabric("demo").nics[key("x/y")] = None  # type: ignore[index]


def test_inside_of_a_host() -> None:
    found = fabric("two-leaves")
    inside = sorted(n for n in found.graph if n.partition(":")[2].split("/")[0] == "p1")
    assert inside == ["dram:p1", "gpu:p1/0", "host:p1", "nic:p1/c0", "pcie:p1/sw0"]
    assert sorted(found.graph["pcie:p1/sw0"]) == ["gpu:p1/0", "host:p1", "nic:p1/c0"]
    assert found.graph.edges["dram:p1", "host:p1"]["capacity_bps"] == 4_000_000_000_000
    assert found.capacities()["dram:p1"] == 4_000_000_000_000
    assert {d["kind"] for _, d in found.graph.nodes(data=True)} == {
        "dram",
        "gpu",
        "host",
        "nic",
        "pcie",
        "port",
        "switch",
    }


def test_rails_rates_and_parts() -> None:
    found = fabric("two-leaves")
    assert [(r.index, [str(p) for p in r.ports]) for r in found.rails()] == [(0, ["d1/c0", "p1/c0", "p2/c0"])]
    ports = ("p1/c0", "leaf1/1", "st1/e0", "spine2/2", "x1/s0", "leaf1/99")
    rates = [found.rate_bps(key(p)) for p in ports]
    assert rates == [400 * 10**9, 400 * 10**9, 100 * 10**9, 100 * 10**9, 100 * 10**9, None]
    assert [len(part) for part in found.components()] == [4, 2, 1]


@pytest.mark.parametrize(
    ("a", "b", "capacity", "element"),
    [
        ("p1/c0", "p2/c0", 400, "nic:p1/c0"),
        ("d1/c0", "p1/c0", 400, "nic:p1/c0"),
        ("st1/bond0", "p1/c0", 100, "link:leaf1/3-st1/e0"),
        ("st1/bond0", "d1/c0", 100, "link:leaf2/3-st1/e1"),
        ("x1/s0", "x2/s0", 50, "nic:x2/s0"),
        ("p1/c0", "p1/c0", 400, "nic:p1/c0"),
        ("p1/c0", "x1/s0", None, ""),
        ("x2/s1", "x2/s0", None, ""),
    ],
)
def test_bottleneck(a: str, b: str, capacity: int | None, element: str) -> None:
    found = fabric("two-leaves").bottleneck(key(a), key(b))
    expected = Bottleneck(capacity * 10**9, element, (element,)) if capacity else None
    assert found == expected


def test_direct_and_loopback_paths() -> None:
    found = fabric("two-leaves")
    assert found.equal_cost(key("x1/s0"), key("x2/s0")) == EqualCost(
        1, 1, (Route((key("x1/s0"), key("x2/s0"))),)
    )
    assert found.equal_cost(key("p1/c0"), key("p1/c0")) == EqualCost(1, 0, (Route((key("p1/c0"),)),))
    assert found.equal_cost(key("p1/c0"), key("x2/s1")) == EqualCost(0, 0, ())
    with pytest.raises(KeyError):
        found.paths(key("p1/c0"), key("p1/c9"))


def test_a_link_to_nowhere_is_named() -> None:
    spec = FabricSpec("bad", links=(Link(key("a/b"), key("c/d")),))
    with pytest.raises(ValueError, match="the link a/b - c/d ends at a/b, which is no port of the fabric"):
        Fabric(spec)
