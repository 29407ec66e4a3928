"""The running control loop: takes events one after the other, carries their effects out in order.

Steps and commits run on one thread of their own, so that a large plan or a slow disk never holds up an answer to a
scheduler; everything else happens on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from trafficd.core.effects import Blame, Declined, Effect, Persist
from trafficd.core.events import Event, FabricOffered, PolicyOffered, Settle
from trafficd.core.loop import step, unsaved
from trafficd.core.offers import decline
from trafficd.core.state import ControlState
from trafficd.store import Store, StoreError
from trafficd_topology.model import Problem

log = logging.getLogger("trafficd.control")
MAX_BATCH = 256
Deliver = Callable[[Effect], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event and who waits for it; ``answer`` is None when nobody does."""

    event: Event
    answer: asyncio.Future[tuple[Effect, ...]] | None = None

    @property
    def withdrawn(self) -> bool:
        return self.answer is not None and self.answer.cancelled()


@dataclass(frozen=True, slots=True)
class _Turned:
    waiting: _Waiting
    effects: tuple[Effect, ...]
    error: Exception | None = None


class ControlLoop:
    """``deliver`` gets every effect but Persist, on the event loop, in order; it must not block or raise."""

    def __init__(self, state: ControlState, store: Store, deliver: Deliver) -> None:
        self._state = state
        self._store = store
        self._deliver = deliver
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="control")

    @property
    def state(self) -> ControlState:
        return self._state

    def post(self, event: Event) -> None:
        self._queue.put_nowait(_Waiting(event))

    async def submit(self, event: Event) -> tuple[Effect, ...]:
        answer: asyncio.Future[tuple[Effect, ...]] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(event, answer))
        return await answer

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                batch = [await self._queue.get()]
                while not self._queue.empty() and len(batch) < MAX_BATCH:
                    batch.append(self._queue.get_nowait())
                live = [w for w in batch if not w.withdrawn]
                for turned in await loop.run_in_executor(self._thread, self._turn, live):
                    self._carry_out(turned)
        finally:
            self._thread.shutdown(wait=True)

    def _turn(self, batch: list[_Waiting]) -> list[_Turned]:
        return [self._one(w) for w in (*batch, _Waiting(Settle()))]

    def _one(self, waiting: _Waiting) -> _Turned:
        try:
            effects = self._step(waiting.event)
        except Exception as e:  # a fault in one event must not end the service of all others
            log.exception("dropped %s: internal error", type(waiting.event).__name__)
            if isinstance(waiting.event, PolicyOffered | FabricOffered):
                return _Turned(waiting, self._declined(waiting.event, e))
            return _Turned(waiting, (), e)
        return _Turned(waiting, effects)

    def _declined(self, event: PolicyOffered | FabricOffered, error: Exception) -> tuple[Effect, ...]:
        """A fault of ours in judging an offer: it is turned down like any other, so that status names it."""
        reason = f"it cannot be judged, by a fault of this program ({type(error).__name__}): report it with the log"
        what = "policy" if isinstance(event, PolicyOffered) else "fabric"
        declined = Declined(what, event.source, (Problem("", "", reason),), Blame.FAULT)
        self._state, effects = decline(self._state, declined)
        return effects

    def _step(self, event: Event) -> tuple[Effect, ...]:
        now = time.monotonic()
        after, effects = step(self._state, event, now)
        for effect in effects:
            if not isinstance(effect, Persist):
                continue
            try:
                self._store.save(effect.saved, effect.records)
            except StoreError as e:
                log.error("%s", e)  # noqa: TRY400 - the operator wants the sentence, not where it was raised
                after, effects = unsaved(self._state, event, str(e))
                break
        self._state = after
        return effects

    def _carry_out(self, turned: _Turned) -> None:
        for effect in turned.effects:
            if not isinstance(effect, Persist):
                self._deliver(effect)
        answer = turned.waiting.answer
        if answer is None or answer.done():
            return
        if turned.error is not None:
            answer.set_exception(turned.error)
        else:
            answer.set_result(turned.effects)
