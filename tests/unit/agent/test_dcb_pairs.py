"""DCB states at random on a device that misbehaves: it ends in the desired state or in the one before, never between."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from trafficd_agent.apply import Order, Purpose, Result, reconcile
from trafficd_agent.drivers.fake import ERRORS, ROCE_PORT, Error, FakeDriver, FakeOptions, altered
from trafficd_topology.diff import (
    Change,
    Disruption,
    Element,
    Op,
    State,
    diff,
    disruption,
    ordered,
    render,
    state,
)
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.dcb import (
    PRIORITIES,
    DcbApp,
    DcbBuffer,
    DcbCable,
    DcbCnp,
    DcbEcn,
    DcbEts,
    DcbMaxrate,
    DcbPfc,
    DcbTrust,
    Dcbx,
)
from trafficd_topology.qos.dcb_render import render_dcb
from trafficd_topology.qos.roce import whole_percents
from trafficd_topology.qos.steps import DCB_STEPS

PORT = "ens1"
PAIRS, SEEDS = 1_000, 10
FOREVER = Disruption.FABRIC_FLAP


class Quiet:
    """A journal that nobody reads."""

    def begin(self, before: State, target: State) -> None: ...

    def settle(self, holds: State) -> None: ...


class Faulty(FakeDriver):
    """Misbehaves at one write: refuses it, carries it out wrongly or by half, ignores it, or is gone for a moment."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(FakeOptions(dcb=True))
        self.at = rng.randint(1, 20) if rng.random() < 0.6 else 0
        self.fault = rng.choice(["refuse", "alter", "half", "ignore", "busy", "gone", "fault"])
        self.misbehaved = False

    def write(self, scope: str, change: Change) -> None:
        self.at -= 1
        if self.at:
            super().write(scope, change)
            return
        self.misbehaved = True
        if self.fault in ("busy", "gone", "fault"):
            raise ERRORS[Error(self.fault)](f"{scope}: at random")
        how = {"alter": "alter", "half": "half", "ignore": "ignore"}.get(self.fault, "refuse")
        self.behaviour = replace(self.behaviour, **{how: (change.name,)})
        try:
            super().write(scope, change)
        finally:
            self.behaviour = replace(self.behaviour, **{how: ()})


def some_ets(rng: random.Random) -> DcbEts:
    tsa = tuple(rng.choice(["ets", "ets", "strict", "vendor"]) for _ in range(PRIORITIES))
    parts = iter(whole_percents([rng.random() for t in tsa if t == "ets"]))
    percent = tuple(next(parts) if t == "ets" else 0 for t in tsa)
    return DcbEts(tuple(rng.randrange(8) for _ in range(8)), tsa, percent, rng.random() < 0.1)


def some_values(rng: random.Random) -> Iterator[tuple[str, object]]:
    yield "dcbx", Dcbx(rng.random() < 0.8)
    yield "trust", DcbTrust(tuple(rng.sample(["dscp", "pcp"], rng.randint(0, 2))))
    yield "ets", some_ets(rng)
    yield "pfc", DcbPfc(tuple(sorted(rng.sample(range(8), rng.randint(0, 4)))))
    yield "cable", DcbCable(rng.randint(1, 999))
    yield "maxrate", DcbMaxrate(tuple(rng.choice([0, 10**9, 4 * 10**11]) for _ in range(8)))
    yield (
        "buffer",
        DcbBuffer(tuple(rng.randrange(8) for _ in range(8)), tuple(rng.randrange(2**20) for _ in range(8))),
    )
    yield "cnp", DcbCnp(rng.randrange(64), rng.randrange(8))


def some_priorities(rng: random.Random) -> tuple[int, ...]:
    return tuple(sorted(rng.sample(range(8), rng.choice([1, 1, 2]))))


def some_state(rng: random.Random) -> State:
    """Anything a NIC may hold, most of it; few code points, for speed."""
    elements = [Element(kind, "", value) for kind, value in some_values(rng) if rng.random() < 0.85]
    points = rng.sample(range(64), rng.randint(0, 5))
    elements += [Element("dscp", str(d), DcbApp(some_priorities(rng))) for d in points]
    slow = rng.sample(range(8), rng.randint(0, 3))
    elements += [Element("ecn", str(p), DcbEcn(rng.random() < 0.5, rng.random() < 0.5)) for p in slow]
    if rng.random() < 0.2:
        elements.append(Element("app", "dgram-4791", DcbApp((rng.randrange(8),))))
    return state(elements)


def near(rng: random.Random, to: State) -> State:
    """Another state of which most is the same: what a small change of a policy leads to."""
    kept = [e for e in to if rng.random() < 0.9]
    return state(replace(e, value=altered(e.value)) if rng.random() < 0.1 else e for e in kept)


def outcome_of(rng: random.Random, before: State, desired: State) -> tuple[str, Faulty]:
    driver = Faulty(rng)
    driver.device.hold(PORT, before)
    done = reconcile(driver, Order(PORT, desired, Purpose.APPLY, leave=FOREVER), Quiet())
    held = render(driver.device.holds(PORT))
    where = "desired" if held == render(desired) else "before" if held == render(before) else "between"
    expected = {Result.APPLIED: "desired", Result.IN_SYNC: "desired", Result.RESTORED: "before"}
    assert where == expected[done.result], (done, driver.fault)
    return where, driver


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_pair_ends_in_desired_or_in_before(seed: int) -> None:
    rng = random.Random(seed)
    ends = {"desired": 0, "before": 0}
    for _ in range(PAIRS):
        before = some_state(rng)
        desired = near(rng, before) if rng.random() < 0.3 else some_state(rng)
        where, driver = outcome_of(rng, before, desired)
        assert where == "desired" or driver.misbehaved
        ends[where] += 1
    assert min(ends.values()) > PAIRS // 10, ends


def rendered(text: str) -> State:
    policies, problems = parse_policies(f"version: 1\npolicies: [{{name: p, {text}}}]")
    assert policies is not None, problems
    policy = policies.policies[0]
    assert policy.roce is not None
    made = render_dcb(policy.lanes, policy.roce, 400_000_000_000, ROCE_PORT)
    assert not made.problems
    return made.elements


STATES = [
    rendered("preset: dualpath"),
    rendered("preset: dualpath, roce: {lossless: [model], cable_length: 100}"),
    rendered("preset: dualpath-four-lossless"),
    rendered("preset: three-class"),
    rendered("preset: two-lane-strict"),
]


@pytest.mark.parametrize("seed", range(60))
def test_whole_policies_on_a_port_that_held_anything(seed: int) -> None:
    rng = random.Random(seed)
    before = rng.choice([*STATES, some_state(rng)])
    where, driver = outcome_of(rng, before, rng.choice(STATES))
    assert where == "desired" or driver.misbehaved


def test_the_link_flaps_only_where_the_lossless_priorities_differ() -> None:
    for a in STATES:
        for b in STATES:
            held = [next(e.value for e in s if e.kind == "pfc") for s in (a, b)]
            cost = disruption(diff(a, b), DCB_STEPS)
            assert cost is (Disruption.HITLESS if held[0] == held[1] else Disruption.LINK_FLAP)


def test_a_flap_comes_after_everything_that_may_be_refused() -> None:
    changes = ordered(diff(STATES[0], ()), DCB_STEPS)
    kinds = [c.kind for c in changes]
    assert (kinds[0], kinds[-1]) == ("dcbx", "pfc")
    assert kinds.index("ets") < kinds.index("dscp") < kinds.index("trust")
    back = [c.kind for c in ordered(diff((), STATES[0]), DCB_STEPS)]
    assert back[-1] == "dcbx"
    assert back.index("pfc") < back.index("buffer")
    assert all((op, kind) in DCB_STEPS for op in Op for kind in ROCE_PORT.kinds)
