"""A fabric's capacity as rows, for a table on a terminal or for a program: ``trafficd topology capacity``."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from trafficd_topology.capacity import Capacity, Resource
from trafficd_topology.ratios import SLACK, Range, Ranges, ranges_text, ratio_text
from trafficd_topology.show import cell, table

RATIOS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
"""Ratios of prefill to decode nodes that are always shown, beside the fabric's own."""

_SCALE = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))
Ends = tuple[tuple[float, float | None], ...]
"""Ranges of ratios, ends included; None where nothing ends it."""


@dataclass(frozen=True, slots=True)
class SetRow:
    """The whole in one row. ``ratios`` are those of prefill to decode nodes at which nothing binds."""

    fabric: str
    prefill: int
    decode: int
    ratio: float
    read_bps: int
    bottleneck_free: bool
    binds_first: str
    utilisation: float
    ratios: Ends


@dataclass(frozen=True, slots=True)
class EndRow:
    """Where a bottleneck-free range of ratios ends, and what binds beyond."""

    end: str
    ratio: float
    resource: str
    element: str
    direction: str


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """A resource, or the fullest one of ``count`` of a kind, side and direction.

    ``pe_path_bps`` and ``de_path_bps`` are what reads on either side put on it. ``binding``: ``yes`` when it keeps
    the storage NICs from being full, ``premise`` for these. ``ratios``: at which it does not bind.
    """

    resource: str
    side: str
    direction: str
    count: int
    element: str
    pe_path_bps: int
    de_path_bps: int
    load_bps: int
    capacity_bps: int | None
    utilisation: float | None
    binding: str
    ratios: Ends | None


@dataclass(frozen=True, slots=True)
class RatioRow:
    """What binds first at a ratio of prefill to decode nodes."""

    ratio: float
    bottleneck_free: bool
    resource: str
    element: str
    direction: str
    utilisation: float


@dataclass(frozen=True, slots=True)
class Report:
    """All rows. ``notes`` say what is not judged."""

    set: tuple[SetRow, ...]
    resources: tuple[ResourceRow, ...]
    ends: tuple[EndRow, ...]
    by_ratio: tuple[RatioRow, ...]
    notes: tuple[str, ...]


def report(fabric: str, capacity: Capacity, every: bool) -> Report:
    """The report on a fabric of this name; ``every`` resource, or of each kind the fullest."""
    return Report(
        set=(_set(fabric, capacity),),
        resources=tuple(_resources(capacity, every)),
        ends=tuple(row for one in capacity.ranges() for row in _ends(one, capacity)),
        by_ratio=tuple(_at(ratio, capacity) for ratio in _ratios(capacity.ratio)),
        notes=capacity.notes,
    )


def _plain(ranges: Ranges) -> Ends:
    return tuple((one.low, None if math.isinf(one.high) else one.high) for one in ranges)


def _ratios(own: float) -> list[float]:
    near = [r for r in RATIOS if abs(r - own) > SLACK * own]
    return sorted([*near, own])


def _set(fabric: str, capacity: Capacity) -> SetRow:
    first, utilisation = capacity.first()
    return SetRow(
        fabric=fabric,
        prefill=capacity.prefill,
        decode=capacity.decode,
        ratio=capacity.ratio,
        read_bps=capacity.read_bps,
        bottleneck_free=capacity.bottleneck_free(),
        binds_first=f"{first.element} {first.direction}" if first else "",
        utilisation=utilisation,
        ratios=_plain(capacity.ranges()),
    )


def _resources(capacity: Capacity, every: bool) -> Iterator[ResourceRow]:
    groups: dict[object, list[Resource]] = defaultdict(list)
    for i, resource in enumerate(capacity.resources):
        groups[i if every else _kind(resource)].append(resource)
    for group in groups.values():
        fullest = max(group, key=lambda r: (round(r.utilisation() or 0.0, 9), round(r.demand.at(1))))
        yield _resource(fullest, len(group), capacity.ratio)


def _kind(resource: Resource) -> tuple[str, str, str, bool]:
    """Resources of one kind share a row; of cables both ways do."""
    direction = "" if ">" in resource.direction else resource.direction
    return resource.kind, resource.demand.side, direction, resource.premise


def _resource(resource: Resource, count: int, ratio: float) -> ResourceRow:
    demand = resource.demand
    return ResourceRow(
        resource=resource.kind,
        side=demand.side.value,
        direction=resource.direction,
        count=count,
        element=resource.element,
        pe_path_bps=round(demand.pe),
        de_path_bps=round(demand.de),
        load_bps=round(demand.at(1)),
        capacity_bps=resource.capacity_bps,
        utilisation=resource.utilisation(),
        binding="premise" if resource.premise else "yes" if resource.binds() else "",
        ratios=None if resource.premise else _plain(resource.fits(ratio)),
    )


def _ends(one: Range, capacity: Capacity) -> Iterator[EndRow]:
    for name, at, resource in zip(("from", "to"), (one.low, one.high), capacity.ends(one), strict=True):
        if resource:
            yield EndRow(name, at, resource.kind, resource.element, resource.direction)


def _at(ratio: float, capacity: Capacity) -> RatioRow:
    first, utilisation = capacity.first(ratio)
    kind, element, direction = (first.kind, first.element, first.direction) if first else ("", "", "")
    return RatioRow(ratio, utilisation <= 1 + SLACK, kind, element, direction, utilisation)


def text(found: Report) -> str:
    """The report as tables for people, one below the other, and its notes."""
    tables = (getattr(found, f.name) for f in fields(found) if f.name != "notes")
    parts = [table(rows, _cell) for rows in tables if rows]
    return "\n".join([*parts, *(["".join(f"note: {note}\n" for note in found.notes)] if found.notes else [])])


def _cell(name: str, value: Any) -> str:
    if value is None or value == "":
        return "-"
    if name == "ratio":
        return ratio_text(value)
    if name == "ratios":
        return ranges_text(tuple(Range(low, math.inf if high is None else high) for low, high in value))
    if name == "utilisation":
        return f"{value:.1%}".replace("%", " %")
    return _rate(value) if name.endswith("_bps") else cell(name, value)


def _rate(bps: int) -> str:
    """At most four digits: ``133.3G``."""
    scale, letter = next((pair for pair in _SCALE if bps >= pair[0]), (1, ""))
    return f"{bps / scale:.4g}{letter}"
