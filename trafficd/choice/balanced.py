"""The default: what is soonest done of all that the caller can execute, with a memory of what was placed where."""

from __future__ import annotations

from dataclasses import dataclass

from trafficd.choice.compose import Option, Pair, single
from trafficd.choice.headroom import MEMORY
from trafficd.choice.sides import Sooner, first_then_soonest
from trafficd.choice.split import Ahead, most_parts, option_of, parts_of, worth_it
from trafficd.choice.view import Task
from trafficd.choice.ways import Way, by_seconds


@dataclass(frozen=True, slots=True)
class Balanced:
    """Splits where the caller can and it pays, else the side that is done sooner.

    Which of several that are about as good is taken goes by what was lately placed: queues as telemetry shows them
    are late, and what this service reserved is gone from them when it is read. ``near`` is how much longer than the
    best a way may take to be among these, relative and in seconds. For a caller that reserves nothing there is no such
    memory: near-ties go by the hash of its request's id, and without telemetry by nominal rates (``Sooner``).
    """

    memory: float = MEMORY
    near: float = 1.1
    near_s: float = 0.01

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]:
        if len(ways) == 1:
            return [single(task, pair, ways[0])]
        ahead: Ahead = {}
        if task.request.reserve_s > 0:
            ways.sort(key=by_seconds)
            ahead = self._ahead(task, ways)
            options = first_then_soonest(task, pair, ways, self._first(task, ways, ahead))
        else:
            options = Sooner().order(task, pair, ways, stale=stale)
        most = most_parts(task)
        if most < 2:
            return options
        best = min(options, key=_seconds)
        for levels in (ahead, {}) if ahead else ({},):
            split = option_of(task, pair, parts_of(task, ways[:most], levels))
            if worth_it(task, split, best):
                return [split, *options]
        return options

    def _ahead(self, task: Task, ways: list[Way]) -> Ahead:
        """Seconds until each storage NIC is free, what was lately placed there included."""
        now = task.now
        accounts = [way.loads[0][0] for way in ways]
        return {a: (a.outstanding(now) + self.memory * a.placed(now)) / a.available for a in accounts}

    def _first(self, task: Task, ways: list[Way], ahead: Ahead) -> Way:
        limit = ways[0].seconds * self.near + self.near_s
        near = [way for way in ways if way.seconds <= limit]
        if len(near) == 1:
            return near[0]
        return min(near, key=lambda w: ahead[w.loads[0][0]] + task.size / w.loads[0][0].available)


def _seconds(option: Option) -> float:
    return option.seconds
