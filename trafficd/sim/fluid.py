"""Flows as fluids: resources with capacities, flows over several of them, rates by max-min within a lane.

Flows that take the same route in the same lane are one **bundle** and have one rate; a flow is done when its
bundle's service has risen by its size. When something changes, only what shares a full resource with it is worked
out anew: a resource that could carry all its flows at their own limits is **loose** and joins nobody.

Sizes are bytes, rates bytes per second, times seconds. A weight is bytes on the resource per byte of the flow.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from trafficd.sim.clock import Clock
from trafficd.sim.fill import Demand, fill
from trafficd.sim.lanes import Arbiter
from trafficd.sim.share import Room, divide

_DUST = 1e-9
"""Relative to a flow's size: what is left below this is rounding."""
_TIGHT = 1 + 1e-9


class Resource:
    """A thing with a capacity. ``arbiter`` is how lanes share it; ``moved`` are bytes so far, by lane."""

    __slots__ = ("arbiter", "bundles", "capacity", "index", "moved", "name", "tight")

    def __init__(self, name: str, capacity: float, arbiter: Arbiter, index: int) -> None:
        self.name = name
        self.capacity = capacity
        self.arbiter = arbiter
        self.index = index
        self.moved = [0.0] * len(arbiter.lanes)
        self.bundles: dict[Bundle, float] = {}
        self.tight = False


class Route:
    """Resources and weights. Flows of the very same route object share a bundle."""

    __slots__ = ("steps",)

    def __init__(self, steps: Iterable[tuple[Resource, float]]) -> None:
        summed: dict[Resource, float] = {}
        for resource, weight in steps:
            if weight > 0:
                summed[resource] = summed.get(resource, 0.0) + weight
        self.steps = tuple(summed.items())


class Flow:
    """One transfer. ``done(flow)`` is called when its last byte has moved."""

    __slots__ = ("bundle", "done", "ends_at", "owner", "size")

    def __init__(self, bundle: Bundle, size: float, done: Callable[[Flow], None], owner: Any) -> None:
        self.bundle = bundle
        self.size = size
        self.ends_at = bundle.service + size
        self.done = done
        self.owner = owner


class Bundle:
    """Flows of one route, lane and limit. ``rate`` is each flow's; ``service`` what each has got since the first."""

    __slots__ = (
        "cap",
        "count",
        "flows",
        "lane",
        "most",
        "offered",
        "order",
        "rate",
        "route",
        "service",
        "touched",
        "version",
    )

    def __init__(self, route: Route, lane: int, cap: float, order: int) -> None:
        self.route = route
        self.lane = lane
        self.cap = cap
        self.order = order
        self.count = 0
        self.rate = 0.0
        self.most = 0.0
        self.offered = 0.0
        """Of a load: bytes it would have moved so far had nothing been in its way."""
        self.service = 0.0
        self.touched = 0.0
        self.version = 0
        self.flows: list[tuple[float, int, Flow]] = []

    def bound(self) -> float:
        """The most that all flows together can get from any one resource and their own limit."""
        most = self.count * self.cap
        for resource, weight in self.route.steps:
            if resource.capacity < most * weight:
                most = resource.capacity / weight
        return most


class Fluid:
    """All resources and flows. Call ``settle`` after a moment's changes; ``Clock.run`` does."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.resources: list[Resource] = []
        self.recomputed = 0
        self._bundles: dict[tuple[Route, int, float], Bundle] = {}
        self._dirty: dict[Bundle, None] = {}
        self._changed: dict[Resource, None] = {}
        self._order = 0

    def resource(self, name: str, capacity: float, arbiter: Arbiter) -> Resource:
        """Add a resource."""
        made = Resource(name, capacity, arbiter, len(self.resources))
        self.resources.append(made)
        return made

    def start(
        self,
        route: Route,
        size: float,
        done: Callable[[Flow], None],
        owner: Any = None,
        lane: int = 0,
        cap: float = math.inf,
    ) -> Flow:
        """A new flow; one of an empty route must have a limit."""
        bundle = self._bundle(route, lane, cap)
        self._touch(bundle)
        self._order += 1
        flow = Flow(bundle, size, done, owner)
        heapq.heappush(bundle.flows, (flow.ends_at, self._order, flow))
        bundle.count += 1
        self._dirty[bundle] = None
        return flow

    def stop(self, flow: Flow) -> float:
        """Take a flow away; the bytes it still had to move. It must be under way."""
        bundle = flow.bundle
        self._touch(bundle)
        bundle.flows = [entry for entry in bundle.flows if entry[2] is not flow]
        heapq.heapify(bundle.flows)
        bundle.count -= 1
        self._dirty[bundle] = None
        return min(max(flow.ends_at - bundle.service, 0.0), flow.size)

    def load(self, route: Route, lane: int, streams: int) -> Bundle:
        """Traffic that never ends: ``streams`` equal flows at first without any rate; see ``offer``."""
        self._order += 1
        bundle = Bundle(route, lane, 0.0, self._order)
        bundle.touched = self.clock.now
        bundle.count = streams
        return bundle

    def offer(self, load: Bundle, rate: float) -> None:
        """Let a load want ``rate`` in all from now on."""
        self._touch(load)
        load.cap = rate / load.count
        self._dirty[load] = None

    def set_capacity(self, resource: Resource, capacity: float) -> None:
        """From now on."""
        if capacity != resource.capacity:
            resource.capacity = capacity
            self._changed[resource] = None

    def sync(self) -> None:
        """Bring ``moved`` of every resource to now."""
        seen: dict[Bundle, None] = {}
        for resource in self.resources:
            seen.update(dict.fromkeys(resource.bundles))
        for bundle in seen:
            self._touch(bundle)

    def settle(self) -> None:
        """Work out the rates that this moment's changes touch."""
        while self._dirty or self._changed:
            dirty, changed = self._dirty, self._changed
            self._dirty, self._changed = {}, {}
            self._recompute(self._affected(dirty, changed))

    def _bundle(self, route: Route, lane: int, cap: float) -> Bundle:
        key = (route, lane, cap)
        found = self._bundles.get(key)
        if found is None:
            self._order += 1
            found = self._bundles[key] = Bundle(route, lane, cap, self._order)
            found.touched = self.clock.now
        return found

    def _touch(self, bundle: Bundle) -> None:
        """Count what the bundle moved since it was last looked at."""
        now = self.clock.now
        elapsed = now - bundle.touched
        if elapsed <= 0:
            return
        bundle.touched = now
        rate = bundle.rate
        if rate > 0:
            bundle.service += rate * elapsed
            moved, lane = rate * elapsed * bundle.count, bundle.lane
            for resource, weight in bundle.route.steps:
                resource.moved[lane] += moved * weight
        if not bundle.flows:
            bundle.offered += bundle.cap * bundle.count * elapsed

    def _affected(self, dirty: Iterable[Bundle], changed: Iterable[Resource]) -> dict[Bundle, None]:
        """The bundles whose rates may change: those touched, and all that share a full resource with one of them."""
        todo: dict[Resource, None] = dict.fromkeys(changed)
        found: dict[Bundle, None] = {}
        for resource in changed:
            for bundle in resource.bundles:
                self._rebound(bundle, todo)
                found[bundle] = None
        for bundle in dirty:
            self._place(bundle, todo)
            if bundle.count:
                found[bundle] = None
        joined = self._joined(todo)
        found.update(joined)
        return self._closure(found)

    def _place(self, bundle: Bundle, todo: dict[Resource, None]) -> None:
        """Put a bundle on its resources, or take an empty one off."""
        if bundle.count == 0:
            if self._bundles.get((bundle.route, bundle.lane, bundle.cap)) is bundle:
                del self._bundles[bundle.route, bundle.lane, bundle.cap]
            bundle.rate = 0.0
            bundle.version += 1
            for resource, _ in bundle.route.steps:
                resource.bundles.pop(bundle, None)
                todo[resource] = None
            return
        for resource, weight in bundle.route.steps:
            resource.bundles[bundle] = weight
            todo[resource] = None
        bundle.most = bundle.bound()

    def _rebound(self, bundle: Bundle, todo: dict[Resource, None]) -> None:
        bundle.most = bundle.bound()
        for resource, _ in bundle.route.steps:
            todo[resource] = None

    def _joined(self, todo: Iterable[Resource]) -> dict[Bundle, None]:
        """Everybody on a resource that is tight, or was until now."""
        found: dict[Bundle, None] = {}
        for resource in todo:
            was = resource.tight
            resource.tight = is_tight(resource)
            if was or resource.tight:
                found.update(dict.fromkeys(resource.bundles))
        return found

    def _closure(self, found: dict[Bundle, None]) -> dict[Bundle, None]:
        """With all that share a tight resource, and so on."""
        todo, seen = list(found), dict.fromkeys(found)
        resources: dict[Resource, None] = {}
        for bundle in todo:  # grows while it is walked
            for resource, _ in bundle.route.steps:
                if resource.tight and resource not in resources:
                    resources[resource] = None
                    fresh = [b for b in resource.bundles if b not in seen]
                    seen.update(dict.fromkeys(fresh))
                    todo += fresh
        return seen

    def _recompute(self, bundles: dict[Bundle, None]) -> None:
        alone = [b for b in bundles if not any(r.tight for r, _ in b.route.steps)]
        for bundle in alone:
            self._set(bundle, bundle.most / bundle.count)
        rest = [b for b in bundles if b not in dict.fromkeys(alone)] if alone else list(bundles)
        if not rest:
            return
        self.recomputed += 1
        for bundle, rate in zip(rest, rates_of(rest), strict=True):
            self._set(bundle, rate)

    def _set(self, bundle: Bundle, rate: float) -> None:
        """A new rate, and when the next flow is done at it."""
        if rate != bundle.rate:
            self._touch(bundle)
            bundle.rate = rate
        bundle.version += 1
        if bundle.flows and rate > 0:
            left = bundle.flows[0][0] - bundle.service
            time = bundle.touched + max(left, 0.0) / rate
            self.clock.at(time, self._due, (bundle, bundle.version))

    def _due(self, what: tuple[Bundle, int]) -> None:
        bundle, version = what
        if bundle.version != version:
            return
        self._touch(bundle)
        flows, ended = bundle.flows, []
        # The first is done by the clock; whoever is within rounding of it is done too.
        limit = max(bundle.service, flows[0][0])
        limit += _DUST * flows[0][2].size
        while flows and flows[0][0] <= limit:
            ended.append(heapq.heappop(flows)[2])
        bundle.count -= len(ended)
        if bundle.count == 0:
            bundle.service = 0.0
        self._dirty[bundle] = None
        for flow in ended:
            flow.done(flow)


def is_tight(resource: Resource) -> bool:
    """Whether all that the flows could want is more than the resource, or one of its lanes, may give."""
    most = resource.capacity * _TIGHT
    wanted = 0.0
    for bundle, weight in resource.bundles.items():
        wanted += bundle.most * weight
    if wanted > most or min(resource.arbiter.limits) == 1:
        return wanted > most
    limits = [limit * most for limit in resource.arbiter.limits]
    for bundle, weight in resource.bundles.items():
        limits[bundle.lane] -= bundle.most * weight
    return min(limits) < 0


def rates_of(bundles: Sequence[Bundle]) -> list[float]:
    """The rate of each bundle's flows, of bundles that share tight resources with each other only."""
    tight = {r.index: r for b in bundles for r, _ in b.route.steps if r.tight}
    demands = [
        Demand(b.count, b.most / b.count, [(r.index, w) for r, w in b.route.steps if r.tight])
        for b in bundles
    ]
    lane = bundles[0].lane
    if all(b.lane == lane for b in bundles) or all(r.arbiter.even for r in tight.values()):
        return fill(demands, {i: r.capacity * r.arbiter.limits[lane] for i, r in tight.items()})
    rooms = {i: Room(r.capacity, r.arbiter) for i, r in tight.items()}
    return divide(demands, [b.lane for b in bundles], rooms)
