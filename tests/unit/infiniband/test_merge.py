"""A fabric file and dumps of subnets, together: whole files in, whole file and every sentence out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from ibdumps import count, fat_tree, text_of

from trafficd_topology.ib_match import FoundSubnet
from trafficd_topology.ib_merge import merge
from trafficd_topology.model import FabricSpec
from trafficd_topology.parsers.fabric import dump_fabric, parse_fabric
from trafficd_topology.parsers.subnet_files import parse_subnets

CASES = Path(__file__).parents[2] / "cases" / "infiniband"
NAMES = sorted(p.name for p in CASES.iterdir())


def spec_of(path: Path) -> FabricSpec:
    if not path.exists():
        return FabricSpec("fabric")
    spec, problems = parse_fabric(path.read_text())
    assert spec is not None, problems
    return spec


def found_in(folder: Path) -> list[FoundSubnet]:
    dumps = sorted(folder.glob("*.topo"))
    return [
        FoundSubnet("" if len(dumps) == 1 else p.stem, subnet)
        for p in dumps
        for subnet in parse_subnets(p.read_text())
    ]


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str) -> None:
    """``fabric.yaml`` may be absent; ``merged.yaml`` is the result, with every sentence at its head."""
    folder = CASES / name
    merged = merge(spec_of(folder / "fabric.yaml"), found_in(folder))
    text = dump_fabric(merged.spec, merged.comments())
    assert text == (folder / "merged.yaml").read_text()
    assert parse_fabric(text)[0] == merged.spec
    assert merge(merged.spec, found_in(folder)).spec == merged.spec


@pytest.mark.parametrize("name", NAMES)
def test_the_result_differs_from_nothing(name: str) -> None:
    """What was found is then what the file says, but for rates, which are the operator's, and what is not there."""
    folder = CASES / name
    again = merge(merge(spec_of(folder / "fabric.yaml"), found_in(folder)).spec, found_in(folder))
    left = [d for d in again.differences if " runs at " not in d and "was not found" not in d]
    assert left == []


@pytest.mark.parametrize("seed", range(4))
def test_every_cable_is_in_the_result(seed: int) -> None:
    """Of a generated tree with a rate on every cable, the fabric file has every node and every cable."""
    rng = random.Random(seed)
    _, cables = fat_tree(rng.randint(1, 3), rng.randint(1, 4), rng.randint(1, 5))
    text = text_of(rng, cables).replace("4x???", "4xNDR")
    raw = count(text)
    spec = merge(FabricSpec("f"), [FoundSubnet("", s) for s in parse_subnets(text)]).spec
    assert (len(spec.switches), sum(len(h.nics) for h in spec.hosts)) == (raw.switches, raw.adapters)
    assert len(spec.links) == raw.links


def test_subnets_stay_apart() -> None:
    """Two subnets of the same hosts, devices and LIDs: every port and switch of both."""
    rng = random.Random(1)
    _, cables = fat_tree(2, 2, 3)
    one = text_of(rng, cables).replace("4x???", "4xNDR")
    other = one.replace("-0000000000005", "-0000000000015").replace("-0000000000009", "-0000000000019")
    other = other.replace("](9", "](19")
    found = [FoundSubnet(n, s) for n, t in (("a", one), ("b", other)) for s in parse_subnets(t)]
    spec = merge(FabricSpec("f"), found).spec
    assert (len(spec.switches), sum(len(h.nics) for h in spec.hosts), len(spec.links)) == (8, 12, 20)
    assert {n.subnet for h in spec.hosts for n in h.nics} == {"a", "b"}
    for link in spec.links:
        subnets = {
            n.subnet for h in spec.hosts if h.name == link.a.node for n in h.nics if n.name == link.a.port
        }
        assert len(subnets) <= 1
    assert parse_fabric(dump_fabric(spec))[0] == spec


def test_two_dumps_in_one_text() -> None:
    rng = random.Random(2)
    _, cables = fat_tree(1, 1, 2)
    text = text_of(rng, cables)
    assert len(parse_subnets(text + "\n" + text)) == 2
