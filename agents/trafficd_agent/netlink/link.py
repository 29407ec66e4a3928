"""What a network device is and has carried: rtnetlink links and statistics, and two ethtool questions.

Sources: linux/if_link.h (IFLA_*, rtnl_link_stats64), linux/ethtool.h (ETHTOOL_GSET, ETHTOOL_GCHANNELS).
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from typing import Any

from pyroute2.ethtool.ioctl import (
    ETHTOOL_GCHANNELS,
    ETHTOOL_GSET,
    EthtoolChannels,
    EthtoolCmd,
    EthtoolError,
    IoctlEthtool,
)
from pyroute2.netlink.rtnl import RTM_GETLINK, RTM_GETSTATS

from trafficd_agent.netlink import wire
from trafficd_agent.netlink.channel import Channel

IFINFO = struct.Struct("=BxHiII")
"""family, type, ifindex, flags, change."""
STATS_REQUEST = struct.Struct("=BBHII")
STATS64 = struct.Struct("=8Q")
"""rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped."""
IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_EXT_MASK, IFLA_NUM_TX_QUEUES = 3, 10, 18, 29, 31
IFLA_INFO_SLAVE_KIND = 4
RTEXT_FILTER_SKIP_STATS = 1 << 3
IFLA_STATS_LINK_64 = 1
SPEED_UNKNOWN = (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Link:
    """A device. ``member_of`` is the kind of device it is enslaved to (bond, team, bridge), or empty."""

    index: int
    name: str
    member_of: str
    tx_queues: int


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """Since the device was made; bytes with the link header (rtnl_link_stats64)."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_drops: int
    tx_drops: int


def find(channel: Channel, name: str) -> Link:
    """The device of that name in the channel's network namespace. Raises KernelError (ENODEV)."""
    body = IFINFO.pack(0, 0, 0, 0, 0) + wire.attribute(IFLA_EXT_MASK, wire.U32.pack(RTEXT_FILTER_SKIP_STATS))
    return decode(channel.ask(RTM_GETLINK, body + wire.text(IFLA_IFNAME, name)).body)


def decode(body: bytes) -> Link:
    """A link record, of an answer or a notification."""
    top = wire.attributes(body, IFINFO.size)
    member_of = wire.attributes(top.get(IFLA_LINKINFO, b"")).get(IFLA_INFO_SLAVE_KIND)
    return Link(
        index=IFINFO.unpack_from(body)[2],
        name=wire.as_text(top.get(IFLA_IFNAME)),
        member_of=wire.as_text(member_of) if wire.as_u32(top.get(IFLA_MASTER)) else "",
        tx_queues=wire.as_u32(top.get(IFLA_NUM_TX_QUEUES)) or 1,
    )


def counters(channel: Channel, index: int) -> LinkCounters:
    """Raises KernelError (ENODEV)."""
    answer = channel.ask(RTM_GETSTATS, STATS_REQUEST.pack(0, 0, 0, index, 1 << (IFLA_STATS_LINK_64 - 1)))
    packed = wire.attributes(answer.body, STATS_REQUEST.size)[IFLA_STATS_LINK_64]
    return LinkCounters(*STATS64.unpack_from(packed))


def _ethtool(name: str, field: str, question: Any) -> bool:
    """Ask the driver; False when it cannot answer."""
    asker = IoctlEthtool(name)
    try:
        setattr(asker.ifreq, field, ctypes.pointer(question))
        asker.ioctl()
    except (EthtoolError, OSError):
        return False
    finally:
        asker.close()
    return True


def speed_bps(name: str) -> int | None:
    """The rate the link runs at; None when the device does not say (no carrier, virtual)."""
    answer = EthtoolCmd(cmd=ETHTOOL_GSET)
    if not _ethtool(name, "ifr_data", answer):
        return None
    mbps = int(answer.speed) | int(answer.speed_hi) << 16
    return None if mbps in SPEED_UNKNOWN or mbps == 0xFFFF else mbps * 1_000_000


def tx_queues(link: Link) -> int:
    """Transmit queues in use; a device may have set more aside than it uses."""
    answer = EthtoolChannels(cmd=ETHTOOL_GCHANNELS)
    if link.tx_queues == 1 or not _ethtool(link.name, "channels", answer):
        return link.tx_queues
    return int(answer.tx_count) + int(answer.combined_count) or link.tx_queues
