"""Lanes, classes and InfiniBand tables of a policy: the tree to values, each with its place in the file.

A policy with a preset names only what differs: an item of a name that the preset has replaces the fields it gives,
any other item is added. What the values mean together is judged in ``lane_rules``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from trafficd_topology.parsers.presets import PresetTree
from trafficd_topology.parsers.tree import Mapping
from trafficd_topology.qos.lanes import MAX_LANES, Lane, LaneUse, Marking, TrafficClass

T_ = TypeVar("T_")
NO_ID = -1
"""A lane whose id is yet to be given."""


@dataclass(frozen=True, slots=True)
class Placed(Generic[T_]):
    """A value and where it stands in the file."""

    path: str
    value: T_


def read_ratio(m: Mapping, key: str, default: float) -> float:
    """A part of the port: ``70%`` or ``0.7``, from 0 to 1."""
    value = m.raw(key)
    if value is None:
        return default
    number = value
    if isinstance(value, str):
        try:
            number = round(float(value[:-1]) / 100, 12) if value.endswith("%") else math.nan
        except ValueError:
            number = math.nan
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
        m.problem(key, value, "must be a part of the port from 0 to 1, such as 70% or 0.7")
        return default
    return float(number)


def read_words(m: Mapping, key: str) -> tuple[str, ...]:
    """A list of words: text of one line that is not empty."""
    words = []
    for path, item in m.items(key):
        if isinstance(item, str) and 0 < len(item) <= 253 and item.isprintable() and item == item.strip():
            words.append(item)
        else:
            m.problem(path.removeprefix(f"{m.path}."), item, "must be a word")
    return tuple(words)


def _numbers(m: Mapping, key: str, high: int) -> tuple[int, ...]:
    numbers = []
    for path, item in m.items(key):
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= high:
            numbers.append(item)
        else:
            m.problem(path.removeprefix(f"{m.path}."), item, f"must be a whole number from 0 to {high}")
    return tuple(numbers)


def _lane(m: Mapping) -> Lane:
    lane = Lane(
        id=m.whole("id", NO_ID, high=MAX_LANES - 1),
        name=m.text("name") or "",
        use=m.choice("use", LaneUse, LaneUse.CLASS),
        strict=m.flag("strict", default=False),
        share=read_ratio(m, "share", 0.0),
        priority=m.whole("priority", 0, high=MAX_LANES - 1),
        limit=read_ratio(m, "limit", 1.0),
        may_starve=m.flag("may_starve", default=False),
    )
    m.done()
    return lane


def _marking(m: Mapping | None) -> Marking:
    if m is None:
        return Marking()
    marking = Marking(_numbers(m, "dscp", 63), _numbers(m, "sl", 15))
    m.done()
    return marking


def _class(m: Mapping) -> TrafficClass:
    found = TrafficClass(
        name=m.text("name") or "",
        lane=m.text("lane") or "",
        intents=read_words(m, "intents"),
        marking=_marking(m.mapping("markings")),
    )
    m.done()
    return found


def _merged(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A preset's item with what the policy says of it; a lane that becomes strict has no share, and the reverse."""
    out = {**base, **{k: v for k, v in given.items() if v is not None}}
    if given.get("strict") is True and "share" not in given:
        out.pop("share", None)
    if "share" in given and "strict" not in given:
        out.pop("strict", None)
    return out


def _items(m: Mapping, key: str, base: Sequence[dict[str, Any]], origin: str) -> list[Mapping]:
    """The preset's items, overridden by name, then the policy's others."""
    given = [(path, item) for path, item in m.items(key)]
    out = []
    for i, item in enumerate(base):
        mine = next((g for g in given if isinstance(g[1], dict) and g[1].get("name") == item["name"]), None)
        if mine is None:
            out.append(Mapping(item, f"{m.path}.preset {origin}.{key}[{i}]", m.problems))
            continue
        given.remove(mine)
        out.append(Mapping(_merged(item, mine[1]), mine[0], m.problems))
    return [x for x in (*out, *(Mapping(v, p, m.problems) for p, v in given)) if x.ok]


def _numbered(lanes: list[Placed[Lane]]) -> list[Placed[Lane]]:
    """Give lanes without an id the smallest numbers that are free."""
    free = iter(sorted(set(range(len(lanes) + MAX_LANES)) - {x.value.id for x in lanes}))
    return [
        Placed(x.path, replace(x.value, id=next(free) if x.value.id == NO_ID else x.value.id)) for x in lanes
    ]


def read_lanes(m: Mapping, preset: PresetTree, origin: str) -> list[Placed[Lane]]:
    """The lanes of a policy, in order: those of the preset named ``origin`` first."""
    return _numbered([Placed(x.path, _lane(x)) for x in _items(m, "lanes", preset.lanes, origin)])


def read_classes(m: Mapping, preset: PresetTree, origin: str) -> list[Placed[TrafficClass]]:
    """The traffic classes of a policy, in order: those of the preset named ``origin`` first."""
    return [Placed(x.path, _class(x)) for x in _items(m, "classes", preset.classes, origin)]
