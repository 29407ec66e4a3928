"""What a controller wants of this agent, as values: what the session receives, the files keep and the loop serves."""

from __future__ import annotations

from dataclasses import dataclass

from trafficd_topology.diff import State
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Generation


@dataclass(frozen=True, slots=True, order=True)
class ScopeId:
    """A port of this node or a fabric; written ``port c0``."""

    kind: ScopeKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class ScopeLane:
    """What a lane is called and what it is for, for counters and people.

    ``guaranteed_ratio`` is what it gets of the port with every lane backlogged, 0 to 1; packets that no class claims
    run in the ``unmarked`` one. ``priority``: the 802.1p priority that is this lane, on a RoCE port.
    """

    id: int
    name: str
    traffic_classes: tuple[str, ...] = ()
    guaranteed_ratio: float = 0.0
    unmarked: bool = False
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class DesiredScope:
    """The whole desired state of one scope.

    ``refusal``: one sentence why this agent cannot act on it (an element of a kind it does not know); such a
    scope is reported and never touched. ``rate_bps`` and ``nic_kind`` (compute, storage, or empty) are what the
    fabric file says of a port, for counters.
    """

    id: ScopeId
    driver: str
    mode: Mode = Mode.OBSERVE
    policy: str = ""
    elements: State = ()
    lanes: tuple[ScopeLane, ...] = ()
    refusal: str = ""
    rate_bps: int | None = None
    nic_kind: str = ""


@dataclass(frozen=True, slots=True)
class Desired:
    """The whole desired state of this agent. ``digest`` is the controller's, compared and never computed here.

    ``revert_in_s``: above 0, a change is undone when the controller was not reached within so many seconds after it.
    """

    generation: Generation
    digest: str
    controller_uuid: str
    scopes: tuple[DesiredScope, ...] = ()
    revert_in_s: float = 0.0
