"""Pure functions of states: what a device holds when part of it cannot be seen, after changes, and what can be put back."""

from __future__ import annotations

from dataclasses import replace

from trafficd_topology.diff import Change, Element, Op, State, blind, state
from trafficd_topology.qos.kinds import KINDS, OBSERVED_ONLY


def fill(observed: State, believed: State, unreadable: frozenset[str]) -> State:
    """``observed`` with everything that read-back cannot see taken from ``believed``."""
    known = {e.name: e.value for e in believed}

    def seen(e: Element) -> Element:
        value = known.get(e.name)
        return (
            replace(e, value=blind(e.value, e.kind, unreadable, value)) if type(value) is type(e.value) else e
        )

    hidden = [e for e in believed if e.kind in unreadable]
    return state([seen(e) for e in observed if e.kind not in unreadable] + hidden)


def replay(before: State, changes: tuple[Change, ...]) -> State:
    """What a device holds after these changes, if it did as told."""
    held = {e.name: e for e in before}
    for c in changes:
        if c.op is Op.REMOVE:
            held.pop(c.name, None)
        else:
            held[c.name] = Element(c.kind, c.key, c.new)
    return state(held.values())


def can_be_desired(kind: str) -> bool:
    """False for kinds that a device may hold and a driver only ever removes."""
    return kind in KINDS and KINDS[kind][1] != OBSERVED_ONLY


def lasting(elements: State) -> State:
    """What can also be put back."""
    return tuple(e for e in elements if can_be_desired(e.kind))
