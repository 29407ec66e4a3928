"""Traffic class, lane, marking: the words between an operator's policy and a device's queues.

A **traffic class** is the operator's name for a kind of traffic. An **intent** is what an application says a
flow is for; intents map to classes. A **lane** is where a class runs: a virtual lane (InfiniBand VL) or an
Ethernet traffic class (TC). A **marking** is what puts a packet there: SL on InfiniBand, DSCP on Ethernet,
SO_PRIORITY for a socket on the host itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_LANES = 8
"""IEEE 802.1Q allows eight traffic classes; InfiniBand allows 15 data VLs. A policy fits both."""


class Mode(StrEnum):
    """``observe`` diffs and reports and never writes; ``enforce`` programs."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class LaneUse(StrEnum):
    """What a lane is there for; every policy has exactly one control and one default lane (they may coincide)."""

    CONTROL = "control"
    DEFAULT = "default"
    CLASS = "class"


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane and how it is scheduled.

    ``id`` is the VL or TC number (0..7). ``priority`` orders service: lanes of a smaller number are served
    first (0 first). ``share`` is the guaranteed fraction of the port's rate, 0..1, when every lane is
    backlogged; shares of a policy sum to at most 1. ``limit`` is a ceiling, as a fraction of the port's rate. A
    ``strict`` lane takes all it wants before any lane of a larger ``priority``; what is left of the rate
    after strict lanes is split by share. ``may_starve`` is the operator's leave for a guarantee of zero.
    """

    id: int
    name: str
    use: LaneUse = LaneUse.CLASS
    strict: bool = False
    share: float = 0.0
    priority: int = 0
    limit: float = 1.0
    may_starve: bool = False


@dataclass(frozen=True, slots=True)
class Marking:
    """How packets of a class are recognised: DSCP code points (0..63) and InfiniBand service levels (0..15)."""

    dscp: tuple[int, ...] = ()
    sl: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TrafficClass:
    """A named kind of traffic: which intents mean it, which lane carries it, how its packets are marked."""

    name: str
    lane: str
    intents: tuple[str, ...] = ()
    marking: Marking = Marking()


@dataclass(frozen=True, slots=True)
class LaneSet:
    """The lanes and classes of one policy. Lane ids and all names are unique; every class names a lane here."""

    lanes: tuple[Lane, ...]
    classes: tuple[TrafficClass, ...]

    def lane(self, name: str) -> Lane:
        """The lane of that name; KeyError when there is none."""
        for lane in self.lanes:
            if lane.name == name:
                return lane
        raise KeyError(name)

    @property
    def default(self) -> Lane:
        """Where unmarked packets go."""
        return next(lane for lane in self.lanes if lane.use is LaneUse.DEFAULT)

    @property
    def control(self) -> Lane:
        """Where connection management, ARP, SSH and our own stream go."""
        return next((lane for lane in self.lanes if lane.use is LaneUse.CONTROL), self.default)

    def class_for(self, intent: str) -> TrafficClass | None:
        return next((c for c in self.classes if intent in c.intents), None)
