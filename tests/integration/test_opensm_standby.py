"""Two subnet managers of one subnet, with a driver beside each: the same files, and one that signals."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from lab.ibbench import FOUR_VLS, helper_env, other_lanes, paper
from lab.ibsim import IbLab, ib_lab, wait_until
from lab.smpquery import padded, read_ports

from trafficd_agent.apply import Order, Outcome, Purpose, Result, reconcile
from trafficd_agent.drivers.opensm import OpensmDriver, OpensmOptions
from trafficd_topology.diff import State, render
from trafficd_topology.qos.kinds import IB_TABLES

pytestmark = pytest.mark.ib


class Journal:
    """Keeps nothing."""

    def begin(self, before: State, target: State) -> None: ...

    def settle(self, holds: State) -> None: ...


@dataclass(frozen=True, slots=True)
class Pair:
    lab: IbLab
    master: OpensmDriver
    standby: OpensmDriver

    def low_tables(self) -> set[str]:
        return {p.low for p in read_ports(self.lab, "Hca3")}


def apply(driver: OpensmDriver, wanted: State, purpose: Purpose = Purpose.APPLY) -> Outcome:
    believed = wanted if purpose is Purpose.VERIFY else None
    return reconcile(driver, Order("ib", wanted, purpose, believed), Journal())


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ib_lab(FOUR_VLS) as lab, ExitStack() as stack:
        conf = lab.start_standby("Hca8", FOUR_VLS)
        drivers = [
            OpensmDriver(OpensmOptions("ib", str(c), helper_env=helper_env(lab, host), sweep_seconds=10.0))
            for host, c in (("Hca1", lab.conf), ("Hca8", conf))
        ]
        for driver in drivers:
            stack.callback(driver.close)
        yield Pair(lab, *drivers)


def lanes(text: str) -> list[str]:
    return sorted(
        line for line in text.splitlines() if line.startswith(("qos", "max_op")) and "file" not in line
    )


def test_the_standby_keeps_the_same_files_and_signals_nobody(pair: Pair) -> None:
    before = pair.low_tables()
    out = apply(pair.standby, paper())
    assert (out.result, out.identity.split()[-1]) == (Result.APPLIED, "standby")
    assert set(IB_TABLES) <= set(out.unreadable)
    assert pair.low_tables() == before
    out = apply(pair.master, paper())
    assert (out.result, out.identity.split()[-1]) == (Result.APPLIED, "master")
    files = [(pair.lab.directory / name).read_text() for name in ("opensm.conf", "Hca8/opensm.conf")]
    assert lanes(files[0]) == lanes(files[1])
    assert pair.low_tables() == {padded("0:192,1:192,2:64,3:192")}
    assert [apply(d, paper(), Purpose.VERIFY).result for d in (pair.master, pair.standby)] == [
        Result.IN_SYNC
    ] * 2


def take_over(pair: Pair) -> None:
    pair.lab.kill_opensm()
    wait_until("the standby takes over", lambda: pair.standby.read("ib").identity.endswith("master"))


def test_a_standby_with_the_right_files_takes_over_and_nothing_drifts(pair: Pair) -> None:
    for driver in (pair.standby, pair.master):
        apply(driver, paper())
    take_over(pair)
    wait_until("lanes", lambda: render(pair.standby.read("ib").state) == render(paper()))
    assert apply(pair.standby, paper(), Purpose.VERIFY).result is Result.IN_SYNC
    assert pair.low_tables() == {padded("0:192,1:192,2:64,3:192")}


def test_a_standby_with_old_files_takes_over_and_is_brought_to_the_policy(pair: Pair) -> None:
    """Its agent was away when the last policy came."""
    apply(pair.standby, other_lanes())
    apply(pair.master, paper())
    take_over(pair)
    wait_until("old lanes", lambda: pair.low_tables() == {padded("0:64,1:64,2:128,3:192")})
    assert render(pair.standby.read("ib").state) == render(other_lanes())
    out = apply(pair.standby, paper(), Purpose.VERIFY)
    assert out.result is Result.REPAIRED, out
    assert pair.low_tables() == {padded("0:192,1:192,2:64,3:192")}
