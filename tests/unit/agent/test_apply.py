"""Whatever a device does, a reconcile ends in the desired state or in the one before, and says which."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from agentlab import EMPTY, PORT, A, B, name_of

from trafficd_agent.apply import Order, Outcome, Purpose, Result, SaveError, reconcile
from trafficd_agent.drivers.fake import Behaviour, Error, FakeDriver, FakeOptions
from trafficd_topology.diff import Element, Op, State, describe, diff, render, state
from trafficd_topology.qos.ib import IbOption
from trafficd_topology.qos.tc import TcLeaf, TcOther, TcQdisc


@dataclass
class Notes:
    """A journal that notes what it is told."""

    said: list[str] = field(default_factory=list)
    full: bool = False

    def begin(self, before: State, target: State) -> None:
        if self.full:
            raise SaveError("cannot save journal: No space left on device; free space")
        self.said.append(f"begin {name_of(before)} -> {name_of(target)}")

    def settle(self, holds: State) -> None:
        self.said.append(f"settle {name_of(holds)}")


def device(holds: State, **behaviour: object) -> FakeDriver:
    driver = FakeDriver(FakeOptions())
    driver.device.hold(PORT.name, holds)
    driver.behaviour = Behaviour(**behaviour)  # type: ignore[arg-type]
    return driver


def run(
    driver: FakeDriver, desired: State, purpose: Purpose = Purpose.APPLY, **more: object
) -> tuple[Outcome, Notes]:
    notes = Notes()
    return reconcile(driver, Order(PORT.name, desired, purpose, **more), notes), notes  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [EMPTY, B, A], ids=name_of)
@pytest.mark.parametrize("desired", [A, B, EMPTY], ids=name_of)
def test_applied_twice_and_reverted(before: State, desired: State) -> None:
    driver = device(before)
    first, notes = run(driver, desired)
    writes = driver.device.writes(PORT.name)
    again, _ = run(driver, desired)
    assert render(driver.device.holds(PORT.name)) == render(desired)
    assert first.result is (Result.IN_SYNC if before == desired else Result.APPLIED)
    assert (again.result, driver.device.writes(PORT.name)) == (Result.IN_SYNC, writes)
    run(driver, before)
    assert render(driver.device.holds(PORT.name)) == render(before)
    told = [f"begin {name_of(before)} -> {name_of(desired)}", f"settle {name_of(desired)}"]
    assert notes.said == ([] if before == desired else told)


MISBEHAVIOURS = {
    "refuses a kind": ({"refuse": ("class",)}, "Refused"),
    "refuses one element": ({"refuse": ("filter/dscp-8",)}, "Refused"),
    "ignores a kind": ({"ignore": ("class",)}, "VerificationFailed"),
    "ignores the last written": ({"ignore": ("filter",)}, "VerificationFailed"),
    "writes another value": ({"alter": ("class/10",)}, "VerificationFailed"),
    "reads another value": ({"lie": ("class/1[12]",)}, "VerificationFailed"),
    "loses an element": ({"drop": ("filter/dscp-8",)}, "VerificationFailed"),
    "writes half": ({"half": ("class",)}, "Busy"),
}


@pytest.mark.parametrize("before", [EMPTY, B], ids=name_of)
@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_misbehaviour_ends_in_the_state_before(name: str, before: State) -> None:
    behaviour, reason = MISBEHAVIOURS[name]
    driver = device(before, **behaviour)
    seen = driver.read(PORT.name).state
    outcome, notes = run(driver, A)
    restorable = driver.read(PORT.name).state == seen
    assert (outcome.result, outcome.reason) == (
        (Result.RESTORED, reason) if restorable else (Result.STUCK, "RestoreFailed")
    )
    assert outcome.touched
    assert outcome.differences
    assert notes.said[0] == f"begin {name_of(seen)} -> A"
    assert notes.said[1:] == ([f"settle {name_of(seen)}"] if restorable else [])


def test_restored_from_nothing_in_every_case_and_from_b_in_all_but_those_that_forbid_it() -> None:
    stuck = set()
    for before in (EMPTY, B):
        for name, (behaviour, _) in MISBEHAVIOURS.items():
            driver = device(before, **behaviour)
            driver.read(PORT.name)
            if run(driver, A)[0].result is Result.STUCK:
                stuck.add((name_of(before), name))
    # These are wrong on the way back as well: what B holds is itself written, or read, as something else.
    assert stuck == {("B", "writes another value"), ("B", "reads another value")}


@pytest.mark.parametrize("after", range(1, 8))
@pytest.mark.parametrize("error", list(Error))
def test_every_write_that_fails_once(after: int, error: Error) -> None:
    """The n-th write fails and the device then behaves again: always back to what was before."""

    class Once(FakeDriver):
        def write(self, scope: str, change: object) -> None:
            try:
                super().write(scope, change)  # type: ignore[arg-type]
            except Exception:
                self.behaviour = Behaviour()
                raise

    driver = Once(FakeOptions())
    driver.device.hold(PORT.name, B)
    driver.behaviour = Behaviour(fail_after=after - 1, error=error)
    outcome, _ = run(driver, A)
    expected = {Error.BUSY: "Busy", Error.GONE: "Gone", Error.PERMISSION: "PermissionMissing"}
    expected |= {Error.REFUSED: "Refused", Error.FAULT: "DriverFault"}
    changes = 6
    if after > changes:
        assert (outcome.result, name_of(driver.device.holds(PORT.name))) == (Result.APPLIED, "A")
    else:
        assert (outcome.result, outcome.reason) == (Result.RESTORED, expected[error])
        assert name_of(driver.device.holds(PORT.name)) == "B"
        assert outcome.passing is (error in (Error.BUSY, Error.GONE))


def test_a_device_that_fails_for_good_is_stuck_and_restored_later() -> None:
    driver = device(B, fail_after=3, error=Error.PERMISSION)
    outcome, notes = run(driver, A)
    assert (outcome.result, outcome.reason) == (Result.STUCK, "RestoreFailed")
    assert notes.said == ["begin B -> A"]
    driver.behaviour = Behaviour()
    later, notes = run(driver, B, Purpose.RESTORE, restore_to=B)
    assert (later.result, name_of(driver.device.holds(PORT.name))) == (Result.APPLIED, "B")
    assert notes.said == ["begin B -> B", "settle B"]


@pytest.mark.parametrize(
    ("behaviour", "purpose", "result", "reason"),
    [
        (
            {"foreign": ("root qdisc 1: cake of somebody else's",)},
            Purpose.APPLY,
            Result.FOREIGN,
            "ForeignConfiguration",
        ),
        ({"absent": True}, Purpose.APPLY, Result.NOT_READ, "Gone"),
        ({}, Purpose.LOOK, Result.LOOKED, "Differs"),
        ({"foreign": ("x",)}, Purpose.LOOK, Result.LOOKED, "Differs"),
    ],
)
def test_nothing_is_written(
    behaviour: dict[str, object], purpose: Purpose, result: Result, reason: str
) -> None:
    driver = device(B, **behaviour)
    outcome, notes = run(driver, A, purpose)
    assert (outcome.result, outcome.reason, outcome.touched) == (result, reason, False)
    assert (driver.device.writes(PORT.name), notes.said) == (0, [])


def test_foreign_beside_the_desired_state_is_reported_and_does_not_block() -> None:
    outcome, _ = run(device(A, foreign=("a filter of somebody else's",)), A)
    assert (outcome.result, outcome.foreign) == (Result.IN_SYNC, ("a filter of somebody else's",))


def test_nothing_is_written_when_the_state_found_cannot_be_saved() -> None:
    driver = device(B)
    outcome = reconcile(driver, Order(PORT.name, A), Notes(full=True))
    assert (outcome.result, outcome.reason, driver.device.writes(PORT.name)) == (
        Result.NOT_SAVED,
        "NotSaved",
        0,
    )


@pytest.mark.parametrize(
    ("purpose", "result"),
    [(Purpose.APPLY, Result.WAITING), (Purpose.RETURN, Result.WAITING)],
)
def test_a_step_that_flaps_the_link_waits(purpose: Purpose, result: Result) -> None:
    driver = FakeDriver(FakeOptions(disruptive=("leaf",)))
    driver.device.hold(PORT.name, B)
    outcome, _ = run(driver, A, purpose)
    assert (outcome.result, driver.device.writes(PORT.name)) == (result, 0)
    assert outcome.message == "the change costs a link flap and waits for the operator's leave"


def test_drift_is_repaired_up_to_the_first_step_that_flaps_the_link() -> None:
    driver = FakeDriver(FakeOptions(disruptive=("leaf",)))
    driver.device.hold(PORT.name, B)
    outcome, _ = run(driver, A, Purpose.VERIFY)
    assert (outcome.result, outcome.reason) == (Result.DRIFTED, "RepairNotHitless")
    assert {c.kind for c in outcome.changes} == {"class"}
    assert outcome.differences == describe(diff(A, driver.device.holds(PORT.name)))
    writes = driver.device.writes(PORT.name)
    again, _ = run(driver, A, Purpose.VERIFY)
    assert (again.result, again.changes, driver.device.writes(PORT.name)) == (Result.DRIFTED, (), writes)


def test_an_element_no_driver_step_knows_is_refused() -> None:
    for strange in (Element("other", "tree", TcOther("x")), Element("port", "", TcLeaf(1))):
        outcome, _ = run(device(B), (strange,))
        assert (outcome.result, outcome.reason) == (Result.UNSUPPORTED, "UnknownElement")


def test_what_can_only_be_removed_is_not_put_back() -> None:
    intruder = state([*B, Element("other", "leaf/10", TcOther("netem"))])
    driver = device(intruder, refuse=("filter/dscp-26",))
    outcome, _ = run(driver, A)
    assert outcome.result is Result.RESTORED
    assert name_of(tuple(e for e in driver.device.holds(PORT.name) if e.kind != "other")) == "B"


def test_what_cannot_be_read_back_is_named_written_and_does_not_block() -> None:
    hidden = Behaviour(lie=("qdisc",), unreadable=("qdisc.default_minor",))
    driver = device(EMPTY)
    driver.behaviour = hidden
    first, _ = run(driver, A)
    assert (first.result, first.unreadable) == (Result.APPLIED, ("qdisc.default_minor",))
    assert name_of(driver.device.holds(PORT.name)) == "A"
    other = tuple(Element("qdisc", "", TcQdisc(0x11, 98_000_000)) if e.kind == "qdisc" else e for e in A)
    second, _ = run(driver, other, believed=A)
    assert (second.result, len(second.changes)) == (Result.APPLIED, 1)
    assert driver.device.holds(PORT.name) == other
    third, _ = run(driver, other, believed=other)
    assert third.result is Result.IN_SYNC


def test_stopped_half_way_the_journal_stays_open_and_the_next_run_restores_what_was_first() -> None:
    driver, notes = device(B), Notes()
    order = Order(PORT.name, A)
    outcome = reconcile(driver, order, notes, lambda: driver.device.writes(PORT.name) >= 3)
    assert (outcome.result, len(outcome.changes), notes.said) == (Result.STOPPED, 3, ["begin B -> A"])
    driver.behaviour = Behaviour(refuse=("filter",))
    outcome, notes = run(driver, A, restore_to=B)
    assert (outcome.result, notes.said) == (Result.RESTORED, ["begin B -> A", "settle B"])
    assert name_of(driver.device.holds(PORT.name)) == "B"


def test_writes_follow_the_order_table() -> None:
    driver = device(B)
    outcome, _ = run(driver, A)
    orders = [driver.steps[c.op, c.kind].order for c in outcome.changes]
    assert orders == sorted(orders)
    assert [c.op for c in outcome.changes] == [Op.ADD, Op.ADD, Op.CHANGE, Op.CHANGE, Op.REMOVE, Op.REMOVE]


def test_a_driver_that_does_not_know_the_kind() -> None:
    driver = device(EMPTY)
    driver.steps = {k: v for k, v in driver.steps.items() if k[1] != "option"}
    outcome, _ = run(driver, (Element("option", "qos", IbOption("TRUE")),))
    assert outcome.message == "driver fake does not know elements of kind option"
