"""Knowing when OpenSM has carried out what a signal asked, and what it complained of.

OpenSM writes ``SUBNET UP`` at the end of a sweep, but unless ``force_log_flush`` is TRUE that line stays in its
buffer until the next error. So there is a second witness: the count of packets that the master subnet manager
keeps (SMInfo ActCount), which rises through a sweep of the whole subnet and then rests.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REST_SECONDS = 0.3
POLL_SECONDS = 0.02

_STAMP = re.compile(r"(\w{3}) +(\d+) (\d\d):(\d\d):(\d\d) (\d{6}) ")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# What the log says when a file that OpenSM read again is wrong. AC01 alone is a missing policy file, which is no fault.
_REFUSALS = re.compile(r"ERR (AC(?!01)\w\w|331A|75\d\d)\b")


@dataclass(frozen=True, slots=True)
class LogMark:
    """A place in a log file, and when it was the end: month, day, hour, minute, second, microsecond, local time."""

    path: Path | None
    inode: int
    size: int
    stamp: tuple[int, ...]


def mark(path: Path | None) -> LogMark:
    """The end of the log as it is now; a log that cannot be read is empty for ever."""
    now = time.time()
    stamp = (*time.localtime(now)[1:6], int(now * 1e6) % 1_000_000)
    try:
        status = (path or Path()).stat()
    except OSError:
        return LogMark(path, 0, 0, stamp)
    return LogMark(path, status.st_ino, status.st_size, stamp)


def since(start: LogMark) -> list[str]:
    """Whole lines written after a mark; of a log that was rotated or cut, all of them."""
    if start.path is None:
        return []
    try:
        with start.path.open("rb") as f:
            status = os.fstat(f.fileno())
            same = status.st_ino == start.inode and status.st_size >= start.size
            f.seek(start.size if same else 0)
            data = f.read()
    except OSError:
        return []
    return data[: data.rfind(b"\n") + 1].decode(errors="replace").splitlines()


def swept(lines: list[str], start: LogMark) -> bool:
    """Whether a sweep ended after the mark. Lines that only came out of the buffer then are of older sweeps."""
    return any(line.endswith("SUBNET UP") and _stamp(line) >= start.stamp for line in lines)


TAIL_BYTES = 1 << 20


def last_sweep(path: Path | None) -> float:
    """When the last sweep that the log tells of ended, seconds since the Unix epoch; 0 when it tells of none."""
    try:
        with (path or Path()).open("rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - TAIL_BYTES))
            lines = f.read().decode(errors="replace").splitlines()
    except OSError:
        return 0.0
    ends = (_stamp(line) for line in reversed(lines) if line.endswith("SUBNET UP"))
    stamp = next((s for s in ends if s), None)
    return 0.0 if stamp is None else _seconds(stamp)


def _seconds(stamp: tuple[int, ...]) -> float:
    """A stamp has no year: it is of the last twelve months."""
    now = time.time()
    month, day, hour, minute, second, micro = stamp
    year = time.localtime(now).tm_year
    for y in (year, year - 1):
        at = time.mktime((y, month, day, hour, minute, second, 0, 0, -1)) + micro / 1e6
        if at <= now + 86400:
            return at
    return 0.0


def _stamp(line: str) -> tuple[int, ...]:
    found = _STAMP.match(line)
    if found is None or found[1] not in _MONTHS:
        return ()
    return (_MONTHS.index(found[1]) + 1, *map(int, found.groups()[1:]))


def refusal(lines: list[str]) -> str:
    """The first line in which OpenSM refuses a file, from its function's name on; empty when there is none."""
    line = next((text for text in lines if _REFUSALS.search(text)), "")
    return line.partition("-> ")[2] or line


class Activity:
    """Watches ActCount for one sweep of the whole subnet: a rise of at least ``sweep`` packets, then rest."""

    def __init__(self, count: Callable[[], int | None], sweep: int, now: float) -> None:
        self._count = count
        self._sweep = sweep
        self._asked = 0
        self._last = self._start = self._sent()
        self._moved = now

    def _sent(self) -> int | None:
        """Packets that were no answer to this question itself."""
        count = self._count()
        if count is None:
            return None
        self._asked += 1
        return count - self._asked

    def settled(self, now: float) -> bool:
        """Ask once whether a sweep has come and gone."""
        sent = self._sent()
        if sent is None or self._last is None or self._start is None or sent < self._last:
            self._last = self._start = sent
            self._moved = now
            return False
        if sent > self._last:
            self._last, self._moved = sent, now
        if now - self._moved < REST_SECONDS:
            return False
        risen, self._start = sent - self._start, sent
        return risen >= self._sweep
