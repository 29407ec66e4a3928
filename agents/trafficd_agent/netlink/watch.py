"""Notifications of queues, links and DCB settings: who changed what, as soon as the kernel says so.

``TcWatch`` has a file descriptor and a read that never blocks, so that an event loop can wait for it
(``loop.add_reader(watch.fileno(), ...)``). The header of a notification carries the netlink port id of the
socket that asked for the change (net/sched/sch_api.c hands it through), 0 when the kernel itself acted. tc(8) and
most tools have their process id there. Those of DCB carry 0 whoever asked, and the number of the request (net/dcb/dcbnl.c).
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl import (
    RTM_DELLINK,
    RTM_DELQDISC,
    RTM_DELTCLASS,
    RTM_DELTFILTER,
    RTM_GETDCB,
    RTM_NEWLINK,
    RTM_NEWQDISC,
    RTM_NEWTCLASS,
    RTM_NEWTFILTER,
    RTM_SETDCB,
    RTMGRP_LINK,
    RTMGRP_TC,
)

from trafficd_agent.netlink import link
from trafficd_agent.netlink.channel import OwnPorts
from trafficd_agent.netlink.dcbmsg import RTMGRP_DCB
from trafficd_agent.netlink.messages import opened
from trafficd_agent.netlink.rivals import lldpad_runs

SO_RCVBUFFORCE = 33
BUFFER_BYTES = 1 << 20


class What(StrEnum):
    """What a notification is about. ``resync``: some were lost, everything has to be read again."""

    QDISC = "qdisc"
    CLASS = "class"
    FILTER = "filter"
    LINK = "link"
    DCB = "dcb"
    RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Event:
    """One notification. ``port`` is empty when the device has gone and was never seen by name."""

    what: What
    removed: bool = False
    index: int = 0
    port: str = ""
    sender: int = 0
    ours: bool = False


KINDS: dict[int, tuple[What, bool]] = {
    RTM_NEWQDISC: (What.QDISC, False),
    RTM_DELQDISC: (What.QDISC, True),
    RTM_NEWTCLASS: (What.CLASS, False),
    RTM_DELTCLASS: (What.CLASS, True),
    RTM_NEWTFILTER: (What.FILTER, False),
    RTM_DELTFILTER: (What.FILTER, True),
    RTM_NEWLINK: (What.LINK, False),
    RTM_DELLINK: (What.LINK, True),
    RTM_SETDCB: (What.DCB, False),
    RTM_GETDCB: (What.DCB, False),
}


class TcWatch:
    """Listens in the network namespace of the thread that makes it. Raises OSError when the kernel refuses a socket.

    ``own`` knows the port ids of our own sockets (``TcDriver.own``).
    """

    def __init__(self, own: OwnPorts) -> None:
        self._own = own
        self._names: dict[int, str] = {}
        self._socket = opened(RTMGRP_TC | RTMGRP_LINK | RTMGRP_DCB)
        self._socket.socket.settimeout(0)
        # More room for bursts than pyroute2 may ask for; forcing it beyond the host's limit takes CAP_NET_ADMIN.
        with contextlib.suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return int(self._socket.fileno())

    def read(self) -> tuple[Event, ...]:
        """Every event that is waiting, in the kernel's order; empty when there is none. Never blocks."""
        events: list[Event] = []
        while True:
            try:
                found = self._socket.get()
            except BlockingIOError:
                return tuple(events)
            except OSError as e:
                if e.errno != errno.ENOBUFS:
                    raise
                events.append(Event(What.RESYNC))
                continue
            events += [self._event(m) for m in found if m["header"]["type"] in KINDS]

    def _event(self, m: nlmsg) -> Event:
        what, removed = KINDS[m["header"]["type"]]
        if what is What.DCB:
            ours = self._own.asked(m["header"]["sequence_number"])
            return Event(what, port=_served_as(m.get_attr("DCB_ATTR_IFNAME") or ""), ours=ours)
        index = m["index"]
        if what is What.LINK:
            self._names[index] = link.decode(m).name
        name = self._name(index)
        if what is What.LINK and removed:
            self._names.pop(index, None)
        sender = m["header"]["pid"]
        return Event(what, removed, index, name, sender, sender in self._own)

    def _name(self, index: int) -> str:
        if index not in self._names:
            try:
                self._names[index] = socket.if_indextoname(index)
            except OSError:
                return ""
        return self._names[index]


def _served_as(name: str) -> str:
    """A member of a bond is a part of the bond's scope."""
    try:
        return Path(f"/sys/class/net/{name}/master").readlink().name
    except OSError:
        return name


def hint(events: Iterable[Event]) -> str:
    """What the events of one port say about who changed it, for a person; empty when they say nothing.

    A change of queues explains more than one of the link; the kernel itself acts when a driver is reset. A change of DCB
    names nobody: lldpad is named where it runs.
    """
    others = [e for e in events if not e.ours]
    if any(e.what is What.DCB for e in others):
        return "by lldpad, which runs here" if lldpad_runs() else "by another program or the NIC's firmware"
    queues = [e for e in others if e.what in (What.QDISC, What.CLASS, What.FILTER)]
    for event in (*queues, *others):
        if event.sender:
            return f"by netlink port id {event.sender}"
    return "driver reset" if any(e.what is What.LINK for e in others) else ""
