"""What traffic between NICs puts on every cable: equal-cost paths, evenly used.

NICs of one use that the network cannot tell apart share a **place**: traffic is summed by pairs of places, never by
pairs of NICs, so that a thousand NICs cost as much as their leaves. What NICs of one place exchange with every other
place is taken to differ by a factor only. Rates are bits per second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trafficd_topology.model import PortKey
from trafficd_topology.routes import Cable, Reach
from trafficd_topology.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Place:
    """What a NIC is used for, and how it is cabled: (switch number, cables to it).

    ``port`` is that of a NIC unlike any other: without a cable to a switch, or with a cable to another NIC.
    """

    use: str
    switches: tuple[tuple[int, int], ...]
    port: PortKey | None = None


Between = dict[tuple[Place, Place], float]


@dataclass(slots=True)
class Flows:
    """Traffic in the making: bits per second from place to place, and what each NIC sends and receives of it."""

    between: Between = field(default_factory=lambda: defaultdict(float))
    sent: dict[PortKey, float] = field(default_factory=lambda: defaultdict(float))
    received: dict[PortKey, float] = field(default_factory=lambda: defaultdict(float))


class Places:
    """The places of a wiring, and which of them reach each other. ``uses`` gives what every NIC is used for."""

    __slots__ = ("_reach", "at", "wiring")

    def __init__(self, wiring: Wiring, uses: Mapping[PortKey, str]) -> None:
        self.wiring = wiring
        self.at: Mapping[PortKey, Place] = {port: _place(port, uses[port], wiring) for port in wiring.nics}
        self._reach: dict[Place, Reach] = {}

    def reach(self, place: Place) -> Reach:
        """All shortest paths to a place."""
        if place not in self._reach:
            self._reach[place] = Reach(self.wiring.network, {switch: () for switch, _ in place.switches})
        return self._reach[place]

    def direct(self, a: Place, b: Place) -> tuple[Cable, ...]:
        """Cables from the NIC at a straight to the NIC at b."""
        return self.wiring.attached[a.port].direct.get(b.port, ()) if a.port and b.port else ()

    def meet(self, a: Place, b: Place) -> bool:
        """Whether NICs at a reach other NICs at b."""
        if self.direct(a, b):
            return True
        distance = self.reach(b).distance
        return any(distance[switch] >= 0 for switch, _ in a.switches)

    def nearest(self, a: Place, b: Place) -> dict[int, float]:
        """The part of the traffic from a to b that enters at each switch of a: evenly by cable, nearest switches."""
        distance = self.reach(b).distance
        near = min(distance[switch] for switch, _ in a.switches if distance[switch] >= 0)
        counts = {switch: count for switch, count in a.switches if distance[switch] == near}
        return {switch: count / sum(counts.values()) for switch, count in counts.items()}

    def by_place(self, ports: Iterable[PortKey]) -> dict[Place, list[PortKey]]:
        """Ports by their place, in order."""
        found: dict[Place, list[PortKey]] = defaultdict(list)
        for port in ports:
            found[self.at[port]].append(port)
        return found


def _place(port: PortKey, use: str, wiring: Wiring) -> Place:
    attached = wiring.attached[port]
    switches = tuple((switch, len(cables)) for switch, cables in sorted(attached.switches.items()))
    return Place(use, switches, None if switches and not attached.direct else port)


def cable_loads(places: Places, flows: Flows) -> dict[Cable, float]:
    """Bits per second on each cable that carries any, away from its port ``a``: a cable has a load each way.

    Every pair of places in ``flows`` must meet.
    """
    loads: dict[Cable, float] = defaultdict(float)
    leaving: dict[Place, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    arriving: dict[Place, dict[int, float]] = {}
    for target, sources in _by_target(flows.between).items():
        entering: dict[int, float] = defaultdict(float)
        for source, rate in sources:
            if cables := places.direct(source, target):
                _add(loads, ((c, rate / len(cables)) for c in cables))
                continue
            for switch, part in places.nearest(source, target).items():
                entering[switch] += rate * part
                leaving[source][switch] += rate * part
        spread = places.reach(target).spread(entering)
        _add(loads, spread.cables)
        arriving[target] = dict(spread.arrived)
    for cable, rate in _host_cables(places, flows.sent, leaving):
        loads[cable] += rate
    for cable, rate in _host_cables(places, flows.received, arriving):
        loads[cable.reverse()] += rate
    return loads


def _add(loads: dict[Cable, float], more: Iterable[tuple[Cable, float]]) -> None:
    for cable, rate in more:
        loads[cable] += rate


def _by_target(between: Between) -> dict[Place, list[tuple[Place, float]]]:
    found: dict[Place, list[tuple[Place, float]]] = defaultdict(list)
    for (source, target), rate in between.items():
        found[target].append((source, rate))
    return found


def _host_cables(
    places: Places, rates: Mapping[PortKey, float], switched: Mapping[Place, Mapping[int, float]]
) -> Iterable[tuple[Cable, float]]:
    """(cable leaving the NIC, its part of what the NIC's place exchanges with each switch)."""
    for place, ports in places.by_place(rates).items():
        total = sum(rates[port] for port in ports)
        # A switch that none of it passes is on no shortest path.
        parts = [(switch, rate / total) for switch, rate in switched.get(place, {}).items() if rate]
        for port in ports:
            cables = places.wiring.attached[port].switches
            yield from ((c, rates[port] * part / len(cables[s])) for s, part in parts for c in cables[s])
