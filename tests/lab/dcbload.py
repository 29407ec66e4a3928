"""Random pairs of states on one driver, with a device that fails once on the way."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from lab.dcbstates import draw

from trafficd_agent.apply import Order, Result, reconcile
from trafficd_agent.driver import Driver
from trafficd_topology.diff import Disruption, State, diff, ordered, render
from trafficd_topology.qos.kinds import KINDS


class Notes:
    """A journal that keeps nothing."""

    def begin(self, before: State, target: State) -> None: ...

    def settle(self, holds: State) -> None: ...


GOOD = (Result.APPLIED, Result.IN_SYNC)


def pairs(driver: Driver, scope: str, count: int, fail: Callable[[Random, str], None]) -> dict[Result, int]:
    """Go from one random state to the next ``count`` times. ``fail(random, kind)`` makes the device fail once at the next
    write of that kind, and with an empty kind do as told. Every outcome is one of two: desired, or what was there before.
    """
    random, met = Random(7), dict.fromkeys(Result, 0)
    before = driver.read(scope).state
    for n in range(count):
        desired = draw(random)
        plan = ordered(diff(desired, before), driver.steps)
        fail(random, random.choice(plan).kind if plan and random.random() < 0.7 else "")
        order = Order(scope, desired, leave=Disruption.FABRIC_FLAP)
        outcome = reconcile(driver, order, Notes())
        fail(random, "")
        held = driver.read(scope).state
        expected = desired if outcome.result in GOOD else before
        assert render(held) == render(expected), f"pair {n}: {outcome.result} {outcome.message}"
        assert outcome.result in (*GOOD, Result.RESTORED), f"pair {n}: {outcome.result} {outcome.message}"
        met[outcome.result] += 1
        before = held
    assert all(e.kind in KINDS for e in before)
    return met
