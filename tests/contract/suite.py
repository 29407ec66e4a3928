"""What every driver must do, whatever it programs.

A driver takes part with a ``Bench``: itself, a scope on a device of its own, two states to go between, and ways to
disturb that device from outside. Its tests are one class derived from ``DriverContract`` with a ``bench``
fixture. Expected states are compared as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Protocol

import pytest

from trafficd_agent.apply import Order, Outcome, Purpose, Result, reconcile
from trafficd_agent.driver import Driver, DriverError, GoneError, Observation, RefusedError
from trafficd_agent.states import fill
from trafficd_topology.diff import (
    Change,
    Disruption,
    Element,
    Op,
    State,
    describe,
    diff,
    digest,
    ordered,
    render,
)
from trafficd_topology.qos.kinds import KINDS


class Bench(Protocol):
    """One driver and one device of its own.

    ``first`` and ``second`` are whole desired states; between them every kind of element that the driver programs
    is added, changed and removed where the device allows it. ``impossible`` is an element that the device cannot
    hold. ``absent`` is the name of a scope that does not exist.
    """

    driver: Driver
    scope: str
    absent: str
    first: State
    second: State
    impossible: Element

    def disturb(self) -> None:
        """From outside: take away or change at least one thing of ``first`` that the driver can put back."""
        ...

    def recreate(self) -> None:
        """From outside: take the device away and put a new one there under its name."""
        ...

    def vanish(self) -> None:
        """From outside: take the device away for good."""
        ...


class Notes:
    """A journal in memory: what ``reconcile`` would have on disk."""

    def __init__(self) -> None:
        self.open: tuple[State, State] | None = None

    def begin(self, before: State, target: State) -> None:
        self.open = before, target

    def settle(self, holds: State) -> None:
        self.open = None


def read(bench: Bench) -> Observation:
    return bench.driver.read(bench.scope)


def plan(bench: Bench, desired: State) -> tuple[Change, ...]:
    seen = read(bench)
    assert seen.foreign == ()
    return ordered(diff(desired, seen.state, seen.unreadable), bench.driver.steps)


def write(bench: Bench, changes: Sequence[Change]) -> None:
    with bench.driver.batch(bench.scope):
        for change in changes:
            bench.driver.write(bench.scope, change)


def text(observed: Observation, like: State) -> str:
    """What was read, as text; what cannot be read back is taken from ``like``."""
    return render(fill(observed.state, like, observed.unreadable))


def reach(bench: Bench, desired: State) -> tuple[Change, ...]:
    """Go there, prove it, and prove that going there again is nothing to do; what was changed."""
    changes = plan(bench, desired)
    write(bench, changes)
    assert text(read(bench), desired) == render(desired)
    assert plan(bench, desired) == ()
    return changes


def run(bench: Bench, purpose: Purpose, desired: State, notes: Notes) -> Outcome:
    believed = desired if purpose is Purpose.VERIFY else None
    order = Order(bench.scope, desired, purpose, believed=believed, leave=Disruption.FABRIC_FLAP)
    return reconcile(bench.driver, order, notes)


def one_sentence(error: DriverError, *names: str) -> None:
    said = str(error)
    assert "\n" not in said
    assert len(said) > 20
    for name in names:
        assert name in said


def cuts(length: int) -> Iterator[int]:
    """Where to stop a plan of so many changes: after the first, in the middle, before the last."""
    yield from sorted({n for n in (1, length // 2, length - 1) if 0 < n < length})


class DriverContract:
    """Derive, and give a fixture ``bench``."""

    def test_probe_serves_the_scope_and_explains_an_absent_one(self, bench: Bench) -> None:
        assert bench.driver.probe(bench.scope).supported
        missing = bench.driver.probe(bench.absent)
        assert not missing.supported
        assert bench.absent in missing.reason

    def test_every_change_has_a_place_in_the_order(self, bench: Bench) -> None:
        kinds = {e.kind for e in (*bench.first, *bench.second)}
        assert kinds <= set(KINDS)
        assert {(op, kind) for op in Op for kind in kinds} <= set(bench.driver.steps)
        assert all(step.reason for step in bench.driver.steps.values())

    def test_values_are_of_the_type_of_their_kind(self, bench: Bench) -> None:
        reach(bench, bench.first)
        assert [e for e in read(bench).state if type(e.value) is not KINDS[e.kind][0]] == []

    def test_what_cannot_be_read_back_is_named_by_kind_or_field(self, bench: Bench) -> None:
        named = {k: {f.name for f in fields(t)} for k, (t, _) in KINDS.items()}
        for name in read(bench).unreadable:
            kind, _, field = name.partition(".")
            assert not field or field in named[kind], name

    def test_reading_changes_nothing_and_says_the_same_again(self, bench: Bench) -> None:
        assert read(bench) == read(bench)
        reach(bench, bench.first)
        assert read(bench) == read(bench)

    def test_states_are_reached_and_left_as_they_were_found(self, bench: Bench) -> None:
        found = read(bench).state
        assert digest(bench.first) != digest(bench.second)
        for desired in (bench.first, bench.second, bench.first, found, bench.second, found):
            reach(bench, desired)

    def test_only_what_differs_is_planned(self, bench: Bench) -> None:
        reach(bench, bench.first)
        changes = reach(bench, bench.second)
        assert {c.name for c in changes} == {c.name for c in diff(bench.second, bench.first)}

    @pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
    def test_a_plan_that_stopped_half_way_is_taken_up_again(self, bench: Bench, down: bool) -> None:
        found = read(bench).state
        whole = len(plan(bench, bench.first))
        for n in cuts(whole):
            if down:
                reach(bench, bench.first)
            target = found if down else bench.first
            write(bench, plan(bench, target)[:n])
            reach(bench, target)
            reach(bench, found)

    def test_drift_is_seen_and_repaired(self, bench: Bench) -> None:
        reach(bench, bench.first)
        before = read(bench)
        bench.disturb()
        after = read(bench)
        assert describe(diff(bench.first, after.state, after.unreadable))
        assert after.identity == before.identity
        reach(bench, bench.first)

    def test_an_impossible_value_is_refused_in_one_sentence(self, bench: Bench) -> None:
        reach(bench, bench.first)
        bad = bench.impossible
        held = next((e.value for e in bench.first if e.name == bad.name), None)
        change = Change(Op.ADD if held is None else Op.CHANGE, bad.kind, bad.key, held, bad.value)
        with pytest.raises(RefusedError) as caught:
            write(bench, [change])
        one_sentence(caught.value, bench.scope)
        reach(bench, bench.first)

    def test_a_device_that_was_made_anew_has_another_identity(self, bench: Bench) -> None:
        reach(bench, bench.first)
        before = read(bench).identity
        bench.recreate()
        assert before
        assert read(bench).identity != before
        reach(bench, bench.first)

    def test_a_device_that_has_gone_is_gone(self, bench: Bench) -> None:
        changes = plan(bench, bench.first)
        bench.vanish()
        with pytest.raises(GoneError) as caught:
            read(bench)
        one_sentence(caught.value, bench.scope)
        with pytest.raises(GoneError) as caught:
            write(bench, changes[:1])
        one_sentence(caught.value, bench.scope)
        bench.driver.probe(bench.scope)

    def test_the_loop_applies_verifies_repairs_and_returns(self, bench: Bench) -> None:
        notes, found = Notes(), read(bench).state
        assert run(bench, Purpose.LOOK, bench.first, notes).result is Result.LOOKED
        assert run(bench, Purpose.APPLY, bench.first, notes).result is Result.APPLIED
        again = run(bench, Purpose.VERIFY, bench.first, notes)
        assert (again.result, again.touched) == (Result.IN_SYNC, False)
        bench.disturb()
        repaired = run(bench, Purpose.VERIFY, bench.first, notes)
        assert repaired.result is Result.REPAIRED
        assert repaired.drift
        assert run(bench, Purpose.APPLY, bench.second, notes).result is Result.APPLIED
        assert run(bench, Purpose.RETURN, found, notes).result is Result.APPLIED
        assert text(read(bench), found) == render(found)
        assert notes.open is None

    def test_the_loop_restores_what_was_there_when_a_value_is_impossible(self, bench: Bench) -> None:
        notes = Notes()
        run(bench, Purpose.APPLY, bench.first, notes)
        rest = [e for e in bench.second if e.name != bench.impossible.name]
        outcome = run(bench, Purpose.APPLY, (*rest, bench.impossible), notes)
        assert (outcome.result, outcome.reason) == (Result.RESTORED, "Refused"), outcome.message
        assert text(read(bench), bench.first) == render(bench.first)
