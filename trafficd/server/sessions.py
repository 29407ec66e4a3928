"""What waits to be sent to each agent: at most its newest order, so that a slow agent holds up nobody."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from itertools import count

from trafficd.api.v1 import agent_pb2
from trafficd.convert.agents import (
    desired_message,
    grant_message,
    header_message,
    pause_message,
    retry_message,
)
from trafficd.core.effects import (
    Effect,
    Greet,
    Refuse,
    SendDesired,
    SendGrant,
    SendHeader,
    SendPause,
    SendRetry,
)

Order = SendDesired | SendHeader
Item = Greet | Refuse | SendPause | SendDesired | SendHeader | SendRetry | SendGrant
MAX_NOTICES = 1_000
"""Retries and grants that wait for one agent; one that takes none of them for so long loses the oldest."""


def newest(waiting: Order | None, order: Order) -> Order:
    """What to send when ``order`` comes while ``waiting`` has not gone out yet.

    The newer wins; a header for the very state that still waits lends it only its generation.
    """
    if isinstance(waiting, SendDesired) and isinstance(order, SendHeader) and waiting.digest == order.digest:
        return replace(waiting, generation=order.generation)
    return order


class Outbox:
    """One agent's. ``get`` waits; putting never does."""

    def __init__(self) -> None:
        self._answer: Greet | Refuse | None = None
        self._pause: SendPause | None = None
        self._order: Order | None = None
        self._notices: deque[SendRetry | SendGrant] = deque(maxlen=MAX_NOTICES)
        self._closed = False
        self._ready = asyncio.Event()

    def put(self, effect: Item) -> None:
        if isinstance(effect, Greet | Refuse):
            self._answer = effect
        elif isinstance(effect, SendPause):
            self._pause = effect
        elif isinstance(effect, SendRetry | SendGrant):
            self._notices.append(effect)
        else:
            self._order = newest(self._order, effect)
        self._ready.set()

    def close(self) -> None:
        self._closed = True
        self._ready.set()

    async def get(self) -> Item | None:
        """The next thing to send: an answer to a hello, a pause, an order, then the rest. None: the session is over."""
        while not self._closed:
            if (item := self._next()) is not None:
                return item
            self._ready.clear()
            await self._ready.wait()
        return None

    def _next(self) -> Item | None:
        if (answer := self._answer) is not None:
            self._answer = None
            return answer
        if (pause := self._pause) is not None:
            self._pause = None
            return pause
        if (order := self._order) is not None:
            self._order = None
            return order
        return self._notices.popleft() if self._notices else None


class Sessions:
    """Every open Control stream by its number; numbers are never used twice."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._open: dict[int, Outbox] = {}

    def open(self) -> tuple[int, Outbox]:
        number, outbox = next(self._numbers), Outbox()
        self._open[number] = outbox
        return number, outbox

    def close(self, number: int) -> None:
        if outbox := self._open.pop(number, None):
            outbox.close()

    def close_all(self) -> None:
        for number in tuple(self._open):
            self.close(number)

    def deliver(self, effect: Effect) -> None:
        """Put an effect into its session's outbox; a session that has ended misses nothing."""
        if isinstance(effect, Item):
            outbox = self._open.get(effect.session)
            if outbox is not None:
                outbox.put(effect)


def order_message(order: Order | SendPause | SendRetry | SendGrant, uuid: str) -> agent_pb2.ControlResponse:
    """What goes to an agent after its welcome."""
    match order:
        case SendDesired():
            return desired_message(order, uuid)
        case SendHeader():
            return header_message(order, uuid)
        case SendPause():
            return pause_message(order.pause, uuid)
        case SendRetry():
            return retry_message(order, uuid)
        case SendGrant():
            return grant_message(order, uuid)
