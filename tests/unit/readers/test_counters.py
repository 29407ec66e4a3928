"""Rates: wraps, resets, saturation and what is not known, for every kind of counter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficd_topology.counters import (
    MAX_STEP64,
    MODULUS32,
    MODULUS64,
    SATURATED32,
    Column,
    CounterKind,
    Direction,
    Rates,
    Sample,
    Unfolded,
    delta,
    first_of_each,
    rate,
    rates,
)

K = CounterKind
u32 = st.integers(0, MODULUS32 - 1)
u64 = st.integers(0, MODULUS64 - 1)
anything = st.one_of(st.none(), st.integers(-5, 2 * MODULUS64))


@given(start=u64, step=st.integers(0, MAX_STEP64 - 1))
def test_a_64_bit_counter_is_followed_across_its_end(start: int, step: int) -> None:
    assert delta(K.WRAP64, start, (start + step) % MODULUS64) == step


@given(start=u32, step=st.integers(0, MODULUS32 // 2 - 1))
def test_a_32_bit_counter_is_followed_across_its_end(start: int, step: int) -> None:
    assert delta(K.WRAP32, start, (start + step) % MODULUS32) == step


@given(start=st.integers(1, MODULUS64 - MAX_STEP64), after=st.integers(0, MAX_STEP64))
def test_a_64_bit_reset_is_a_new_baseline_and_never_a_burst(start: int, after: int) -> None:
    after = min(after, start - 1)
    assert delta(K.WRAP64, start, after) is None


@given(start=u32, after=u32)
def test_a_saturating_counter_never_says_zero_when_stuck(start: int, after: int) -> None:
    step = delta(K.SATURATE32, start, after)
    assert (step is None) == (after < start or after == SATURATED32)
    assert delta(K.SATURATE32, SATURATED32, SATURATED32) is None


@given(kind=st.sampled_from(K), a=anything, b=anything)
def test_no_delta_is_negative_absurd_or_made_up_from_missing_values(
    kind: CounterKind, a: int | None, b: int | None
) -> None:
    step = delta(kind, a, b)
    if a is None or b is None or kind is K.GAUGE:
        assert step is None
    elif step is not None:
        assert step >= 0
        assert (a + step - b) % MODULUS32 == 0


@pytest.mark.parametrize(
    ("step", "seconds", "most", "want"),
    [
        (100, 2.0, float("inf"), 50.0),
        (0, 1.0, float("inf"), 0.0),
        (None, 1.0, float("inf"), None),
        (100, 0.0, float("inf"), None),
        (100, -1.0, float("inf"), None),
        (100, float("nan"), float("inf"), None),
        (100, 1.0, 99.0, None),
        (100, 1.0, 100.0, 100.0),
    ],
)
def test_rate(step: int | None, seconds: float, most: float, want: float | None) -> None:
    assert rate(step, seconds, most) == want


COLUMNS = (
    Column("eth0", "bytes", Direction.TRANSMIT),
    Column("eth0", "out_of_buffer", None, K.WRAP32),
    Column("eth0", "transmit_wait_ticks", Direction.TRANSMIT, K.SATURATE32),
    Column("eth0", "backlog_bytes", Direction.TRANSMIT, K.GAUGE, lane_id=1),
    Column("eth0", "packets", Direction.TRANSMIT),
)


def test_rates_of_a_sample_are_per_second_and_gauges_as_they_stand() -> None:
    before = Sample(0, 1_000_000_000, (1000, MODULUS32 - 10, 7, 900, 5))
    after = Sample(0, 1_500_000_000, (3000, 10, SATURATED32, 300, None))
    assert rates(COLUMNS, before, after) == Rates(0.5, (4000.0, 40.0, None, 300.0, None))


@pytest.mark.parametrize("now", [1_000_000_000, 999_999_999])
def test_no_time_passed_no_rates(now: int) -> None:
    before, after = Sample(0, 1_000_000_000, (1, 1, 1, 1, 1)), Sample(0, now, (2, 2, 2, 2, 2))
    assert rates(COLUMNS, before, after) is None


def test_samples_of_other_columns_have_no_rates() -> None:
    assert rates(COLUMNS, Sample(0, 1, (1,)), Sample(0, 2, (1, 2, 3, 4, 5))) is None


def test_unfolded_totals_rise_across_wraps_and_restart_at_resets() -> None:
    unfolded, column = Unfolded(), COLUMNS[1]
    readings = [MODULUS32 - 10, None, 5, 1000, 7, MODULUS32 // 2 + 8, 3]
    want = [MODULUS32 - 10, None, MODULUS32 + 5, MODULUS32 + 1000, 7, MODULUS32 // 2 + 8, MODULUS32 + 3]
    assert [unfolded.add(column, r) for r in readings] == want
    assert unfolded.add(COLUMNS[0], 5) == 5


def test_the_first_reader_of_a_count_wins() -> None:
    a, b = Column("eth0", "bytes", Direction.TRANSMIT), Column("eth0", "bytes", Direction.RECEIVE)
    other_kind = Column("eth0", "bytes", Direction.TRANSMIT, K.WRAP32)
    assert first_of_each([a, b, other_kind, a]) == (True, True, False, False)
