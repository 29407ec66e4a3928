"""Queueing disciplines, classes and filters of one device: requests and records.

Sources: linux/rtnetlink.h (tcmsg), linux/pkt_sched.h (htb, fifo), linux/pkt_cls.h (u32), net/sched/sch_htb.c and
net/sched/cls_u32.c. Handles are 32 bits: major in the upper half, minor in the lower. Rates in these structures
are bytes per second, here bits per second; bursts are ticks of 64 ns (PSCHED_SHIFT) of sending at the rate.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, nla, nlmsg
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
from pyroute2.netlink.rtnl.tcmsg import sched_htb

from trafficd_agent.netlink.channel import Channel
from trafficd_agent.netlink.messages import TcMessage

U32_PLAIN = {"TCA_U32_CLASSID", "TCA_U32_HASH", "TCA_U32_SEL", "TCA_U32_PCNT", "TCA_U32_FLAGS"}
U32_MOVING = ("offshift", "offmask", "off", "offoff", "hoff", "hmask")
"""Fields of a selector whose comparisons are not at fixed places."""
TC_U32_TERMINAL = 1
LINKLAYER_ETHERNET = 1
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


def _message(kind: int, index: int, number: int, parent: int, info: int = 0) -> TcMessage:
    made = TcMessage()
    made["header"]["type"] = kind
    made["index"], made["handle"], made["parent"], made["info"] = index, number, parent, info
    return made


# --- reading -----------------------------------------------------------------------------------------------


def qdiscs(channel: Channel, index: int) -> list[Qdisc]:
    """Those of one device; the kernel dumps every device's."""
    answers = channel.dump(_message(RTM_GETQDISC, index, 0, 0))
    return [_qdisc(m) for m in answers if m["index"] == index]


def classes(channel: Channel, index: int, major: int) -> list[Class]:
    answers = channel.dump(_message(RTM_GETTCLASS, index, 0, handle(major)))
    return [c for m in answers if (c := _class(m)) is not None]


def class_counters(channel: Channel, index: int, major: int) -> dict[int, Counters]:
    """Minor number -> counters of every class of one qdisc, by one dump; empty when there is no such qdisc."""
    answers = channel.dump(_message(RTM_GETTCLASS, index, 0, handle(major)))
    return {m["handle"] & 0xFFFF: c for m in answers if (c := counters(m)) is not None}


def direct_packets(channel: Channel, major: int) -> dict[int, int]:
    """Index -> packets that passed an htb root of this handle without a class, for every device, by one dump."""
    answers = [m for m in channel.dump(_message(RTM_GETQDISC, 0, 0, 0)) if m["handle"] == handle(major)]
    return {m["index"]: q.direct_packets for m in answers if (q := _qdisc(m)).direct_packets is not None}


def filters(channel: Channel, index: int, major: int) -> list[Filter]:
    """Filters at a qdisc's root, in the kernel's order: the first that matches wins."""
    answers = channel.dump(_message(RTM_GETTFILTER, index, 0, handle(major)))
    return [f for m in answers if (f := decode_filter(m)) is not None]


def _qdisc(m: nlmsg) -> Qdisc:
    number, parent, kind = m["handle"], m["parent"], m.get_attr("TCA_KIND")
    options = m.get_attr("TCA_OPTIONS")
    if kind == "pfifo":
        return Qdisc(number, parent, kind, limit=options["limit"])
    glob = options.get_attr("TCA_HTB_INIT") if kind == "htb" else None
    if glob is None:
        return Qdisc(number, parent, kind)
    return Qdisc(number, parent, kind, default_minor=glob["defcls"], direct_packets=glob["direct_pkts"])


def _class(m: nlmsg) -> Class | None:
    if m.get_attr("TCA_KIND") != "htb":
        return None
    options = m.get_attr("TCA_OPTIONS")
    parms = options.get_attr("TCA_HTB_PARMS")
    return Class(
        handle=m["handle"],
        parent=m["parent"],
        rate_bps=8 * (options.get_attr("TCA_HTB_RATE64") or parms["rate"]),
        ceil_bps=8 * (options.get_attr("TCA_HTB_CEIL64") or parms["ceil"]),
        buffer=parms["buffer"],
        cbuffer=parms["cbuffer"],
        quantum=parms["quantum"],
        prio=parms["prio"],
        plain=_is_plain(parms, "rate") and _is_plain(parms, "ceil"),
    )


def _is_plain(parms: nla, which: str) -> bool:
    """pyroute2 knows the link layer by the name it had when it was reserved."""
    layer, overhead, mpu = (parms[f"{which}_{name}"] for name in ("__reserved", "overhead", "mpu"))
    return layer in (0, LINKLAYER_ETHERNET) and overhead == 0 and mpu == 0


def counters(m: nlmsg) -> Counters | None:
    """Of a class or qdisc record. TCA_STATS_PKT64 is there once the packet count exceeds 32 bits."""
    stats = m.get_attr("TCA_STATS2")
    if stats is None:
        return None
    basic, queue = stats.get_attr("TCA_STATS_BASIC"), stats.get_attr("TCA_STATS_QUEUE")
    return Counters(
        bytes=basic["bytes"],
        packets=stats.get_attr("TCA_STATS_PKT64") or basic["packets"],
        queued_packets=queue["qlen"],
        queued_bytes=queue["backlog"],
        drops=queue["drops"],
        requeues=queue["requeues"],
        overlimits=queue["overlimits"],
    )


def decode_filter(m: nlmsg) -> Filter | None:
    """A filter record; None for the hash tables of u32, which match nothing by themselves."""
    kind, number, pref = m.get_attr("TCA_KIND"), m["handle"], m["info"] >> 16
    protocol = socket.ntohs(m["info"] & 0xFFFF)
    if kind != "u32":
        return Filter(kind, pref, protocol) if number == 0 else None
    if number & 0xFFF == 0:
        return None
    options = m.get_attr("TCA_OPTIONS")
    plain = {slot.name for slot in options["attrs"]} <= U32_PLAIN and not m.get_attr("TCA_CHAIN")
    selector = options.get_attr("TCA_U32_SEL") if plain else None
    target = options.get_attr("TCA_U32_CLASSID")
    return Filter(kind, pref, protocol, number, target, _keys(selector) if selector else None)


def _keys(selector: nla) -> tuple[Key, ...] | None:
    """The comparisons of a terminal selector with fixed offsets; None for any other."""
    pairs = [(selector[f"match{i}"], selector[f"place{i}"]) for i in range(selector["nkeys"])]
    moving = any(selector[name] for name in U32_MOVING) or any(offmask for _, (_, offmask) in pairs)
    if selector["flags"] != TC_U32_TERMINAL or moving:
        return None
    return tuple((mask, value, offset) for (mask, value), (offset, _) in pairs)


# --- writing -----------------------------------------------------------------------------------------------


Options = dict[str, object]
"""A pyroute2 message as a dictionary: fields, and ``attrs`` as pairs of name and value."""


def _request(message: TcMessage, flags: int, kind: str, options: Options | None = None) -> TcMessage:
    message["header"]["flags"] = flags
    message["attrs"] = [["TCA_KIND", kind]]
    if options:
        message["attrs"].append(["TCA_OPTIONS", options])
    return message


def add_htb_root(index: int, major: int, default_minor: int, *, displace: bool) -> TcMessage:
    """A new htb root. Without ``displace`` any root but the kernel's default is left alone (EEXIST)."""
    flags = NLM_F_CREATE | (NLM_F_REPLACE if displace else NLM_F_EXCL)
    message = _message(RTM_NEWQDISC, index, handle(major), TC_H_ROOT)
    return _request(message, flags, "htb", sched_htb.get_parameters({"default": default_minor}))


def try_htb_root(index: int, major: int) -> TcMessage:
    """Always refused: without the options that htb needs it answers EINVAL, and changes nothing.

    EPERM without CAP_NET_ADMIN, ENOENT when the kernel has no htb, EEXIST when somebody's root is there.
    """
    message = _message(RTM_NEWQDISC, index, handle(major), TC_H_ROOT)
    return _request(message, NLM_F_CREATE | NLM_F_EXCL, "htb")


def delete_root(index: int, major: int) -> TcMessage:
    """Refused (EINVAL, ENOENT) when the root has another handle."""
    return _message(RTM_DELQDISC, index, handle(major), TC_H_ROOT)


def set_fifo(index: int, number: int, parent: int, limit_packets: int, *, fresh: bool) -> TcMessage:
    """The packet fifo below a class; one that is there keeps its packets, unless ``fresh`` puts a new one."""
    flags = NLM_F_CREATE | NLM_F_REPLACE if fresh else 0
    message = _message(RTM_NEWQDISC, index, number if fresh else 0, parent)
    return _request(message, flags, "pfifo", {"limit": limit_packets})


def delete_leaf(index: int, parent: int) -> TcMessage:
    """Back to the fifo that htb gives a class of its own accord."""
    return _message(RTM_DELQDISC, index, 0, parent)


def set_class(index: int, wanted: Class) -> TcMessage:
    """Create an htb class or change it where it stands. Rates from 2^32 bytes/s on go by RATE64."""
    rates = {"rate": wanted.rate_bps // 8, "ceil": wanted.ceil_bps // 8}
    parms: Options = {name: min(rate, RATE32_MAX) for name, rate in rates.items()}
    parms |= {f"{name}___reserved": LINKLAYER_ETHERNET for name in rates}
    parms |= {name: getattr(wanted, name) for name in ("buffer", "cbuffer", "quantum", "prio")}
    wide = [[f"TCA_HTB_{name.upper()}64", rate] for name, rate in rates.items() if rate > RATE32_MAX]
    message = _message(RTM_NEWTCLASS, index, wanted.handle, wanted.parent)
    return _request(message, NLM_F_CREATE, "htb", {"attrs": [["TCA_HTB_PARMS", parms], *wide]})


def delete_class(index: int, number: int) -> TcMessage:
    return _message(RTM_DELTCLASS, index, number, 0)


def _info(f: Filter) -> int:
    return f.pref << 16 | socket.htons(f.protocol)


def add_filter(index: int, major: int, wanted: Filter) -> TcMessage:
    """A u32 filter at the qdisc's root. ``target`` and ``keys`` are given; the kernel chooses its handle."""
    keys = wanted.keys or ()
    selector: Options = {"flags": TC_U32_TERMINAL, "nkeys": len(keys)}
    for i, (mask, value, offset) in enumerate(keys):
        selector |= {f"match{i}": (mask, value), f"place{i}": (offset, 0)}
    attributes = [["TCA_U32_CLASSID", wanted.target or 0], ["TCA_U32_SEL", selector]]
    message = _message(RTM_NEWTFILTER, index, 0, handle(major), _info(wanted))
    return _request(message, NLM_F_CREATE | NLM_F_EXCL, "u32", {"attrs": attributes})


def delete_filter(index: int, major: int, gone: Filter) -> TcMessage:
    message = _message(RTM_DELTFILTER, index, gone.handle, handle(major), _info(gone))
    return _request(message, 0, gone.kind)
