"""The ledger's promises, over every order of operations that hypothesis can think of."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trafficd.choice.ledger import MAX_TTL_S, Ledger
from trafficd.choice.request import LegBytes, Reservation

NICS = ("a/s0", "b/s0", "b/c0")
SIZES = st.integers(0, 10**12)
Step = tuple[str, int, str, int, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "renew", "release", "sample", "unmeasured", "restate"]),
        st.integers(0, 9),
        st.sampled_from(NICS),
        SIZES,
        st.floats(0, 40),
    ),
    max_size=40,
)


@dataclass
class Run:
    """A ledger under a random sequence of operations."""

    ledger: Ledger = field(default_factory=lambda: Ledger("t"))
    now: float = 100.0
    leases: set[str] = field(default_factory=set)

    def step(self, what: str, which: int, nic: str, size: int, wait: float) -> None:
        self.now += wait
        legs = Reservation(f"r{which}", (LegBytes(nic, size), LegBytes(NICS[which % 3], size // 2)), 20.0)
        account = self.ledger.account(nic)
        if what == "reserve":
            self.leases.add(self.ledger.reserve(legs, self.now).id)
        elif what == "renew":
            self.leases.add(self.ledger.renew(f"elsewhere-{which}", legs, self.now).id)
        elif what == "release":
            self.ledger.release(f"t-{which}", self.now)
        elif what == "sample":
            account.sample(float(size), self.now, self.now)
        elif what == "unmeasured":
            account.offered = float(size)
            account.unmeasured()
        else:
            account.restate(float(size), self.now)

    def held(self) -> float:
        return sum(self.ledger.account(n).reserved for n in NICS)


def bytes_of(size: int, nic: str = "a/s0", request: str = "r", ttl_s: float = 10.0) -> Reservation:
    return Reservation(request, (LegBytes(nic, size),), ttl_s)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_never_negative_and_never_more_than_was_put_there(steps: list[Step]) -> None:
    run = Run()
    put = 0
    for step in steps:
        run.step(*step)
        put += step[3] * 2
        for nic in NICS:
            account = run.ledger.account(nic)
            assert 0 <= account.outstanding(run.now) <= put * 1.000001 + 1
            assert account.reserved >= 0
            assert account.unreserved >= 0
            assert account.drain >= 0
            assert math.isfinite(account.available)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_reservations_return_to_zero_by_release(steps: list[Step]) -> None:
    run = Run()
    for step in steps:
        run.step(*step)
    for lease in sorted(run.leases):
        run.ledger.release(lease, run.now)
    assert (run.held(), len(run.ledger)) == (0.0, 0)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_reservations_return_to_zero_by_expiry(steps: list[Step]) -> None:
    run = Run()
    for step in steps:
        run.step(*step)
    run.ledger.expire(run.now + 20.001)
    assert (run.held(), len(run.ledger)) == (0.0, 0)


@given(st.lists(st.sampled_from(["r1", "r2", "r3"]), max_size=20))
def test_a_request_id_has_one_lease(requests: list[str]) -> None:
    ledger = Ledger("t")
    leases = {r: ledger.reserve(bytes_of(1000, request=r), 0.0).id for r in requests}
    again = {r: ledger.reserve(bytes_of(1000, request=r), 0.0).id for r in requests}
    assert leases == again
    assert ledger.totals(0.0) == ({"a/s0": 1000 * len(leases)} if leases else {})


def test_releasing_twice_is_no_error_and_says_so() -> None:
    ledger = Ledger("t")
    lease = ledger.reserve(bytes_of(10), 0.0).id
    assert (ledger.release(lease, 1.0), ledger.release(lease, 1.0)) == (True, False)


def test_expiry_returns_the_bytes_at_the_deadline_and_not_before() -> None:
    ledger = Ledger("t")
    ledger.reserve(bytes_of(1000, ttl_s=10.0), 0.0)
    assert [ledger.totals(t) for t in (9.999, 10.0)] == [{"a/s0": 1000}, {}]


def test_a_lease_lasts_no_longer_than_the_limit() -> None:
    assert Ledger("t").reserve(bytes_of(1, ttl_s=1e9), 0.0).ttl_s == MAX_TTL_S


def test_renewal_restates_extends_and_is_taken_back_after_a_restart() -> None:
    before = Ledger("first")
    lease = before.reserve(bytes_of(1000, ttl_s=10.0), 0.0)
    before.renew(lease.id, bytes_of(600, ttl_s=10.0), 5.0)
    assert [before.totals(t) for t in (5.0, 14.9, 15.0)] == [{"a/s0": 600}, {"a/s0": 600}, {}]
    after = Ledger("second")
    assert after.renew(lease.id, bytes_of(600, ttl_s=10.0), 0.0).id == lease.id
    assert after.totals(0.0) == {"a/s0": 600}
    assert after.release(lease.id, 1.0)


def test_a_renewal_under_another_id_replaces_the_orphan_of_its_request() -> None:
    ledger = Ledger("t")
    ledger.reserve(bytes_of(1000, request="r"), 0.0)
    ledger.renew("mine", bytes_of(1000, request="r"), 0.0)
    assert (ledger.totals(0.0), len(ledger)) == ({"a/s0": 1000}, 1)


def test_drains_at_the_measured_rate_in_proportion_to_what_is_left() -> None:
    ledger = Ledger("t")
    account = ledger.account("a/s0")
    account.sample(0.0, 0.0, 0.0)
    ledger.reserve(bytes_of(3000, request="r1", ttl_s=100), 0.0)
    second = ledger.reserve(bytes_of(1000, request="r2", ttl_s=100), 0.0)
    account.sample(400.0, 1.0, 1.0)
    assert ledger.totals(1.0) == {"a/s0": 3600}
    assert ledger.totals(2.0) == {"a/s0": 3200}
    assert ledger.remaining(second.id, 2.0) == (LegBytes("a/s0", 800),)


def test_a_measurement_corrects_what_was_inferred() -> None:
    ledger = Ledger("t")
    account = ledger.account("a/s0")
    account.sample(0.0, 0.0, 0.0)
    ledger.reserve(bytes_of(10_000, ttl_s=100), 0.0)
    account.sample(1000.0, 1.0, 1.0)
    assert ledger.totals(2.0) == {"a/s0": 8000}
    account.sample(200.0, 2.0, 2.0)
    assert ledger.totals(2.0) == {"a/s0": 8800}


def test_an_inference_alone_finishes_nothing_and_a_measurement_does() -> None:
    ledger = Ledger("t")
    account = ledger.account("a/s0")
    account.sample(0.0, 0.0, 0.0)
    ledger.reserve(bytes_of(1000, ttl_s=100), 0.0)
    account.sample(500.0, 1.0, 1.0)
    assert ledger.totals(50.0) == {"a/s0": 1}
    account.sample(500.0, 51.0, 51.0)
    assert ledger.totals(51.0) == {}


def test_kv_that_nobody_reserved_is_measured_minus_expected() -> None:
    ledger = Ledger("t")
    account = ledger.account("a/s0")
    account.offered = 1000.0
    account.sample(0.0, 0.0, 0.0)
    ledger.reserve(bytes_of(300, ttl_s=100), 0.0)
    account.sample(700.0, 1.0, 1.0)
    account.reckon(1.0)
    assert (account.foreign, account.available, ledger.totals(1.0)) == (400.0, 600.0, {})


def test_a_report_replaces_what_was_known_and_later_reservations_add_to_it() -> None:
    ledger = Ledger("t")
    lease = ledger.reserve(bytes_of(1000, request="r1", ttl_s=100), 0.0).id
    account = ledger.account("a/s0")
    account.restate(5000.0, 1.0)
    ledger.reserve(bytes_of(700, request="r2", ttl_s=100), 2.0)
    assert ledger.totals(2.0) == {"a/s0": 5700}
    account.restate(850.0, 3.0)
    assert [round(account.reserved), round(account.unreserved)] == [850, 0]
    assert ledger.remaining(lease, 3.0) == (LegBytes("a/s0", 500),)


def test_what_was_just_reserved_is_not_in_a_reported_queue_yet() -> None:
    ledger = Ledger("t")
    account = ledger.account("a/s0")
    ledger.reserve(bytes_of(1000, request="old", ttl_s=100), 0.0)
    ledger.reserve(bytes_of(700, request="new", ttl_s=100), 5.0)
    account.restate(0.0, 5.1)
    assert ledger.totals(5.1) == {"a/s0": 700}
    account.restate(0.0, 5.3)
    assert ledger.totals(5.3) == {}


def test_a_renewal_states_no_more_than_is_left_of_what_is_known() -> None:
    ledger = Ledger("t")
    account = ledger.account("a/s0")
    lease = ledger.reserve(bytes_of(1000, ttl_s=100), 0.0)
    account.restate(400.0, 1.0)
    ledger.renew(lease.id, bytes_of(1000, ttl_s=100), 2.0)
    assert ledger.totals(2.0) == {"a/s0": 400}


@pytest.mark.parametrize("size", [10**18, 2**64 - 1])
def test_absurd_sizes_do_not_break_the_sum(size: int) -> None:
    ledger = Ledger("t")
    ledger.reserve(bytes_of(size, request="r1"), 0.0)
    lease = ledger.reserve(bytes_of(1, request="r2"), 0.0).id
    ledger.release(lease, 0.0)
    ledger.release("t-1", 0.0)
    assert ledger.totals(0.0) == {}
