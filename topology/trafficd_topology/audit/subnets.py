"""Rules about InfiniBand subnets as they were found: cables that run narrower or slower than their like, ports that say
nothing, nodes that are missing from a dump.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from trafficd_topology.audit.facts import Facts
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.subnet import IbEnd, IbLink, IbNode, IbPort, NodeKind, Subnet

USUAL_WIDTH = 4
SHOWN = 20
"""Cables of one sort that are shown by name."""


def _ends(subnet: Subnet, link: IbLink) -> str:
    nodes = subnet.by_guid()
    return f"{_name(nodes[link.a.guid], link.a)} - {_name(nodes[link.b.guid], link.b)}"


def _name(node: IbNode, end: IbEnd) -> str:
    return f"{node.name.strip() or f'0x{node.guid:016x}'}/{end.port}"


def _width(a: IbPort, b: IbPort) -> int:
    """Lanes of a link: the fewer, where its ends are shown differently; four where nothing is said."""
    return min((w for w in (a.width, b.width) if w), default=USUAL_WIDTH)


def narrow(facts: Facts) -> Iterator[Finding]:
    """Links of fewer lanes than four, one finding a dump with the worst by name."""
    for found in facts.found:
        ports = found.subnet.by_end()
        links = [x for x in found.subnet.links if _width(ports[x.a], ports[x.b]) < USUAL_WIDTH]
        for link in links[:SHOWN]:
            yield Finding(
                "ib-link-narrow",
                Severity.WARNING,
                f"{found.where}: {_ends(found.subnet, link)}",
                f"the link is up with {_width(ports[link.a], ports[link.b])} of {USUAL_WIDTH} lanes",
                "Reseat or replace the cable; its rate is the part of its lanes until then.",
            )


def slow(facts: Facts) -> Iterator[Finding]:
    """Links slower than most between nodes of the same sorts (switch to switch, switch to adapter)."""
    for found in facts.found:
        ports, nodes = found.subnet.by_end(), found.subnet.by_guid()
        by_sort: dict[tuple[NodeKind, NodeKind], list[IbLink]] = {}
        for link in found.subnet.links:
            if any(nodes[e.guid].aggregation for e in (link.a, link.b)) or ports[link.a].rate_bps is None:
                continue
            low, high = sorted((nodes[link.a.guid].kind, nodes[link.b.guid].kind))
            by_sort.setdefault((low, high), []).append(link)
        for links in by_sort.values():
            rates = Counter(ports[x.a].rate_bps for x in links)
            usual, many = rates.most_common(1)[0]
            below = [x for x in links if (ports[x.a].rate_bps or 0) < (usual or 0)]
            if many < 0.9 * len(links) or not below:
                continue
            for link in below[:SHOWN]:
                yield Finding(
                    "ib-link-slow",
                    Severity.WARNING,
                    f"{found.where}: {_ends(found.subnet, link)}",
                    f"it runs at {(ports[link.a].rate_bps or 0) / 1e9:g} Gb/s and {many} of {len(links)} links like it at "
                    f"{(usual or 0) / 1e9:g} Gb/s",
                    "Replace the cable or the transceiver, or bring both ends to the same speed.",
                )


def unclear(facts: Facts) -> Iterator[Finding]:
    """What contradicts itself in a dump or was not understood."""
    for found in facts.found:
        for note in found.subnet.notes[:SHOWN]:
            yield Finding(
                "ib-dump-unclear",
                Severity.INFO,
                found.where,
                note,
                "Take the dump anew where it matters; nothing else in it was lost.",
            )
