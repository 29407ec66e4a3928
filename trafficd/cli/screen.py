"""The full-screen form of ``trafficd top``."""

from __future__ import annotations

import contextlib
import curses
import time
from collections.abc import Callable

from trafficd.cli.exits import CliError, Exit
from trafficd.cli.top import Seen, by_use, lane_lines, nic_lines

_STEPS = {curses.KEY_DOWN: 1, ord("j"): 1, curses.KEY_UP: -1, ord("k"): -1}
_PAGES = {curses.KEY_NPAGE: 1, ord(" "): 1, curses.KEY_PPAGE: -1}


class Screen:
    """Draws what ``look`` finds until q is pressed. A controller that is away is told of, and asked again."""

    def __init__(self, window: curses.window, look: Callable[[], Seen], interval: float) -> None:
        self._window, self._look, self._interval = window, look, interval
        self._top = 0
        self._by_name = False

    def run(self) -> int:
        """Exit 0. Raises CliError when there is no controller at the start."""
        with contextlib.suppress(curses.error):
            curses.curs_set(0)
        seen, told = self._look(), ""
        while True:
            self._draw(seen, told)
            if not self._keys(seen, told, time.monotonic() + self._interval):
                return Exit.OK
            try:
                seen, told = self._look(), ""
            except CliError as e:
                told = str(e)

    def _keys(self, seen: Seen, told: str, until: float) -> bool:
        """Take keys until then; False to quit."""
        while (left := until - time.monotonic()) > 0:
            self._window.timeout(max(1, int(left * 1000)))
            key = self._window.getch()
            if key == ord("q"):
                return False
            if key != -1:
                self._pressed(key)
                self._draw(seen, told)
        return True

    def _pressed(self, key: int) -> None:
        height = self._window.getmaxyx()[0]
        self._top = max(0, self._top + _STEPS.get(key, 0) + _PAGES.get(key, 0) * max(1, height // 2))
        if key in (ord("n"), ord("u")):
            self._by_name, self._top = key == ord("n"), 0
        if key == curses.KEY_HOME:
            self._top = 0

    def _draw(self, seen: Seen, told: str) -> None:
        height, width = self._window.getmaxyx()
        nics = sorted(seen.nics, key=lambda n: n.name) if self._by_name else by_use(seen.nics)
        head = [*([f"old: {told}"] if told else []), *seen.head, "", *lane_lines(seen.lanes), ""]
        title, *rows = nic_lines(nics)
        room = max(1, height - len(head) - 2)
        self._top = min(self._top, max(0, len(rows) - room))
        shown = rows[self._top : self._top + room]
        last = f"{self._top + 1}-{self._top + len(shown)} of {len(rows)} NICs; q quits, arrows scroll, n by name, u by use"
        self._window.erase()
        for y, line in enumerate([*head, title, *shown, last][:height]):
            with contextlib.suppress(curses.error):  # the last cell of the last line cannot be written
                self._window.addnstr(y, 0, line, width, curses.A_REVERSE if line is title else 0)
        self._window.refresh()
