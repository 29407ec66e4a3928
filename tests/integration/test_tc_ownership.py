"""Whose queue it is, what a port must be like, and what the driver says when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.suite import plan, reach, read
from lab import veth
from lab.tcbench import FIRST, TcBench, lanes, tc_bench

from trafficd_agent.driver import BusyError, ForeignError, GoneError, RefusedError
from trafficd_agent.drivers.tc import TcDriver, TcOptions
from trafficd_topology.diff import Change, Element, Op, describe, diff, ordered, render
from trafficd_topology.qos.tc import TcLeaf, TcOther, TcQdisc

pytestmark = pytest.mark.kernel
FOREIGN = (
    "tc",
    "qdisc",
    "add",
    "dev",
    veth.NEAR,
    "root",
    "handle",
    "1:",
    "tbf",
    "rate",
    "50mbit",
    "burst",
    "5kb",
    "limit",
    "9kb",
)


@pytest.fixture
def bench() -> Iterator[TcBench]:
    with tc_bench() as made:
        yield made


def shown() -> str:
    return "".join(veth.run("tc", sort, "show", "dev", veth.NEAR) for sort in ("qdisc", "class", "filter"))


def test_a_foreign_root_is_named_refused_and_left_alone(bench: TcBench) -> None:
    veth.run(*FOREIGN)
    before = shown()
    seen = read(bench)
    assert seen.state == ()
    assert seen.foreign == ("va has a root qdisc tbf 1: of somebody else's",)
    for change in ordered(diff(FIRST, ()), bench.driver.steps):
        with pytest.raises((ForeignError, BusyError)) as caught:
            bench.driver.write(bench.scope, change)
        assert caught.type is ForeignError or change.kind != "qdisc"
    assert shown() == before


def test_the_refusal_names_the_root_and_the_way_out(bench: TcBench) -> None:
    veth.run(*FOREIGN)
    change = next(c for c in ordered(diff(FIRST, ()), bench.driver.steps) if c.kind == "qdisc")
    with pytest.raises(ForeignError) as caught:
        bench.driver.write(bench.scope, change)
    said = "va has a root qdisc tbf 1: of somebody else's: delete it, or let the agent take over"
    assert str(caught.value) == said


def test_taking_over_displaces_a_root_and_leaving_brings_the_default_back() -> None:
    with tc_bench(TcOptions(take_over=True)) as bench:
        default = shown()
        veth.run(*FOREIGN)
        assert read(bench).foreign == ()
        reach(bench, FIRST)
        reach(bench, ())
        assert shown() == default


def test_the_default_root_is_nobodys(bench: TcBench) -> None:
    assert "qdisc noqueue 0: root" in shown()
    assert read(bench).foreign == ()


LEFT = {
    "another queue below a class": (
        "tc qdisc replace dev va parent 7f1d:10 bfifo limit 10kb",
        "other/leaf/10",
    ),
    "a class of a lane nobody wants": (
        "tc class add dev va parent 7f1d:1 classid 7f1d:77 htb rate 1mbit burst 1600 cburst 1600",
        "class/77",
    ),
    "a filter of another match": (
        "tc filter add dev va parent 7f1d: protocol ip pref 3 u32 match ip dst 10.0.0.1/32 flowid 7f1d:11",
        "other/filter/3/0800/80",
    ),
    "half of a filter is gone": ("tc filter del dev va parent 7f1d: pref 54", "other/filter/53/0800/80"),
    "a filter that catches all": (
        "tc filter add dev va parent 7f1d: protocol all pref 65535 u32 match u32 0 0 flowid 7f1d:10",
        "qdisc.default_minor",
    ),
    "another rate of the port": (
        "tc class change dev va parent 7f1d: classid 7f1d:1 htb rate 5mbit",
        "qdisc.rate_bps",
    ),
    "another ceiling of the port": (
        "tc class change dev va parent 7f1d: classid 7f1d:1 htb rate 80mbit ceil 90mbit",
        "qdisc.rate_bps",
    ),
    "a class beside the port's rate": (
        "tc class add dev va parent 7f1d: classid 7f1d:99 htb rate 1mbit",
        "other/tree",
    ),
    "a class of number 0": (
        "tc class add dev va parent 7f1d:1 classid 7f1d:0 htb rate 1mbit",
        "other/tree",
    ),
    "a class that counts an overhead": (
        "tc class change dev va parent 7f1d:1 classid 7f1d:12 htb rate 48mbit overhead 24",
        "other/tree",
    ),
}


@pytest.mark.parametrize("what", LEFT)
def test_what_somebody_left_in_our_tree_is_seen_and_put_right(bench: TcBench, what: str) -> None:
    command, name = LEFT[what]
    reach(bench, FIRST)
    veth.run(*command.split())
    paths = [d.path for d in describe(diff(FIRST, read(bench).state))]
    assert any(p.startswith(name) for p in paths), paths
    reach(bench, FIRST)
    assert "7f1d:77" not in shown()
    assert "7f1d:99" not in shown()


def test_nothing_is_made_again_that_was_not_ours(bench: TcBench) -> None:
    reach(bench, FIRST)
    with pytest.raises(RefusedError, match="was not made by this agent"):
        bench.driver.write(bench.scope, Change(Op.ADD, "other", "leaf/10", None, TcOther("bfifo 8001:")))


def test_removing_twice_is_no_error(bench: TcBench) -> None:
    reach(bench, FIRST)
    changes = plan(bench, ())
    for change in (*changes, *changes):
        bench.driver.write(bench.scope, change)
    assert render(read(bench).state) == ""


def test_a_device_that_goes_while_it_is_programmed_is_gone(bench: TcBench) -> None:
    changes = plan(bench, FIRST)
    for change in changes[:5]:
        bench.driver.write(bench.scope, change)
    bench.vanish()
    with pytest.raises(GoneError) as caught:
        bench.driver.write(bench.scope, changes[5])
    said = "there is no network device va here: bring it back, or take it out of the fabric"
    assert str(caught.value) == said


def test_a_tree_that_goes_while_it_is_programmed_passes(bench: TcBench) -> None:
    reach(bench, FIRST)
    veth.run("tc", "qdisc", "del", "dev", veth.NEAR, "root")
    rows = (
        Change(Op.CHANGE, "class", "10", None, next(e.value for e in FIRST if e.name == "class/10")),
        Change(Op.CHANGE, "leaf", "10", TcLeaf(1000), TcLeaf(10)),
        Change(Op.ADD, "filter", "dscp-9", None, next(e.value for e in FIRST if e.name == "filter/dscp-8")),
    )
    for change in rows:
        with pytest.raises(BusyError, match="our root went away before"):
            bench.driver.write(bench.scope, change)
    reach(bench, FIRST)


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (Element("leaf", "10", TcLeaf(0)), "limit of 0 packets"),
        (
            Element("filter", "dscp-64", next(e.value for e in FIRST if e.kind == "filter")),
            "no match that tc knows",
        ),
        (Element("qdisc", "", TcQdisc(0, 80_000_000)), "cannot be a lane's"),
        (Element("class", "1", next(e.value for e in FIRST if e.kind == "class")), "cannot be a lane's"),
    ],
)
def test_values_the_kernel_could_not_hold_are_refused(bench: TcBench, element: Element, reason: str) -> None:
    reach(bench, FIRST)
    with pytest.raises(RefusedError, match=reason):
        bench.driver.write(bench.scope, Change(Op.ADD, element.kind, element.key, None, element.value))
    reach(bench, FIRST)


@pytest.mark.parametrize("gbps", [1, 9, 40, 400, 800])
def test_rates_beyond_32_bits_are_read_back_exactly(bench: TcBench, gbps: int) -> None:
    reach(bench, lanes({0: 0.111, 1: 0.333, 2: 0.556}, 1, {"dscp-8": 2}, gbps * 10**9))


def test_several_transmit_queues_take_a_flag() -> None:
    with tc_bench(queues=2) as bench:
        refused = bench.driver.probe(bench.scope)
        assert not refused.supported
        assert refused.reason == (
            "va has several transmit queues, which htb would make one: set allow_multi_queue to accept that"
        )
        driver = TcDriver(TcOptions(allow_multi_queue=True))
        assert driver.probe(bench.scope).supported
        driver.close()


def test_a_fast_port_takes_a_flag(bench: TcBench) -> None:
    veth.run("ip", "tuntap", "add", "fast0", "mode", "tap")
    assert bench.driver.probe("fast0").supported
    veth.run("ethtool", "-s", "fast0", "speed", "100000", "duplex", "full")
    refused = bench.driver.probe("fast0")
    assert not refused.supported
    assert refused.reason == (
        "fast0 runs at 100 Gb/s, and htb has one lock for all its packets and RDMA passes it by:"
        " use dcb, or set allow_fast for kernel traffic"
    )
    driver = TcDriver(TcOptions(allow_fast=True))
    assert driver.probe("fast0").supported
    driver.close()


def test_a_port_of_a_bridge_is_a_port(bench: TcBench) -> None:
    veth.run("ip", "link", "add", "br0", "type", "bridge")
    veth.run("ip", "link", "set", veth.NEAR, "master", "br0")
    assert bench.driver.probe(bench.scope).supported
    reach(bench, FIRST)


def test_probing_changes_nothing(bench: TcBench) -> None:
    before = shown()
    bench.driver.probe(bench.scope)
    assert shown() == before
    reach(bench, FIRST)
    before = shown()
    bench.driver.probe(bench.scope)
    assert shown() == before


UNPRIVILEGED = """
from contract.suite import Notes
from lab.tcbench import FIRST, SECOND
from trafficd_agent.apply import Order, Purpose, reconcile
from trafficd_agent.driver import DriverError
from trafficd_agent.drivers.tc import TcDriver
from trafficd_topology.diff import Change, Op, diff
driver = TcDriver()
for desired, purpose in ((FIRST, Purpose.LOOK), (SECOND, Purpose.LOOK), (FIRST, Purpose.APPLY), (SECOND, Purpose.APPLY)):
    done = reconcile(driver, Order("va", desired, purpose), Notes())
    print(done.result, done.reason, bool(done.differences), done.message)
print(len(diff(FIRST, driver.read("va").state)))
print(driver.probe("va"))
try:
    driver.write("va", Change(Op.REMOVE, "qdisc", "", FIRST[-1].value, None))
except DriverError as e:
    print(type(e).__name__, e)
"""


def test_without_the_capability_it_reads_and_says_what_is_missing(bench: TcBench) -> None:
    reach(bench, FIRST)
    tests = Path(__file__).parent.parent
    done = subprocess.run(
        [
            "setpriv",
            "--bounding-set",
            "-net_admin",
            "--inh-caps",
            "-net_admin",
            sys.executable,
            "-c",
            UNPRIVILEGED,
        ],
        env={**os.environ, "PYTHONPATH": str(tests)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lacking = "va: probing failed (Operation not permitted): give the agent CAP_NET_ADMIN"
    assert done.stdout.splitlines() == [
        "in-sync InSync False ",
        "looked Differs True ",
        "in-sync InSync False ",
        f"unsupported PermissionMissing True {lacking}",
        "0",
        f"Capability(supported=True, reason='{lacking}', writable=False, dcb=None)",
        "PermissionMissingError va: removing qdisc failed (Operation not permitted): give the agent CAP_NET_ADMIN",
    ], done.stderr
    assert render(read(bench).state) == render(FIRST)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_socket_is_left_open() -> None:
    with tc_bench() as bench:
        reach(bench, FIRST)
        bench.driver.close()
        before = open_files()
        reach(bench, ())
        bench.driver.close()
        assert open_files() == before
