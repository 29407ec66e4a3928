"""A umad port: opens it through libibumad by ctypes, and keeps several packets on the wire at once.

The only code that touches the library. It may hang or crash with the device it talks to, so it runs in a process of
its own (``smp_helper``). Source: infiniband/umad.h of rdma-core; Documentation/infiniband/user_mad.rst of Linux.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import time
from collections import Counter
from collections.abc import Iterator

from trafficd_agent.drivers.opensm.mad import (
    HEADER_BYTES,
    PACKET_BYTES,
    RETRIES,
    TIMEOUT_MS,
    VERSION,
    Answer,
    Management,
    Query,
    Silence,
    Target,
    answer,
    asked,
    body,
    class_of,
    header,
    transaction,
)

IN_FLIGHT = 8
"""Packets on the wire at once. Lane 15 has no flow control: OpenSM itself keeps to 4 a default, spread as ours are."""
GIVE_UP_S = TIMEOUT_MS / 1000 * (RETRIES + 1) + 0.2
"""The kernel tries again and reports the end of it; where nothing does (a simulator), this long is waited."""
MISSES = 2
"""A target that left so many questions unanswered is not asked again until ``forgive``."""


class OpenError(Exception):
    """The device cannot be opened; the text says what to do."""


def _library() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libibumad.so.3", use_errno=True)
    except OSError as e:
        raise OpenError("libibumad.so.3 is not installed: install the Debian package libibumad3") from e
    lib.umad_open_port.argtypes = (ctypes.c_char_p, ctypes.c_int)
    lib.umad_register.argtypes = (*(ctypes.c_int,) * 3, ctypes.c_uint8, ctypes.c_void_p)
    return lib


def why(code: int, device: str) -> str:
    """What to do about a device that cannot be opened, by the error number."""
    name = device or "the first active InfiniBand device"
    if code in {errno.EACCES, errno.EPERM}:
        return (
            f"no permission to open the umad device of {name}: run the agent as root, or give its group read "
            "and write access to /dev/infiniband/umad*"
        )
    return f"{name} has no umad device to send packets through: load the ib_umad module and see that a port is up"


class UmadPort:
    """An open umad port. Not for use by two threads."""

    def __init__(self, device: str = "", port: int = 0, in_flight: int = IN_FLIGHT) -> None:
        """Open ``device`` (empty: the first active one). Raises OpenError."""
        self._lib, self._in_flight = _library(), in_flight
        ctypes.set_errno(0)
        self._lib.umad_init()
        self._id = self._lib.umad_open_port(device.encode() or None, port)
        if self._id < 0:
            raise OpenError(why(ctypes.get_errno() or -self._id, device))
        if self._lib.umad_size() != HEADER_BYTES:
            raise OpenError("this kernel's umad has no P_Key index: use Linux 2.6.24 or later")
        self._fd = self._lib.umad_get_fd(self._id)
        self._agents = {m: self._register(m, device) for m in Management}
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._number = 0
        self._heads: dict[tuple[Management, Target], tuple[bytes, bytes]] = {}
        self._missed: Counter[Target] = Counter()

    def _register(self, management: Management, device: str) -> int:
        agent: int = self._lib.umad_register(self._id, management, VERSION[management], 0, None)
        if agent < 0:
            raise OpenError(why(ctypes.get_errno() or -agent, device))
        return agent

    def close(self) -> None:
        self._lib.umad_close_port(self._id)

    def forgive(self) -> None:
        """Targets that did not answer may be asked again; routes may have changed."""
        self._missed.clear()
        self._heads.clear()

    def ask(self, queries: list[Query]) -> list[Answer]:
        """The answers, in the order of the questions."""
        answers: list[Answer] = [Silence()] * len(queries)
        waiting: dict[int, tuple[int, float]] = {}
        rest = iter(range(len(queries)))
        while self._fill(queries, rest, waiting) and waiting:
            first = next(iter(waiting.values()))[1]
            if not self._poll.poll(max(0.0, (first - time.monotonic()) * 1000)):
                self._expire(queries, waiting)
                continue
            packet = os.read(self._fd, PACKET_BYTES)
            found = waiting.pop(transaction(packet), None)
            if found is not None:
                answers[found[0]] = got = answer(packet)
                if type(got) is Silence and not got.status:
                    self._missed[queries[found[0]].target] += 1
        return answers

    def _fill(self, queries: list[Query], rest: Iterator[int], waiting: dict[int, tuple[int, float]]) -> bool:
        """Send until the wire is as full as it may be; always true, for the loop's sake."""
        while len(waiting) < self._in_flight and (i := next(rest, None)) is not None:
            query = queries[i]
            if self._missed[query.target] < MISSES:
                self._number = self._number % 0xFFFFFFFF + 1
                os.write(self._fd, self._packet(query, self._number))
                waiting[self._number] = (i, time.monotonic() + GIVE_UP_S)
        return True

    def _expire(self, queries: list[Query], waiting: dict[int, tuple[int, float]]) -> None:
        now = time.monotonic()
        for number in [n for n, (_, until) in waiting.items() if until <= now]:
            i, _ = waiting.pop(number)
            self._missed[queries[i].target] += 1

    def _packet(self, query: Query, number: int) -> bytes:
        """The whole packet; what is the same for all questions to one target is kept."""
        if query.data:
            head, tail = self._ends(query)
        else:
            key = (query.management, query.target)
            kept = self._heads.get(key)
            if kept is None:
                kept = self._heads[key] = self._ends(query)
            head, tail = kept
        return b"".join((head, number.to_bytes(8, "big"), asked(query), tail))

    def _ends(self, query: Query) -> tuple[bytes, bytes]:
        return header(self._agents[class_of(query)], query), body(query)
