"""Dumps made up from a seed: fat trees and tori in the format of ibnetdiscover, damaged ones too; and how to count
them without the project's readers."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

DESCRIPTIONS = (
    'node-{} HCA-1', "node{} mlx5_0", 'a "quoted" {}', "x\" lid 7 4xEDR {}", "'{} '", "Knoten-ü{}", "# {}", "[1] {}",
    "MT4129 ConnectX7   Mellanox Technologies", "localhost HCA-1", "(none) {}", "back\\slash{}", "",
)  # fmt: skip
SPEEDS = ("4xHDR", "4xNDR", "1xSDR", "8xXDR", "12xEDR", "2xNDR", "4xFDR10", "4x???")


@dataclass(frozen=True)
class Counts:
    """``links`` are unordered pairs of (node id, port)."""

    switches: int
    adapters: int
    routers: int
    links: int


Cable = tuple[str, int, str, int]
"""Node id and port, twice."""


def count(text: str) -> Counts:
    """By the first word of lines and the quoted ids alone."""
    kinds = {"switch": 0, "ca": 0, "hca": 0, "rt": 0}
    links: set[frozenset[tuple[str, str]]] = set()
    here = ""
    for line in text.splitlines():
        if head := re.match(r'\s*(switch|ca|hca|rt)\s+\d+\s*"([^"]*)"', line, re.IGNORECASE):
            kinds[head[1].lower()] += 1
            here = head[2]
        elif port := re.match(r'\s*\[(\d+)\][^"]*"([^"]*)"\s*\[(\d+)\]', line):
            links.add(frozenset([(here, port[1]), (port[2], port[3])]))
    return Counts(kinds["switch"], kinds["ca"] + kinds["hca"], kinds["rt"], len(links))


def fat_tree(spines: int, leaves: int, down: int) -> tuple[list[str], list[Cable]]:
    switches = [f"S-{0x5000 + i:016x}" for i in range(leaves + spines)]
    cables: list[Cable] = []
    for leaf in range(leaves):
        hosts = [f"H-{0x9000 + leaf * down + i:016x}" for i in range(down)]
        cables += [(switches[leaf], i + 1, host, 1) for i, host in enumerate(hosts)]
        cables += [(switches[leaf], down + s + 1, switches[leaves + s], leaf + 1) for s in range(spines)]
    return switches, cables


def torus(x: int, y: int, z: int) -> tuple[list[str], list[Cable]]:
    """A switch at every place with one adapter; a ring of two has two cables between its ends, a ring of one a loop."""
    places = list(product(range(x), range(y), range(z)))
    ids = {place: f"S-{0x7000 + i:016x}" for i, place in enumerate(places)}
    cables: list[Cable] = []
    for place in places:
        cables.append((ids[place], 7, f"H-{0xA000 + len(cables):016x}", 1))
        for axis, size in enumerate((x, y, z)):
            there = tuple((v + 1) % size if i == axis else v for i, v in enumerate(place))
            cables.append((ids[place], 2 * axis + 1, ids[there], 2 * axis + 2))
    return list(ids.values()), cables


def text_of(rng: random.Random, cables: list[Cable]) -> str:
    """A dump of these cables, nodes in any order, with descriptions and speeds drawn."""
    nodes = sorted({n for c in cables for n in (c[0], c[2])})
    rng.shuffle(nodes)
    names = {n: rng.choice(DESCRIPTIONS).format(number(n)) for n in nodes}
    speeds = {c: rng.choice(SPEEDS) for c in cables}
    head = "#\n# Topology file: generated on Sat Nov 21 03:07:23 2026\n#\n"
    return "\n".join([head, *("".join(_node(node, names, speeds)) for node in nodes)])


def number(node: str) -> int:
    return int(node.partition("-")[2], 16)


def _node(node: str, names: dict[str, str], speeds: dict[Cable, str]) -> Iterator[str]:
    kind = {"S": "Switch", "H": "Ca", "R": "Rt"}[node[0]]
    guid = number(node)
    yield f"vendid=0x2c9\ndevid=0xd2f0\nsysimgguid=0x{guid:x}\n{kind.lower()}guid=0x{guid:x}\n"
    tail = f" enhanced port 0 lid {guid & 0xFFF} lmc 0" if kind == "Switch" else ""
    yield f'{kind}\t64 "{node}"\t\t# "{names[node]}"{tail}\n'
    for (a, i, b, j), speed in speeds.items():
        for here, port, there, other in {(a, i, b, j), (b, j, a, i)}:
            if here == node:
                own = f"({guid + port:x})" if kind != "Switch" else ""
                lid = f"lid {guid & 0xFFF} lmc 0 " if kind != "Switch" else ""
                far = f"({number(there) + other:x})" if there[0] == "H" else ""
                yield f'[{port}]{own}\t"{there}"[{other}]{far} \t\t# {lid}"{names[there]}" lid 3 {speed}\n'


def damaged(rng: random.Random, text: str) -> str:
    """Blanks for tabs and the reverse, carriage returns, keys and blank lines lost, a log around it."""
    lines = []
    for whole in text.splitlines():
        line = whole
        if rng.random() < 0.3 and re.match(r"(vendid|devid|sysimgguid|\w+guid)=|$", line):
            continue
        if rng.random() < 0.5:
            line = line.replace("\t", rng.choice([" ", "    ", "  \t "]))
        if rng.random() < 0.2:
            line = rng.choice(["  ", "\t"]) + line
        lines.append(line + rng.choice(["", "", " ", "\r"]))
    log = [
        "+ ibnetdiscover -C mlx5_0",
        "-W- something is odd: \x07\x00",
        "Nov 21 03:07:23 host ibnetdiscover[7]: begin",
    ]
    return "\n".join([*log, *lines, "ibwarn: [7] done", "$ exit"]) + "\n"
