"""Where packets go, and how fast: the lanes of a real kernel on a real veth."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from contract.suite import reach, read
from lab import veth
from lab.tcbench import FIRST, RATE_BPS, SECOND, TcBench, lanes, tc_bench

from trafficd_agent.drivers.tc_counters import DIRECT_PACKETS, LinkReader, TcReader
from trafficd_topology.counters import Direction, Quantity
from trafficd_topology.diff import State, diff, ordered
from trafficd_topology.qos.tc import so_priority

pytestmark = pytest.mark.kernel
CONTROL, DEFAULT, HIGH = 0, 1, 2


@pytest.fixture
def bench() -> Iterator[TcBench]:
    with tc_bench() as made:
        yield made


def counted(quantity: str = Quantity.PACKETS) -> dict[int | None, int | None]:
    """Lane -> counter, now."""
    reader = TcReader(lambda: (veth.NEAR,))
    try:
        columns = reader.columns()
        return {c.lane_id: v for c, v in zip(columns, reader.read(), strict=True) if c.quantity == quantity}
    finally:
        reader.close()


def gained(act: Callable[[], None], lane: int, count: int = 1) -> dict[int | None, int]:
    """What each lane sent while ``act`` ran and until ``lane`` had sent ``count`` packets."""
    before = counted()

    def gain() -> dict[int | None, int]:
        return {k: (v or 0) - (before[k] or 0) for k, v in counted().items()}

    act()
    veth.until(lambda: gain()[lane] >= count, f"{count} packets in lane {lane}")
    return gain()


@pytest.mark.parametrize("to", [veth.FAR_4, veth.FAR_6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("ecn", range(4))
def test_dscp_leads_to_its_lane_whatever_ecn_says(bench: TcBench, to: str, ecn: int) -> None:
    reach(bench, FIRST)
    assert gained(lambda: veth.datagrams(20, to, tos=46 << 2 | ecn), HIGH, 20)[HIGH] == 20
    assert gained(lambda: veth.datagrams(20, to, tos=47 << 2 | ecn), DEFAULT, 20)[HIGH] == 0


@pytest.mark.parametrize("lane", [CONTROL, DEFAULT, HIGH])
def test_so_priority_leads_to_its_lane_without_a_filter(bench: TcBench, lane: int) -> None:
    reach(bench, lanes({CONTROL: 0.2, DEFAULT: 0.2, HIGH: 0.4, 3: 0.2}, 3, {}))
    assert gained(lambda: veth.datagrams(20, priority=so_priority(lane)), lane, 20)[lane] == 20


@pytest.mark.parametrize("to", [veth.NOBODY_4, veth.NOBODY_6], ids=["arp", "neighbour-discovery"])
def test_address_resolution_is_control_traffic(bench: TcBench, to: str) -> None:
    reach(bench, FIRST)
    assert gained(lambda: veth.datagrams(1, to), CONTROL)[HIGH] == 0


def dial(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as s, pytest.raises(ConnectionRefusedError):
        s.connect((address, port))


@pytest.mark.parametrize("to", [veth.FAR_4, veth.FAR_6], ids=["ipv4", "ipv6"])
def test_what_we_dial_on_a_control_port_is_control_traffic(bench: TcBench, to: str) -> None:
    reach(bench, FIRST)
    veth.datagrams(1, to)  # so that the address is resolved
    veth.until(lambda: "REACHABLE" in veth.run("ip", "neigh", "show", to), "the far end's address")
    assert gained(lambda: dial(to, 22), CONTROL)[CONTROL] >= 1
    assert gained(lambda: dial(to, 7600), CONTROL)[CONTROL] >= 1
    assert gained(lambda: dial(to, 2222), DEFAULT)[CONTROL] == 0
    assert gained(lambda: veth.datagrams(5, to, port=22), DEFAULT, 5)[CONTROL] == 0


@pytest.mark.parametrize("address", [veth.NEAR_4, veth.NEAR_6], ids=["ipv4", "ipv6"])
def test_answers_from_a_control_port_are_control_traffic(bench: TcBench, address: str) -> None:
    reach(bench, FIRST)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 22), family=family) as server:
        server.settimeout(veth.DEADLINE_S)
        before = counted()
        dialler = bench.cable.start_far(
            "bash", "-c", f"exec 3<>/dev/tcp/{address}/22; head -c 1000 <&3 | wc -c"
        )
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"x" * 1000)
            assert dialler.communicate(timeout=veth.DEADLINE_S)[0].strip() == "1000"
        after = counted()
    sent = {lane: (after[lane] or 0) - (before[lane] or 0) for lane in after}
    assert sent[CONTROL] >= 2, sent
    assert sent[HIGH] == 0


def blast(stop: threading.Event, dscp: int, to: str = veth.FAR_4) -> None:
    """Send as fast as the lane takes it: a full send buffer makes the sender wait."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        s.settimeout(veth.DEADLINE_S)
        payload = b"x" * 1400
        while not stop.is_set():
            s.sendto(payload, (to, 9000))


@contextmanager
def blasting(*dscps: int) -> Iterator[None]:
    stop = threading.Event()
    senders = [threading.Thread(target=blast, args=(stop, dscp)) for dscp in dscps]
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        stop.set()
        for sender in senders:
            sender.join()


def both(quantity: str) -> tuple[int, int]:
    """A counter of the default and of the high lane."""
    found = counted(quantity)
    return found[DEFAULT] or 0, found[HIGH] or 0


def shares_while_both_wait(slices: int) -> tuple[int, int]:
    """Bytes of the two lanes, summed over slices of a tenth of a second's worth at whose ends both had packets waiting.

    A sender that the machine did not let run for a while has nothing to send; such a slice says nothing of shares.
    """
    total = [0, 0]
    while slices:
        before, waiting = both(Quantity.BYTES), min(both(Quantity.BACKLOG_PACKETS))
        enough = sum(before) + RATE_BPS / 8 / 10
        veth.until(lambda enough=enough: sum(both(Quantity.BYTES)) > enough, "a slice's worth of bytes")
        after = both(Quantity.BYTES)
        if min(waiting, *both(Quantity.BACKLOG_PACKETS)) > 20:
            total = [t + now - then for t, now, then in zip(total, after, before, strict=True)]
            slices -= 1
    return total[0], total[1]


def test_two_backlogged_lanes_split_seventy_to_thirty(bench: TcBench) -> None:
    reach(bench, lanes({CONTROL: 0.001, DEFAULT: 0.3, HIGH: 0.699}, DEFAULT, {"arp": 0, "dscp-46": HIGH}))
    with blasting(0, 46):
        veth.until(lambda: min(both(Quantity.BACKLOG_PACKETS)) > 20, "both lanes backlogged")
        low, high = shares_while_both_wait(slices=20)
    assert high / (high + low) == pytest.approx(0.70, abs=0.02)


def direct() -> int:
    """htb's own count of packets that passed it without a class."""
    shown = re.search(r"direct_packets_stat (\d+)", veth.run("tc", "-s", "qdisc", "show", "dev", veth.NEAR))
    assert shown
    return int(shown[1])


def test_no_packet_goes_direct_once_the_tree_stands_whatever_changes(bench: TcBench) -> None:
    with blasting(0, 46, 8):
        reach(bench, FIRST)
        at_start = direct()
        assert counted(DIRECT_PACKETS)[None] == at_start
        for desired, busy in ((SECOND, 3), (FIRST, HIGH), (SECOND, 3), (FIRST, HIGH)):
            reach(bench, desired)
            gained(lambda: None, busy, 20)
        assert direct() == at_start
    assert at_start < 50, "the default class was missing for too long"


def states_on_the_way(bench: TcBench, desired: State) -> Iterator[None]:
    for change in ordered(diff(desired, read(bench).state), bench.driver.steps):
        bench.driver.write(bench.scope, change)
        yield


def test_at_every_step_the_default_class_is_there_and_filters_lead_to_classes(bench: TcBench) -> None:
    for desired in (FIRST, SECOND, FIRST, ()):
        for _ in states_on_the_way(bench, desired):
            held = read(bench).state
            classes = {int(e.key, 16) for e in held if e.kind == "class"}
            targets = {e.value.minor for e in held if e.kind == "filter"}
            targets |= {e.value.default_minor for e in held if e.kind == "qdisc"}
            assert targets <= classes


def shown_by_tc(lane: int) -> tuple[int, ...]:
    """Bytes, packets, drops, overlimits, requeues of a lane's class, as tc(8) prints them."""
    shown = veth.run("tc", "-s", "class", "show", "dev", veth.NEAR, "classid", f"7f1d:{0x10 + lane:x}")
    pattern = r"Sent (\d+) bytes (\d+) pkt \(dropped (\d+), overlimits (\d+) requeues (\d+)\)"
    found = re.search(pattern, shown)
    assert found, shown
    return tuple(int(n) for n in found.groups())


def test_counters_are_those_of_tc(bench: TcBench) -> None:
    reach(
        bench,
        lanes({CONTROL: 0.01, DEFAULT: 0.01, HIGH: 0.01}, DEFAULT, {"dscp-46": HIGH}, 8_000_000, limit=5),
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 46 << 2)
        for _ in range(200):
            s.sendto(b"x" * 1000, (veth.FAR_4, 9000))
    veth.until(lambda: counted(Quantity.BACKLOG_PACKETS)[HIGH] == 0, "the lane drained")
    quantities = (Quantity.BYTES, Quantity.PACKETS, Quantity.DROPS, "overlimits", "requeues")
    ours = tuple(counted(q)[HIGH] for q in quantities)
    assert ours == shown_by_tc(HIGH)
    assert ours[1] + ours[2] == 200
    assert ours[2] > 0


def test_port_counters_are_those_of_the_kernel_and_a_missing_port_has_none(bench: TcBench) -> None:
    reader = LinkReader(lambda: (veth.NEAR, "nope0"))
    try:
        columns = reader.columns()
        veth.datagrams(10)
        values = dict(zip(((c.port, c.quantity, c.direction) for c in columns), reader.read(), strict=True))
    finally:
        reader.close()
    shown = veth.run("ip", "-s", "link", "show", "dev", veth.NEAR).splitlines()
    sent = shown[next(i for i, line in enumerate(shown) if line.strip().startswith("TX:")) + 1].split()[0]
    assert values[veth.NEAR, Quantity.BYTES, Direction.TRANSMIT] == int(sent)
    assert values["nope0", Quantity.BYTES, Direction.TRANSMIT] is None


def test_a_lane_that_was_taken_away_has_no_counters(bench: TcBench) -> None:
    reach(bench, FIRST)
    reader = TcReader(lambda: (veth.NEAR,))
    try:
        columns = reader.columns()
        reach(bench, SECOND)
        values = dict(zip(((c.quantity, c.lane_id) for c in columns), reader.read(), strict=True))
        bench.vanish()
        assert set(reader.read()) == {None}
    finally:
        reader.close()
    assert values[Quantity.BYTES, 1] is None
    assert values[Quantity.BYTES, 2] is not None
