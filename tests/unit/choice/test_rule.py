"""The rule against oracles that are computed by hand."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathlab import BOTH, BUILT, GB, HOSTS, LAYOUT, RATE, engine, older, read, snapshot

from trafficd.choice.engine import PathEngine
from trafficd.choice.request import (
    Abilities,
    Answer,
    EngineRef,
    EngineReport,
    FallbackReason,
    Request,
    Side,
    Source,
    SourceNode,
)

DECODE_ONLY = Abilities(read_on_decode_side=True, no_prefill_side=True)


def told(answer: Answer) -> list[str]:
    """An answer as text: one line a leg, then what is said beside."""
    lines = []
    for plan in answer.plans:
        for leg in plan.legs:
            pair = f"{plan.prefill and plan.prefill.node}+{plan.decode and plan.decode.node}"
            where = f"{leg.side.name.lower()} {'>'.join(leg.nics)} from {leg.source or 'pool'}"
            size = f"{leg.bytes / GB:g} GB in {leg.expected_seconds:.3f} s"
            limit = f"{leg.bottleneck} behind {leg.queue_bytes / GB:g} GB at {leg.available_bps / 1e9:g} Gb/s"
            lines.append(f"{pair} {where}: {size}, {limit}, score {plan.score:.2f}")
    if answer.fallback is not None:
        lines.append(f"{answer.fallback.reason.name}: {answer.fallback.detail}")
    return lines + [f"{p.item} ({p.code}): {p.reason}" for p in answer.problems]


def queue(made: PathEngine, node: str, size: int, now: float = 0.0) -> None:
    made.report([EngineReport(EngineRef(node, 0), gpu=0, read_queue_bytes=size)], now)


def test_by_default_one_leg_on_the_prefill_side() -> None:
    answer = engine().recommend(read(abilities=Abilities()), 0.0)
    assert told(answer) == [
        "p1+d1 prefill p1/s0 from pool: 10 GB in 1.000 s, nic:p1/s0 behind 0 GB at 80 Gb/s, score 1.00"
    ]
    leg = answer.plans[0].legs[0]
    assert (leg.lane_id, leg.traffic_class) == (2, "kv")
    assert (answer.snapshot_version, answer.measured_unix_ns, answer.valid_for_ms) == ("1", BUILT, 3000)


def test_reads_on_the_side_with_the_shorter_queue() -> None:
    made = engine()
    queue(made, "p1", 30 * GB)
    queue(made, "d1", 20 * GB)
    assert told(made.recommend(read(), 0.0)) == [
        "p1+d1 decode d1/s0>d1/c0>p1/c0 from pool: 10 GB in 3.000 s, nic:d1/s0 behind 20 GB at 80 Gb/s, score 1.00",
        "p1+d1 prefill p1/s0 from pool: 10 GB in 4.000 s, nic:p1/s0 behind 30 GB at 80 Gb/s, score 0.75",
    ]


def test_a_queue_is_seconds_so_a_nic_that_kv_may_use_less_of_has_the_longer_one() -> None:
    made = engine(snapshot(d1_s0={"kv_available_bps": RATE // 4}))
    queue(made, "p1", 20 * GB)
    queue(made, "d1", 10 * GB)
    assert [line.split(",")[0] for line in told(made.recommend(read(), 0.0))] == [
        "p1+d1 prefill p1/s0 from pool: 10 GB in 3.000 s",
        "p1+d1 decode d1/s0>d1/c0>p1/c0 from pool: 10 GB in 8.000 s",
    ]


def test_tokens_are_bytes_by_what_the_engine_says_a_token_has() -> None:
    made = engine()
    report = EngineReport(EngineRef("p1", 0), read_queue_tokens=500_000, bytes_per_token=40_000)
    assert made.report([report], 0.0) == ()
    assert made.totals(0.0) == {"p1/s0": 20 * GB}


@pytest.mark.parametrize("busy", ["d1_c0", "p1_c0"])
def test_a_busy_compute_nic_on_the_way_can_be_the_bottleneck(busy: str) -> None:
    made = engine(snapshot(**{busy: {"kv_available_bps": RATE // 10}}))
    queue(made, "p1", 40 * GB)
    assert told(made.recommend(read(), 0.0))[1].startswith(
        f"p1+d1 decode d1/s0>d1/c0>p1/c0 from pool: 10 GB in 10.000 s, nic:{busy.replace('_', '/')} behind 0 GB at 8"
    )


def test_goes_to_the_gpus_paired_nic_on_its_rail() -> None:
    answer = engine().recommend(read(prefill=(EngineRef("p1", 1),), abilities=DECODE_ONLY), 0.0)
    assert answer.plans[0].legs[0].nics == ("d1/s0", "d1/c1", "p1/c1")


def test_the_slowest_of_source_and_reader_is_named() -> None:
    made = engine(snapshot(st1_s0={"kv_available_bps": RATE // 2}))
    assert told(made.recommend(read(abilities=Abilities()), 0.0)) == [
        "p1+d1 prefill p1/s0 from pool: 10 GB in 2.000 s, nic:st1/s0 behind 0 GB at 40 Gb/s, score 1.00"
    ]


def test_parts_on_several_nodes_are_one_leg_each() -> None:
    source = Source((SourceNode("st1", 6 * GB), SourceNode("st9", GB), SourceNode("d2", 3 * GB)))
    answer = engine().recommend(read(bytes=0, source=source, abilities=Abilities()), 0.0)
    assert [(leg.source, leg.bytes // GB) for leg in answer.plans[0].legs] == [("st1", 6), ("d2", 3)]
    assert told(answer)[-1] == "source.nodes[1] st9 (5): no such node"


def test_what_is_unknown_is_named_and_the_rest_is_answered() -> None:
    made = engine()
    wanted = (EngineRef("p9", 0), EngineRef("p1", 7), EngineRef("p1", 0))
    answer = made.recommend(read(prefill=wanted, source=Source(pool="kw"), abilities=Abilities()), 0.0)
    assert told(answer) == [
        "p1+d1 prefill p1/s0 from pool: 10 GB in 1.000 s, nic:p1/s0 behind 0 GB at 80 Gb/s, score 1.00",
        "prefill[0] p9/0 (5): no such node",
        "prefill[1] p1/7 (5): no such engine on that node",
        "source.pool kw (5): no host serves that pool",
    ]


def test_no_leg_on_a_dead_nic() -> None:
    made = engine(snapshot(p1_s0={"up": False}, d1_c0={"up": False}))
    answer = made.recommend(read(), 0.0)
    assert [leg.nics for p in answer.plans for leg in p.legs] == [("d1/s0", "d1/c1", "p1/c0")]
    both = engine(snapshot(p1_s0={"up": False}, d1_s0={"up": False}))
    assert told(both.recommend(read(), 0.0)) == [
        "request (5): no candidate reaches the source through NICs that are up"
    ]


def test_when_the_chosen_engine_cannot_read_another_candidate_can() -> None:
    made = engine(snapshot(p1_s0={"up": False}))
    wanted = (EngineRef("p1", 0), EngineRef("p2", 0))
    made.report([EngineReport(r, unfinished_tokens=n) for n, r in enumerate(wanted)], 0.0)
    answer = made.recommend(read(prefill=wanted, abilities=Abilities()), 0.0)
    assert [p.legs[0].nics for p in answer.plans] == [("p2/s0",)]


def test_prefill_engines_by_the_papers_categories() -> None:
    made = engine()
    queue(made, "p1", 31 * GB)
    tokens = {("p1", 0): 10, ("p2", 0): 60_000, ("p2", 1): 900}
    for (node, rank), unfinished in tokens.items():
        report = EngineReport(EngineRef(node, rank), unfinished_tokens=unfinished, tokens_per_s=10_000)
        made.report([report], 0.0)
    candidates = tuple(EngineRef(*e) for e in tokens)

    def first() -> EngineRef | None:
        return (
            made.recommend(read(prefill=candidates, max_plans=1, engines="paper-ledger"), 0.0)
            .plans[0]
            .prefill
        )

    assert first() == ("p2", 1)  # short queue before fewer tokens
    made.report([EngineReport(EngineRef("p2", 1), unfinished_tokens=50_001)], 0.0)
    assert first() == ("p1", 0)  # both of p2 have more than 5 s of tokens
    queue(made, "p1", 29 * GB)
    made.report([EngineReport(EngineRef("p2", 1), unfinished_tokens=9)], 0.0)
    assert first() == ("p2", 1)  # all queues short: fewest tokens


def test_decode_engines_by_the_nodes_tokens_then_sequences_among_those_with_room() -> None:
    made = engine()
    rows = {("d1", 0): (100, 1), ("d1", 1): (100, 0), ("d2", 0): (90, 9), ("d2", 1): (90, 8)}
    for (node, rank), (tokens, sequences) in rows.items():
        report = EngineReport(EngineRef(node, rank), unfinished_tokens=tokens, unfinished_sequences=sequences)
        made.report([report], 0.0)
    candidates = tuple(EngineRef(*e) for e in rows)
    assert made.recommend(read(decode=candidates, tokens=4, engines="paper-ledger"), 0.0).plans[0].decode == (
        "d2",
        1,
    )
    made.report([EngineReport(EngineRef("d2", r), free_hbm_bytes=GB) for r in (0, 1)], 0.0)
    assert made.recommend(read(decode=candidates, tokens=4, engines="paper-ledger"), 0.0).plans[0].decode == (
        "d1",
        1,
    )
    made.report([EngineReport(EngineRef("d1", 0), unfinished_tokens=99)], 0.0)
    assert made.recommend(read(decode=candidates, tokens=900, engines="paper-ledger"), 0.0).plans[
        0
    ].decode == (
        "d1",
        0,
    )  # all above Z


def test_engines_that_do_not_report_go_by_seconds() -> None:
    made = engine()
    queue(made, "p1", 30 * GB)
    answer = made.recommend(read(prefill=(), abilities=Abilities()), 0.0)
    assert answer.plans[0].prefill in {("p2", 0), ("p2", 1)}
    assert [p.score for p in answer.plans if p.prefill and p.prefill.node == "p1"] == [0.25, 0.25]


def test_every_named_candidate_gets_a_score() -> None:
    made = engine()
    queue(made, "p2", 10 * GB)
    wanted = tuple(EngineRef(n, r) for n in ("p1", "p2") for r in (0, 1))
    answer = made.recommend(read(prefill=wanted, abilities=Abilities()), 0.0)
    assert sorted((str(p.prefill), p.score) for p in answer.plans) == [
        ("p1/0", 1.0),
        ("p1/1", 1.0),
        ("p2/0", 0.5),
        ("p2/1", 0.5),
    ]


def test_near_ties_spread_in_proportion_to_what_a_side_can_carry_and_are_stable() -> None:
    made = engine(snapshot(p1_s0={"kv_available_bps": RATE, "rate_bps": RATE}))
    sides = Counter(made.recommend(read(f"r{i}"), 0.0).plans[0].legs[0].side for i in range(2000))
    assert 900 < sides[Side.PREFILL] < 1100
    again = engine()
    assert [made.recommend(read(f"r{i}"), 0.0) for i in range(50)] == [
        again.recommend(read(f"r{i}"), 0.0) for i in range(50)
    ]


def test_without_telemetry_sides_are_weighted_by_their_rates_and_the_answer_says_so() -> None:
    dark = {"measured_unix_ns": None, "rate_bps": RATE // 4, "kv_available_bps": RATE // 4}
    made = engine(snapshot(d1_s0=dark))
    answers = [made.recommend(read(f"r{i}"), 0.0) for i in range(2000)]
    assert told(answers[0])[-1] == (
        "NO_TELEMETRY: no telemetry of d1/s0; sides were weighted by their nominal rates"
    )
    share = sum(a.plans[0].legs[0].side is Side.DECODE for a in answers) / len(answers)
    assert 0.17 < share < 0.23


def test_stale_telemetry_says_how_old_it_is() -> None:
    made = engine(older(snapshot(), 3.5))
    assert told(made.recommend(read(abilities=Abilities()), 1.0))[-1] == (
        "STALE_TELEMETRY: telemetry of p1/s0 is 4.5 s old, valid for 3 s; sides were weighted by their nominal rates"
    )
    fresh = engine()
    assert fresh.recommend(read(), 2.9).fallback is None
    late = fresh.recommend(read(), 3.1).fallback
    assert late is not None
    assert late.reason is FallbackReason.STALE_TELEMETRY


def test_no_reported_queue_says_so() -> None:
    answer = engine(silent=True).recommend(read(), 0.0)
    assert told(answer)[-1].startswith("NO_QUEUE: no engine of ")


def test_the_caller_must_be_able_to_read_somewhere() -> None:
    answer = engine().recommend(read(abilities=Abilities(no_prefill_side=True)), 0.0)
    assert (len(answer.plans), [p.code for p in answer.problems]) == (0, [3])


@pytest.mark.parametrize(
    ("prefill", "sources", "said"),
    [
        (4097, 1, "more than 4096 candidates: name fewer"),
        (1, 257, "more than 256 source nodes: name fewer, or a pool"),
        (4096, 3, "candidates times source nodes are more than 8192: name fewer of either"),
    ],
)
def test_more_than_an_answer_is_made_of_is_refused_at_once(prefill: int, sources: int, said: str) -> None:
    asked = read(
        prefill=tuple(EngineRef("p1", i) for i in range(prefill)),
        source=Source(tuple(SourceNode("st1", 1) for _ in range(sources))),
    )
    answer = engine().recommend(asked, 0.0)
    assert (answer.plans, [(p.code, p.reason) for p in answer.problems]) == ((), [(3, said)])


def test_foreign_kv_on_a_nic_leaves_less_for_ours() -> None:
    made = engine(silent=True)
    for second in (1, 2, 3):
        taken = older(snapshot(str(second), d1_s0={"kv_bytes_per_s": 5 * GB}), second)
        states = tuple(s._replace(measured_unix_ns=taken.built_unix_ns) for s in taken.states)
        made.swap(replace(taken, states=states), float(second))
    assert [line.split(",")[0] for line in told(made.recommend(read(), 3.0))[:2]] == [
        "p1+d1 prefill p1/s0 from pool: 10 GB in 1.000 s",
        "p1+d1 decode d1/s0>d1/c0>p1/c0 from pool: 10 GB in 2.000 s",
    ]


def test_a_snapshot_that_comes_late_is_no_new_measurement() -> None:
    made = engine(silent=True)
    for second in (1, 2, 3):
        taken = older(snapshot(d1_s0={"kv_bytes_per_s": 5 * GB}), second)
        states = tuple(s._replace(measured_unix_ns=taken.built_unix_ns) for s in taken.states)
        made.swap(replace(taken, states=states), float(second))
        for late in (0.1, 0.15):
            made.swap(older(replace(taken, states=states), 0.3), second + 0.3 + late)
    account = made.ledger.account("d1/s0")
    assert account.foreign == pytest.approx(5 * GB)


def test_a_clock_that_was_set_does_not_make_telemetry_old() -> None:
    made = engine()
    back = replace(snapshot("2"), built_unix_ns=BUILT - 3600 * GB)
    states = tuple(s._replace(measured_unix_ns=back.built_unix_ns) for s in back.states)
    made.swap(replace(back, states=states), 0.5)
    assert made.recommend(read(), 0.6).fallback is None


def test_a_burst_between_two_samples_spreads_as_well_as_one_at_a_time() -> None:
    made = engine(snapshot(d2_s0={"kv_available_bps": RATE // 2}))
    for i in range(10_000):
        pair = ((EngineRef("p1", i % 2),), (EngineRef(("d1", "d2")[i % 2], 0),))
        asked = replace(read(f"r{i}", reserve_s=30.0, bytes=GB), prefill=pair[0], decode=pair[1])
        assert made.recommend(asked, 0.0).lease is not None
    rates = {"p1/s0": 10 * GB, "d1/s0": 10 * GB, "d2/s0": 5 * GB}
    seconds = [made.totals(0.0)[nic] / rate for nic, rate in rates.items()]
    assert max(seconds) / (sum(seconds) / 3) < 1.06


def test_a_repeated_request_with_a_reservation_answers_the_same_with_the_same_lease() -> None:
    made = engine()
    first = made.recommend(read(reserve_s=10.0), 0.0)
    again = made.recommend(read(reserve_s=10.0), 4.0)
    assert again.plans == first.plans
    assert first.lease is not None
    assert again.lease == (first.lease.id, 6.0)
    assert sum(made.totals(4.0).values()) == 10 * GB * len(first.plans[0].legs[0].nics)


def test_what_was_given_to_an_engine_counts_before_it_reports_again() -> None:
    made = engine()
    candidates = tuple(EngineRef("p1", r) for r in (0, 1))
    made.report([EngineReport(r, unfinished_tokens=1000) for r in candidates], 0.0)
    asked = [read(f"r{i}", prefill=candidates, reserve_s=9.0, abilities=Abilities()) for i in range(100)]
    chosen = Counter(made.recommend(a, 0.0).plans[0].prefill for a in asked)
    assert sorted(chosen.values()) == [50, 50]


def test_a_node_has_so_many_engines_and_no_more() -> None:
    made = engine()
    reports = [EngineReport(EngineRef("p1", rank), unfinished_tokens=1) for rank in range(1026)]
    problems = made.report(reports, 0.0)
    assert [(p.code, p.item) for p in problems] == [
        (8, "engines[1024] p1/1024"),
        (8, "engines[1025] p1/1025"),
    ]
    assert made.report([EngineReport(EngineRef("p1", 0), gone=True), reports[1025]], 0.0) == ()


def test_an_engine_that_left_is_unknown_and_one_that_never_spoke_is_not() -> None:
    made = engine(silent=True)
    assert made.recommend(read(), 0.0).problems == ()
    made.report([EngineReport(EngineRef("p1", 0)), EngineReport(EngineRef("p1", 1))], 1.0)
    made.report([EngineReport(EngineRef("p1", 0), gone=True)], 2.0)
    assert told(made.recommend(read(), 2.0)) == ["prefill[0] p1/0 (5): no such engine on that node"]


engines_of = st.lists(
    st.builds(EngineRef, st.sampled_from([*HOSTS, "st1", "?"]), st.integers(0, 3)), max_size=3
).map(tuple)
requests = st.builds(
    Request,
    id=st.text(max_size=5),
    bytes=st.integers(0, 10**13),
    prefill=engines_of,
    decode=engines_of,
    source=st.one_of(
        st.builds(Source, st.just(()), st.sampled_from(["kv", "x", ""])),
        st.builds(
            Source,
            st.lists(st.builds(SourceNode, st.sampled_from(["st1", "p1", "?"]), st.integers(0, 10**12))).map(
                tuple
            ),
        ),
    ),
    abilities=st.sampled_from([Abilities(), BOTH, DECODE_ONLY]),
    reserve_s=st.sampled_from([0.0, 5.0]),
    max_plans=st.integers(0, 4),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(requests, max_size=8), st.sets(st.sampled_from(range(len(LAYOUT.nics)))))
def test_plans_are_whole_alive_and_best_first(asked: list[Request], dead: set[int]) -> None:
    taken = snapshot()
    states = tuple(s._replace(up=i not in dead) for i, s in enumerate(taken.states))
    made = engine(replace(taken, states=states))
    down = {LAYOUT.index.nic_names[i] for i in dead}
    for i, request in enumerate(asked):
        answer = made.recommend(
            replace(request, id=f"{request.id}{i}" if request.reserve_s else request.id), 1.0
        )
        assert answer.plans or answer.problems
        if answer.plans:
            assert answer.plans[0].score == 1.0
        for plan in answer.plans:
            assert 0 <= plan.score <= 1
            assert not down & {nic for leg in plan.legs for nic in leg.nics}
            if request.bytes:
                assert sum(leg.bytes for leg in plan.legs) == request.bytes
            assert all(leg.expected_seconds <= plan.expected_seconds for leg in plan.legs)
