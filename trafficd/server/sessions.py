"""What waits to be sent to each agent: at most its newest order, so that a slow agent holds up nobody."""

from __future__ import annotations

import asyncio
from itertools import count

from trafficd.api.v1 import agent_pb2
from trafficd.convert.agents import desired_message, header_message
from trafficd.core.effects import Effect, Greet, Refuse, SendDesired, SendHeader

Order = SendDesired | SendHeader


def newest(waiting: Order | None, order: Order) -> Order:
    """What to send when ``order`` comes while ``waiting`` has not gone out yet.

    The newer wins; a header for the very state that still waits lends it only its generation.
    """
    if isinstance(waiting, SendDesired) and isinstance(order, SendHeader) and waiting.digest == order.digest:
        return SendDesired(
            waiting.session, waiting.node, order.generation, waiting.digest, scopes=waiting.scopes
        )
    return order


class Outbox:
    """One agent's. ``get`` waits; putting never does."""

    def __init__(self) -> None:
        self._answer: Greet | Refuse | None = None
        self._order: Order | None = None
        self._closed = False
        self._ready = asyncio.Event()

    def put(self, effect: Greet | Refuse | Order) -> None:
        if isinstance(effect, Greet | Refuse):
            self._answer = effect
        else:
            self._order = newest(self._order, effect)
        self._ready.set()

    def close(self) -> None:
        self._closed = True
        self._ready.set()

    async def get(self) -> Greet | Refuse | Order | None:
        """The next thing to send, an answer to a hello before an order; None when the session is over."""
        while not self._closed:
            if self._answer is not None:
                answer, self._answer = self._answer, None
                return answer
            if self._order is not None:
                order, self._order = self._order, None
                return order
            self._ready.clear()
            await self._ready.wait()
        return None


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
        if isinstance(effect, Greet | Refuse | SendDesired | SendHeader):
            outbox = self._open.get(effect.session)
            if outbox is not None:
                outbox.put(effect)


def order_message(order: Order, uuid: str) -> agent_pb2.ControlResponse:
    return desired_message(order, uuid) if isinstance(order, SendDesired) else header_message(order, uuid)
