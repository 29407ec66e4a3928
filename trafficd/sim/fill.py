"""Max-min fairness by progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2), over bundles of equal flows.

All flows of a bundle take the same route and get the same rate. A flow at rate x puts weight x on each resource of
its route. Everything rises at one level; a bundle stops at its flows' own limit or when a resource on its route is
full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_EQUAL = 1 + 1e-12


class Demand(NamedTuple):
    """``flows`` flows, each of at most ``limit``, over ``route``: (resource, weight), weights above zero."""

    flows: int
    limit: float
    route: Sequence[tuple[int, float]]


def fill(demands: Sequence[Demand], rooms: Mapping[int, float]) -> list[float]:
    """The rate of each bundle's flows. Resources that ``rooms`` does not name never limit."""
    rates = [0.0] * len(demands)
    room = dict(rooms)
    routes = [[(r, w) for r, w in d.route if r in room] for d in demands]
    users = _users(demands, routes)
    active = dict.fromkeys(range(len(demands)))
    while active:
        level, full = _level(room, users)
        # Below the level a flow's own limit holds it: what it leaves only raises the level of the others.
        frozen = [i for i in active if demands[i].limit <= level * _EQUAL]
        if frozen:
            rate_of = [demands[i].limit for i in frozen]
        else:
            frozen = [i for i in active if any(r in full for r, _ in routes[i])]
            rate_of = [level] * len(frozen)
        for i, rate in zip(frozen, rate_of, strict=True):
            rates[i] = rate
            del active[i]
            _take(room, users, routes[i], demands[i].flows, rate)
    return rates


def _users(
    demands: Sequence[Demand], routes: Iterable[Sequence[tuple[int, float]]]
) -> dict[int, list[float]]:
    """Per resource: [weight of all active flows, how many bundles]."""
    users: dict[int, list[float]] = {}
    for demand, route in zip(demands, routes, strict=True):
        for r, w in route:
            found = users.get(r)
            if found is None:
                users[r] = [w * demand.flows, 1]
            else:
                found[0] += w * demand.flows
                found[1] += 1
    return users


def _level(room: Mapping[int, float], users: Mapping[int, Sequence[float]]) -> tuple[float, dict[int, None]]:
    """The level at which the first resources are full, and which."""
    levels = {r: max(room[r], 0.0) / used[0] for r, used in users.items()}
    level = min(levels.values(), default=float("inf"))
    return level, {r: None for r, at in levels.items() if at <= level * _EQUAL}


def _take(
    room: dict[int, float],
    users: dict[int, list[float]],
    route: Iterable[tuple[int, float]],
    count: int,
    rate: float,
) -> None:
    for r, w in route:
        used = users[r]
        room[r] -= rate * w * count
        used[0] -= w * count
        used[1] -= 1
        if used[1] == 0:
            del users[r]
