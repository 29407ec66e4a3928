"""What holds for every split: whole, alive, no part too small, never later than the best single leg."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathlab import GB, LAYOUT, RATE, engine, read, snapshot

from trafficd.choice.engine import PathEngine
from trafficd.choice.request import Abilities, Plan, Request, Side
from trafficd.choice.settings import PathSettings
from trafficd.choice.snapshot import Snapshot

MANY = Abilities(read_on_decode_side=True, max_legs=4)
MIN = 16 * 2**20
states = st.tuples(st.booleans(), st.integers(RATE // 50, RATE), st.integers(0, 30 * GB), st.booleans())


def shaped(rows: list[tuple[bool, int, int, bool]], *, through: bool) -> PathEngine:
    """An engine on the little fabric: (up, what KV may use, bytes queued, measured) per NIC."""
    taken: Snapshot = replace(snapshot(), settings=PathSettings(through_compute_nics=through))
    found = tuple(
        state._replace(
            up=up, kv_available_bps=available, measured_unix_ns=state.measured_unix_ns if ok else None
        )
        for state, (up, available, _, ok) in zip(taken.states, rows, strict=True)
    )
    made = engine(replace(taken, states=found))
    for name, (_, _, queue, _) in zip(LAYOUT.index.nic_names, rows, strict=True):
        made.ledger.account(name).restate(float(queue), 0.0)
    return made


def first(made: PathEngine, asked: Request) -> Plan | None:
    answer = made.recommend(asked, 0.0)
    return answer.plans[0] if answer.plans else None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(states, min_size=len(LAYOUT.nics), max_size=len(LAYOUT.nics)),
    st.integers(0, 30 * GB),
    st.sampled_from(["split", "balanced"]),
    st.booleans(),
    st.sampled_from([0.0, 5.0]),
)
def test_a_split_is_whole_alive_and_never_later_than_the_best_single_leg(
    rows: list[tuple[bool, int, int, bool]], size: int, strategy: str, through: bool, reserve_s: float
) -> None:
    asked = read(abilities=MANY, bytes=size, strategy=strategy, reserve_s=reserve_s)
    plan = first(shaped(rows, through=through), asked)
    singles = [
        first(shaped(rows, through=through), replace(asked, abilities=able, strategy="dualpath-ledger"))
        for able in (Abilities(), Abilities(read_on_decode_side=True, no_prefill_side=True))
    ]
    best = min((s.expected_seconds for s in singles if s), default=None)
    assert (plan is None) == (best is None)
    if plan is None or best is None:
        return
    down = {name for name, row in zip(LAYOUT.index.nic_names, rows, strict=True) if not row[0]}
    assert sum(leg.bytes for leg in plan.legs) == size
    assert not down & {nic for leg in plan.legs for nic in leg.nics}
    if len(plan.legs) > 1:
        assert plan.expected_seconds <= best
        assert min(leg.bytes for leg in plan.legs) >= MIN
        assert max(leg.expected_seconds for leg in plan.legs) == plan.expected_seconds


def test_two_idle_sides_take_half_each() -> None:
    plan = first(engine(), read(abilities=MANY, strategy="split"))
    assert plan is not None
    assert [(leg.side, leg.bytes) for leg in plan.legs] == [(Side.PREFILL, 5 * GB), (Side.DECODE, 5 * GB)]
    assert plan.expected_seconds == pytest.approx(0.5)


def test_a_queue_moves_bytes_to_the_other_side_until_both_are_done_together() -> None:
    made = engine()
    made.ledger.account("p1/s0").restate(4.0 * GB, 0.0)
    plan = first(made, read(abilities=MANY, strategy="split"))
    assert plan is not None
    assert {leg.side: round(leg.bytes / GB, 3) for leg in plan.legs} == {Side.PREFILL: 3.0, Side.DECODE: 7.0}
    assert plan.expected_seconds == pytest.approx(0.7, rel=1e-3)


def test_copies_follow_the_read_and_count_each_direction_by_itself() -> None:
    """Half by each side: 0.5 s from storage, then the prefill GPU's NIC sends 10 GB and receives as many."""
    made = engine(replace(snapshot(), settings=PathSettings(through_compute_nics=True)))
    plan = first(made, read(abilities=MANY, strategy="split"))
    alone = first(made, read(abilities=replace(MANY, max_legs=1), strategy="split"))
    assert plan is not None
    assert alone is not None
    assert plan.expected_seconds == pytest.approx(0.5 + 1.0)
    # One leg by the decode side: the whole read from storage, then once through the NICs of the way.
    assert (alone.legs[0].side, alone.expected_seconds) == (Side.DECODE, pytest.approx(1.0 + 1.0))
    assert dict(plan.legs[0].loads or plan.legs[1].loads)["p1/c0"] == 2.0


def test_small_reads_and_small_gains_are_not_split() -> None:
    plan = first(engine(), read(abilities=MANY, strategy="split", bytes=2 * MIN - 2))
    assert plan is not None
    assert len(plan.legs) == 1
    made = engine()
    made.ledger.account("d1/s0").restate(9.9 * GB, 0.0)
    plan = first(made, read(abilities=MANY, strategy="split"))
    assert plan is not None
    assert len(plan.legs) == 1


def test_a_reservation_of_a_split_returns_to_zero() -> None:
    made = engine(replace(snapshot(), settings=PathSettings(through_compute_nics=True)))
    for i in range(20):
        answer = made.recommend(read(f"r{i}", abilities=MANY, reserve_s=30.0, decode=(), prefill=()), 0.0)
        assert answer.lease is not None
        made.release(answer.lease.id, 0.1)
    assert made.totals(0.2) == {}
