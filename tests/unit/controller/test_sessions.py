"""Outboxes: the newest wins, answers come first, and a header never stands in for a state that was not sent."""

import asyncio

from trafficd.core.effects import Greet, Refuse, SendDesired, SendHeader
from trafficd.server.sessions import Outbox, Sessions, newest
from trafficd_topology.status import Generation


def desired(number: int, digest: str = "a") -> SendDesired:
    return SendDesired(1, "n", Generation(1, number), digest, ())


def header(number: int, digest: str = "a") -> SendHeader:
    return SendHeader(1, "n", Generation(1, number), digest)


def test_what_waits() -> None:
    assert newest(None, header(1)) == header(1)
    assert newest(desired(1), desired(2, "b")) == desired(2, "b")
    assert newest(header(1), header(2)) == header(2)
    assert newest(header(1), desired(2, "b")) == desired(2, "b")
    # The state of generation 1 has not gone out: a header alone would name what the agent never got.
    assert newest(desired(1), header(2)) == desired(2)
    assert newest(desired(1), header(2, "b")) == header(2, "b")


def test_order_of_an_outbox() -> None:
    async def body() -> None:
        box = Outbox()
        for effect in (desired(1), header(2), Greet(1, "n"), desired(3, "b")):
            box.put(effect)
        assert [await box.get(), await box.get()] == [Greet(1, "n"), desired(3, "b")]
        waiting = asyncio.create_task(box.get())
        await asyncio.sleep(0)
        assert not waiting.done()
        box.put(header(4, "b"))
        assert await waiting == header(4, "b")
        box.close()
        assert await box.get() is None

    asyncio.run(body())


def test_effects_for_a_session_that_has_ended() -> None:
    sessions = Sessions()
    number, _ = sessions.open()
    sessions.close(number)
    sessions.deliver(Refuse(number, "n", "no"))
    sessions.close(number)
    assert sessions.open()[0] != number
