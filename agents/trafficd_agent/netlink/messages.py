"""pyroute2's messages and socket, as this package needs them.

Its classes (tcmsg, htb, ifinfmsg, ifstatsmsg) are used as they are, but for what 0.9.7 cannot:

- ``Selector``: its u32 selector reads the comparisons 4 bytes too early, and writes them merged, at odd offsets.
- ``U32``, ``TcMessage``, ``Stats``: its tables lack TCA_U32_FLAGS, TCA_CHAIN and TCA_STATS_PKT64. They cannot be
  extended by inheritance, for the class that is used first compiles its table for its subclasses too.
- ``Fifo``: its limit is signed.
- ``Marshal``: of a dump that fails it loses the errno, and breaks on the sentence that the kernel adds.
- ``opened``: it tells no errno when the kernel refuses a socket.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from pyroute2 import IPRSocket
from pyroute2.netlink import NLMSG_DONE, NLMSG_ERROR, nla, nlmsg, nlmsgerr
from pyroute2.netlink.rtnl.marshal import MarshalRtnl
from pyroute2.netlink.rtnl.tcmsg import cls_u32, sched_htb, tcmsg
from pyroute2.netlink.rtnl.tcmsg.common import stats2

from trafficd_agent.netlink import dcbmsg


def _table(known: type[nlmsg], *more: str, **kinds: str) -> tuple[tuple[str, str], ...]:
    """The attributes of a class of pyroute2 and those it lacks; what has no kind here is left undecoded."""
    return tuple((name, kinds.get(name, "hex")) for name in (*(row[0] for row in known.nla_map), *more))


class Selector(nla):  # type: ignore[misc] # pyroute2 has no types
    """tc_u32_sel: after its own fields ``nkeys`` times ``match0`` (mask, value) and ``place0`` (offset, offmask)."""

    fields = cls_u32.options.u32_sel.fields

    def encode(self) -> None:
        self._lay_out(self["nkeys"])
        nla.encode(self)

    def decode(self) -> None:
        self._lay_out(self.data[self.offset + 6])
        nla.decode(self)

    def _lay_out(self, count: int) -> None:
        keys = (((f"match{i}", ">II"), (f"place{i}", "=ii")) for i in range(count))
        self.fields = sum(keys, type(self).fields)


class U32(nla):  # type: ignore[misc]
    """The options of a u32 filter. What is left undecoded is only asked whether it is there."""

    nla_map = _table(cls_u32.options, "TCA_U32_FLAGS", TCA_U32_CLASSID="uint32", TCA_U32_SEL="selector")
    selector = Selector


class Fifo(nla):  # type: ignore[misc]
    """The options of a packet fifo."""

    fields = (("limit", "I"),)


class Stats(nla):  # type: ignore[misc]
    """What a class or qdisc has sent and holds (linux/gen_stats.h)."""

    nla_map = _table(
        stats2,
        "TCA_STATS_RATE_EST64",
        "TCA_STATS_PAD",
        "TCA_STATS_BASIC_HW",
        "TCA_STATS_PKT64",
        TCA_STATS_BASIC="basic",
        TCA_STATS_QUEUE="queue",
        TCA_STATS_PKT64="uint64",
    )
    basic, queue = stats2.basic, stats2.queue


OPTIONS: dict[str, type[nla]] = {"htb": sched_htb.options, "pfifo": Fifo, "u32": U32}


class TcMessage(nlmsg):  # type: ignore[misc]
    """A queueing discipline, class or filter. The options of kinds other than ours are left undecoded."""

    prefix = tcmsg.prefix
    fields = tcmsg.fields
    nla_map = _table(
        tcmsg,
        "TCA_PAD",
        "TCA_DUMP_INVISIBLE",
        "TCA_CHAIN",
        TCA_KIND="asciiz",
        TCA_OPTIONS="options",
        TCA_STATS2="stats2",
        TCA_CHAIN="uint32",
    )
    stats2 = Stats

    @staticmethod
    def options(message: nlmsg, **_: object) -> type[nla]:
        kind: type[nla] = OPTIONS.get(message.get_attr("TCA_KIND"), nlmsg.hex)
        return kind


class Marshal(MarshalRtnl):  # type: ignore[misc]
    """Decodes every message by its type and raises nothing; an error, or how a dump ended, is an ``nlmsgerr``."""

    msg_map: ClassVar[dict[int, type[nlmsg]]] = {
        **MarshalRtnl.msg_map,
        **{number: TcMessage for number, kind in MarshalRtnl.msg_map.items() if kind is tcmsg},
        **dict.fromkeys((NLMSG_ERROR, NLMSG_DONE), nlmsgerr),
        **dcbmsg.MESSAGES,
    }

    def get_parser(self, key: int, *_: int) -> Callable[[bytes, int, int], nlmsg]:
        return partial(_decoded, self.msg_map.get(key, nlmsg))


def _decoded(kind: type[nlmsg], data: bytes, offset: int, _: int) -> nlmsg:
    message = kind(data, offset=offset)
    message.decode()
    return message


def opened(groups: int = 0) -> IPRSocket:
    """A socket in the network namespace of this thread, bound to multicast groups (RTMGRP_*). Raises OSError."""
    made = IPRSocket(ext_ack=True)
    made.set_marshal(Marshal())
    try:
        made.socket.fileno()
        made.bind(groups)
    except KeyError as e:
        made.close()
        raise OSError(errno.EADDRINUSE, "no netlink port id is free") from e
    return made
