"""Queueing disciplines, classes and filters of one device: requests and records.

Sources: linux/rtnetlink.h (tcmsg), linux/pkt_sched.h (htb, fifo), linux/pkt_cls.h (u32), net/sched/sch_htb.c and
net/sched/cls_u32.c. Handles are 32 bits: major in the upper half, minor in the lower. Rates in these structures
are bytes per second, here bits per second; bursts are ticks of 64 ns (PSCHED_SHIFT) of sending at the rate.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from pyroute2.netlink.rtnl import (
    RTM_DELQDISC,
    RTM_DELTCLASS,
    RTM_DELTFILTER,
    RTM_GETQDISC,
    RTM_GETTCLASS,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTCLASS,
    RTM_NEWTFILTER,
    TC_H_ROOT,
)

from trafficd_agent.netlink import wire
from trafficd_agent.netlink.channel import Channel, Request

TCMSG = struct.Struct("=BBHiIII")
"""family, two pads, ifindex, handle, parent, info."""
RATESPEC = struct.Struct("=BBHhHI")
"""cell_log, linklayer, overhead, cell_align, mpu, rate."""
HTB_TAIL = struct.Struct("=IIIII")
"""buffer, cbuffer, quantum, level, prio."""
HTB_GLOB = struct.Struct("=IIIII")
"""version, rate2quantum, defcls, debug, direct_pkts."""
U32_SELECTOR = struct.Struct("=BBBxHHhhI")
"""flags, offshift, nkeys, offmask, off, offoff, hoff, hmask."""
U32_KEY = struct.Struct("=4s4sii")
"""mask and value in network order, offset, offmask."""

TCA_KIND, TCA_OPTIONS, TCA_STATS2, TCA_CHAIN = 1, 2, 7, 11
TCA_HTB_PARMS, TCA_HTB_INIT, TCA_HTB_RATE64, TCA_HTB_CEIL64 = 1, 2, 6, 7
TCA_U32_CLASSID, TCA_U32_HASH, TCA_U32_SEL, TCA_U32_PCNT, TCA_U32_FLAGS = 1, 2, 5, 9, 11
TCA_U32_PLAIN = {TCA_U32_CLASSID, TCA_U32_HASH, TCA_U32_SEL, TCA_U32_PCNT, TCA_U32_FLAGS}
TC_U32_TERMINAL = 1
LINKLAYER_ETHERNET = 1
HTB_VERSION = 3
RATE32_MAX = 0xFFFFFFFF
ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0003, 0x0800, 0x0806, 0x86DD


def handle(major: int, minor: int = 0) -> int:
    return major << 16 | minor


def shown(number: int) -> str:
    """A handle as tc(8) writes it, such as ``7f1d:10``."""
    return f"{number >> 16:x}:{number & 0xFFFF:x}" if number & 0xFFFF else f"{number >> 16:x}:"


@dataclass(frozen=True, slots=True)
class Qdisc:
    """A queueing discipline. ``limit`` is a packet fifo's; ``default_minor`` and ``direct_packets`` are htb's."""

    handle: int
    parent: int
    kind: str
    limit: int | None = None
    default_minor: int | None = None
    direct_packets: int | None = None

    @property
    def is_root(self) -> bool:
        return bool(self.parent == TC_H_ROOT)


@dataclass(frozen=True, slots=True)
class Class:
    """An htb class. ``buffer`` and ``cbuffer`` are ticks; ``plain`` without overhead, mpu or cell accounting."""

    handle: int
    parent: int
    rate_bps: int
    ceil_bps: int
    buffer: int
    cbuffer: int
    quantum: int
    prio: int
    plain: bool = True


Key = tuple[int, int, int]
"""(mask, value, offset from the network header): one 32-bit comparison of a u32 filter."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One kernel filter. ``keys`` is None for what is no plain u32 match (another kind, an action, a mark)."""

    kind: str
    pref: int
    protocol: int
    handle: int = 0
    target: int | None = None
    keys: tuple[Key, ...] | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """What a class has sent, dropped and holds (linux/gen_stats.h)."""

    bytes: int
    packets: int
    queued_packets: int
    queued_bytes: int
    drops: int
    requeues: int
    overlimits: int


def _body(index: int, number: int, parent: int, info: int = 0) -> bytes:
    return TCMSG.pack(0, 0, 0, index, number, parent, info)


# --- reading -----------------------------------------------------------------------------------------------


def qdiscs(channel: Channel, index: int) -> list[Qdisc]:
    """Those of one device; the kernel dumps every device's, so others are passed over before decoding."""
    answers = channel.dump(RTM_GETQDISC, _body(index, 0, 0))
    return [_qdisc(a.body) for a in answers if _index(a.body) == index]


def classes(channel: Channel, index: int, major: int) -> list[Class]:
    answers = channel.dump(RTM_GETTCLASS, _body(index, 0, handle(major)))
    return [c for a in answers if (c := _class(a.body)) is not None]


def class_counters(channel: Channel, index: int, major: int) -> dict[int, Counters]:
    """Minor number -> counters of every class of one qdisc, by one dump; empty when there is no such qdisc."""
    answers = channel.dump(RTM_GETTCLASS, _body(index, 0, handle(major)))
    return {_minor(a.body): c for a in answers if (c := counters(a.body)) is not None}


def direct_packets(channel: Channel, major: int) -> dict[int, int]:
    """Index -> packets that passed an htb root of this handle without a class, for every device, by one dump."""
    wanted = handle(major)
    answers = [a.body for a in channel.dump(RTM_GETQDISC, _body(0, 0, 0)) if _handle(a.body) == wanted]
    return {_index(b): q.direct_packets for b in answers if (q := _qdisc(b)).direct_packets is not None}


def filters(channel: Channel, index: int, major: int) -> list[Filter]:
    """Filters at a qdisc's root, in the kernel's order: the first that matches wins."""
    answers = channel.dump(RTM_GETTFILTER, _body(index, 0, handle(major)))
    return [f for a in answers if (f := _filter(a.body)) is not None]


def _index(body: bytes) -> int:
    return int(TCMSG.unpack_from(body)[3])


def _handle(body: bytes) -> int:
    return int(TCMSG.unpack_from(body)[4])


def _minor(body: bytes) -> int:
    return _handle(body) & 0xFFFF


def _qdisc(body: bytes) -> Qdisc:
    _, _, _, _, number, parent, _ = TCMSG.unpack_from(body)
    top = wire.attributes(body, TCMSG.size)
    kind, options = wire.as_text(top.get(TCA_KIND)), top.get(TCA_OPTIONS, b"")
    if kind == "pfifo":
        return Qdisc(number, parent, kind, limit=wire.as_u32(options))
    glob = wire.attributes(options).get(TCA_HTB_INIT, b"") if kind == "htb" else b""
    if len(glob) < HTB_GLOB.size:
        return Qdisc(number, parent, kind)
    _, _, default, _, direct = HTB_GLOB.unpack_from(glob)
    return Qdisc(number, parent, kind, default_minor=default, direct_packets=direct)


def _class(body: bytes) -> Class | None:
    _, _, _, _, number, parent, _ = TCMSG.unpack_from(body)
    options = wire.attributes(wire.attributes(body, TCMSG.size).get(TCA_OPTIONS, b""))
    packed = options.get(TCA_HTB_PARMS, b"")
    if len(packed) < 2 * RATESPEC.size + HTB_TAIL.size:
        return None
    rate, ceil = RATESPEC.unpack_from(packed), RATESPEC.unpack_from(packed, RATESPEC.size)
    buffer, cbuffer, quantum, _, prio = HTB_TAIL.unpack_from(packed, 2 * RATESPEC.size)
    return Class(
        handle=number,
        parent=parent,
        rate_bps=8 * (wire.as_u64(options.get(TCA_HTB_RATE64)) or rate[5]),
        ceil_bps=8 * (wire.as_u64(options.get(TCA_HTB_CEIL64)) or ceil[5]),
        buffer=buffer,
        cbuffer=cbuffer,
        quantum=quantum,
        prio=prio,
        plain=_is_plain(rate) and _is_plain(ceil),
    )


def _is_plain(spec: tuple[int, ...]) -> bool:
    _, linklayer, overhead, _, mpu, _ = spec
    return linklayer in (0, LINKLAYER_ETHERNET) and overhead == 0 and mpu == 0


def counters(body: bytes) -> Counters | None:
    """Of a class or qdisc record. TCA_STATS_PKT64 is there once the packet count exceeds 32 bits."""
    stats = wire.attributes(wire.attributes(body, TCMSG.size).get(TCA_STATS2, b""))
    basic, queue = stats.get(1, b""), stats.get(3, b"")
    if len(basic) < 12 or len(queue) < 20:
        return None
    sent, packets = struct.unpack_from("=QI", basic)
    qlen, backlog, drops, requeues, overlimits = struct.unpack_from("=IIIII", queue)
    packets = wire.as_u64(stats.get(8)) or packets
    return Counters(sent, packets, qlen, backlog, drops, requeues, overlimits)


def _filter(body: bytes) -> Filter | None:
    """A filter record; None for the hash tables of u32, which match nothing by themselves."""
    _, _, _, _, number, _, info = TCMSG.unpack_from(body)
    top = wire.attributes(body, TCMSG.size)
    kind, pref, protocol = wire.as_text(top.get(TCA_KIND)), info >> 16, socket.ntohs(info & 0xFFFF)
    if kind != "u32":
        return Filter(kind, pref, protocol) if number == 0 else None
    if number & 0xFFF == 0:
        return None
    options = wire.attributes(top.get(TCA_OPTIONS, b""))
    plain = set(options) <= TCA_U32_PLAIN and not wire.as_u32(top.get(TCA_CHAIN))
    keys = _selector(options.get(TCA_U32_SEL, b"")) if plain else None
    return Filter(kind, pref, protocol, number, wire.as_u32(options.get(TCA_U32_CLASSID)), keys)


def _selector(packed: bytes) -> tuple[Key, ...] | None:
    """The comparisons of a terminal selector with fixed offsets; None for any other."""
    if len(packed) < U32_SELECTOR.size:
        return None
    flags, _, count, *moving = U32_SELECTOR.unpack_from(packed)
    if flags != TC_U32_TERMINAL or any(moving) or len(packed) < U32_SELECTOR.size + count * U32_KEY.size:
        return None
    keys = [U32_KEY.unpack_from(packed, U32_SELECTOR.size + i * U32_KEY.size) for i in range(count)]
    if any(offmask for _, _, _, offmask in keys):
        return None
    return tuple((int.from_bytes(m, "big"), int.from_bytes(v, "big"), off) for m, v, off, _ in keys)


# --- writing -----------------------------------------------------------------------------------------------


def _request(kind: int, flags: int, body: bytes, name: str, options: bytes = b"") -> Request:
    body += wire.text(TCA_KIND, name)
    return Request(kind, flags, body + (wire.attribute(TCA_OPTIONS, options) if options else b""))


def add_htb_root(index: int, major: int, default_minor: int, *, displace: bool) -> Request:
    """A new htb root. Without ``displace`` any root but the kernel's default is left alone (EEXIST)."""
    glob = HTB_GLOB.pack(HTB_VERSION, 10, default_minor, 0, 0)
    flags = NLM_F_CREATE | (NLM_F_REPLACE if displace else NLM_F_EXCL)
    body = _body(index, handle(major), TC_H_ROOT)
    return _request(RTM_NEWQDISC, flags, body, "htb", wire.attribute(TCA_HTB_INIT, glob))


def try_htb_root(index: int, major: int) -> Request:
    """Always refused: without the options that htb needs it answers EINVAL, and changes nothing.

    EPERM without CAP_NET_ADMIN, ENOENT when the kernel has no htb, EEXIST when somebody's root is there.
    """
    return _request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, _body(index, handle(major), TC_H_ROOT), "htb")


def delete_root(index: int, major: int) -> Request:
    """Refused (EINVAL, ENOENT) when the root has another handle."""
    return Request(RTM_DELQDISC, 0, _body(index, handle(major), TC_H_ROOT))


def set_fifo(index: int, number: int, parent: int, limit_packets: int, *, fresh: bool) -> Request:
    """The packet fifo below a class; one that is there keeps its packets, unless ``fresh`` puts a new one."""
    flags = NLM_F_CREATE | NLM_F_REPLACE if fresh else 0
    body = _body(index, number if fresh else 0, parent) + wire.text(TCA_KIND, "pfifo")
    return Request(RTM_NEWQDISC, flags, body + wire.attribute(TCA_OPTIONS, wire.U32.pack(limit_packets)))


def delete_leaf(index: int, parent: int) -> Request:
    """Back to the fifo that htb gives a class of its own accord."""
    return Request(RTM_DELQDISC, 0, _body(index, 0, parent))


def _spec(rate_bps: int) -> bytes:
    return RATESPEC.pack(0, LINKLAYER_ETHERNET, 0, 0, 0, min(rate_bps // 8, RATE32_MAX))


def set_class(index: int, wanted: Class) -> Request:
    """Create an htb class or change it where it stands. Rates from 2^32 bytes/s on go by RATE64."""
    tail = HTB_TAIL.pack(wanted.buffer, wanted.cbuffer, wanted.quantum, 0, wanted.prio)
    parms = _spec(wanted.rate_bps) + _spec(wanted.ceil_bps) + tail
    options = wire.attribute(TCA_HTB_PARMS, parms)
    for kind, bps in ((TCA_HTB_RATE64, wanted.rate_bps), (TCA_HTB_CEIL64, wanted.ceil_bps)):
        if bps // 8 > RATE32_MAX:
            options += wire.attribute(kind, wire.U64.pack(bps // 8))
    body = _body(index, wanted.handle, wanted.parent)
    return _request(RTM_NEWTCLASS, NLM_F_CREATE, body, "htb", options)


def delete_class(index: int, number: int) -> Request:
    return Request(RTM_DELTCLASS, 0, _body(index, number, 0))


def _info(f: Filter) -> int:
    return f.pref << 16 | socket.htons(f.protocol)


def add_filter(index: int, major: int, wanted: Filter) -> Request:
    """A u32 filter at the qdisc's root. ``target`` and ``keys`` are given; the kernel chooses its handle."""
    keys = wanted.keys or ()
    selector = U32_SELECTOR.pack(TC_U32_TERMINAL, 0, len(keys), 0, 0, 0, 0, 0)
    for mask, value, offset in keys:
        selector += U32_KEY.pack(mask.to_bytes(4, "big"), value.to_bytes(4, "big"), offset, 0)
    options = wire.attribute(TCA_U32_CLASSID, wire.U32.pack(wanted.target or 0))
    options += wire.attribute(TCA_U32_SEL, selector)
    body = _body(index, 0, handle(major), _info(wanted))
    return _request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body, "u32", options)


def delete_filter(index: int, major: int, gone: Filter) -> Request:
    body = _body(index, gone.handle, handle(major), _info(gone))
    return _request(RTM_DELTFILTER, 0, body, gone.kind)
