"""What goes wrong beside and inside a subnet while the driver works: named, and put right once that can be done."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import pytest
from lab.ibbench import FOUR_VLS, helper_env, other_lanes, overwrite, paper
from lab.ibsim import IbLab, ib_lab, wait_until

from trafficd_agent.apply import Order, Outcome, Purpose, Result, reconcile
from trafficd_agent.drivers.opensm import OpensmDriver, OpensmOptions
from trafficd_agent.drivers.opensm.umad import why
from trafficd_topology.diff import Disruption, Element, State, render, state
from trafficd_topology.qos.ib import IbFile
from trafficd_topology.qos.ib_files import PathRule, qos_policy_text

pytestmark = pytest.mark.ib


class Journal:
    """Keeps what was there before the first write."""

    def __init__(self) -> None:
        self.before: State | None = None

    def begin(self, before: State, target: State) -> None:
        self.before = before if self.before is None else self.before

    def settle(self, holds: State) -> None:
        self.before = None


@dataclass(frozen=True, slots=True)
class Rig:
    lab: IbLab
    driver: OpensmDriver
    journal: Journal

    def work(self, wanted: State, purpose: Purpose = Purpose.APPLY) -> Outcome:
        leave = Disruption.FABRIC_FLAP
        order = Order("ib", wanted, purpose, restore_to=self.journal.before, leave=leave)
        return reconcile(self.driver, order, self.journal)

    def text(self) -> str:
        return render(self.driver.read("ib").state)


@contextmanager
def rig_on(lab: IbLab, **given: object) -> Iterator[Rig]:
    options = OpensmOptions("ib", str(lab.conf), helper_env=helper_env(lab, "Hca2"), sweep_seconds=10.0)
    driver = OpensmDriver(replace(options, **given))  # type: ignore[arg-type]
    try:
        yield Rig(lab, driver, Journal())
    finally:
        driver.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with ib_lab(FOUR_VLS) as lab, rig_on(lab) as made:
        made.work(paper())
        yield made


def killed_at_the_write(rig: Rig) -> threading.Thread:
    """Kills OpenSM as soon as its file is another one."""
    was = rig.lab.conf.stat().st_ino

    def watch() -> None:
        with suppress(Exception):
            wait_until("written", lambda: rig.lab.conf.stat().st_ino != was)
            rig.lab.kill_opensm()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_opensm_dies_in_mid_apply_and_what_was_there_is_back_once_it_runs(rig: Rig) -> None:
    watching = killed_at_the_write(rig)
    out = rig.work(other_lanes())
    watching.join()
    assert (out.result, out.passing) == (Result.STUCK, True), out
    assert re.search(
        "ended or started anew in the middle|has ended: start it|no OpenSM runs with", out.message
    )
    rig.lab.start_opensm()
    before = rig.journal.before
    assert before is not None
    assert rig.work(before, Purpose.RESTORE).result in {Result.IN_SYNC, Result.APPLIED}
    assert rig.text() == render(paper())
    assert rig.work(other_lanes()).result is Result.APPLIED
    assert rig.text() == render(other_lanes())


def test_a_switch_that_answers_nothing_is_named_in_time_and_the_others_are_verified(rig: Rig) -> None:
    rig.lab.console('Error "Spine1" 100')
    named = {f"the node behind the link of 0x000000000020000{leaf}:5" for leaf in (0, 1)}
    wait_until("it is silent", lambda: named <= rig.driver.read("ib").unreadable)
    out = rig.work(other_lanes())
    assert out.result is Result.APPLIED, out
    assert named <= set(out.unreadable)
    rig.lab.console('Error "Spine1" 0')
    # It kept its old tables: found as drift, and brought to the policy.
    wait_until("it answers", lambda: not named & rig.driver.read("ib").unreadable)
    wait_until("in sync", lambda: rig.work(other_lanes(), Purpose.VERIFY).result is Result.IN_SYNC)
    assert rig.text() == render(other_lanes())


def test_a_port_that_runs_fewer_vls_than_planned_is_named_and_lanes_that_need_more_are_refused(
    rig: Rig,
) -> None:
    # PortInfo of Leaf1's port 2: as it is, with OperationalVLs VL 0-1.
    lowered = port_info(rig.lab, 2, 2)
    lowered[43] = 2 << 4 | lowered[43] & 0xF
    lowered[32] &= 0xF0  # the port's state is to stay
    overwrite(rig.lab, "2", "0x15", "2", lowered.hex())
    wait_until("lowered", lambda: "op_vls/0x0000000000200000:2 IbTable(entries=(2,))" in rig.text())
    out = rig.work(other_lanes())
    assert (out.result, out.reason) == (Result.RESTORED, "Refused")
    assert "VL 3 is named, but ports run VL 0 to 1" in out.message
    # To raise it again takes the port down: that waits for leave.
    hitless = Order("ib", paper(), Purpose.VERIFY)
    assert reconcile(rig.driver, hitless, rig.journal).reason == "RepairNotHitless"
    assert rig.work(paper(), Purpose.VERIFY).result is Result.REPAIRED
    assert rig.text() == render(paper())


def port_info(lab: IbLab, lid: int, port: int) -> bytearray:
    """As the port tells it, read on another adapter."""
    code = (
        "import sys; from trafficd_agent.drivers.opensm.umad import UmadPort; "
        "from trafficd_agent.drivers.opensm.mad import Query, Target; p = UmadPort(); "
        f"sys.stdout.write(p.ask([Query(Target(lid={lid}), 0x15, {port})])[0].hex()); p.close()"
    )
    return bytearray.fromhex(lab.run("Hca4", sys.executable, "-c", code))


def test_links_that_go_and_come_while_ports_are_read(rig: Rig) -> None:
    stop = threading.Event()

    def shake() -> None:
        while not stop.is_set():
            for word in ("Unlink", "ReLink"):
                rig.lab.console(f'{word} "Spine1"[1]')
                stop.wait(0.05)

    thread = threading.Thread(target=shake)
    thread.start()
    try:
        for wanted in (other_lanes(), paper()) * 2:
            out = rig.work(wanted)
            # A port that is away just then can be neither read nor proven: that is said, and nothing else is claimed.
            # After a restore, what is wanted next is there already.
            told = {Result.APPLIED, Result.RESTORED, Result.IN_SYNC, Result.NOT_READ, Result.STUCK}
            assert out.result in told, out
    finally:
        stop.set()
        thread.join()
    rig.lab.console('ReLink "Spine1"[1]')
    wait_until("whole", lambda: rig.driver.fabric_ports("ib").count == 24)
    rig.work(paper(), Purpose.VERIFY)
    wait_until("in sync", lambda: rig.work(paper(), Purpose.VERIFY).result is Result.IN_SYNC)
    assert rig.text() == render(paper())


def test_a_policy_file_broken_by_hand_does_not_stop_what_is_in_force_from_being_put_right(rig: Rig) -> None:
    """OpenSM drops a file with an error in it and serves paths without one."""
    path = rig.lab.directory / "qos-policy.conf"
    text = qos_policy_text([PathRule(2, service_ids=(0x106, 0x107))], 0, 0)
    wanted = state([*paper(), Element("file", "qos_policy", IbFile(text))])
    assert rig.work(wanted).result is Result.APPLIED
    path.write_text(text.replace("end-qos-ulps", "end-qos-alps"))
    rig.lab.hang_up()
    seen = render(rig.driver.read("ib").state)
    # Whether OpenSM took the file is seen by what it answers: SL 0 in place of 2.
    assert "path_sl/service-id 0x106 IbTable(entries=(0,))" in seen
    assert rig.work(wanted, Purpose.VERIFY).result is Result.REPAIRED
    assert path.read_text() == text
    assert rig.text() == render(wanted)


def test_no_permission_says_what_to_grant() -> None:
    assert why(13, "") == (
        "no permission to open the umad device of the first active InfiniBand device: run the agent as root, or give its "
        "group read and write access to /dev/infiniband/umad*"
    )


def test_each_cause_of_drift_is_named(rig: Rig) -> None:
    def cause() -> str:
        return rig.driver.read("ib").cause

    assert (cause(), cause()) == ("", "")
    overwrite(rig.lab, "2", "0x18", "0x30002", "000a")
    assert cause() == "written in ports behind OpenSM's back: vlarb_high/0x0000000000200000:2"
    assert (cause(), rig.work(paper(), Purpose.VERIFY).result) == ("", Result.REPAIRED)
    assert (cause(), cause()) == ("", "")
    rig.lab.conf.write_text(rig.lab.conf.read_text().replace("2:64", "2:32"))
    rig.lab.hang_up()
    assert cause() == "opensm.conf was edited"
    was = rig.lab.opensm_pid
    rig.lab.stop_opensm()
    rig.lab.start_opensm()
    assert cause() == f"OpenSM was restarted (pid {was}, now {rig.lab.opensm_pid})"
