"""Output of the real tools on simulated fat trees: nodes, ports and cables as the tree was made."""

from __future__ import annotations

import pytest
from lab.ibsim import FatTree, ib_lab

from trafficd_topology.parsers.subnet_files import parse_subnets
from trafficd_topology.subnet import NodeKind

COMMANDS = (
    ("ibnetdiscover",),
    ("ibnetdiscover", "-f", "-g"),
    ("ibnetdiscover", "-p"),
    ("iblinkinfo",),
    ("iblinkinfo", "-l"),
)


@pytest.mark.parametrize("tree", [FatTree(), FatTree(3, 5, 7)], ids=["8", "35"])
def test_every_tool_says_the_tree(tree: FatTree) -> None:
    with ib_lab("qos FALSE\n", tree) as lab:
        texts = [lab.run("Hca2", *command) for command in COMMANDS]
        lab.console('Unlink "Spine1"[1]')
        cut = lab.run("Hca2", "ibnetdiscover")
    for command, text in zip(COMMANDS, texts, strict=True):
        (subnet,) = parse_subnets(text)
        switches = sum(n.kind is NodeKind.SWITCH for n in subnet.nodes)
        ends = {end for link in subnet.links for end in (link.a, link.b)}
        assert (switches, len(subnet.nodes) - switches, len(ends)) == (
            tree.leaves + tree.spines,
            tree.hcas,
            tree.ports,
        ), command
        assert [n for n in subnet.notes if "LID" not in n] == []
        assert {n.name.split()[0] for n in subnet.nodes} == expected_names(tree)
    (subnet,) = parse_subnets(cut)
    assert len(subnet.links) == tree.ports // 2 - 1


def expected_names(tree: FatTree) -> set[str]:
    names = {f"Leaf{i + 1}" for i in range(tree.leaves)} | {f"Spine{i + 1}" for i in range(tree.spines)}
    return names | {f"Hca{i + 1}" for i in range(tree.hcas)}
