"""A case is a folder: policy.yaml, fabric.yaml, the plan in desired.yaml, and what the agents report.

Without inventory.yaml every host and managed switch has an agent that finds every port and offers tc for it. In
inventory.yaml a port is Ethernet and offers tc unless it says otherwise.
"""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from trafficd.core.plan import Plan, ScopePlan, plan
from trafficd_topology.diff import State
from trafficd_topology.model import (
    DriverOffer,
    FabricInventory,
    FabricPortType,
    FabricSetting,
    FabricSpec,
    LinkLayer,
    NodeInventory,
    PortInventory,
)
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.dcb import DcbFeatures
from trafficd_topology.qos.kinds import DCB_KINDS

CASES = sorted((Path(__file__).parents[2] / "cases" / "plan").iterdir())
TC = (DriverOffer("tc", supported=True),)


def derived(fabric: FabricSpec) -> tuple[NodeInventory, ...]:
    """Every agent finds what the fabric file says."""
    found = {h.name: [n.name for n in h.nics] for h in fabric.hosts}
    ends = [end for link in fabric.links for end in (link.a, link.b)]
    found |= {s.name: sorted(e.port for e in ends if e.node == s.name) for s in fabric.switches if s.managed}
    return tuple(
        NodeInventory(node, tuple(PortInventory(p, LinkLayer.ETHERNET, offers=TC) for p in ports))
        for node, ports in found.items()
    )


def offers(tree: dict[str, Any]) -> tuple[DriverOffer, ...]:
    return tuple(offer(o) for o in tree["offers"]) if "offers" in tree else TC


def offer(tree: dict[str, Any]) -> DriverOffer:
    """``dcb``: what a port can hold, every kind where it names none."""
    if (features := tree.get("dcb")) is None:
        return DriverOffer(**tree)
    kinds = tuple(features.get("kinds", DCB_KINDS))
    return DriverOffer(**{**tree, "dcb": DcbFeatures(**{**features, "kinds": kinds})})


def written(tree: list[dict[str, Any]]) -> tuple[NodeInventory, ...]:
    return tuple(
        NodeInventory(
            node["node"],
            tuple(
                PortInventory(**{"link_layer": LinkLayer.ETHERNET, **p, "offers": offers(p)})
                for p in node.get("ports", [])
            ),
            tuple(subnet(f) for f in node.get("fabrics", [])),
        )
        for node in tree
    )


def subnet(tree: dict[str, Any]) -> FabricInventory:
    """``port_types``: [type, ports, vls, operational vls, high entries, low entries, mtu]; ``settings``: name to value."""
    types = tuple(FabricPortType(*row) for row in tree.get("port_types", []))
    settings = tuple(FabricSetting(name, str(value)) for name, value in tree.get("settings", {}).items())
    return FabricInventory(**{**tree, "offers": offers(tree), "port_types": types, "settings": settings})


def shown(elements: State) -> list[str]:
    """An element a line; the code points of one priority together."""
    dscps: dict[str, list[str]] = {}
    for e in elements:
        if e.kind == "dscp":
            dscps.setdefault(element(e).partition(": ")[2], []).append(e.key)
    together = [f"dscp/{','.join(sorted(keys, key=int))}: {value}" for value, keys in dscps.items()]
    return [element(e) for e in elements if e.kind != "dscp"] + together


def element(e: Any) -> str:
    values = " ".join(f"{f.name}={getattr(e.value, f.name)!r}" for f in fields(e.value))
    return f"{e.name}: {values}"


def scope(s: ScopePlan) -> dict[str, Any]:
    return {
        "scope": f"{s.node}: {s.kind} {s.name}",
        "ports": [str(p) for p in s.ports],
        "by": f"{s.policy} ({s.mode}) through {s.driver}",
        "lanes": [
            f"{lane.id} {lane.name} {ratio:.4%}"
            for lane, ratio in zip(s.lanes.lanes, s.guaranteed, strict=True)
        ],
        "elements": shown(s.elements),
    }


def text(made: Plan) -> str:
    tree = {
        "selections": {s.policy: [str(p) for p in s.ports] for s in made.selections},
        "conflicts": [str(p) for p in made.problems],
        "notes": list(made.notes),
        "scopes": [scope(s) for s in made.scopes],
    }
    return yaml.safe_dump(tree, sort_keys=False, width=200)


def inputs(case: Path) -> tuple[Any, FabricSpec, tuple[NodeInventory, ...]]:
    policies, problems = parse_policies((case / "policy.yaml").read_bytes())
    assert policies is not None, problems
    fabric, wrong = parse_fabric((case / "fabric.yaml").read_bytes())
    assert fabric is not None, wrong
    given = case / "inventory.yaml"
    found = written(yaml.safe_load(given.read_text())) if given.exists() else derived(fabric)
    return policies.policies, fabric, found


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_case(case: Path) -> None:
    policies, fabric, found = inputs(case)
    made = plan(policies, fabric, found)
    # The order in which agents report and policies stand says nothing.
    again = plan(policies[::-1], fabric, found[::-1])
    assert (again.scopes, again.notes, again.conflicts) == (made.scopes, made.notes, made.conflicts)
    assert tuple(s for n in sorted({s.node for s in made.scopes}) for s in made.of(n)) == made.scopes
    if os.environ.get("REWRITE") == "1":
        (case / "desired.yaml").write_text(text(made))
    assert text(made) == (case / "desired.yaml").read_text(), "REWRITE=1 makes it anew"


def test_a_node_that_is_not_there_changes_nobody_elses_state() -> None:
    policies, fabric, found = inputs(next(c for c in CASES if c.name == "demo"))
    whole, part = plan(policies, fabric, found), plan(policies, fabric, found[1:])
    assert found[0].node == "p1"
    assert part.scopes == tuple(s for s in whole.scopes if s.node != "p1")
    assert part.notes == ("node p1: no agent has reported, 2 selected ports wait",)
    assert part.selections == whole.selections
