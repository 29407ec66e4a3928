"""Desired against observed, and the safe order of changes, as a table.

A **State** is a sorted tuple of **Elements**; an Element is one thing a device holds (a queueing class, a
marking rule, an option), named by (kind, key), with a frozen dataclass as its value. Drivers own the value
types; this module only compares them. A difference is a **Change**; an ordered tuple of changes is a plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Element:
    """One thing a device holds. ``value`` is a frozen dataclass of plain fields; its type belongs to ``kind``."""

    kind: str
    key: str
    value: Any

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.key}" if self.key else self.kind


State = tuple[Element, ...]


def state(elements: Iterable[Element]) -> State:
    """Sort elements into a State. Two elements of one name are a programming error (ValueError)."""
    ordered = sorted(elements, key=lambda e: (e.kind, e.key))
    for a, b in pairwise(ordered):
        if a.name == b.name:
            raise ValueError(f"{a.name} stands twice in one state")
    return tuple(ordered)


class Op(StrEnum):
    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


class Disruption(IntEnum):
    """What a step costs running traffic."""

    HITLESS = 0
    LINK_FLAP = 1
    FABRIC_FLAP = 2


@dataclass(frozen=True, slots=True)
class Step:
    """A row of a driver's order table: when a change of this sort runs, what it costs, and why."""

    order: int
    disruption: Disruption
    reason: str


Steps = Mapping[tuple[Op, str], Step]
"""(operation, element kind) -> Step. A row for one element, named ``kind/key``, goes before that of its kind. A
missing row is a programming error: every change has a place."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. ``old`` is None for ADD, ``new`` is None for REMOVE."""

    op: Op
    kind: str
    key: str
    old: Any = None
    new: Any = None

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.key}" if self.key else self.kind


@dataclass(frozen=True, slots=True, order=True)
class FieldDifference:
    """One field that is not as desired, as text for a person: ``path``, what was wanted and what is there."""

    path: str
    desired: str
    observed: str


def blind(value: Any, kind: str, unreadable: frozenset[str], filler: Any) -> Any:
    """``value`` with the fields that cannot be read back (named ``kind.field``) replaced by those of ``filler``."""
    names = [f.name for f in fields(value) if f"{kind}.{f.name}" in unreadable]
    return replace(value, **{n: getattr(filler, n) for n in names}) if names else value


def _same(want: Element, have: Element, unreadable: frozenset[str]) -> bool:
    if type(want.value) is not type(have.value):
        return False
    return bool(want.value == blind(have.value, have.kind, unreadable, want.value))


def diff(desired: State, observed: State, unreadable: frozenset[str] = frozenset()) -> tuple[Change, ...]:
    """What to change so that ``observed`` becomes ``desired``, unordered but deterministic.

    ``unreadable`` names what read-back cannot see: ``kind`` (whole elements) or ``kind.field``; those never
    make a difference.
    """
    want = {e.name: e for e in desired if e.kind not in unreadable}
    have = {e.name: e for e in observed if e.kind not in unreadable}
    added = [Change(Op.ADD, e.kind, e.key, None, e.value) for n, e in want.items() if n not in have]
    removed = [Change(Op.REMOVE, e.kind, e.key, e.value, None) for n, e in have.items() if n not in want]
    changed = [
        Change(Op.CHANGE, e.kind, e.key, have[n].value, e.value)
        for n, e in want.items()
        if n in have and not _same(e, have[n], unreadable)
    ]
    return tuple(added + changed + removed)


def step_of(change: Change, steps: Steps) -> Step:
    """The row of the table that a change falls under."""
    row = steps.get((change.op, change.name))
    return steps[change.op, change.kind] if row is None else row


def ordered(changes: Iterable[Change], steps: Steps) -> tuple[Change, ...]:
    """Changes in the safe order of the driver's table; ties by name."""
    return tuple(sorted(changes, key=lambda c: (step_of(c, steps).order, c.name)))


def disruption(changes: Iterable[Change], steps: Steps) -> Disruption:
    """The worst that this set of changes does to running traffic."""
    return max((step_of(c, steps).disruption for c in changes), default=Disruption.HITLESS)


def sentences(plan: Iterable[Change], steps: Steps) -> tuple[str, ...]:
    """A plan for a person, a line a change: what is done, what it costs and why, such as
    ``change vlarb (fabric flap: the subnet manager restarts)``.
    """
    rows = ((c, step_of(c, steps)) for c in plan)
    return tuple(f"{c.op} {c.name} ({words(s.disruption)}: {s.reason})" for c, s in rows)


def words(cost: Disruption) -> str:
    """``link flap``."""
    return cost.name.lower().replace("_", " ")


def _text(value: Any) -> str:
    return "absent" if value is None else str(value)


def describe(changes: Iterable[Change]) -> tuple[FieldDifference, ...]:
    """Field by field, what is not as desired; an element that is missing or too much is one difference."""
    rows: list[FieldDifference] = []
    for c in changes:
        if c.op is not Op.CHANGE or type(c.old) is not type(c.new):
            rows.append(FieldDifference(c.name, _text(c.new), _text(c.old)))
            continue
        names = [f.name for f in fields(c.new) if getattr(c.new, f.name) != getattr(c.old, f.name)]
        rows += [
            FieldDifference(f"{c.name}.{n}", str(getattr(c.new, n)), str(getattr(c.old, n))) for n in names
        ]
    return tuple(sorted(rows))


def render(elements: State) -> str:
    """The canonical text of a state: one line an element. Equal states have equal texts."""
    return "".join(f"{e.name} {e.value!r}\n" for e in state(elements))


def digest(elements: State) -> str:
    """SHA-256 of the canonical text, in hex: what controller and agent compare instead of whole states."""
    return hashlib.sha256(render(elements).encode()).hexdigest()
