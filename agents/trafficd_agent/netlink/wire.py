"""Netlink messages and attributes to bytes and back (linux/netlink.h, netlink(7)). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence number, port id of the sender."""
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF
"""Without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""
U32 = struct.Struct("=I")
U64 = struct.Struct("=Q")

Attributes = dict[int, bytes]
"""Attribute type -> payload; of an attribute that stands twice, the last one."""


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink message. ``sender`` is a port id: in a notification, of whoever asked for the change (0: the kernel)."""

    type: int
    flags: int
    sequence: int
    sender: int
    body: bytes


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + bytes(_aligned(length) - length)


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes, start: int = 0) -> Attributes:
    """The attributes from ``start`` to the end; a broken length ends the list."""
    found: Attributes = {}
    while start + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[start + _ATTRIBUTE.size : start + length]
        start += _aligned(length)
    return found


def as_text(payload: bytes | None) -> str:
    return (payload or b"").rstrip(b"\0").decode(errors="replace")


def as_u32(payload: bytes | None) -> int | None:
    return U32.unpack_from(payload)[0] if payload and len(payload) >= U32.size else None


def as_u64(payload: bytes | None) -> int | None:
    return U64.unpack_from(payload)[0] if payload and len(payload) >= U64.size else None


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A request, ready to send; the kernel fills in the sender."""
    length = HEADER.size + len(body)
    return HEADER.pack(length, kind, flags, sequence, 0) + body + bytes(_aligned(length) - length)


def messages(data: bytes) -> Iterator[Message]:
    """Every message in a datagram."""
    start = 0
    while start + HEADER.size <= len(data):
        length, kind, flags, sequence, sender = HEADER.unpack_from(data, start)
        if length < HEADER.size:
            return
        yield Message(kind, flags, sequence, sender, data[start + HEADER.size : start + length])
        start += _aligned(length)
