"""What somebody else built on a port is displaced where that is allowed, and put back exactly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract.suite import Notes, reach, read
from lab import veth
from lab.foreign import ALLOWED, TREES, build, shown
from lab.tcbench import FIRST, SECOND, TcBench, tc_bench

from trafficd_agent.apply import Order, Purpose, Result, reconcile

pytestmark = pytest.mark.kernel
IRREPLACEABLE = {
    "a bpf filter": (
        [
            "qdisc add dev va root handle 1: htb",
            "class add dev va parent 1: classid 1:2 htb rate 10mbit",
            'filter add dev va parent 1: protocol ip pref 1 bpf bytecode "1,6 0 0 4294967295," flowid 1:2',
        ],
        "a bpf filter",
    ),
    "a filter with an action": (
        [
            "qdisc add dev va root handle 1: htb",
            "filter add dev va parent 1: protocol ip pref 1 u32 match u32 0 0 action mirred egress redirect dev lo",
        ],
        "a u32 filter with an action",
    ),
    "a size table": (
        ["qdisc add dev va root handle 1: stab linklayer atm htb"],
        "a htb qdisc with a size table",
    ),
    "one preference at two places": (
        [
            "qdisc add dev va root handle 1: htb",
            "class add dev va parent 1: classid 1:2 htb rate 10mbit",
            "filter add dev va parent 1: protocol ip pref 1 u32 match u32 0 0 flowid 1:2",
            "filter add dev va parent 1:2 protocol ip pref 1 u32 match u32 0 0 flowid 1:2",
        ],
        "u32 filters of one preference at two places of a qdisc",
    ),
    "our handle": (
        ["qdisc add dev va root handle 7f1d: bfifo limit 9kb"],
        "a qdisc of the handle 7f1d:, which is ours",
    ),
    "an estimator": (
        ["qdisc add dev va root handle 1: estimator 1sec 8sec htb"],
        "a htb qdisc with a rate estimator",
    ),
}


@pytest.fixture
def bench() -> Iterator[TcBench]:
    with tc_bench(ALLOWED) as made:
        yield made


@pytest.mark.parametrize("what", TREES)
def test_a_tree_is_displaced_and_put_back_exactly(bench: TcBench, what: str) -> None:
    build(TREES[what])
    before, state = shown(), read(bench).state
    veth.datagrams(20)
    assert read(bench).state == state, "what is counted is no part of it"
    for desired in (FIRST, SECOND):
        reach(bench, desired)
        assert read(bench).state == desired
    reach(bench, state)
    assert shown() == before


@pytest.mark.parametrize("what", TREES)
def test_half_a_tree_is_built_anew(bench: TcBench, what: str) -> None:
    """As after a kill in the middle of a restore."""
    build(TREES[what])
    before, state = shown(), read(bench).state
    for _ in range(2):
        build(
            [
                "qdisc del dev va root",
                *[c for c in TREES[what] if "clsact" not in c and "gress " not in c][:2],
            ]
        )
        reach(bench, state)
        assert shown() == before


@pytest.mark.parametrize("what", IRREPLACEABLE)
def test_what_cannot_be_put_back_is_refused_before_the_first_write(bench: TcBench, what: str) -> None:
    commands, named = IRREPLACEABLE[what]
    build(commands)
    before, notes = shown(), Notes()
    outcome = reconcile(bench.driver, Order(bench.scope, FIRST, Purpose.APPLY), notes)
    assert (outcome.result, outcome.reason, notes.open) == (Result.FOREIGN, "ForeignConfiguration", None)
    assert f"could not be put back as it was because of {named}: remove that by hand" in outcome.message
    assert shown() == before


def test_queues_below_mq_come_back() -> None:
    with tc_bench(ALLOWED, queues=4) as bench:
        build(
            [
                "qdisc replace dev va root handle 1: mq",
                "qdisc replace dev va parent 1:2 handle 20: bfifo limit 70kb",
                "qdisc replace dev va parent 1:4 handle 40: tbf rate 5mbit burst 5kb limit 9kb",
            ]
        )
        before, state = shown(), read(bench).state
        reach(bench, FIRST)
        reach(bench, state)
        assert shown() == before
