"""Changes by others are noticed at once, with their author; our own are known as ours."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator

import pytest
from contract.suite import plan, reach, read, write
from lab import veth
from lab.tcbench import FIRST, SECOND, TcBench, tc_bench

from trafficd_agent.netlink.watch import Event, TcWatch, What, hint
from trafficd_topology.diff import diff

pytestmark = pytest.mark.kernel


@pytest.fixture
def bench() -> Iterator[TcBench]:
    with tc_bench() as made:
        yield made


@pytest.fixture
def watch(bench: TcBench) -> Iterator[TcWatch]:
    reach(bench, FIRST)
    with TcWatch(bench.driver.own) as made:
        yield made


def collected(watch: TcWatch, what: What) -> list[Event]:
    """Events until one about ``what`` is among them."""
    events: list[Event] = []
    veth.until(
        lambda: events.extend(watch.read()) or any(e.what is what for e in events), f"an event about a {what}"
    )
    return events


def tc(*arguments: str) -> int:
    """Run tc and return its process id, which is its netlink port id."""
    with subprocess.Popen(["tc", *arguments]) as process:
        assert process.wait(timeout=veth.DEADLINE_S) == 0
        return process.pid


def test_our_own_changes_are_known_as_ours(bench: TcBench, watch: TcWatch) -> None:
    reach(bench, SECOND)
    events = collected(watch, What.FILTER)
    assert {e.ours for e in events} == {True}
    assert {e.port for e in events} == {veth.NEAR}
    assert hint(events) == ""


CHANGES = {
    What.QDISC: (True, "qdisc del dev va root"),
    What.CLASS: (False, "class change dev va parent 7f1d:1 classid 7f1d:10 htb rate 1mbit"),
    What.FILTER: (True, "filter del dev va parent 7f1d: pref 54"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_by_tc_names_its_author(bench: TcBench, watch: TcWatch, what: What) -> None:
    removed, command = CHANGES[what]
    author = tc(*command.split())
    events = collected(watch, what)
    event = next(e for e in events if e.what is what)
    assert (event.removed, event.port, event.sender, event.ours) == (removed, veth.NEAR, author, False)
    assert hint(events) == f"by netlink port id {author}"
    assert diff(FIRST, read(bench).state)
    write(bench, plan(bench, FIRST))
    assert diff(FIRST, read(bench).state) == ()


def test_an_event_loop_can_wait_for_it(watch: TcWatch) -> None:
    async def noticed() -> tuple[Event, ...]:
        loop = asyncio.get_running_loop()
        seen: asyncio.Future[tuple[Event, ...]] = loop.create_future()
        loop.add_reader(watch.fileno(), lambda: seen.done() or seen.set_result(watch.read()))
        process = await asyncio.create_subprocess_exec("tc", "qdisc", "del", "dev", veth.NEAR, "root")
        events = await asyncio.wait_for(seen, veth.DEADLINE_S)
        await process.wait()
        loop.remove_reader(watch.fileno())
        return events

    assert asyncio.run(noticed())[0].port == veth.NEAR


def test_a_device_that_goes_and_comes_is_a_link_event(bench: TcBench, watch: TcWatch) -> None:
    index = int(read(bench).identity.rpartition(":")[2])
    bench.recreate()
    events: list[Event] = []
    veth.until(
        lambda: events.extend(watch.read()) or any(not e.removed and e.index != index for e in events),
        "the new device",
    )
    links = [e for e in events if e.what is What.LINK and e.port == veth.NEAR]
    assert any(e.removed and e.index == index for e in links)
    assert any(not e.removed and e.index != index for e in links)


def test_nothing_to_read_is_no_event_and_does_not_wait(watch: TcWatch) -> None:
    watch.read()
    assert watch.read() == ()


def test_lost_notifications_ask_for_everything_to_be_read_again(bench: TcBench, watch: TcWatch) -> None:
    changes = reach(bench, SECOND)
    back = reach(bench, FIRST)
    for _ in range(400):
        write(bench, changes)
        write(bench, back)
    events = watch.read()
    assert any(e.what is What.RESYNC for e in events)
    write(bench, changes)
    assert all(e.what is not What.RESYNC for e in collected(watch, What.CLASS))


def test_hints() -> None:
    theirs = Event(What.CLASS, index=3, port="c0", sender=7)
    ours = Event(What.QDISC, removed=True, index=3, port="c0", sender=9, ours=True)
    reset = Event(What.LINK, index=3, port="c0")
    admin = Event(What.LINK, index=3, port="c0", sender=8)
    assert hint([ours]) == ""
    assert hint([reset, ours]) == "driver reset"
    assert hint([admin, theirs, ours]) == "by netlink port id 7"
    assert hint([admin]) == "by netlink port id 8"
    assert hint([]) == ""
