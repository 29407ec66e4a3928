"""Max/Avg and Jain's index, against their definitions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficd.core.balance import IDLE, balance

LOADS = st.lists(
    st.floats(0, 1e12, allow_subnormal=False).filter(lambda x: x == 0 or x > 1e-3), min_size=1, max_size=50
)


@pytest.mark.parametrize(
    ("loads", "peak", "jain"),
    [
        ([5, 5, 5, 5], 1, 1),
        ([8, 0, 0, 0], 4, 0.25),
        ([3, 1], 1.5, 0.8),
        # Two of four NICs carry everything: the picture of a storage side that idles.
        ([1, 1, 0, 0], 2, 0.5),
        ([7], 1, 1),
    ],
)
def test_known_values(loads: list[float], peak: float, jain: float) -> None:
    got = balance(loads)
    assert (got.max_over_average, got.jain) == (pytest.approx(peak), pytest.approx(jain))


@pytest.mark.parametrize("loads", [[], [0], [0, 0, 0]])
def test_idle_is_undefined(loads: list[float]) -> None:
    assert balance(loads) == IDLE


@given(LOADS)
def test_bounds_and_scale(loads: list[float]) -> None:
    got = balance(loads)
    if got == IDLE:
        assert not any(loads)
        return
    assert got.max_over_average is not None
    assert got.jain is not None
    n = len(loads)
    assert 1 - 1e-9 <= got.max_over_average <= n + 1e-9
    assert 1 / n - 1e-9 <= got.jain <= 1 + 1e-9
    tenfold = balance(10 * x for x in loads)
    assert math.isclose(tenfold.jain or 0, got.jain, rel_tol=1e-9)
    assert balance(reversed(loads)).max_over_average == pytest.approx(got.max_over_average)
