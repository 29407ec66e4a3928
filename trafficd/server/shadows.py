"""What schedulers' own choices would have taken beside ours, summed up in the log now and then."""

from __future__ import annotations

import logging

from trafficd.choice.evidence import Shadow

log = logging.getLogger("trafficd.shadow")
EVERY_S = 60.0


class ShadowLog:
    """One line a minute at most, and none while nobody reports."""

    def __init__(self) -> None:
        self._count = self._unknown = 0
        self._own = self._ours = 0.0
        self._since: float | None = None

    def add(self, shadow: Shadow, now: float) -> None:
        """Count one; tell all of a minute once it is over."""
        if self._since is None:
            self._since = now
        self._count += 1
        self._unknown += bool(shadow.problem)
        self._own += 0.0 if shadow.problem else shadow.own_seconds
        self._ours += 0.0 if shadow.problem else shadow.our_seconds
        if now - self._since >= EVERY_S:
            log.info("%s", self.told(now - self._since))
            self._count = self._unknown = 0
            self._own = self._ours = 0.0
            self._since = now

    def told(self, seconds: float) -> str:
        """One sentence."""
        saved = 1 - self._ours / self._own if self._own else 0.0
        unknown = f", {self._unknown} could not be reckoned" if self._unknown else ""
        return (
            f"{self._count} choices that schedulers made by themselves in {seconds:.0f} s: predicted {self._own:.3f} s "
            f"of reading, {self._ours:.3f} s by ours, {saved:.1%} less{unknown}"
        )
