"""Cables between switches as resources: which of them a flow between two places loads, and how much.

Equal-cost paths are used evenly, as hashing does on average. Cables that every flow loads alike (those of a leaf
to its spines) are one **trunk**. A trunk that could never be full, whatever the NICs do, is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trafficd_topology.fabric import Attachment
from trafficd_topology.routes import UNLIMITED, Cable, Reach
from trafficd_topology.wiring import Wiring

_EQUAL = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class Trunk:
    """Cables used alike, each away from its port ``a``; together ``capacity_bps``. Named after the first."""

    name: str
    cables: tuple[Cable, ...]
    capacity_bps: int


Loads = dict[tuple[int, int], tuple[tuple[int, float], ...]]
"""(from attachment, to attachment) -> (trunk, part of the flow's bytes)"""


def trunks_of(
    wiring: Wiring, attachments: Sequence[Attachment], keep: Iterable[str] = ()
) -> tuple[tuple[Trunk, ...], Loads]:
    """The trunks that can limit, and what each pair of attachments puts on them; ``keep`` names cables that must stay."""
    spreads = _spreads(wiring, attachments)
    rates = [float(sum(wiring.nics[port].rate_bps for port in a.ports)) for a in attachments]
    by_cable = _by_cable(spreads)
    groups: dict[tuple[tuple[tuple[int, int], float], ...], list[Cable]] = defaultdict(list)
    for cable, loads in by_cable.items():
        groups[tuple(loads)].append(cable)
    wanted = frozenset(keep)
    trunks: list[Trunk] = []
    found: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
    for shared, cables in groups.items():
        for alike in _by_capacity(cables):
            named = any(c.name in wanted for c in alike)
            if not named and not _may_fill(shared, alike[0].capacity_bps, rates):
                continue
            for pair, part in shared:
                found[pair].append((len(trunks), part * len(alike)))
            trunks.append(_trunk(alike))
    return tuple(trunks), {pair: tuple(rows) for pair, rows in found.items()}


def _trunk(cables: Sequence[Cable]) -> Trunk:
    name = cables[0].name if len(cables) == 1 else f"{cables[0].name} and {len(cables) - 1} more"
    return Trunk(name, tuple(cables), sum(c.capacity_bps for c in cables))


def _by_capacity(cables: Iterable[Cable]) -> Iterable[list[Cable]]:
    rows: dict[int, list[Cable]] = defaultdict(list)
    for cable in cables:
        rows[cable.capacity_bps].append(cable)
    return rows.values()


def _spreads(
    wiring: Wiring, attachments: Sequence[Attachment]
) -> dict[tuple[int, int], tuple[tuple[Cable, float], ...]]:
    """What one byte from one attachment to another puts on every cable."""
    numbers = wiring.numbers()
    ends = [tuple(numbers[s] for s in a.switches) for a in attachments]
    found: dict[tuple[int, int], tuple[tuple[Cable, float], ...]] = {}
    for b, targets in enumerate(ends):
        if not targets:
            continue
        reach = Reach(wiring.network, dict.fromkeys(targets, ()))
        for a, sources in enumerate(ends):
            near = reach.nearest(sources)
            if a != b and near:
                found[a, b] = reach.spread(dict.fromkeys(near, 1 / len(near))).cables
    return found


def _by_cable(
    spreads: Mapping[tuple[int, int], Iterable[tuple[Cable, float]]],
) -> dict[Cable, list[tuple[tuple[int, int], float]]]:
    found: dict[Cable, list[tuple[tuple[int, int], float]]] = defaultdict(list)
    for pair, cables in spreads.items():
        for cable, part in cables:
            found[cable].append((pair, round(part, 12)))
    return found


def _may_fill(
    loads: Iterable[tuple[tuple[int, int], float]], capacity_bps: int, rates: Sequence[float]
) -> bool:
    """Whether senders and receivers together could fill a cable, were each to use it as much as it can."""
    if capacity_bps >= UNLIMITED:
        return False
    out: dict[int, float] = defaultdict(float)
    into: dict[int, float] = defaultdict(float)
    for (a, b), part in loads:
        out[a] = max(out[a], part)
        into[b] = max(into[b], part)
    most = min(sum(rates[x] * part for x, part in side.items()) for side in (out, into))
    return most > capacity_bps * _EQUAL
