"""Queues, classes and filters of any kind as the kernel wrote them, and requests that write them back unchanged.

Sources: linux/rtnetlink.h (struct tcmsg, TCA_*), linux/netlink.h (struct nlattr).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, nlmsg
from pyroute2.netlink.rtnl import (
    RTM_DELQDISC,
    RTM_DELTFILTER,
    RTM_GETQDISC,
    RTM_GETTCLASS,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTCLASS,
    RTM_NEWTFILTER,
)
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from trafficd_agent.netlink.channel import Channel
from trafficd_agent.netlink.messages import TcMessage

ALIGN = 4
TYPE_MASK = 0x3FFF
"""Of an attribute's type: without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""
TCA_KIND, TCA_OPTIONS = 1, 2
RTM_GETCHAIN = 102

Attributes = tuple[tuple[int, bytes], ...]
"""(type, value) in the kernel's order."""


class Sort(StrEnum):
    QDISC = "qdisc"
    CLASS = "class"
    FILTER = "filter"


GET = {Sort.QDISC: RTM_GETQDISC, Sort.CLASS: RTM_GETTCLASS, Sort.FILTER: RTM_GETTFILTER}
NEW = {Sort.QDISC: RTM_NEWQDISC, Sort.CLASS: RTM_NEWTCLASS, Sort.FILTER: RTM_NEWTFILTER}
FLAGS = {
    Sort.QDISC: NLM_F_CREATE | NLM_F_REPLACE,
    Sort.CLASS: NLM_F_CREATE | NLM_F_EXCL,
    Sort.FILTER: NLM_F_CREATE | NLM_F_EXCL,
}


@dataclass(frozen=True, slots=True)
class Record:
    """One answer of the kernel: struct tcmsg and the attributes behind it."""

    sort: Sort
    handle: int
    parent: int
    info: int
    attributes: Attributes

    def get(self, number: int) -> bytes | None:
        return next((value for kind, value in self.attributes if kind == number), None)

    @property
    def kind(self) -> str:
        return (self.get(TCA_KIND) or b"").rstrip(b"\0").decode()


class RawMessage(nlmsg):  # type: ignore[misc] # pyroute2 has no types
    """struct tcmsg with its attributes as bytes."""

    fields = (*tcmsg.fields, ("rest", "s"))
    nla_map = ()


def unpack(data: bytes) -> Attributes:
    """Attributes one after the other; what is cut short ends them."""
    found, at = [], 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found.append((kind & TYPE_MASK, data[at + 4 : at + length]))
        at += (length + ALIGN - 1) // ALIGN * ALIGN
    return tuple(found)


def pack(attributes: Attributes) -> bytes:
    return b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % ALIGN)
        for kind, value in attributes
    )


def records(channel: Channel, sort: Sort, index: int, parent: int = 0) -> list[Record]:
    """Those of one device, below ``parent`` where the kernel lets one ask so. Raises KernelError."""
    return [r for i, r in _answers(channel, GET[sort], sort, index, parent) if i == index]


def has_templates(channel: Channel, index: int, parent: int) -> bool:
    """Whether filters hang in chains with a template, which only ``tc chain`` makes. Raises KernelError."""
    found = _answers(channel, RTM_GETCHAIN, Sort.FILTER, index, parent)
    return any(r.get(TCA_KIND) is not None for _, r in found)


def _answers(
    channel: Channel, question: int, sort: Sort, index: int, parent: int
) -> list[tuple[int, Record]]:
    request = TcMessage()
    request["header"]["type"] = question
    request["index"], request["parent"] = index, parent
    return [_record(sort, m) for m in channel.dump(request)]


HEADER, TCMSG = 16, struct.Struct("=BxHiIII")


def _record(sort: Sort, m: nlmsg) -> tuple[int, Record]:
    data = bytes(m.data[m.offset : m.offset + m["header"]["length"]])
    _, _, index, handle, parent, info = TCMSG.unpack_from(data, HEADER)
    return index, Record(sort, handle, parent, info, unpack(data[HEADER + TCMSG.size :]))


def make(index: int, record: Record) -> RawMessage:
    """Make it again; a qdisc takes the place of what is there."""
    return _message(NEW[record.sort], FLAGS[record.sort], index, record)


def unmake(index: int, record: Record) -> RawMessage:
    """Take a qdisc or filter away."""
    kinds = {Sort.QDISC: RTM_DELQDISC, Sort.FILTER: RTM_DELTFILTER}
    return _message(kinds[record.sort], 0, index, record)


def _message(kind: int, flags: int, index: int, record: Record) -> RawMessage:
    made = RawMessage()
    made["header"]["type"], made["header"]["flags"] = kind, flags
    made["index"], made["handle"], made["parent"] = index, record.handle, record.parent
    made["info"], made["rest"] = record.info, pack(record.attributes)
    return made


def batches(messages: Sequence[nlmsg], size: int = 200) -> list[Sequence[nlmsg]]:
    """Requests in datagrams that fit a socket's buffer."""
    return [messages[i : i + size] for i in range(0, len(messages), size)]
