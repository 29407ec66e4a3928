"""Rules that order the two sides of a read, one leg each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trafficd.choice.compose import Option, Pair, single
from trafficd.choice.request import Side
from trafficd.choice.snapshot import Role
from trafficd.choice.spread import fraction, near_ties, weighted
from trafficd.choice.view import Task, View
from trafficd.choice.ways import Way, by_seconds

_SIDE_DRAW = 3
ROLE_OF = {Side.PREFILL: Role.PREFILL, Side.DECODE: Role.DECODE}


def first_then_soonest(task: Task, pair: Pair, ways: list[Way], first: Way) -> list[Option]:
    """That one, and the others by their seconds."""
    rest = sorted((w for w in ways if w is not first), key=by_seconds)
    return [single(task, pair, way) for way in (first, *rest)]


def side_capacity(view: View, side: Side) -> float:
    """Nominal rates of the storage NICs that are up on all nodes of a side, bits per second; remembered."""
    found = view.capacities.get(side)
    if found is None:
        nodes = view.index.roles[ROLE_OF[side]]
        nics = (i for n in nodes for i in view.index.readers[n])
        found = view.capacities[side] = float(sum(view.states[i].rate_bps for i in nics if view.states[i].up))
    return found


def weight_of(view: View, way: Way) -> float:
    """A way's share of reads: its NIC's nominal rate, times the nodes of its side among which engines are spread."""
    nodes = len(view.index.roles[ROLE_OF[way.side]]) or 1
    return float(view.states[way.nics[0]].rate_bps * nodes)


@dataclass(frozen=True, slots=True)
class PrefillOnly:
    """The prefill node reads, whatever else could."""

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]:
        del stale
        return first_then_soonest(task, pair, ways, ways[0])


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """The sides in turns."""

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]:
        del stale
        return first_then_soonest(task, pair, ways, ways[task.view.given.turn % len(ways)])


@dataclass(frozen=True, slots=True)
class Random:
    """Either side alike, by the hash of the request's id."""

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]:
        del stale
        return first_then_soonest(task, pair, ways, ways[int(fraction(task.key, _SIDE_DRAW) * len(ways))])


@dataclass(frozen=True, slots=True)
class Weighted:
    """In proportion to what the sides' storage NICs carry by name: by number of reads (the hash of the id), or by
    bytes (the side that got less than its share). Needs no telemetry.
    """

    by_bytes: bool = False

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]:
        del stale
        return first_then_soonest(task, pair, ways, self.first(task, ways))

    def first(self, task: Task, ways: Sequence[Way]) -> Way:
        """The side this read goes by."""
        if len(ways) == 1:
            return ways[0]
        if not self.by_bytes:
            weights = [weight_of(task.view, way) for way in ways]
            return ways[weighted(weights, fraction(task.key, _SIDE_DRAW))]
        sides = task.view.given.sides
        due = [(sides[w.side - 1] + task.size) / max(side_capacity(task.view, w.side), 1.0) for w in ways]
        return ways[due.index(min(due))]


@dataclass(frozen=True, slots=True)
class Shorter:
    """The side with fewer bytes ahead on its storage NIC as this service reckons them."""

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]:
        del stale
        accounts = task.view.accounts
        return first_then_soonest(
            task, pair, ways, min(ways, key=lambda w: accounts[w.nics[0]].outstanding(task.now))
        )


@dataclass(frozen=True, slots=True)
class PaperQueue:
    """The side whose node reported the shorter read queue (section 6.1); what was reserved since does not count.

    A node that never reported, and every node with ``ledger``, counts by what this service reckons; equal queues go by
    the hash.
    """

    ledger: bool = False

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]:
        del stale
        queues = [self._queue(task, way) for way in ways]
        least = [w for w, q in zip(ways, queues, strict=True) if q == min(queues)]
        return first_then_soonest(task, pair, ways, least[int(fraction(task.key, _SIDE_DRAW) * len(least))])

    def _queue(self, task: Task, way: Way) -> float:
        reported = task.view.roster.queue_of(way.reader)
        if reported is not None and not self.ledger:
            return reported
        return task.view.accounts[way.nics[0]].outstanding(task.now)


@dataclass(frozen=True, slots=True)
class Sooner:
    """The side that is done sooner, by every resource of the way; near-ties in proportion to what they carry.
    Without telemetry, sides by what their storage NICs carry by name.
    """

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]:
        if len(ways) == 1:
            return [single(task, pair, ways[0])]
        if stale:
            return first_then_soonest(task, pair, ways, Weighted().first(task, ways))
        near = [ways[k] for k in near_ties([way.seconds for way in ways])]
        first = near[weighted([way.limit.rate for way in near], fraction(task.key, _SIDE_DRAW))]
        return first_then_soonest(task, pair, ways, first)
