"""A thousand mutations of valid policies: an answer every time, and what is accepted can be planned."""

import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from trafficd.core.plan import plan
from trafficd_topology.diff import render
from trafficd_topology.model import DriverOffer, LinkLayer, NodeInventory, PortInventory
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.render import markings, render_ib, render_tc
from trafficd_topology.qos.shares import compile_shares, starved
from trafficd_topology.qos.tc import TcClass, TcQdisc, burst_bytes, burst_ticks

CASES = Path(__file__).parents[2] / "cases"
VALID = [
    (CASES / "policy" / name / "policy.yaml").read_text()
    for name in ("overrides", "own-lanes", "preset-two-lane-strict")
]
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**64, 0.5, 1e308, float("nan"), float("-inf"), "", " ", "70%", "-5%", "1e3%", "nan%",
    "\x00", "ö" * 300, "none", "dualpath", [], {}, [[]], {"a": 1}, {"name": "kv"}, [0] * 300, ["*"], ["[", "]*["],
)  # fmt: skip
BYTES = b"\x00\xff:{}[]-,*&!%\"'\n\t 09aZ#|>"


def nodes(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    return [(tree, k) for k in keys] + [x for k in keys for x in nodes(tree[k])]


def mutate_tree(rng: random.Random, text: str) -> bytes:
    tree = yaml.safe_load(text)
    for _ in range(rng.randint(1, 3)):
        container, key = rng.choice(nodes(tree) or [([0], 0)])
        match rng.randint(0, 3):
            case 0:
                container.pop(key)
            case 1 if isinstance(container, dict):
                container[rng.choice(("share", "nmae", 7, "lanes", "infiniband", "strict"))] = deepcopy(
                    container[key]
                )
            case 2 if isinstance(container, list):
                container.append(deepcopy(container[key]))
            case _:
                container[key] = deepcopy(rng.choice(ODD))
    return yaml.safe_dump(tree, allow_unicode=True).encode()


def mutate_bytes(rng: random.Random, text: str) -> bytes:
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 8)):
        at, size = rng.randrange(len(data) + 1), rng.randint(0, 12)
        match rng.randint(0, 2):
            case 0:
                del data[at : at + size]
            case 1:
                data[at:at] = bytes(rng.choice(BYTES) for _ in range(size))
            case _:
                data[at:at] = data[rng.randrange(len(data) + 1) :][:size]
    return bytes(data)


def mutate_lines(rng: random.Random, text: str) -> bytes:
    lines = text.splitlines()
    for _ in range(rng.randint(1, 4)):
        a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[a], lines[b] = rng.choice([(lines[b], lines[a]), (lines[a], lines[a]), ("", lines[b])])
    return "\n".join(lines).encode()


@pytest.mark.parametrize("block", range(10))
def test_an_answer_every_time(block: int) -> None:
    fabric, _ = parse_fabric((CASES / "plan" / "demo" / "fabric.yaml").read_bytes())
    assert fabric is not None
    tc = (DriverOffer("tc", supported=True),)
    found = tuple(
        NodeInventory(h.name, tuple(PortInventory(n.name, LinkLayer.ETHERNET, offers=tc) for n in h.nics))
        for h in fabric.hosts
    )
    accepted = 0
    for seed in range(100 * block, 100 * block + 100):
        rng = random.Random(seed)
        data = rng.choice((mutate_tree, mutate_tree, mutate_bytes, mutate_lines))(rng, rng.choice(VALID))
        policies, problems = parse_policies(data)
        assert (policies is None) == bool(problems), seed
        assert all(p.reason and "\n" not in str(p) and len(str(p)) < 600 for p in problems), seed
        if policies is not None:
            accepted += 1
            made = plan(policies.policies, fabric, found)
            assert len(made.scopes) + len(made.conflicts) + len(made.notes) > 0 or not policies.policies, seed
            for policy in policies.policies:
                sound(policy.lanes, policy.infiniband)
    assert 0 < accepted < 100


def sound(lanes: Any, tables: Any) -> None:
    """What an accepted policy promises: a default lane with a floor, rates that add up, values that last."""
    cases = compile_shares(lanes)
    assert lanes.default.name not in starved(cases)
    assert {x for x in starved(cases) if not lanes.lane(x).may_starve} == set()
    for rate in (10_000_000, 100_000_000, 25_000_000_000):
        elements = render_tc(lanes, rate)
        root = next(e.value for e in elements if isinstance(e.value, TcQdisc))
        classes = [e.value for e in elements if isinstance(e.value, TcClass)]
        assert root.rate_bps < rate
        assert sum(c.rate_bps for c in classes) <= root.rate_bps
        for c in classes:
            assert 0 < c.rate_bps <= c.ceil_bps <= root.rate_bps
            assert c.rate_bps % 8 == c.ceil_bps % 8 == 0
            assert 1514 <= c.quantum_bytes < 2**31
            for burst, at in ((c.burst_bytes, c.rate_bps), (c.cburst_bytes, c.ceil_bps)):
                ticks = burst_ticks(burst, at)
                assert ticks < 2**32
                assert burst_bytes(ticks, at) == burst
    assert render(render_ib(lanes, tables))
    assert all(markings(lanes, layer) for layer in LinkLayer)
