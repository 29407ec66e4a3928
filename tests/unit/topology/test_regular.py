"""The short form: what it expands to is what could have been written out, and no few lines become too much."""

from collections import Counter
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trafficd_topology.fabric import Fabric
from trafficd_topology.model import FabricSpec, Host, LinkLayer, Nic, NicKind, Role
from trafficd_topology.parsers.fabric import dump_fabric, parse_fabric
from trafficd_topology.parsers.regular import (
    FatTree,
    HostSet,
    Names,
    NicSet,
    Placement,
    Rails,
    Regular,
    expand,
)

GIGA = 10**9
TREE = st.builds(
    FatTree,
    path=st.just("n"),
    name=st.just("net"),
    leaves=st.integers(1, 4),
    spines=st.integers(1, 3),
    rails=st.sampled_from(Rails),
    placement=st.sampled_from(Placement),
    cables=st.integers(1, 3),
    uplink_bps=st.none() | st.integers(1, 400 * GIGA),
    oversubscription=st.sampled_from([Fraction(1), Fraction(3, 2), Fraction(4), Fraction(1, 3)]),
    managed=st.booleans(),
)


def host_set(name: str, count: int, nics: int) -> HostSet:
    nic = Nic("", NicKind.COMPUTE, LinkLayer.ETHERNET, 100 * GIGA, rail=0)
    return HostSet("h", Names(name, range(1, count + 1)), Host("", Role.OTHER), (_nics(nics, nic),))


def _nics(count: int, nic: Nic) -> NicSet:
    return NicSet("n", Names("c", range(count)), nic, "net")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(TREE, st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(1, 3))
def test_expansion(tree: FatTree, counts: list[int], nics: int) -> None:
    groups = tuple(host_set(f"{'abc'[i]}-", count, nics) for i, count in enumerate(counts))
    spec = FabricSpec("regular", *expand(Regular(groups, (tree,))))
    # It is a valid file, written out.
    assert parse_fabric(dump_fabric(spec)) == (spec, ())
    rails = 1 if tree.rails is Rails.SHARED else nics
    trees = rails if tree.rails is Rails.SEPARATE else 1
    assert len(spec.hosts) == sum(counts)
    assert len(spec.switches) == rails * tree.leaves + trees * tree.spines
    assert len(spec.links) == sum(counts) * nics + rails * tree.leaves * tree.spines * tree.cables
    fabric = Fabric(spec)
    nics_at = Counter(at.name for at in fabric.attachments() for _ in at.ports)
    # Hosts are spread evenly, and what parts of the network meet follows from the rails.
    per_leaf = [nics_at[s.name] for s in spec.switches if "leaf" in s.name]
    assert max(per_leaf) - min(per_leaf) <= (nics if tree.rails is Rails.SHARED else 1)
    assert len(fabric.components()) == trees
    # Every two leaves of a tree are joined by all its spines, with the cables that were asked for.
    ups = [k for k in spec.links if "spine" in k.b.node]
    down = max(per_leaf) * 100 * GIGA
    up = tree.spines * tree.cables * (ups[0].rate_bps or 0)
    if tree.uplink_bps is None:
        assert 0 <= up - down / tree.oversubscription < tree.spines * tree.cables
    joined = Counter((k.a.node, k.b.node) for k in ups)
    assert set(joined.values()) == {tree.cables}
    leaves = sorted({a for a, _ in joined})
    for a, b in combinations(leaves, 2):
        spines = {s for leaf, s in joined if leaf == a} & {s for leaf, s in joined if leaf == b}
        apart = tree.rails is Rails.SEPARATE and a.split("-")[1] != b.split("-")[1]
        assert len(spines) == (0 if apart else tree.spines)


def test_blocks_are_neighbours_and_spread_is_dealt_out() -> None:
    def leaves(placement: Placement) -> str:
        tree = FatTree("n", "net", leaves=2, spines=1, placement=placement)
        _, _, links = expand(Regular((host_set("p", 3, 1), host_set("d", 3, 1)), (tree,)))
        return " ".join(f"{k.a.node}:{k.b.node[-1]}" for k in links if k.a.port == "c0")

    assert leaves(Placement.BLOCKS) == "p1:1 p2:1 p3:1 d1:2 d2:2 d3:2"
    assert leaves(Placement.SPREAD) == "p1:1 p2:2 p3:1 d1:2 d2:1 d3:2"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p[1-3]", "p1 p2 p3"),
        ("p[08-11]x", "p08x p09x p10x p11x"),
        ("p[0-0]", "p0"),
        ("p[9-8]", ""),
        ("p[1-20000]", ""),
        ("p[1-2][1-2]", ""),
        ("p[1-]", ""),
        ("p[]", ""),
        ("[1-2]", "1 2"),
        ("7", "7"),
    ],
)
def test_names(name: str, expected: str) -> None:
    text = f'version: 1\nname: n\nregular: {{hosts: [{{name: "{name}"}}]}}\n'
    spec, problems = parse_fabric(text)
    assert " ".join(h.name for h in spec.hosts) == expected if spec else expected == ""
    assert [p.path for p in problems] == ([] if expected else ["regular.hosts[0].name"])


NIC = '{name: "n[0-4999]", kind: storage, rate: 1G, network: net, rail: 0}'


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("hosts: [{name: 'a[1-9999]'}, {name: 'b[1-9999]'}]", "makes 19998 hosts, more than 10000"),
        (f"hosts: [{{name: 'a[1-9999]', nics: [{NIC}, {NIC}]}}]", "makes 99990000 NICs, more than 40000"),
        (
            f"hosts: [{{name: a, nics: [{NIC}]}}], networks: [{{name: net, leaves: 9, spines: 1, rails: leaves}}]",
            "makes 50000 switches, more than 10000",
        ),
        (
            f"hosts: [{{name: a, nics: [{NIC}]}}], networks: [{{name: net, leaves: 1000, spines: 1000}}]",
            "makes 1000000 cables, more than 100000",
        ),
    ],
)
def test_a_few_lines_do_not_become_too_much(section: str, expected: str) -> None:
    spec, problems = parse_fabric(f"version: 1\nname: n\nregular: {{{section}}}\n")
    assert spec is None
    assert [p.reason for p in problems if p.path == "regular"] == [expected]


def test_a_large_one_is_read() -> None:
    """1,250 hosts of eight NICs: 10,000, in one network of 64 leaves."""
    text = """
        version: 1
        name: large
        regular:
          networks: [{name: net, leaves: 64, spines: 32, oversubscription: 3}]
          hosts: [{name: "h[0001-1250]", nics: [{name: "c[0-7]", kind: compute, rate: 400G, network: net}]}]
    """
    spec, problems = parse_fabric(text)
    assert problems == ()
    assert spec is not None
    assert sum(len(h.nics) for h in spec.hosts) == 10_000
