"""What an answer says about itself, what is learned from reads that ended, and a scheduler's own choice beside ours."""

from dataclasses import replace

import pytest
from pathlab import BOTH, GB, RATE, engine, read, snapshot

from trafficd.choice.engine import PathEngine
from trafficd.choice.request import Answer, EngineRef, EngineReport, Leg, LegBytes, Plan, Reservation, Side
from trafficd.choice.settings import PathSettings


def explained(made: PathEngine, **changes: object) -> list[str]:
    """An explanation as text."""
    answer = made.recommend(read(explain=True, **changes), 1.0)
    found = answer.explanation
    assert found is not None
    assert len(found.plans) == len(answer.plans)
    lines = [f"{found.strategy}, {found.engines}: {found.reason}"]
    for plan in found.plans:
        lines.append(plan.note)
        lines += [
            f"  {r.name} leg {r.leg}: {r.seconds:.2f} = {r.queue_seconds:.2f} + {r.higher_lane_seconds:.2f} + "
            f"{r.serialisation_seconds:.2f}, age {r.data_age_s}, {r.hops} hops"
            for r in plan.resources
        ]
    return lines


PASSED_OVER = (
    "dualpath-ledger, paper-ledger: dualpath-ledger takes p1/0+d1/0 by the prefill side (p1): 2.000000 s, limited "
    "by nic:p1/s0; p1/0+d1/0 by the decode side (d1) is reckoned 0.500000 s sooner, which this strategy passes over "
    "for its turn, its share or what was lately placed there; measurements are missing or old"
)


def test_an_explanation_says_what_each_resource_takes_and_why_the_winner_won() -> None:
    made = engine(snapshot(p1_s0={"kv_available_bps": RATE // 2}, d1_c0={"measured_unix_ns": None}))
    made.report([EngineReport(EngineRef("d1", 0), gpu=0, read_queue_bytes=5 * GB)], 1.0)
    assert explained(made, strategy="dualpath-ledger") == [
        PASSED_OVER,
        "the choice",
        "  nic:p1/s0 leg 0: 2.00 = 0.00 + 1.00 + 1.00, age 1.0, 1 hops",
        "  nic:st1/s0 leg 0: 1.00 = 0.00 + 0.00 + 1.00, age None, 0 hops",
        "0.75 times as long as the choice, limited by nic:d1/s0",
        "  nic:d1/s0 leg 0: 1.50 = 0.50 + 0.00 + 1.00, age 1.0, 1 hops",
        "  nic:d1/c0 leg 0: 1.00 = 0.00 + 0.00 + 1.00, age None, 0 hops",
        "  nic:p1/c0 leg 0: 1.00 = 0.00 + 0.00 + 1.00, age 1.0, 0 hops",
        "  nic:st1/s0 leg 0: 1.00 = 0.00 + 0.00 + 1.00, age None, 0 hops",
    ]


@pytest.mark.parametrize("strategy", ["balanced", "split", "weighted"])
def test_nothing_is_explained_unless_asked(strategy: str) -> None:
    assert engine().recommend(read(strategy=strategy), 0.0).explanation is None


def served(made: PathEngine, nic: str, seconds: float, now: float) -> None:
    """One read through that node's storage NIC that takes so long."""
    node = nic.split("/", maxsplit=1)[0]
    asked = read(
        f"{nic} {now}", prefill=(EngineRef(node, 0),), bytes=GB, reserve_s=60.0, strategy="prefill-only"
    )
    answer = made.recommend(asked, now)
    assert answer.lease is not None
    assert made.release(answer.lease.id, now + seconds)


def test_a_nic_slower_than_its_peers_is_learned_bounded_and_forgotten() -> None:
    made = engine()
    for i in range(40):
        served(made, "p1/s0", 0.2, i * 0.25)
        served(made, "p2/s0", 0.1, i * 0.25)
    learned = made.learned()
    assert set(learned) == {"p1/s0"}
    assert 0.4 <= learned["p1/s0"] <= 0.6
    assert made.recommend(read(), 10.0).plans[0].legs[0].reader == "d1"
    served(made, "p1/s0", 50.0, 10.0)
    assert made.ledger.account("p1/s0").learned >= 0.2
    for i in range(200):
        served(made, "p1/s0", 0.1, 100.0 + i * 0.25)
        served(made, "p2/s0", 0.1, 100.0 + i * 0.25)
    assert made.learned() == {}


def test_a_nic_that_changes_is_believed_again() -> None:
    made = engine()
    for i in range(40):
        served(made, "p1/s0", 0.3, i * 0.35)
        served(made, "p2/s0", 0.1, i * 0.35)
    assert "p1/s0" in made.learned()
    made.swap(snapshot("2", p1_s0={"up": False}), 15.0)
    assert made.learned() == {}


def test_all_reads_late_alike_teach_nothing() -> None:
    made = engine()
    for i in range(100):
        for nic in ("p1/s0", "p2/s0"):
            served(made, nic, 0.9, i * 1.0)
    assert made.learned() == {}
    assert made.feedback.median == pytest.approx(9.0, rel=0.1)


def test_a_cancelled_read_teaches_nothing() -> None:
    made = engine()
    answer = made.recommend(read(reserve_s=9.0), 0.0)
    assert answer.lease is not None
    assert made.release(answer.lease.id, 5.0, cancelled=True)
    assert made.feedback.reads == 0


def test_progress_takes_off_what_moved_and_the_end_is_the_last_byte() -> None:
    made = engine()
    answer = made.recommend(read(reserve_s=30.0, strategy="prefill-only"), 0.0)
    assert answer.lease is not None
    assert made.progress(answer.lease.id, 4 * GB, 0.0)
    assert made.totals(0.0) == {"p1/s0": 6 * GB}
    assert made.progress(answer.lease.id, 10 * GB, 0.5)
    assert made.totals(0.5) == {}
    assert made.feedback.observed_s == 0.5
    assert made.release(answer.lease.id, 3.0)
    assert made.feedback.reads == 1
    assert not made.progress(answer.lease.id, 1, 3.0)


def test_a_read_has_come_when_its_lease_no_longer_names_its_reader() -> None:
    made = engine()
    answer = made.recommend(read(reserve_s=30.0, strategy="prefill-only"), 0.0)
    assert answer.lease is not None
    made.renew(answer.lease.id, Reservation("", (LegBytes("p1/c0", GB),), 30.0), 0.25)
    assert (made.feedback.observed_s, made.totals(0.25)) == (0.25, {"p1/c0": GB})


def own(*nics: str) -> Plan:
    leg = Leg(Side.PREFILL, "p1", "", nics, 10 * GB, 0.0, "", 0, 0, 0, "")
    return Plan(EngineRef("p1", 0), None, (leg,), 0.0, 1.0)


def shadowed(made: PathEngine, *nics: str, reserve_s: float = 0.0) -> Answer:
    return made.shadow(read(reserve_s=reserve_s, abilities=BOTH), own(*nics), 0.0)


def test_a_schedulers_own_choice_is_reckoned_beside_ours_and_only_it_is_reserved() -> None:
    made = engine()
    made.report([EngineReport(EngineRef("p1", 0), gpu=0, read_queue_bytes=20 * GB)], 0.0)
    answer = shadowed(made, "p1/s0", reserve_s=9.0)
    assert answer.shadow is not None
    assert (answer.shadow.own_seconds, answer.shadow.our_seconds, answer.shadow.saved_seconds) == (
        3.0,
        1.0,
        2.0,
    )
    assert answer.plans[0].legs[0].reader == "d1"
    assert answer.lease is not None
    assert made.totals(0.0) == {"p1/s0": 30 * GB}


@pytest.mark.parametrize(
    ("nics", "said"),
    [((), "names no NIC"), (("p9/s0",), "which the fabric does not have"), (("p2/s0",), "which is down")],
)
def test_an_own_choice_that_cannot_be_reckoned_says_why(nics: tuple[str, ...], said: str) -> None:
    shadow = shadowed(engine(snapshot(p2_s0={"up": False})), *nics).shadow
    assert shadow is not None
    assert said in shadow.problem
    assert shadow.saved_seconds == 0.0


def test_settings_come_with_the_snapshot() -> None:
    made = engine(replace(snapshot(), settings=PathSettings(strategy="prefill-only", engines="rotation")))
    found = made.recommend(read(explain=True), 0.0).explanation
    assert found is not None
    assert (found.strategy, found.engines) == ("prefill-only", "rotation")
