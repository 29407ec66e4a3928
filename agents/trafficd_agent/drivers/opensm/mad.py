"""Management datagrams as bytes: what to ask, the packet that asks it, and what an answer says. Pure.

Sources: IBA 1.4 chapters 13 (common header), 14 (subnet management), 15 (subnet administration) and 16 (performance
management); the header in front of a packet is ``struct ib_user_mad_hdr`` of Linux' include/uapi/rdma/ib_user_mad.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

TIMEOUT_MS, RETRIES = 200, 2
DATA_BYTES = 64
"""Of an SMP; performance management carries 192, subnet administration 200."""
MAX_HOPS = 63
PERMISSIVE_LID = 0xFFFF
MAD_BYTES = 256
HEADER_BYTES = 64
PACKET_BYTES = HEADER_BYTES + MAD_BYTES
QKEY = 0x80010000
"""The well-known one of queue pair 1."""
GET = 0x01
_HEADER = struct.Struct("<5I3I")
_FIRST = struct.Struct(">BBBBHH")
_ASKED = struct.Struct(">HHI")


class Management(IntEnum):
    """Management classes of IBA 1.4 table 115. Directed routes have one of their own (0x81)."""

    SMP = 0x01
    SMP_DIRECTED = 0x81
    SA = 0x03
    PERFORMANCE = 0x04


VERSION = {
    Management.SMP: 1,
    Management.SMP_DIRECTED: 1,
    Management.SA: 2,
    Management.PERFORMANCE: 1,
}
"""Of each class; all of them are registered for a port."""
DATA_AT = {
    Management.SMP: (64, 64),
    Management.SMP_DIRECTED: (64, 64),
    Management.SA: (56, 200),
    Management.PERFORMANCE: (64, 192),
}
"""Where the attribute lies in a packet: offset and length, bytes."""


class Attribute(IntEnum):
    """Attribute ids of subnet management (IBA 1.4 table 123)."""

    NODE_DESCRIPTION = 0x10
    NODE_INFO = 0x11
    SWITCH_INFO = 0x12
    PORT_INFO = 0x15
    SL2VL = 0x17
    VLARB = 0x18
    SM_INFO = 0x20


class Target(NamedTuple):
    """Where a packet goes: by LID, or by the ports to leave through when ``lid`` is 0."""

    lid: int = 0
    path: tuple[int, ...] = ()


class Query(NamedTuple):
    """One question. ``data`` is what a query of performance or of the subnet administrator carries.

    ``management`` is SMP for both kinds of address.
    """

    target: Target
    attribute: int
    modifier: int = 0
    management: Management = Management.SMP
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer, or one that says that it was refused: ``status`` is that of the packet, 0 without any packet."""

    status: int = 0

    @property
    def unsupported(self) -> bool:
        """The device answered that it does not have this attribute (IBA 1.4 table 112, code 3), or a part of it."""
        return self.status >> 2 & 7 in {3, 7}


Answer = bytes | Silence


class Asker(Protocol):
    """Sends questions, several at a time, and returns their answers in their order."""

    def ask(self, queries: list[Query]) -> list[Answer]: ...


def header(agent: int, query: Query) -> bytes:
    """Everything in front of the transaction number: the kernel's header and the first 8 bytes of the packet."""
    management = class_of(query)
    lid = query.target.lid or PERMISSIVE_LID
    smp = query.management is Management.SMP
    qpn, qkey = (0, 0) if smp else (1, QKEY)
    words = _HEADER.pack(agent, 0, TIMEOUT_MS, RETRIES, 0, _swap(qpn), _swap(qkey), _swap_lid(lid))
    hops = len(query.target.path) if management is Management.SMP_DIRECTED else 0
    first = _FIRST.pack(1, management, VERSION[management], GET, 0, hops)
    return words.ljust(HEADER_BYTES, b"\0") + first


def _swap(number: int) -> int:
    """Big-endian words in a header whose other words are the machine's."""
    return int.from_bytes(number.to_bytes(4, "big"), "little")


def _swap_lid(lid: int) -> int:
    return int.from_bytes(lid.to_bytes(2, "big"), "little")


def class_of(query: Query) -> Management:
    directed = query.management is Management.SMP and not query.target.lid
    return Management.SMP_DIRECTED if directed else query.management


def asked(query: Query) -> bytes:
    """What follows the transaction number: attribute and modifier."""
    return _ASKED.pack(query.attribute, 0, query.modifier)


def body(query: Query) -> bytes:
    """What follows attribute and modifier, up to the end of the packet."""
    management = class_of(query)
    if management is Management.SMP_DIRECTED:
        route = bytes((0, *query.target.path)).ljust(64, b"\0")
        lids = PERMISSIVE_LID.to_bytes(2, "big") * 2
        return (b"\0" * 8 + lids).ljust(104, b"\0") + route + b"\0" * 64
    start, size = DATA_AT[management]
    if management is Management.SA:
        # RMPP header 12, SM_Key 8, attribute offset 2, reserved 2, then the component mask, which leads ``data``.
        return b"\0" * 24 + query.data.ljust(8 + size, b"\0")
    return b"\0" * (start - 24) + query.data.ljust(size, b"\0")


def transaction(packet: bytes) -> int:
    """The lower half of the transaction number, which is ours; the kernel uses the upper one."""
    return int.from_bytes(packet[HEADER_BYTES + 12 : HEADER_BYTES + 16], "big")


def answer(packet: bytes) -> Answer:
    """The attribute's bytes, or why there are none."""
    if packet[4:8] != b"\0\0\0\0":
        return Silence()
    management = packet[HEADER_BYTES + 1]
    status = int.from_bytes(packet[HEADER_BYTES + 4 : HEADER_BYTES + 6], "big")
    # The highest bit tells the way of a directed packet.
    if management == Management.SMP_DIRECTED:
        status &= 0x7FFF
    if status:
        return Silence(status)
    start, size = DATA_AT[Management(management)]
    return packet[HEADER_BYTES + start : HEADER_BYTES + start + size]
