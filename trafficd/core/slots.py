"""Leave for disruptive steps, given out one slot at a time.

The rules: the operator allowed steps of that cost for the change in force; a link flap never meets another one on the
same node, nor more nodes at once than the operator said; a fabric flap runs alone; and nothing runs through the
scope any more (it is drained). A slot ends when its scope stands as desired or gave up, or when its time is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trafficd.core.records import Leave, Slot
from trafficd_topology.diff import Disruption
from trafficd_topology.model import ScopeKind

SLOT_S = 300.0
"""How long a slot is kept for its scope."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A scope whose agent waits for leave. ``drained`` is None when its agent cannot tell."""

    node: str
    kind: ScopeKind
    name: str
    disruption: Disruption
    drained: bool | None


@dataclass(frozen=True, slots=True)
class Needs:
    """What the agents say now: scopes that wait, and scopes that are settled, as (node, kind, name)."""

    waiting: tuple[Waiting, ...]
    settled: frozenset[tuple[str, ScopeKind, str]] = frozenset()


def turn(leave: Leave, needs: Needs, now: float) -> tuple[Leave, tuple[Waiting, ...]]:
    """End slots and give new ones. Returns the leave after it and who gets a slot now."""
    kept = tuple(s for s in (_timed(s, now) for s in leave.slots) if not _over(s, needs, now))
    given: list[Waiting] = []
    for w in sorted(needs.waiting, key=lambda w: (w.node, w.kind, w.name)):
        if refusal(replace(leave, slots=kept), w):
            continue
        given.append(w)
        kept = (*kept, Slot(w.node, w.kind, w.name, now + SLOT_S))
    return replace(leave, slots=kept), tuple(given)


def refusal(leave: Leave | None, w: Waiting) -> str:
    """Why this scope gets no slot now, in a sentence; empty when it may have one."""
    if leave is None or leave.disruption < w.disruption:
        flag = "--allow-fabric-flap" if w.disruption is Disruption.FABRIC_FLAP else "--allow-disruptive"
        return f"waits for leave: give it with trafficd resume {flag}"
    if any((s.node, s.kind, s.name) == (w.node, w.kind, w.name) for s in leave.slots):
        return "has its slot"
    if not w.drained:
        return (
            "waits until it is drained"
            if w.drained is False
            else "waits: its agent cannot tell if it is drained"
        )
    return _budget(leave.slots, leave.max_nodes, w)


def _budget(slots: Iterable[Slot], max_nodes: int, w: Waiting) -> str:
    busy = {s.node for s in slots}
    if busy and (w.disruption is Disruption.FABRIC_FLAP or any(s.kind is ScopeKind.FABRIC for s in slots)):
        return "waits until no other scope has a slot: a fabric flap runs alone"
    if w.node in busy:
        return f"waits: another port of node {w.node} has a slot"
    if len(busy) >= max_nodes:
        return f"waits: {len(busy)} nodes have a slot and no more may at once"
    return ""


def _timed(slot: Slot, now: float) -> Slot:
    """A slot of before a restart gets its whole time again: nobody knows how much of it is over."""
    return replace(slot, until=now + SLOT_S) if slot.until is None else slot


def _over(slot: Slot, needs: Needs, now: float) -> bool:
    return now >= (slot.until or 0.0) or (slot.node, slot.kind, slot.name) in needs.settled
