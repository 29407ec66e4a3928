"""From a dump to the model and the fabric file, beside the time that ibnetdiscover itself takes on the same subnet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from lab.ibsim import FatTree, ib_lab

from trafficd_topology.ib_match import FoundSubnet
from trafficd_topology.ib_merge import merge
from trafficd_topology.model import FabricSpec
from trafficd_topology.parsers.subnet_files import parse_subnets

TREES = (FatTree(18, 36, 18), FatTree(18, 72, 18))
"""648 and 1,296 adapters: leaves of 36 ports."""
RUNS = 5


def seconds(work: Callable[[], object]) -> float:
    """The best of a few runs: what it takes where nobody else wants the processor."""
    found = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def discovery() -> Iterator[str]:
    """One line a size."""
    for tree in TREES:
        with ib_lab("qos FALSE\n", tree) as lab:
            text = lab.run("Hca2", "ibnetdiscover")
            walked = seconds(lambda lab=lab: lab.run("Hca2", "ibnetdiscover"))
        found = parse_subnets(text)
        read = seconds(lambda text=text: parse_subnets(text))
        subnets = tuple(FoundSubnet("", s) for s in found)
        merged = seconds(lambda subnets=subnets: merge(FabricSpec("bench"), subnets))
        yield (
            f"{tree.hcas} adapters, {tree.leaves + tree.spines} switches, {len(found[0].links)} cables: dump to model "
            f"{read:.2f} s, model to fabric file {merged:.2f} s; ibnetdiscover {walked:.2f} s "
            f"({(read + merged) / walked:.1f} times)"
        )
