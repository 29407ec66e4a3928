"""The dcb driver and a NIC that fails, lies, flaps, goes away or is somebody else's; what the module counted is the witness."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest
from lab.dcbload import pairs
from lab.dcbport import DcbPort, dcb_port, sh
from lab.dcbstates import FIRST, SECOND
from lab.veth import CLONE_NEWNET

from trafficd_agent.apply import Order, Outcome, Purpose, Result, reconcile
from trafficd_agent.driver import InPodError, PermissionMissingError
from trafficd_agent.drivers.dcb import DcbDriver, DcbOptions
from trafficd_topology.diff import Disruption, Element, State, diff, render, state
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.dcb import DcbApp
from trafficd_topology.qos.dcb_render import render_dcb

PAIRS = int(os.environ.get("TRAFFICD_DCB_PAIRS", "40"))


class Notes:
    """A journal in memory."""

    def __init__(self) -> None:
        self.before: State | None = None

    def begin(self, before: State, target: State) -> None:
        self.before = before

    def settle(self, holds: State) -> None:
        self.before = None


@pytest.fixture
def driver() -> Iterator[DcbDriver]:
    made = DcbDriver(DcbOptions(link_wait_s=2.0))
    yield made
    made.close()


@pytest.fixture
def port() -> Iterator[DcbPort]:
    with dcb_port("dt0", "mlx5") as made:
        yield made


def go(
    driver: DcbDriver,
    desired: State,
    purpose: Purpose = Purpose.APPLY,
    leave: Disruption = Disruption.LINK_FLAP,
    scope: str = "dt0",
) -> Outcome:
    return reconcile(driver, Order(scope, desired, purpose, believed=desired, leave=leave), Notes())


def held(driver: DcbDriver, scope: str = "dt0") -> State:
    return driver.read(scope).state


def test_iproute2_reads_what_was_desired(driver: DcbDriver, port: DcbPort) -> None:
    assert go(driver, FIRST).result is Result.APPLIED
    ets, pfc = port.shown("ets"), port.shown("pfc")
    assert (ets["willing"], ets["prio_tc"]) == (False, [0, 0, 0, 3, 4, 0, 6, 0])
    assert ets["tc_tsa"] == ["ets"] * 6 + ["strict"] * 2
    assert ets["tc_bw"] == [10, 0, 0, 89, 1, 0, 0, 0]
    assert [p for p, on in enumerate(pfc["prio_pfc"]) if on] == [3, 4]
    assert pfc["delay"] == 5
    shown = port.shown("app")["dscp_prio"]
    assert sorted(map(tuple, shown)) == [(0, 0), (10, 4), (26, 3), (48, 6)]
    assert port.shown("buffer")["prio_buffer"] == [0, 0, 0, 1, 2, 0, 0, 0]


PRESET = """
version: 1
policies:
  - {name: gpu, preset: dualpath, mode: enforce, selectors: [{kinds: [compute]}], roce: {cable_length: 5}}
"""


def test_the_preset_compiled_for_the_port_is_what_the_port_holds(driver: DcbDriver, port: DcbPort) -> None:
    found, problems = parse_policies(PRESET)
    assert found is not None, problems
    policy, features = found.policies[0], driver.probe("dt0").dcb
    assert policy.roce is not None
    assert features is not None
    made = render_dcb(policy.lanes, policy.roce, 100_000_000_000, features)
    assert made.problems == ()
    assert {e.kind for e in made.elements} == set(features.kinds)
    assert go(driver, made.elements).result is Result.APPLIED
    entries = port.shown("app")["dscp_prio"]
    assert sorted(dscp for dscp, _ in entries) == list(range(64))
    assert [24, 3] in entries
    assert sum(port.shown("ets")["tc_bw"]) == 100
    assert [p for p, on in enumerate(port.shown("pfc")["prio_pfc"]) if on] == [3, 4]
    assert Path("/sys/class/net/dt0/ecn/roce_np/enable/4").read_text() == "1\n"


def test_what_does_not_differ_is_not_written_and_pfc_flaps_nothing(driver: DcbDriver, port: DcbPort) -> None:
    go(driver, FIRST)
    port.forget()
    assert go(driver, FIRST).result is Result.IN_SYNC
    assert set(port.counts().values()) == {0}
    more = state([*(e for e in FIRST if e.name != "dscp/10"), Element("dscp", "10", DcbApp((3,)))])
    assert go(driver, more, leave=Disruption.HITLESS).result is Result.APPLIED
    counts = port.counts()
    assert (counts["setpfc"], counts["flaps"], counts["setapp"]) == (0, 0, 1)


def test_trust_never_falls_back_on_the_way_and_one_link_flaps_once(driver: DcbDriver, port: DcbPort) -> None:
    go(driver, FIRST)
    port.forget()
    assert go(driver, SECOND).result is Result.APPLIED
    assert (port.counts()["trusts"], port.counts()["flaps"]) == (0, 1)
    assert port.has_carrier()


def test_a_link_flap_waits_for_leave_and_hitless_drift_does_not(driver: DcbDriver, port: DcbPort) -> None:
    waiting = go(driver, FIRST, leave=Disruption.HITLESS)
    assert (waiting.result, waiting.waiting_for) == (Result.WAITING, Disruption.LINK_FLAP)
    go(driver, FIRST)
    port.dcb("pfc", "set", "prio-pfc", "all:off")
    port.await_carrier()
    port.dcb("ets", "set", "prio-tc", "3:0")
    port.forget()
    drifted = go(driver, FIRST, Purpose.VERIFY, Disruption.HITLESS)
    assert (drifted.result, drifted.reason) == (Result.DRIFTED, "RepairNotHitless")
    assert [c.name for c in drifted.changes] == ["ets"]
    assert [d.path for d in drifted.differences] == ["pfc.priorities"]
    assert port.counts()["setpfc"] == 0


@pytest.mark.parametrize(
    "order", ["busy setets 1", "half setets 1", "half setpfc 1", "refuse setbuffer 1", "ignore setapp 1"]
)
def test_a_device_that_fails_once_is_put_back_and_reached_next_time(
    driver: DcbDriver, port: DcbPort, order: str
) -> None:
    go(driver, FIRST)
    port.behave(order)
    failed = go(driver, SECOND)
    assert failed.result is Result.RESTORED, failed.message
    assert render(held(driver)) == render(FIRST)
    assert failed.passing == order.startswith("busy")
    assert go(driver, SECOND).result is Result.APPLIED


def test_a_lying_device_is_never_called_verified(driver: DcbDriver, port: DcbPort) -> None:
    go(driver, FIRST)
    port.behave("lie 1")
    outcome = go(driver, FIRST, Purpose.VERIFY)
    assert outcome.result in (Result.RESTORED, Result.STUCK)
    assert outcome.message.startswith("ets.prio_tc should be")


def test_a_link_that_does_not_come_back_is_told_and_undone(driver: DcbDriver, port: DcbPort) -> None:
    go(driver, FIRST)
    port.behave("flap 0")
    outcome = go(driver, SECOND)
    assert (outcome.result, outcome.reason) == (Result.RESTORED, "Refused")
    assert "dt0: the link did not come back within 2 s" in outcome.message
    assert render(held(driver)) == render(FIRST)


def test_a_device_that_goes_in_mid_apply_is_owed_its_state_until_it_is_back(
    driver: DcbDriver, port: DcbPort
) -> None:
    found = held(driver)
    port.behave("vanish setpfc 1")
    outcome = go(driver, FIRST)
    assert outcome.result is Result.STUCK
    assert "no network device dt0" in outcome.message
    port.make()
    port.behave("mlx5")
    assert go(driver, found, Purpose.RESTORE).result in (Result.IN_SYNC, Result.APPLIED)
    assert render(held(driver)) == render(found)


def test_a_willing_device_is_made_unwilling_and_the_peer_overwrites_no_more(
    driver: DcbDriver, port: DcbPort
) -> None:
    port.behave("willing 1")
    port.dcb("ets", "set", "prio-tc", "0:1")
    assert go(driver, FIRST).result is Result.APPLIED
    assert not port.shown("ets")["willing"]
    assert go(driver, FIRST, Purpose.VERIFY).result is Result.IN_SYNC


def test_firmware_that_owns_dcbx_is_named_and_nothing_is_written(driver: DcbDriver, port: DcbPort) -> None:
    port.behave("firmware 1")
    outcome = go(driver, FIRST)
    assert outcome.result is Result.FOREIGN
    assert "firmware on dt0 runs an LLDP agent that owns DCB" in outcome.message
    assert set(port.counts().values()) == {0}


def test_released_settings_are_taken_for_the_host_and_given_back(driver: DcbDriver, port: DcbPort) -> None:
    port.behave("released")
    found = held(driver)
    assert "dcbx" not in {e.kind for e in found}
    assert go(driver, FIRST).result is Result.APPLIED
    assert port.shown("dcbx") == {"host": True, "ieee": True} or "host" in str(port.shown("dcbx"))
    assert go(driver, found, Purpose.RETURN).result is Result.APPLIED
    assert "dcbx" not in {e.kind for e in held(driver)}


def test_a_change_that_nobody_told_of_is_found_by_looking(driver: DcbDriver, port: DcbPort) -> None:
    go(driver, FIRST)
    port.behave("steal 26", "swap 4")
    repaired = go(driver, FIRST, Purpose.VERIFY, Disruption.HITLESS)
    assert (repaired.result, {c.name for c in repaired.drift}) == (Result.REPAIRED, {"dscp/26", "ets"})


def test_several_priorities_of_one_dscp_become_one(driver: DcbDriver) -> None:
    """A device that keeps them all, as the kernel allows."""
    with dcb_port("dt0") as port:
        port.dcb("app", "add", "dscp-prio", "26:3", "26:5")
        assert Element("dscp", "26", DcbApp((3, 5))) in held(driver)
        desired = state([*(e for e in held(driver) if e.kind != "dscp"), Element("dscp", "26", DcbApp((4,)))])
        assert go(driver, desired).result is Result.APPLIED
        assert port.shown("app")["dscp_prio"] == [[26, 4]]
        assert port.counts()["trusts"] == 1


def test_without_the_capability_it_reads_and_says_what_it_lacks(port: DcbPort) -> None:
    poor = DcbDriver()
    os.seteuid(65534)
    try:
        can = poor.probe("dt0")
        found = poor.read("dt0").state
        change = next(c for c in diff(FIRST, found) if c.kind == "ets")
        with pytest.raises(PermissionMissingError, match=r"dt0.*CAP_NET_ADMIN in the host's user namespace"):
            poor.write("dt0", change)
    finally:
        os.seteuid(0)
        poor.close()
    assert (can.supported, can.writable) == (True, False)
    assert "CAP_NET_ADMIN" in can.reason
    assert set(port.counts().values()) == {0}


def test_in_another_network_namespace_it_sees_no_nic_and_says_why(port: DcbPort) -> None:
    said: list[str] = []

    def ask() -> None:
        assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0
        elsewhere = DcbDriver()
        said.append(elsewhere.probe("dt0").reason)
        elsewhere.close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(said) == 1
    assert said[0].startswith("there is no network device dt0 in this network namespace")
    assert said[0].endswith("let the agent run in the host's (hostNetwork)")


def test_a_nic_in_a_pod_is_in_pod_and_no_drift(driver: DcbDriver, port: DcbPort) -> None:
    go(driver, FIRST)
    sh("ip", "netns", "add", "pod")
    try:
        sh("ip", "link", "set", "dt0", "netns", "pod")
        with pytest.raises(InPodError, match="another network namespace"):
            driver.read("dt0")
        outcome = go(driver, FIRST, Purpose.VERIFY)
        assert (outcome.result, outcome.reason, outcome.drift) == (Result.NOT_READ, "InPod", ())
        sh("ip", "-n", "pod", "link", "set", "dt0", "netns", "1")
    finally:
        sh("ip", "netns", "del", "pod")
    sh("ip", "link", "set", "dt0", "up")
    assert go(driver, FIRST, Purpose.VERIFY).result in (Result.IN_SYNC, Result.REPAIRED)


@contextmanager
def bond() -> Iterator[tuple[DcbPort, DcbPort]]:
    with dcb_port("dt0", "mlx5") as one, dcb_port("dt1", "mlx5") as two, ExitStack() as stack:
        sh("ip", "link", "add", "bo0", "type", "bond", "mode", "active-backup")
        stack.callback(sh, "ip", "link", "del", "bo0")
        for port in (one, two):
            sh("ip", "link", "set", port.name, "down")
            sh("ip", "link", "set", port.name, "master", "bo0")
        sh("ip", "link", "set", "bo0", "up")
        for port in (one, two):
            port.await_carrier()
        yield one, two


def test_every_member_of_a_bond_is_programmed_and_stands_for_it(driver: DcbDriver) -> None:
    with bond() as (one, two):
        two.dcb("ets", "set", "prio-tc", "0:5")
        found = held(driver, "bo0")
        assert "ets/@dt1" in {e.name for e in found}
        assert go(driver, FIRST, scope="bo0").result is Result.APPLIED
        assert render(held(driver, "bo0")) == render(FIRST)
        assert one.shown("ets") == two.shown("ets")
        assert (one.counts()["flaps"], two.counts()["flaps"]) == (1, 1)
        two.dcb("app", "del", "dscp-prio", "26:3")
        one.dcb("ets", "set", "prio-tc", "3:0")
        repaired = go(driver, FIRST, Purpose.VERIFY, Disruption.HITLESS, "bo0")
        assert repaired.result is Result.REPAIRED, repaired.message
        assert {c.name for c in repaired.drift} == {"ets", "ets/@dt1", "dscp/26@dt1"}
        two.behave("refuse setbuffer 1")
        failed = go(driver, SECOND, scope="bo0")
        assert failed.result is Result.RESTORED
        assert "bo0, dt1" in failed.message
        assert render(held(driver, "bo0")) == render(FIRST)
        assert go(driver, found, Purpose.RETURN, scope="bo0").result is Result.APPLIED
        assert render(held(driver, "bo0")) == render(found)
        assert not driver.probe("dt0").supported


def test_random_pairs_end_in_desired_or_in_before(driver: DcbDriver, port: DcbPort) -> None:
    orders = {
        "ets": ("busy setets 1", "half setets 1", "refuse setets 1", "ignore setets 1"),
        "pfc": ("busy setpfc 1", "half setpfc 1"),
        "dscp": ("busy setapp 1", "refuse delapp 1", "ignore setapp 1"),
        "maxrate": ("half setmaxrate 1", "ignore setmaxrate 1"),
        "buffer": ("half setbuffer 1", "refuse setbuffer 1"),
    }
    operations = ("setets", "setpfc", "setapp", "delapp", "setmaxrate", "setbuffer")

    def fail(random: Random, kind: str) -> None:
        if kind in orders:
            port.behave(random.choice(orders[kind]))
        else:
            port.behave(*(f"good {op}" for op in operations))

    port.behave("flap 1")
    go(driver, FIRST)
    met = pairs(driver, "dt0", PAIRS, fail)
    assert met[Result.APPLIED] > 0
    assert met[Result.RESTORED] > 0


def test_a_foreign_lldpad_is_named_before_anything_is_written(driver: DcbDriver, port: DcbPort) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lldpad:
        lldpad.bind("\0/com/intel/lldpad")
        outcome = go(driver, FIRST)
        assert (outcome.result, outcome.reason) == (Result.FOREIGN, "ForeignConfiguration")
        assert outcome.message.startswith("lldpad runs on this node and programs DCB by its own settings")
        assert set(port.counts().values()) == {0}
        bold = DcbDriver(DcbOptions(take_over=True))
        assert go(bold, FIRST).result is Result.APPLIED
        bold.close()
