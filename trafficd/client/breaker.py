"""When to stop asking a controller that does not answer, so that not every request pays for finding out."""

from __future__ import annotations

FAILURES = 3
SHORTEST_S = 0.25
LONGEST_S = 5.0


class Breaker:
    """Opens after three failures in a row, for a time that doubles while single attempts go on failing."""

    __slots__ = ("_closed_again", "_failures", "_pause")

    def __init__(self) -> None:
        self._failures = 0
        self._pause = SHORTEST_S
        self._closed_again = 0.0

    def allows(self, now: float) -> bool:
        """Whether to ask."""
        return self._failures < FAILURES or now >= self._closed_again

    def succeeded(self) -> None:
        """It answered, or sent something by itself."""
        self._failures = 0
        self._pause = SHORTEST_S

    def failed(self, now: float) -> None:
        """It did not answer in time, or cannot be reached."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._closed_again = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_S)
