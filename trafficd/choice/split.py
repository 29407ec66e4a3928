"""Water-filling: how many bytes of a read go each way so that all ways are done at the same moment.

A way takes ``max(ahead_i + per_byte_i * x)`` seconds for ``x`` bytes over its resources i. The level T that all ways
reach together is where the bytes they carry by then are the whole read. Ways that share a resource (the prefill GPU's
NIC) share what it carries by T, those that load it least per byte first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trafficd.choice.account import Account
from trafficd.choice.compose import Option, Pair, Part, single
from trafficd.choice.view import Task
from trafficd.choice.ways import Limit, Way, by_seconds, slowest

STEPS = 24
"""Halvings of the level: to a millionth of its range, and no read is that long."""
Ahead = dict[Account, float]
"""Seconds until a resource is free."""


@dataclass(slots=True)
class _Basin:
    """One way in a filling: seconds ahead and per byte of what is its own, and what it shares with others."""

    way: Way
    own: list[tuple[float, float]]
    shared: list[tuple[Account, float]]

    def room(self, level: float) -> tuple[float, float]:
        """Bytes that its own resources carry by ``level``, and bytes per second beyond that."""
        room, per_byte = min([((level - ahead) / each, each) for ahead, each in self.own])
        return (room, 1 / per_byte) if room > 0 else (0.0, 0.0)


def parts_of(task: Task, ways: Sequence[Way], ahead: Ahead) -> list[tuple[Way, int]]:
    """The whole read over these ways, no part smaller than the policy allows; ways without a part are left out.

    ``ahead`` gives seconds ahead where they are not those of the accounts.
    """
    least = max(task.view.settings.min_part_bytes, 1)
    if task.size < 2 * least:
        return [(ways[0], task.size)]
    left = list(ways)
    while True:
        sizes = _filled(task, left, ahead)
        small = min(range(len(left)), key=sizes.__getitem__)
        if len(left) == 1 or sizes[small] >= least:
            return [(way, size) for way, size in zip(left, sizes, strict=True) if size > 0 or len(left) == 1]
        del left[small]


def _filled(task: Task, ways: Sequence[Way], ahead: Ahead) -> list[int]:
    """Whole bytes per way, their sum the read's."""
    if len(ways) == 1:
        return [task.size]
    basins = _basins(task, ways, ahead)
    shared = any(basin.shared for basin in basins)
    found = _halved(task, basins) if shared else _filled_apart(task, basins)
    scale = task.size / (sum(found) or 1.0)
    sizes = [int(x * scale) for x in found]
    sizes[sizes.index(max(sizes))] += task.size - sum(sizes)
    return sizes


def _filled_apart(task: Task, basins: Sequence[_Basin]) -> list[float]:
    """Ways that share nothing: the level by Newton's steps, kept between what was too low and what was too high."""
    low, high = 0.0, _enough(task, basins)
    level = high
    for _ in range(STEPS):
        rows = [basin.room(level) for basin in basins]
        missing, slope = float(task.size), 0.0
        for room, rate in rows:
            missing -= room
            slope += rate
        if -1 < missing < 1:
            break
        low, high = (level, high) if missing > 0 else (low, level)
        step = level + missing / slope if slope else high
        level = step if low < step < high else (low + high) / 2
    return [room for room, _ in rows]


def _halved(task: Task, basins: Sequence[_Basin]) -> list[float]:
    """Ways that share something: the level by halving."""
    low, high = 0.0, _enough(task, basins)
    for _ in range(STEPS):
        middle = (low + high) / 2
        if sum(_carried(task, basins, middle)) >= task.size:
            high = middle
        else:
            low = middle
    return _carried(task, basins, high)


def _basins(task: Task, ways: Sequence[Way], ahead: Ahead) -> list[_Basin]:
    users: dict[Account, int] = {}
    for way in ways:
        for account, _ in way.loads[: way.stored]:
            users[account] = users.get(account, 0) + 1
    for account in users:
        if account not in ahead:
            ahead[account] = account.outstanding(task.now) / account.available
    found: list[_Basin] = []
    for way in ways:
        own = [(ahead[a], w / a.available) for a, w in way.loads[: way.stored] if users[a] == 1]
        if way.per_byte > 0:
            own.append((0.0, way.per_byte))
        shared = [(a, w) for a, w in way.loads[: way.stored] if users[a] > 1]
        found.append(_Basin(way, own or [(0.0, 1e-30)], shared))
    return found


def _enough(task: Task, basins: Sequence[_Basin]) -> float:
    """A level by which the first way alone carries everything."""
    first = basins[0]
    lines = [ahead + per_byte * task.size for ahead, per_byte in first.own]
    lines += [(a.outstanding(task.now) + w * task.size) / a.available + 1.0 for a, w in first.shared]
    return max(lines) * 1.001 + 1e-9


def _carried(task: Task, basins: Sequence[_Basin], level: float) -> list[float]:
    """Bytes of each way by ``level``."""
    left: dict[Account, float] = {}
    found = [0.0] * len(basins)
    for i in sorted(range(len(basins)), key=lambda i: sum(w for _, w in basins[i].shared)):
        room = basins[i].room(level)[0]
        for account, weight in basins[i].shared:
            if account not in left:
                left[account] = max(0.0, level * account.available - account.outstanding(task.now))
            room = min(room, left[account] / weight)
        for account, weight in basins[i].shared:
            left[account] -= room * weight
        found[i] = room
    return found


def option_of(task: Task, pair: Pair, parts: Sequence[tuple[Way, int]]) -> Option:
    """Parts with what limits each, other parts of the same read on its resources included."""
    if len(parts) == 1:
        return single(task, pair, parts[0][0])
    loaded = _loaded(parts)
    found = tuple([_part(task, way, size, loaded) for way, size in parts])
    return Option(max([part.seconds for part in found]), pair, found)


def _loaded(parts: Sequence[tuple[Way, int]]) -> dict[Account, float]:
    """Bytes that all parts together move on each resource, the busier way of it."""
    moved: dict[Account, list[float]] = {}
    for way, size in parts:
        both = way.both or [(0.0, weight) for _, weight in way.loads]
        for (account, _), (sent, received) in zip(way.loads, both, strict=True):
            row = moved.setdefault(account, [0.0, 0.0])
            row[0] += sent * size
            row[1] += received * size
    return {account: max(row) for account, row in moved.items()}


def _part(task: Task, way: Way, size: int, loaded: dict[Account, float]) -> Part:
    limit = _limit(task, way, size, loaded)
    if way.stored == len(way.loads):
        return Part(way, size, limit, limit.seconds)
    seconds = [(a.outstanding(task.now) + loaded[a]) / a.available for a, _ in way.loads]
    read = max(*seconds[: way.stored], size * way.per_byte)
    copies = max(seconds[way.stored :]) - task.view.feedback.computing_s
    return Part(way, size, limit, read + max(0.0, copies))


def _limit(task: Task, way: Way, size: int, loaded: dict[Account, float]) -> Limit:
    together = tuple([(account, loaded[account] / max(size, 1)) for account, _ in way.loads])
    return slowest(task, together, (way.per_byte, way.fixed), size)


def worth_it(task: Task, split: Option, best: Option) -> bool:
    """Whether a split is enough sooner than the best single leg to pay for its further legs."""
    settings = task.view.settings
    cost = settings.setup_s * (len(split.parts) - 1)
    return len(split.parts) > 1 and split.seconds + cost <= best.seconds * (1 - settings.hysteresis)


def most_parts(task: Task) -> int:
    """Most ways one read may take: what the caller can execute and the policy allows."""
    return min(task.request.abilities.max_legs // max(len(task.parts), 1), task.view.settings.max_parts)


@dataclass(frozen=True, slots=True)
class Split:
    """Over both sides where that is sooner, else on the sooner side."""

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]:
        del stale
        return list(_ordered(task, pair, ways))


def _ordered(task: Task, pair: Pair, ways: list[Way]) -> Iterator[Option]:
    ways.sort(key=by_seconds)
    singles = [single(task, pair, way) for way in ways]
    most = most_parts(task)
    if most > 1 and len(ways) > 1:
        split = option_of(task, pair, parts_of(task, ways[:most], {}))
        if worth_it(task, split, singles[0]):
            yield split
    yield from singles
