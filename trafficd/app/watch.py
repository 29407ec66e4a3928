"""Hot reload: looks at the policy and fabric files, offers what changed, and says what became of it."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from trafficd.app.control import ControlLoop
from trafficd.app.files import Offer, WatchedFile
from trafficd.core.effects import Accepted, Declined
from trafficd.core.events import Event

log = logging.getLogger("trafficd.files")
RETRY_S = 5.0
"""A file that is well-formed and yet was refused is offered again after this long: the obstacle may be gone."""


class Reloader:
    """One watched file and its standing with the loop."""

    def __init__(self, path: Path, offer: Offer, control: ControlLoop) -> None:
        self.name = str(path)
        self._file = WatchedFile(path, offer)
        self._control = control
        self._refused: Event | None = None
        self._retry_at = 0.0

    async def look(self) -> None:
        """Offer the file if it changed, or again if it was refused a while ago."""
        event = await asyncio.to_thread(self._file.poll)
        if event is None and self._refused is not None and time.monotonic() >= self._retry_at:
            event = self._refused
        if event is not None:
            await self._offer(event)

    async def _offer(self, event: Event) -> None:
        again = event is self._refused
        effects = await self._control.submit(event)
        self._refused = None
        for effect in effects:
            if isinstance(effect, Accepted):
                log.info("%s: accepted, generation %s", self.name, effect.generation)
            if isinstance(effect, Declined):
                self._refused, self._retry_at = event, time.monotonic() + RETRY_S
                for problem in () if again else effect.problems:
                    log.warning("%s: refused: %s", self.name, problem if problem.path else problem.reason)


async def watch(reloaders: tuple[Reloader, ...], every_s: float) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        for reloader in reloaders:
            await reloader.look()
