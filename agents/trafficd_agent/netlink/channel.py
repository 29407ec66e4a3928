"""A request socket: sends requests and takes in the kernel's answers. Safe to share between threads.

The socket and the messages are pyroute2's; the conversation is held here and not by its IPRoute (0.9.7), which
belongs to one thread and cannot be made where an event loop runs, waits for a lost answer for ever, does not tell that
a dump was interrupted, and keeps a queue for good for each request after one of a batch that failed.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections import deque
from collections.abc import Iterator
from typing import Self

from pyroute2 import IPRSocket
from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_MULTI,
    NLM_F_REQUEST,
    nlmsg,
    nlmsgerr,
)

from trafficd_agent.netlink.messages import opened

INTERRUPTED_TRIES = 5
REQUESTS_KEPT = 4096
ANSWER_SECONDS = 5.0
"""The kernel answers within the send call; what takes this long is a kernel in trouble."""


class KernelError(Exception):
    """The kernel's answer to a request. ``number`` is an errno; ``said`` is its own sentence, where it gave one."""

    def __init__(self, number: int, said: str = "") -> None:
        super().__init__(said or os.strerror(number))
        self.number = number
        self.said = said


class OwnPorts:
    """Port ids of our own sockets, so that notifications of our own changes are told from others'.

    Notifications of DCB name no port id, but the number of the request they come of (net/dcb/dcbnl.c): the last ones
    that we sent are kept too. Ours begin anywhere, so that they do not meet those of tools that count from 1.
    """

    def __init__(self) -> None:
        self._ids: set[int] = set()
        self._requests: deque[int] = deque(maxlen=REQUESTS_KEPT)

    def add(self, port_id: int) -> None:
        self._ids.add(port_id)

    def sent(self, number: int) -> None:
        self._requests.append(number)

    def asked(self, number: int) -> bool:
        return number in self._requests

    def __contains__(self, port_id: int) -> bool:
        return port_id in self._ids


class Channel:
    """One AF_NETLINK socket in the network namespace of the thread that uses it first.

    It is opened at first use, and again after an answer was lost. Requests are messages with their type and flags
    beside NLM_F_REQUEST. Every method raises KernelError.
    """

    def __init__(self, own: OwnPorts | None = None) -> None:
        self._own = own if own is not None else OwnPorts()
        self._lock = threading.Lock()
        self._socket: IPRSocket | None = None
        self._sequence = random.getrandbits(31)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._drop()

    def __del__(self) -> None:
        """A driver holds its channel for as long as it lives, and nobody tells it when that is over."""
        self._drop()

    def dump(self, request: nlmsg) -> list[nlmsg]:
        """Every record of a dump; one that was interrupted by a change is asked for again."""
        for _ in range(INTERRUPTED_TRIES):
            answers = self._converse(NLM_F_DUMP, request)
            if not any(a["header"]["flags"] & NLM_F_DUMP_INTR for a in answers):
                return answers[:-1]
        raise KernelError(errno.EAGAIN, "the dump was interrupted by changes every time")

    def ask(self, request: nlmsg) -> nlmsg:
        """The one record that answers a question."""
        return self._converse(0, request)[0]

    def send(self, *requests: nlmsg) -> None:
        """Carry out requests, one right after the other in the kernel; raises the first error of any."""
        self._converse(NLM_F_ACK, *requests)

    def _converse(self, flags: int, *requests: nlmsg) -> list[nlmsg]:
        """An answer that did not come must not be taken for that of the next question."""
        with self._lock:
            try:
                answers = list(self._answers(self._put(flags, requests)))
            except OSError as e:
                self._drop()
                number = errno.ETIMEDOUT if isinstance(e, TimeoutError) else e.errno or errno.EIO
                raise KernelError(number) from e
        for answer in answers:
            if isinstance(answer, nlmsgerr) and answer["error"]:
                raise KernelError(-answer["error"], answer.get_attr("NLMSGERR_ATTR_MSG") or "")
        return answers

    def _put(self, flags: int, requests: tuple[nlmsg, ...]) -> set[int]:
        """Send requests in one datagram; their sequence numbers."""
        numbers = set()
        for request in requests:
            self._sequence = self._sequence % 0x7FFFFFFF + 1
            numbers.add(self._sequence)
            self._own.sent(self._sequence)
            header = request["header"]
            header["sequence_number"] = self._sequence
            header["flags"] = header.get("flags", 0) | NLM_F_REQUEST | flags
            request.reset()
            request.encode()
        if requests:
            self._open().send(b"".join(r.data for r in requests))
        return numbers

    def _answers(self, waiting: set[int]) -> Iterator[nlmsg]:
        """Until each request was answered: by a record, an acknowledgement, an error, or the end of a dump."""
        while waiting:
            for answer in self._open().get():
                number = answer["header"]["sequence_number"]
                if number not in waiting:
                    continue
                yield answer
                if isinstance(answer, nlmsgerr) or not answer["header"]["flags"] & NLM_F_MULTI:
                    waiting.remove(number)

    def _open(self) -> IPRSocket:
        if self._socket is None:
            self._socket = opened()
            self._socket.socket.settimeout(ANSWER_SECONDS)
            self._own.add(self._socket.socket.getsockname()[0])
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
