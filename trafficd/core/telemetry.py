"""Samples -> rates: what each port and each of its lanes carries, and how old that is.

Rates are bytes per second. ``now`` is seconds of the loop's clock, at which a sample arrived here; nodes' own
clocks only measure the time between two samples of one node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trafficd.core.losses import Losses, LossMeter
from trafficd.core.losses import places as loss_places
from trafficd_topology.counters import Column, Direction, Quantity, Sample, delta, rate
from trafficd_topology.model import PortKey
from trafficd_topology.qos.dcb import PRIORITIES

_WANTED = frozenset({Quantity.BYTES, Quantity.RDMA_BYTES, Quantity.BACKLOG_BYTES})


@dataclass(frozen=True, slots=True)
class LaneUse:
    """What one lane of a port carries. None: not counted, or not known for this interval."""

    lane_id: int
    transmit: float | None = None
    receive: float | None = None
    backlog_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class PortUse:
    """What a port carries, all of it and per lane, by lane id. ``at`` is when that was received."""

    at: float
    transmit: float | None = None
    receive: float | None = None
    lanes: tuple[LaneUse, ...] = ()
    priorities: tuple[LaneUse, ...] = ()
    """By 802.1p priority, in the place of a lane's id: what a RoCE NIC counts."""

    @property
    def known(self) -> bool:
        """Whether anything was counted; a port that has gone, or whose counters were reset, tells nothing."""
        whole = self.transmit is not None or self.receive is not None
        return whole or any(
            n.transmit is not None or n.receive is not None for n in (*self.lanes, *self.priorities)
        )

    def carried(self, direction: Direction) -> float | None:
        """The whole port one way."""
        return self.transmit if direction is Direction.TRANSMIT else self.receive

    def by_lane(self, direction: Direction, lane_of: Sequence[int] = ()) -> dict[int, float]:
        """Lanes whose bytes one way are known; by ``lane_of`` priority where lanes are not counted themselves."""
        if self.lanes or not lane_of:
            return _known(self.lanes, direction)
        out: dict[int, float] = {}
        for priority, use in _known(self.priorities, direction).items():
            out[lane_of[priority]] = out.get(lane_of[priority], 0.0) + use
        return out


def _known(uses: Iterable[LaneUse], direction: Direction) -> dict[int, float]:
    sending = direction is Direction.TRANSMIT
    carried = ((n.lane_id, n.transmit if sending else n.receive) for n in uses)
    return {n: use for n, use in carried if use is not None}


EARLIER_S = 60.0
"""How long counters are watched to tell whether they still rise, at least, once a node has been here for so long."""
Counted = tuple[str, Direction | None, int | None, int | None]
"""(quantity, direction, lane, priority)."""
Places = Mapping[str, Mapping[Counted, int]]
"""Port -> what is counted -> position in a sample. Only what rates are made of."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Two samples of the same columns; the same one twice while there is no other."""

    columns: tuple[Column, ...]
    first: Sample
    last: Sample


@dataclass(slots=True)
class _Node:
    columns: tuple[Column, ...]
    places: Places
    last: Sample | None = None
    last_at: float = 0.0
    uses: dict[str, PortUse] = field(default_factory=dict)
    meter: LossMeter = field(default_factory=lambda: LossMeter(((), ())))
    earlier: tuple[tuple[float, Sample], ...] = ()
    """One or two samples of before with when they came, the older first: what an audit compares the last with."""


@dataclass(frozen=True, slots=True)
class _Step:
    """From one sample of a node to the next."""

    columns: tuple[Column, ...]
    before: Sample
    after: Sample
    seconds: float

    def per_s(self, places: Mapping[Counted, int], *what: Counted) -> float | None:
        """The largest of the rates that are known: one count may be a part of another."""
        found = [places[w] for w in what if w in places]
        rates = [r for i in found if (r := rate(self.delta(i), self.seconds)) is not None]
        return max(rates, default=None)

    def delta(self, i: int) -> int | None:
        return delta(self.columns[i].kind, self.before.values[i], self.after.values[i])

    def port(self, places: Mapping[Counted, int], at: float) -> PortUse:
        """What the port carried, all of it and by lane."""
        lanes = sorted({lane for _, _, lane, _ in places if lane is not None})
        priorities = sorted({p for _, _, _, p in places if p is not None})
        return PortUse(
            at,
            self._whole(places, Direction.TRANSMIT),
            self._whole(places, Direction.RECEIVE),
            tuple(self._lane(places, lane) for lane in lanes),
            tuple(self._priority(places, p) for p in priorities),
        )

    def _whole(self, places: Mapping[Counted, int], direction: Direction) -> float | None:
        return self.per_s(
            places, (Quantity.BYTES, direction, None, None), (Quantity.RDMA_BYTES, direction, None, None)
        )

    def _lane(self, places: Mapping[Counted, int], lane: int) -> LaneUse:
        backlog = places.get((Quantity.BACKLOG_BYTES, Direction.TRANSMIT, lane, None))
        return LaneUse(
            lane,
            self.per_s(places, (Quantity.BYTES, Direction.TRANSMIT, lane, None)),
            self.per_s(places, (Quantity.BYTES, Direction.RECEIVE, lane, None)),
            None if backlog is None else self.after.values[backlog],
        )

    def _priority(self, places: Mapping[Counted, int], priority: int) -> LaneUse:
        sent = self.per_s(places, (Quantity.BYTES, Direction.TRANSMIT, None, priority))
        return LaneUse(
            priority, sent, self.per_s(places, (Quantity.BYTES, Direction.RECEIVE, None, priority))
        )


class TelemetryStore:
    """The newest rates of every port. Mutable; owned by the control loop."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._by_priority: frozenset[PortKey] = frozenset()

    def count_priorities(self, ports: frozenset[PortKey]) -> None:
        """Of these ports, by their agents' names, rates are made by 802.1p priority too; of all others they are not."""
        if ports == self._by_priority:
            return
        self._by_priority = ports
        for name, node in self._nodes.items():
            node.places = _places(node.columns, self._counted(name))

    def _counted(self, node: str) -> frozenset[str]:
        return frozenset(p.port for p in self._by_priority if p.node == node)

    def hello(self, node: str, columns: tuple[Column, ...]) -> None:
        """A node (re)started its stream. Rates of before stay and grow old until two new samples are there."""
        before = self._nodes.get(node)
        uses = {} if before is None else before.uses
        last_at = 0.0 if before is None else before.last_at
        self._nodes[node] = _Node(
            columns,
            _places(columns, self._counted(node)),
            None,
            last_at,
            uses,
            LossMeter(loss_places(columns)),
        )

    def sample(self, node: str, sample: Sample, now: float) -> None:
        """Take one reading of every column. One of a node that never said hello, or of other columns, is dropped."""
        found = self._nodes.get(node)
        if found is None or len(sample.values) != len(found.columns):
            return
        if found.last is not None:
            seconds = (sample.measured_monotonic_ns - found.last.measured_monotonic_ns) / 1e9
            if seconds <= 0:
                return
            step = _Step(found.columns, found.last, sample, seconds)
            found.meter.add(now, seconds, step.delta)
            found.uses = {port: step.port(places, now) for port, places in found.places.items()}
        found.last, found.last_at = sample, now
        if not found.earlier or now - found.earlier[-1][0] >= EARLIER_S:
            found.earlier = (*found.earlier[-1:], (now, sample))

    def readings(self, node: str) -> Readings | None:
        """The last sample of a node and one of a minute or two before; None without any."""
        found = self._nodes.get(node)
        if found is None or found.last is None:
            return None
        return Readings(found.columns, found.earlier[0][1], found.last)

    def forget(self, node: str) -> None:
        """Drop a node that left the fabric."""
        self._nodes.pop(node, None)

    def use(self, port: PortKey) -> PortUse | None:
        """What a port carries, by its agent's name for it; None while no two samples are there."""
        found = self._nodes.get(port.node)
        return None if found is None else found.uses.get(port.port)

    def losses(self, now: float) -> dict[str, Losses]:
        """What every node loses."""
        return {name: node.meter.rates(now) for name, node in self._nodes.items()}

    def age_s(self, node: str, now: float) -> float | None:
        """Seconds since a node's last sample; None without any."""
        found = self._nodes.get(node)
        return None if found is None or found.last is None else now - found.last_at

    def nodes(self) -> tuple[str, ...]:
        """Nodes that said hello, by name."""
        return tuple(sorted(self._nodes))


def _places(columns: Iterable[Column], by_priority: frozenset[str] = frozenset()) -> Places:
    """``by_priority``: ports whose bytes by priority count."""
    places: dict[str, dict[Counted, int]] = {}
    for i, c in enumerate(columns):
        wanted = c.port in by_priority and c.quantity == Quantity.BYTES
        known = c.priority is None or (wanted and 0 <= c.priority < PRIORITIES)
        if c.quantity in _WANTED and known:
            places.setdefault(c.port, {}).setdefault((c.quantity, c.direction, c.lane_id, c.priority), i)
    return places
