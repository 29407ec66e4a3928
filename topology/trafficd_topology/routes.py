"""Shortest paths between switches as whole sets: how many there are, and the narrowest cut through them.

Switches are numbered; between two of them lie one or more cables. All cables run both ways at their
full capacity. Every set of equal-cost paths is a layered graph of arcs, so that counting paths is one sum and
the narrowest cut is one maximum flow (Ford and Fulkerson 1956; blocking flows as in Dinitz 1970). Nothing here
recurses: a chain of thousands of switches is as good as a fat tree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from trafficd_topology.model import PortKey

UNLIMITED = 1 << 60
"""Capacity of what never limits, bits per second: above the sum of all cables of any fabric file."""
MAX_COUNT = 2**32 - 1
"""Longest count of equal-cost paths; a ladder of switches has exponentially many."""
_SOURCE, _TARGET = -1, -2


@dataclass(frozen=True, slots=True, order=True)
class Cable:
    """A cable from port ``a`` to port ``b``: what it can carry each way, bits per second, and its element's name.

    The name is the same from both ends: ``link:leaf1/4-spine1/1``.
    """

    a: PortKey
    b: PortKey
    capacity_bps: int
    name: str

    def reverse(self) -> Cable:
        return Cable(self.b, self.a, self.capacity_bps, self.name)


def cable(a: PortKey, b: PortKey, capacity_bps: int) -> Cable:
    """A cable with its name."""
    first, second = sorted((a, b))
    return Cable(a, b, capacity_bps, f"link:{first}-{second}")


Cables = tuple[Cable, ...]
Ends = Mapping[int, Cables]
"""Where something is attached: by switch, the cables to it (NIC first); no cable means the switch itself."""
Arcs = dict[tuple[int, int], Cables]


@dataclass(frozen=True, slots=True)
class Cut:
    """What a set of equal-cost paths can carry together, and the cables that limit it (none: nothing does)."""

    capacity_bps: int
    cables: Cables


@dataclass(frozen=True, slots=True)
class Spread:
    """Traffic on its way: each cable, away from its port ``a``, with what it carries; and what arrives at each end."""

    cables: tuple[tuple[Cable, float], ...]
    arrived: Mapping[int, float]


class Network:
    """The cables from one switch to another, ``near[u][v]``, leaving u; neighbours and cables in order."""

    __slots__ = ("near",)

    def __init__(self, size: int, cables: Iterable[tuple[int, int, Cable]]) -> None:
        found: list[dict[int, list[Cable]]] = [defaultdict(list) for _ in range(size)]
        for u, v, cable in cables:
            found[u][v].append(cable)
            found[v][u].append(cable.reverse())
        self.near = [{v: tuple(sorted(row[v])) for v in sorted(row)} for row in found]


class Reach:
    """All shortest paths from one place: breadth first, once, good for every target."""

    __slots__ = ("_before", "_from", "_network", "_ways", "distance", "order")

    def __init__(self, network: Network, sources: Ends) -> None:
        self._network, self._from = network, sources
        self.distance = [-1] * len(network.near)
        self._ways = [0] * len(network.near)
        self._before: list[list[int]] = [[] for _ in network.near]
        self.order = list(sources)
        for s in sources:
            self.distance[s], self._ways[s] = 0, max(1, len(sources[s]))
        self._walk()

    def _walk(self) -> None:
        distance, ways, order = self.distance, self._ways, self.order
        for u in order:  # grows while it is walked
            after = distance[u] + 1
            for v, cables in self._network.near[u].items():
                if distance[v] < 0:
                    distance[v] = after
                    order.append(v)
                if distance[v] == after:
                    ways[v] += ways[u] * len(cables)
                    self._before[v].append(u)

    def nearest(self, targets: Collection[int]) -> tuple[int, ...]:
        """The targets at the least distance, in order; none when none can be reached."""
        near = min((self.distance[t] for t in targets if self.distance[t] >= 0), default=-1)
        return tuple(t for t in sorted(targets) if self.distance[t] == near >= 0)

    def count(self, targets: Ends) -> int:
        """How many shortest paths there are, cable by cable, at most MAX_COUNT."""
        ways = sum(self._ways[t] * max(1, len(targets[t])) for t in self.nearest(targets))
        return min(ways, MAX_COUNT)

    def arcs(self, targets: Ends) -> Arcs:
        """The set of shortest paths as arcs; those of _SOURCE and _TARGET are the cables of either end."""
        nearest = self.nearest(targets)
        arcs: Arcs = {(t, _TARGET): tuple(c.reverse() for c in targets[t]) for t in nearest}
        todo, seen = list(nearest), set(nearest)
        for v in todo:  # grows while it is walked
            if self.distance[v] == 0:
                arcs[_SOURCE, v] = self._from[v]
            for u in self._before[v]:
                arcs[u, v] = self._network.near[u][v]
                if u not in seen:
                    seen.add(u)
                    todo.append(u)
        return arcs

    def paths(self, targets: Ends) -> Iterator[Cables]:
        """The shortest paths one by one, each as its cables, in order of their ports' names."""
        after: dict[int, list[tuple[Cable | None, int]]] = defaultdict(list)
        for (u, v), cables in self.arcs(targets).items():
            after[u] += [(c, v) for c in cables] or [(None, v)]
        for steps in after.values():
            steps.sort(key=lambda step: (step[0] is not None, step), reverse=True)
        stack: list[tuple[int, Cables]] = [(_SOURCE, ())]
        while stack:
            u, so_far = stack.pop()
            if u == _TARGET:
                yield so_far
            stack += [(v, (*so_far, c) if c else so_far) for c, v in after[u]]

    def cut(self, targets: Ends) -> Cut:
        """The narrowest cut through the set of shortest paths."""
        arcs = self.arcs(targets)
        residual: dict[int, dict[int, int]] = defaultdict(dict)
        for (u, v), cables in arcs.items():
            residual[u][v] = sum(c.capacity_bps for c in cables) if cables else UNLIMITED
            residual[v][u] = 0
        flow, inside = _max_flow(residual)
        if flow >= UNLIMITED:
            return Cut(UNLIMITED, ())
        limits = [c for (u, v), cables in arcs.items() if u in inside and v not in inside for c in cables]
        return Cut(flow, tuple(sorted(limits, key=lambda c: (c.capacity_bps, c.name))))

    def dependencies(self, sources: Collection[int]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """(arc, next arc) of every route from ``sources`` to where this reach starts; arcs are (from, to)."""
        carries = set(sources)
        nearer = self._before
        for u in reversed(self.order):  # farthest first: whatever feeds u came before it
            if u in carries:
                carries.update(nearer[u])
                yield from (((u, v), (v, w)) for v in nearer[u] for w in nearer[v])

    def spread(self, entering: Mapping[int, float]) -> Spread:
        """What traffic that enters at switches puts on the way to where this reach starts.

        Every switch spreads what it has evenly over all cables that lead nearer, as equal-cost hashing does on
        average. Switches in ``entering`` must have a distance.
        """
        held = defaultdict(float, entering)
        carried: list[tuple[Cable, float]] = []
        for u in reversed(self.order):  # farthest first: whatever feeds u came before it
            ways = [(v, c) for v in self._before[u] for c in self._network.near[u][v]] if held[u] else []
            for v, c in ways:
                held[v] += held[u] / len(ways)
                carried.append((c, held[u] / len(ways)))
        return Spread(tuple(carried), {s: held[s] for s in self._from})


Residual = dict[int, dict[int, int]]


def _max_flow(residual: Residual) -> tuple[int, Collection[int]]:
    """(flow, nodes on the source's side of the cut) from _SOURCE to _TARGET; stops at UNLIMITED."""
    flow = 0
    while True:
        level = _levels(residual)
        if _TARGET not in level or flow >= UNLIMITED:
            return flow, level
        flow += _blocking_flow(residual, level)


def _levels(residual: Residual) -> dict[int, int]:
    level, order = {_SOURCE: 0}, [_SOURCE]
    for u in order:  # grows while it is walked
        for v, room in residual[u].items():
            if room and v not in level:
                level[v] = level[u] + 1
                order.append(v)
    return level


def _blocking_flow(residual: Residual, level: Mapping[int, int]) -> int:
    """Fill the layered graph until no path is left; each arc is given up at most once."""
    ahead = {u: [v for v in residual[u] if level.get(v) == level[u] + 1] for u in level}
    flow, path = 0, [_SOURCE]
    while path:
        u = path[-1]
        if u == _TARGET:
            flow += _fill(residual, path)
        elif not ahead[u]:
            path.pop()
            if path:
                ahead[path[-1]].pop()
        elif residual[u][ahead[u][-1]]:
            path.append(ahead[u][-1])
        else:
            ahead[u].pop()
    return flow


def _fill(residual: Residual, path: list[int]) -> int:
    """Send what the path can carry and cut it back to before its first full arc."""
    pairs = list(pairwise(path))
    room = min(residual[u][v] for u, v in pairs)
    for u, v in pairs:
        residual[u][v] -= room
        residual[v][u] += room
    del path[next(i for i, (u, v) in enumerate(pairs) if not residual[u][v]) + 1 :]
    return room
