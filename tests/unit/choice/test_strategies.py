"""Every strategy and every rule for engines against what its definition says."""

from collections import Counter

import pytest
from pathlab import GB, HOSTS, engine, read, snapshot

from trafficd.choice.engine import PathEngine
from trafficd.choice.registry import engine_rule_names, strategy_names
from trafficd.choice.request import Abilities, Answer, EngineRef, EngineReport, Side

ANY = {"prefill": (), "decode": ()}


def report(made: PathEngine, node: str, rank: int = 0, **said: int) -> None:
    assert made.report([EngineReport(EngineRef(node, rank), **said)], 0.0) == ()  # type: ignore[arg-type]


def sides(made: PathEngine, count: int, strategy: str, **changes: object) -> Counter[Side]:
    answers = [made.recommend(read(f"r{i}", strategy=strategy, **changes), 0.0) for i in range(count)]
    return Counter(a.plans[0].legs[0].side for a in answers)


def pair(answer: Answer) -> tuple[str, str]:
    plan = answer.plans[0]
    return str(plan.prefill), str(plan.decode)


@pytest.mark.parametrize("strategy", strategy_names())
@pytest.mark.parametrize("engines", ["", *engine_rule_names()])
def test_every_combination_answers_whole_reads_and_the_same_again(strategy: str, engines: str) -> None:
    def run() -> list[Answer]:
        made = engine()
        asked = [
            read(f"r{i}", strategy=strategy, engines=engines, reserve_s=5.0, bytes=GB * (i % 5), **ANY)
            for i in range(40)
        ]
        return [made.recommend(a, 0.01 * i) for i, a in enumerate(asked)]

    answers = run()
    assert answers == run()
    for i, answer in enumerate(answers):
        assert answer.problems == ()
        assert sum(leg.bytes for leg in answer.plans[0].legs) == GB * (i % 5)


def test_prefill_only_never_leaves_it() -> None:
    made = engine(snapshot(p1_s0={"kv_available_bps": 1}))
    assert sides(made, 10, "prefill-only") == {Side.PREFILL: 10}


def test_round_robin_takes_turns() -> None:
    assert sides(engine(), 100, "round-robin") == {Side.PREFILL: 50, Side.DECODE: 50}


def test_random_is_even_and_the_same_for_the_same_id() -> None:
    found = sides(engine(), 1000, "random")
    assert found == sides(engine(), 1000, "random")
    assert 450 < found[Side.PREFILL] < 550


@pytest.mark.parametrize("strategy", ["weighted", "weighted-bytes"])
def test_weighted_follows_what_the_sides_carry_by_name(strategy: str) -> None:
    made = engine(snapshot(p1_s0={"rate_bps": 240 * GB}, p2_s0={"rate_bps": 240 * GB}))
    found = sides(made, 1000, strategy, reserve_s=600.0, bytes=1000)
    assert 700 <= found[Side.PREFILL] <= 800


def test_weighted_by_bytes_evens_out_unequal_reads() -> None:
    made = engine()
    for i in range(100):
        size = GB * (1 + 9 * (i % 2))
        asked = read(f"r{i}", strategy="weighted-bytes", bytes=size, reserve_s=600.0, **ANY)
        assert made.recommend(asked, 0.0).lease is not None
    held = [made.ledger.account(f"{host}/s0").reserved for host in HOSTS]
    assert max(held) <= min(held) + 20 * GB


def test_two_choices_takes_the_shorter_of_both_sides() -> None:
    made = engine()
    report(made, "p1", read_queue_bytes=GB)
    assert sides(made, 10, "two-choices") == {Side.DECODE: 10}
    report(made, "d1", read_queue_bytes=2 * GB)
    assert sides(made, 10, "two-choices") == {Side.PREFILL: 10}


def test_dualpath_goes_by_what_was_reported_and_nothing_else() -> None:
    made = engine()
    report(made, "p1", read_queue_bytes=GB)
    report(made, "d1", read_queue_bytes=0)
    assert sides(made, 20, "dualpath", reserve_s=60.0) == {Side.DECODE: 20}
    report(made, "d1", read_queue_bytes=2 * GB)
    assert sides(made, 20, "dualpath") == {Side.PREFILL: 20}


def test_dualpath_with_the_ledger_counts_what_was_reserved_since() -> None:
    found = sides(engine(), 20, "dualpath-ledger", reserve_s=60.0)
    assert found == {Side.PREFILL: 10, Side.DECODE: 10}


def test_rotation_gives_every_engine_the_same_bytes() -> None:
    made = engine()
    asked = [read(f"r{i}", engines="rotation", reserve_s=60.0, bytes=GB, **ANY) for i in range(80)]
    found = [pair(made.recommend(a, 0.0)) for a in asked]
    assert set(Counter(p for p, _ in found).values()) == {20}
    assert set(Counter(d for _, d in found).values()) == {20}


def test_least_loaded_weighs_what_a_cache_saves_against_load() -> None:
    made = engine()
    report(made, "p1", 0, unfinished_tokens=30_000)
    report(made, "p2", 0, unfinished_tokens=0)
    wanted = (EngineRef("p1", 0), EngineRef("p2", 0))

    def first(*hits: int) -> EngineRef | None:
        asked = read(prefill=wanted, engines="least-loaded", tokens=64_000, prefill_hits=hits)
        return made.recommend(asked, 0.0).plans[0].prefill

    assert first() == ("p2", 0)
    assert first(60_000, 0) == ("p1", 0)
    assert first(20_000, 0) == ("p2", 0)


def test_hits_stay_with_their_candidates_when_one_is_unknown() -> None:
    made = engine()
    wanted = (EngineRef("p9", 0), EngineRef("p1", 0), EngineRef("p2", 0))
    asked = read(prefill=wanted, engines="least-loaded", tokens=64_000, prefill_hits=(0, 0, 60_000))
    assert made.recommend(asked, 0.0).plans[0].prefill == ("p2", 0)
    wrong = made.recommend(read(prefill=wanted, prefill_hits=(1,)), 0.0)
    assert [(p.item, p.code) for p in wrong.problems] == [("prefill_hits", 3)]


def test_an_unknown_name_is_a_problem_and_the_default_answers() -> None:
    answer = engine().recommend(read(strategy="best", engines="worst"), 0.0)
    assert [p.item for p in answer.problems] == ["strategy best", "engines worst"]
    assert answer.plans


def test_strict_leaves_out_what_is_much_slower() -> None:
    made = engine()
    report(made, "p2", read_queue_bytes=30 * GB)
    wanted = (EngineRef("p1", 0), EngineRef("p2", 0))
    soft = made.recommend(read(prefill=wanted, abilities=Abilities()), 0.0)
    hard = made.recommend(read(prefill=wanted, abilities=Abilities(), strict=True), 0.0)
    assert [str(p.prefill) for p in soft.plans] == ["p1/0", "p2/0"]
    assert [str(p.prefill) for p in hard.plans] == ["p1/0"]
