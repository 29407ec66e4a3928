"""What is noted about a change: who made it and when, and what holds until somebody lifts it."""

from __future__ import annotations

from dataclasses import dataclass

from trafficd_topology.diff import Disruption
from trafficd_topology.model import ScopeKind
from trafficd_topology.status import Generation


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked (a peer's identity or address, or a file's path) and when, ns since the Unix epoch."""

    who: str = ""
    at_ns: int = 0


NOBODY = Origin()
"""What happened without anybody's order."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line of the audit log. ``before`` and ``after`` are SHA-256 in hex, empty where nothing has a digest."""

    origin: Origin
    what: str
    subject: str
    before: str
    after: str
    generation: Generation


@dataclass(frozen=True, slots=True)
class Pause:
    """Every write is stopped since then, and why."""

    reason: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Slot:
    """Leave that one scope has now. ``until`` is seconds of the loop's clock; None until the first turn."""

    node: str
    kind: ScopeKind
    name: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """The operator's leave for disruptive steps up to ``disruption``, from ``generation`` until the next change.

    At most ``max_nodes`` nodes have a slot at once. ``slots`` are those given out.
    """

    disruption: Disruption
    generation: Generation
    max_nodes: int = 1
    slots: tuple[Slot, ...] = ()
