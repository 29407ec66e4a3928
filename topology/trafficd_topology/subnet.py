"""An InfiniBand subnet as it was found: nodes, their ports, and the cables between them. Pure values.

Whoever finds it (a dump's parser, a walk by SMP) fills these. A node is known by its GUID: descriptions may be equal,
empty, or change. Rates are bits per second as links are sold (4x NDR: 400 Gb/s); ``None`` means not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class NodeKind(StrEnum):
    """NodeInfo.NodeType (IBA 1.4 section 14.2.5.3)."""

    ADAPTER = "ca"
    SWITCH = "switch"
    ROUTER = "router"


SPEEDS_BPS: Mapping[str, int] = {
    "SDR": 2_500_000_000,
    "DDR": 5_000_000_000,
    "QDR": 10_000_000_000,
    "FDR10": 10_000_000_000,
    "FDR": 14_000_000_000,
    "EDR": 25_000_000_000,
    "HDR": 50_000_000_000,
    "NDR": 100_000_000_000,
    "XDR": 200_000_000_000,
}
"""Speed of one physical lane by name; a link's rate is this times its width."""


@dataclass(frozen=True, slots=True, order=True)
class IbEnd:
    """One port, by its node's GUID and its number."""

    guid: int
    port: int

    def __str__(self) -> str:
        return f"0x{self.guid:016x}/{self.port}"


@dataclass(frozen=True, slots=True)
class IbNode:
    """``ports`` is how many it has. ``system_guid`` is shared by what sits in one box or on one card."""

    kind: NodeKind
    guid: int
    name: str = ""
    ports: int | None = None
    system_guid: int | None = None
    vendor_id: int | None = None
    device_id: int | None = None

    @property
    def aggregation(self) -> bool:
        """A switch's own adapter that adds up collectives (SHARP): no host's."""
        return self.kind is NodeKind.ADAPTER and "aggregation node" in self.name.lower()


@dataclass(frozen=True, slots=True)
class IbPort:
    """A port that something was found out about; a port of a link always is. ``up``: it has a link."""

    end: IbEnd
    port_guid: int | None = None
    lid: int | None = None
    width: int | None = None
    speed: str | None = None
    up: bool = True

    @property
    def rate_bps(self) -> int | None:
        """Bits per second; None where width or speed is not known."""
        lane = SPEEDS_BPS.get(self.speed or "")
        return None if lane is None or self.width is None else lane * self.width


@dataclass(frozen=True, slots=True, order=True)
class IbLink:
    """A cable; ``a`` is the smaller end. Both ends may be of one node."""

    a: IbEnd
    b: IbEnd


@dataclass(frozen=True, slots=True)
class Subnet:
    """Everything is sorted. ``notes`` say, a sentence each, what was there and not understood or contradictory."""

    nodes: tuple[IbNode, ...] = ()
    ports: tuple[IbPort, ...] = ()
    links: tuple[IbLink, ...] = ()
    notes: tuple[str, ...] = ()

    def by_guid(self) -> Mapping[int, IbNode]:
        return {n.guid: n for n in self.nodes}

    def by_end(self) -> Mapping[IbEnd, IbPort]:
        return {p.end: p for p in self.ports}

    def ports_of(self) -> Mapping[int, tuple[IbPort, ...]]:
        """The known ports of every node, by its GUID."""
        found: dict[int, list[IbPort]] = defaultdict(list)
        for port in self.ports:
            found[port.end.guid].append(port)
        return {guid: tuple(ports) for guid, ports in found.items()}
