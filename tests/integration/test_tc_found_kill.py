"""An agent that is killed while it takes over a port, or while it gives it back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from lab import veth
from lab.foreign import ALLOWED, TREES, build, shown
from lab.tcbench import FIRST, tc_bench

from trafficd_agent.app.drivers import Bound, DriverTable
from trafficd_agent.app.reset import Reset
from trafficd_agent.app.work import Bench
from trafficd_agent.apply import Purpose, Result
from trafficd_agent.config import DriverRule
from trafficd_agent.desired import DesiredScope, ScopeId
from trafficd_agent.drivers.tc import TcDriver
from trafficd_agent.files import Files
from trafficd_agent.netlink.channel import OwnPorts
from trafficd_agent.scope import NEVER, Work
from trafficd_topology.diff import Change, Disruption
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode

pytestmark = pytest.mark.kernel
PORT = ScopeId(ScopeKind.PORT, veth.NEAR)
TREE = "htb with classes, queues and filters"
LONG_FILTERS = [
    f"filter add dev va parent 1: protocol ip pref {n} u32 match ip tos {n % 64 << 2} 0xfc flowid 1:5"
    for n in range(100, 400)
]


class Mortal(TcDriver):
    """Its process is killed after so many requests to the kernel."""

    left: int | None = None

    def write(self, scope: str, change: Change) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left is not None:
            self.left -= 1
        super().write(scope, change)


def table(kill_after: int | None = None) -> DriverTable:
    driver = Mortal(ALLOWED)
    driver.left = kill_after
    rule = DriverRule(ScopeKind.PORT, "*", "tc", None, "")
    return DriverTable((Bound(rule, driver),), OwnPorts())


def work(purpose: Purpose, *, leaving: bool = False) -> Work:
    return Work(1, purpose, DesiredScope(PORT, "tc", Mode.ENFORCE, "", FIRST), NEVER, leaving)


def carry_out(directory: Path, job: Work, kill_after: int | None = None) -> Result | None:
    """In a process of its own; None when that was killed."""
    child = os.fork()
    if child == 0:
        outcome = Bench(table(kill_after), Files(directory).scope(PORT)).carry_out(job)
        os._exit(list(Result).index(outcome.result))
    _, status = os.waitpid(child, 0)
    return None if os.WIFSIGNALED(status) else list(Result)[os.WEXITSTATUS(status)]


def reset(directory: Path) -> list[str]:
    """What ``trafficd-agent reset --yes`` does; the problems of every scope."""
    mine = table()
    try:
        return [r.problem for r in Reset(directory, mine).give_back(Disruption.HITLESS)]
    finally:
        for bound in mine.bound:
            assert isinstance(bound.driver, TcDriver)
            bound.driver.close()


@pytest.mark.parametrize("when", [0, 1, 2, 7, 11])
def test_killed_while_taking_over_and_then_reset(tmp_path: Path, when: int) -> None:
    with tc_bench(ALLOWED):
        build(TREES[TREE])
        before = shown()
        assert carry_out(tmp_path, work(Purpose.APPLY), when) is None
        assert reset(tmp_path) == [""]
        assert shown() == before
        assert Files(tmp_path).touched() == ()


@pytest.mark.parametrize("when", [1, 4])
def test_killed_while_taking_over_and_then_finished(tmp_path: Path, when: int) -> None:
    with tc_bench(ALLOWED):
        build(TREES[TREE])
        before = shown()
        assert carry_out(tmp_path, work(Purpose.APPLY), when) is None
        assert carry_out(tmp_path, work(Purpose.APPLY)) is Result.APPLIED
        assert "htb 7f1d:" in shown()
        assert carry_out(tmp_path, work(Purpose.RETURN, leaving=True)) is Result.APPLIED
        assert shown() == before


@pytest.mark.parametrize("when", [0, 1, 2, 5])
def test_killed_while_giving_back(tmp_path: Path, when: int) -> None:
    with tc_bench(ALLOWED):
        build(TREES[TREE])
        before = shown()
        assert carry_out(tmp_path, work(Purpose.APPLY)) is Result.APPLIED
        assert carry_out(tmp_path, work(Purpose.RETURN, leaving=True), when) is None
        assert reset(tmp_path) == [""]
        assert shown() == before


def test_killed_in_the_middle_of_a_large_tree(tmp_path: Path) -> None:
    """A tree that takes several datagrams, of which the last were not sent."""
    with tc_bench(ALLOWED):
        build([*TREES[TREE], *LONG_FILTERS])
        before = shown()
        assert carry_out(tmp_path, work(Purpose.APPLY)) is Result.APPLIED
        record = Files(tmp_path).scope(PORT).as_found()
        assert record is not None
        bench = Bench(table(), Files(tmp_path).scope(PORT))
        bench.files.begin("tc", FIRST, record.elements)
        build(["qdisc del dev va root", *TREES[TREE], *LONG_FILTERS[:150]])
        assert shown() != before
        assert reset(tmp_path) == [""]
        assert shown() == before
