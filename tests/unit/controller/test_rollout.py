"""A rollout turn by turn: who is admitted when, what it waits for, what halts it, and how it goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trafficd.core.losses import Losses, LossMeter, places, risen
from trafficd.core.rollout import Phase, Rollout, Seen, Standing, advance, loses, resume, watched_from, waves
from trafficd_topology.counters import Column, CounterKind, Quantity
from trafficd_topology.qos.policy import RolloutSettings

OK, WAITS, BROKEN = (
    Seen(Standing.VERIFIED),
    Seen(Standing.PENDING, "p0 is slow"),
    Seen(Standing.FAILED, "p0 lied"),
)
QUICK = RolloutSettings(wave_percent=40, soak_s=0, deadline_s=60)
FIVE = tuple("abcde")


def begin(settings: RolloutSettings = QUICK, nodes: tuple[str, ...] = FIVE) -> Rollout:
    return Rollout(settings, waves(nodes, settings))


def play(rollout: Rollout, *turns: tuple[float, str, Seen]) -> str:
    """Turns as (time, nodes, how they stand); all others are verified. What was admitted at each, as text."""
    told: list[str] = []
    now: Rollout | None = rollout
    for at, nodes, how in turns:
        assert now is not None
        now = advance(now, {n: how if n in nodes else OK for n in now.admitted}, at)
        told.append("done" if now is None else f"{''.join(sorted(now.admitted))} {now.phase}")
    return ", ".join(told)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (RolloutSettings(), "a | bc | de"),
        (RolloutSettings(canary_count=0), "ab | cd | e"),
        (RolloutSettings(canary_nodes=("d", "unknown")), "d | ab | ce"),
        (RolloutSettings(canary_count=9), "abcde"),
        (RolloutSettings(canary_nodes=("gone",)), "a | bc | de"),
        (RolloutSettings(wave_percent=1), "a | b | c | d | e"),
        (RolloutSettings(wave_percent=100), "a | bcde"),
    ],
)
def test_waves(how: RolloutSettings, expected: str) -> None:
    assert " | ".join("".join(w) for w in waves(reversed(FIVE), how)) == expected


def test_a_wave_is_told_when_the_one_before_it_has_soaked() -> None:
    soaking = begin(replace(QUICK, soak_s=10))
    assert play(soaking, (0, "", OK), (1, "", OK), (10.9, "", OK), (11, "", OK), (12, "", OK)) == (
        "a verifying, a soaking, a soaking, abc verifying, abc soaking"
    )


def test_without_soak_a_wave_takes_one_turn() -> None:
    turns = [(float(i), "", OK) for i in range(4)]
    assert play(begin(), *turns) == "a verifying, abc verifying, abcde verifying, done"


def test_no_more_than_max_unavailable_are_told_and_not_verified() -> None:
    one = begin(replace(QUICK, wave_percent=100, max_unavailable=2))
    told = play(one, (0, "", OK), (1, "", OK), (2, "bc", WAITS), (3, "b", WAITS), (4, "", OK), (5, "", OK))
    assert told == "a verifying, abc verifying, abc verifying, abcd verifying, abcde verifying, done"


@pytest.mark.parametrize("soak_s", [0.0, 30.0])
def test_a_failure_halts_it_whenever_it_comes(soak_s: float) -> None:
    told = advance(begin(replace(QUICK, soak_s=soak_s)), {}, 0)
    assert told is not None
    halted = advance(told, {"a": BROKEN}, 1)
    assert halted is not None
    assert (halted.phase, halted.reason) == (Phase.HALTED, "node a: p0 lied")
    assert advance(halted, {"a": OK}, 1000) == halted, "it stays so"


def test_an_earlier_wave_that_fails_halts_a_later_one() -> None:
    assert play(begin(), (0, "", OK), (1, "", OK), (2, "a", BROKEN)) == (
        "a verifying, abc verifying, abc halted"
    )


def test_a_wave_that_is_late_halts_it_and_one_that_was_verified_may_be_late_once_more() -> None:
    assert play(begin(), (0, "", OK), (60, "a", WAITS), (61, "a", WAITS)) == (
        "a verifying, a verifying, a halted"
    )
    soaking = begin(replace(QUICK, soak_s=10))
    turns = [(0.0, "", OK), (1.0, "", OK), (11.0, "a", WAITS), (71.0, "a", WAITS), (72.0, "a", WAITS)]
    assert play(soaking, *turns) == "a verifying, a soaking, a soaking, a soaking, a halted"


def test_going_on_leaves_out_those_that_are_not_verified_and_takes_dead_ports_as_they_are() -> None:
    halted = replace(begin(), phase=Phase.HALTED, admitted=frozenset("ab"), reason="why", since=3.0)
    after = resume(halted, {"a": BROKEN, "b": OK}, frozenset({"b/p1"}))
    expected = (Phase.VERIFYING, "", None, frozenset("a"), frozenset({"b/p1"}))
    assert (after.phase, after.reason, after.since, after.excused, after.down) == expected


def test_a_restart_gives_a_wave_its_time_anew() -> None:
    told = replace(begin(), admitted=frozenset("a"), since=None)
    first = advance(told, {"a": WAITS}, 5000)
    assert first is not None
    assert (first.phase, first.since) == (Phase.VERIFYING, 5000)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(1, 12),
    st.floats(1, 100),
    st.integers(0, 5),
    st.lists(st.sampled_from([OK, OK, OK, WAITS]), max_size=30),
)
def test_whatever_order_every_node_is_told_once_and_within_the_budget(
    nodes: int, percent: float, budget: int, moods: list[Seen]
) -> None:
    how = RolloutSettings(wave_percent=percent, max_unavailable=budget, soak_s=0, deadline_s=10_000)
    names = tuple(f"n{i:02}" for i in range(nodes))
    now: Rollout | None = begin(how, names)
    before: frozenset[str] = frozenset()
    for turn, mood in enumerate([*moods, *[OK] * (3 * nodes + 3)]):
        assert now is not None
        seen = dict.fromkeys(now.admitted, mood)
        after = advance(now, seen, turn)
        if after is None:
            assert now.admitted == frozenset(names), "nobody is left out"
            return
        new = after.admitted - before
        assert after.admitted >= before
        assert new <= set(after.waves[after.wave]), "only this wave's"
        assert not (new and mood is WAITS and budget and len(before) >= budget), "the budget is kept"
        now, before = after, after.admitted
    pytest.fail("a rollout of verified nodes never ended")


def test_losses_are_compared_with_before_the_wave() -> None:
    told = advance(begin(), {}, 0)
    assert told is not None
    told = watched_from(told, {"a": Losses(900.0, None)})
    assert loses(told, "a", Losses(1000.0, 7000.0)) == "", "retransmits were not counted before"
    assert loses(told, "a", Losses(1000.5, None)) == (
        "1000 discards a second over 10 s, 900 before its wave (100 more are allowed)"
    )
    assert watched_from(told, {"a": Losses(5000.0, 0.0)}) == told, "the first stays"


def test_a_limit_of_0_watches_nothing() -> None:
    assert risen(Losses(1e9, 1e9), Losses(0, 0), (0, 0)) == ""
    assert risen(Losses(1e9, 3), Losses(0, 0), (0, 2)).startswith("3 retransmits a second")


def test_a_meter_counts_whole_ports_over_its_window() -> None:
    rising = CounterKind.WRAP64
    columns = (
        Column("c0", Quantity.DROPS, None, rising),
        Column("c0", Quantity.DROPS, None, rising, lane_id=3),
        Column("c1", Quantity.DROPS, None, rising),
        Column("c1", Quantity.ACK_TIMEOUTS, None, rising),
        Column("c1", Quantity.BYTES, None, rising),
    )
    assert places(columns) == ((0, 2), (3,))
    meter = LossMeter(places(columns))
    assert meter.rates(0) == Losses(None, None)
    meter.add(1.0, 1.0, (10, 500, 5, None, 9).__getitem__)
    assert meter.rates(1.0) == Losses(15.0, None)
    meter.add(3.0, 2.0, (0, 500, None, 6, 9).__getitem__)
    assert meter.rates(3.0) == Losses(5.0, 3.0), "an unknown one counts neither packets nor time"
    assert meter.rates(10.999) == Losses(5.0, 3.0)
    assert meter.rates(11.0) == Losses(0.0, 3.0)
    assert meter.rates(13.0) == Losses(None, None), "silence is not zero"
