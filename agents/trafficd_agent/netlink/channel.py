"""A request socket: sends requests and takes in the kernel's answers. Safe to share between threads."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from pyroute2.netlink import (
    NETLINK_EXT_ACK,
    NETLINK_ROUTE,
    NLM_F_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
)

from trafficd_agent.netlink import wire

T = TypeVar("T")
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NLMSGERR_ATTR_MSG = 1
RECEIVE_BYTES = 1 << 16
INTERRUPTED_TRIES = 5
ANSWER_SECONDS = 5.0
"""The kernel answers within the send call; what takes this long is a kernel in trouble."""


class KernelError(Exception):
    """The kernel's answer to a request. ``number`` is an errno; ``said`` is its own sentence, where it gave one."""

    def __init__(self, number: int, said: str = "") -> None:
        super().__init__(said or os.strerror(number))
        self.number = number
        self.said = said


class OwnPorts:
    """Port ids of our own sockets, so that notifications of our own changes are told from others'."""

    def __init__(self) -> None:
        self._ids: set[int] = set()

    def add(self, port_id: int) -> None:
        self._ids.add(port_id)

    def __contains__(self, port_id: int) -> bool:
        return port_id in self._ids


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is answered by an acknowledgement: RTM_*, NLM_F_* beside REQUEST and ACK, and its body."""

    type: int
    flags: int
    body: bytes


class Channel:
    """One AF_NETLINK socket in the network namespace of the thread that uses it first.

    It is opened at first use, and again after an answer was lost. Every method raises KernelError.
    """

    def __init__(self, own: OwnPorts | None = None) -> None:
        self._own = own if own is not None else OwnPorts()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._drop()

    def dump(self, kind: int, body: bytes) -> list[wire.Message]:
        """Every record of a dump; one that was interrupted by a change is asked for again."""
        with self._lock:
            for _ in range(INTERRUPTED_TRIES):
                answers = self._guarded(lambda: self._dump(kind, body))
                if not any(a.flags & NLM_F_DUMP_INTR for a in answers):
                    return answers
        raise KernelError(errno.EAGAIN, "the dump was interrupted by changes every time")

    def ask(self, kind: int, body: bytes) -> wire.Message:
        """The one record that answers a question."""
        with self._lock:
            return self._guarded(lambda: self._ask(kind, body))

    def send(self, *requests: Request) -> None:
        """Carry out requests, one right after the other in the kernel; raises the first error of any."""
        if not requests:
            return
        with self._lock:
            self._guarded(lambda: self._send(requests))

    def _open(self) -> socket.socket:
        if self._socket is None:
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
            opened.bind((0, 0))
            opened.settimeout(ANSWER_SECONDS)
            opened.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
            opened.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
            self._own.add(opened.getsockname()[0])
            self._socket = opened
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _guarded(self, work: Callable[[], T]) -> T:
        """An answer that did not come must not be taken for that of the next question."""
        try:
            return work()
        except OSError as e:
            self._drop()
            number = errno.ETIMEDOUT if isinstance(e, TimeoutError) else e.errno or errno.EIO
            raise KernelError(number) from e

    def _next(self) -> int:
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return self._sequence

    def _receive(self) -> list[wire.Message]:
        data, _, flags, _ = self._open().recvmsg(RECEIVE_BYTES)
        if flags & socket.MSG_TRUNC:
            raise OSError(errno.EMSGSIZE, "the kernel's answer is too long")
        return list(wire.messages(data))

    def _dump(self, kind: int, body: bytes) -> list[wire.Message]:
        sequence = self._next()
        self._open().send(wire.message(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, body))
        records: list[wire.Message] = []
        while True:
            for answer in self._receive():
                if answer.sequence != sequence:
                    continue
                if answer.type in (NLMSG_DONE, NLMSG_ERROR):
                    _raise_for(answer)
                    return records
                records.append(answer)

    def _ask(self, kind: int, body: bytes) -> wire.Message:
        sequence = self._next()
        self._open().send(wire.message(kind, NLM_F_REQUEST, sequence, body))
        while True:
            for answer in self._receive():
                if answer.sequence != sequence:
                    continue
                if answer.type == NLMSG_ERROR:
                    _raise_for(answer)
                return answer

    def _send(self, requests: Sequence[Request]) -> None:
        flags = NLM_F_REQUEST | NLM_F_ACK
        numbered = {self._next(): r for r in requests}
        self._open().send(
            b"".join(wire.message(r.type, flags | r.flags, n, r.body) for n, r in numbered.items())
        )
        answers: dict[int, wire.Message] = {}
        while len(answers) < len(numbered):
            answers |= {a.sequence: a for a in self._receive() if a.sequence in numbered}
        for number in numbered:
            _raise_for(answers[number])


def _raise_for(answer: wire.Message) -> None:
    """Raise what an NLMSG_ERROR or NLMSG_DONE carries: a negative errno, and the kernel's sentence (extended ack)."""
    if len(answer.body) < 4:
        return
    number = -int.from_bytes(answer.body[:4], sys.byteorder, signed=True)
    if number <= 0:
        return
    said = ""
    if answer.type == NLMSG_ERROR and answer.flags & NLM_F_ACK_TLVS:
        inner = wire.HEADER.size  # NETLINK_CAP_ACK: the header of the request, without its body
        said = wire.as_text(wire.attributes(answer.body, 4 + inner).get(NLMSGERR_ATTR_MSG))
    raise KernelError(number, said)
