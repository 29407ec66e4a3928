"""Dumps of subnets: nodes, ports and cables as counted without our readers; whatever is damaged is named, not lost."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from ibdumps import Counts, count, damaged, fat_tree, text_of, torus
from trees import CAPTURED

from trafficd_topology.parsers.ibnetdiscover import dump
from trafficd_topology.parsers.subnet_files import parse_subnets
from trafficd_topology.subnet import NodeKind, Subnet

EXAMPLES = Path("/usr/share/doc/ibsim-utils/net-examples")
captured = pytest.mark.skipif(not CAPTURED.is_dir(), reason=f"no captured files at {CAPTURED}")


def counts(subnet: Subnet) -> Counts:
    kinds = Counter(n.kind for n in subnet.nodes)
    return Counts(kinds[NodeKind.SWITCH], kinds[NodeKind.ADAPTER], kinds[NodeKind.ROUTER], len(subnet.links))


def one(text: str) -> Subnet:
    (subnet,) = parse_subnets(text)
    return subnet


def rates(subnet: Subnet) -> Counter[str]:
    """Port lines by width and speed."""
    ends = {end for link in subnet.links for end in (link.a, link.b)}
    return Counter(f"{p.width}x{p.speed}" for p in subnet.ports if p.end in ends)


@pytest.mark.parametrize(
    "name", ["net", "net.1", "net.2sw2path", "net.2sw2path4hca", "net.2sw2path4hca2port"]
)
def test_examples_of_the_simulator(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    assert counts(one(text)) == count(text)
    assert one(text).notes == ()


@pytest.mark.data
@captured
def test_every_captured_dump() -> None:
    found = sorted((CAPTURED / "ibnetdiscover").iterdir())
    assert len(found) == 7
    for path in found:
        text = path.read_text()
        assert counts(one(text)) == count(text), path
        again = one(dump(one(text)))
        assert (again.nodes, again.links, rates(again)) == (
            one(text).nodes,
            one(text).links,
            rates(one(text)),
        )


FIGURES = {
    # file: (switches, adapters, cables, aggregation nodes, port lines by speed), as its collector counted them
    "topograph-ndr-dgx.out": (40, 582, 1114, 40, {"4xNDR": 2228}),
    "selene-storage.topo": (160, 1247, 3286, 0, {"4xHDR": 5932, "4xEDR": 640}),
    "stage-qdr-fdr10.topo": (8, 144, 192, 0, {"4xQDR": 290, "4xFDR10": 94}),
    "topograph-example-bad.out": (0, 1, 0, 0, {}),
    "ufm-lab-small.topo": (2, 13, 16, 1, {"4xFDR": 24, "4xEDR": 4, "4xHDR": 2, "4xFDR10": 2}),
    "ibtopotool-1.topo": (2, 4, 7, 0, {"4xSDR": 12, "1xSDR": 2}),
    "ibtopotool-4.topo": (1, 1, 1, 0, {"4xQDR": 2}),
}


@pytest.mark.data
@captured
@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_captured_dumps(name: str) -> None:
    subnet = one((CAPTURED / "ibnetdiscover" / name).read_text())
    n = counts(subnet)
    aggregation = sum(x.aggregation for x in subnet.nodes)
    assert (n.switches, n.adapters, n.links, aggregation, dict(rates(subnet))) == FIGURES[name]


@pytest.mark.data
@captured
@pytest.mark.parametrize(
    "name", ["ibnetdiscover-f", "ibnetdiscover-g", "ibnetdiscover-p", "iblinkinfo", "iblinkinfo-l"]
)
def test_every_form_says_the_same(name: str) -> None:
    """One subnet as five outputs. Those by port name adapters by the GUID of the port."""
    folder = CAPTURED / "generated-ibsim" / "ufm-lab-small"
    plain, other = (one((folder / f"{n}.txt").read_text()) for n in ("ibnetdiscover", name))
    assert counts(other) == counts(plain) == Counts(2, 13, 0, 16)
    assert rates(other) == rates(plain)
    assert sorted(n.name for n in other.nodes) == sorted(n.name for n in plain.nodes)
    by_port = [
        {frozenset([s.by_end()[x.a].port_guid or x.a, s.by_end()[x.b].port_guid or x.b]) for x in s.links}
        for s in (plain, other)
    ]
    assert by_port[0] == by_port[1]


@pytest.mark.data
@captured
def test_lines_by_port() -> None:
    subnet = one((CAPTURED / "ibnetdiscover-ports" / "osc-test.out").read_text())
    assert counts(subnet) == Counts(4, 3, 0, 4)
    assert [f"{p.end} {subnet.by_guid()[p.end.guid].name}" for p in subnet.ports if not p.up] == [
        "0x08c0eb0300add20e/80 ib-i7l2s01",
        "0x506b4b03005c2740/37 ib-i4l1s01",
    ]
    assert subnet.notes == (
        "node 0x7cfe900300b07320 (ib-i1l2s01) is at the other end of a cable and not described itself",
    )


@pytest.mark.parametrize("seed", range(12))
def test_generated(seed: int) -> None:
    """Trees and tori with any description, whole and damaged: the same nodes and cables."""
    rng = random.Random(seed)
    make = (fat_tree(rng.randint(1, 4), rng.randint(1, 6), rng.randint(1, 9)) if seed % 2
            else torus(rng.randint(1, 4), rng.randint(1, 3), rng.randint(1, 3)))  # fmt: skip
    switches, cables = make
    text = text_of(rng, cables)
    subnet = one(text)
    assert counts(subnet) == count(text)
    assert counts(subnet).switches == len(switches)
    assert subnet.links == one(dump(subnet)).links
    broken = damaged(rng, text)
    hurt = one(broken)
    assert (hurt.links, [n.guid for n in hurt.nodes]) == (subnet.links, [n.guid for n in subnet.nodes])
    assert [n.name for n in hurt.nodes] == [n.name for n in subnet.nodes]
    assert rates(hurt) == rates(subnet)
    assert [n.partition(": ")[2] for n in hurt.notes if "is not understood" in n] == [
        "+ ibnetdiscover -C mlx5_0",
        "-W- something is odd: ??",
        "Nov 21 03:07:23 host ibnetdiscover[7]: begin",
        "ibwarn: [7] done",
        "$ exit",
    ]
