"""Small worlds for the simulator's tests."""

from __future__ import annotations

from trafficd.sim.clock import Clock
from trafficd.sim.fluid import Fluid, Resource, Route
from trafficd.sim.lanes import Arbiter, Even
from trafficd.sim.plan import Shape, fabric_of
from trafficd.sim.scenario import World
from trafficd.sim.workload import TABLE, Agent, agents_windowed

ONE = Even.of(("all",))


class Bench:
    """Resources of given capacities, and flows over them by index."""

    def __init__(self, capacities: list[float], arbiter: Arbiter = ONE) -> None:
        self.clock = Clock()
        self.fluid = Fluid(self.clock)
        self.resources = [self.fluid.resource(f"r{i}", c, arbiter) for i, c in enumerate(capacities)]
        self.ends: dict[int, float] = {}

    def route(self, steps: dict[int, float]) -> Route:
        return Route([(self.resources[i], w) for i, w in steps.items()])

    def start(self, route: Route, size: float, owner: int, lane: int = 0, cap: float = float("inf")) -> None:
        self.fluid.start(
            route, size, lambda flow: self.ends.__setitem__(flow.owner, self.clock.now), owner, lane, cap
        )

    def run(self) -> None:
        self.clock.run(self.fluid.settle, lambda: False)

    def moved(self, resource: Resource) -> float:
        self.fluid.sync()
        return sum(resource.moved)


def window(turns: int, seed: int = 1) -> tuple[Agent, ...]:
    return agents_windowed(TABLE["64K"], turns, seed)


def world(turns: int = 200, **changes: object) -> World:
    """2P4D with two engines a node."""
    spec = fabric_of(Shape(gpus=2))
    return World("test", spec, window(turns), in_flight=16, **changes)  # type: ignore[arg-type]
