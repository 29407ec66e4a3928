"""Subnets as their agents found them, held against the fabric file: what an operator should know, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from trafficd_topology.ib_match import FoundSubnet, match
from trafficd_topology.ib_merge import merge
from trafficd_topology.model import FabricSpec, NodeInventory
from trafficd_topology.parsers.subnet_files import parse_subnets

SHOWN = 8


def found_notes(fabric: FabricSpec, inventories: tuple[NodeInventory, ...]) -> tuple[str, ...]:
    """Cables, rates and ports that are not as the file says; the file stays what is planned by.

    Of several agents that found one subnet the first by name counts.
    """
    dumps: dict[str, str] = {}
    for inventory in sorted(inventories, key=lambda i: i.node):
        for offered in inventory.fabrics:
            if offered.dump:
                dumps.setdefault(offered.name, offered.dump)
    return tuple(_sentences(fabric, tuple(sorted(dumps.items()))))


def _sentences(fabric: FabricSpec, dumps: tuple[tuple[str, str], ...]) -> Iterator[str]:
    if not dumps:
        return
    rows = differences(fabric, dumps)
    if rows is None:
        yield (
            "none of the fabric file's InfiniBand NICs is in a subnet that was found, by GUID or by its host's name: give "
            "them their guid (trafficd topology discover does), or a cable in the wrong place goes unnoticed"
        )
        return
    yield from (f"the fabric file is not as its subnets were found: {row}" for row in rows[:SHOWN])
    if len(rows) > SHOWN:
        yield (
            f"{len(rows) - SHOWN} more differences between fabric file and subnets: see trafficd-agent subnet dump and "
            "trafficd topology discover"
        )


@lru_cache(maxsize=4)
def differences(fabric: FabricSpec, dumps: tuple[tuple[str, str], ...]) -> tuple[str, ...] | None:
    """One sentence each; None where nothing of the file was found at all. ``dumps`` are (subnet's name, text)."""
    named = {n.subnet for h in fabric.hosts for n in h.nics if n.subnet}
    found = [
        # A file that names no subnets has one.
        FoundSubnet(name if named else "", subnet)
        for name, text in dumps
        for subnet in parse_subnets(text)
    ]
    if not any(nic.known for one in found for nic in match(fabric, one).nics.values()):
        return None
    return merge(fabric, found).differences
