"""What a network device is and has carried: rtnetlink links and statistics, and two ethtool questions.

Sources: linux/if_link.h (IFLA_*, rtnl_link_stats64), linux/ethtool.h (ETHTOOL_GSET, ETHTOOL_GCHANNELS).
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from dataclasses import dataclass, fields
from typing import Any

from pyroute2.ethtool.ioctl import (
    ETHTOOL_GCHANNELS,
    ETHTOOL_GSET,
    EthtoolChannels,
    EthtoolCmd,
    EthtoolError,
    IoctlEthtool,
)
from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl import RTM_GETLINK, RTM_GETSTATS
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ifstatsmsg import ifstatsmsg

from trafficd_agent.netlink.channel import Channel

RTEXT_FILTER_SKIP_STATS = 1 << 3
IFLA_STATS_LINK_64 = 1
SIOCETHTOOL = 0x8946
ETHTOOL_GDRVINFO = 0x03
DRVINFO_BYTES = 196
IFNAMSIZ = 16
SPEED_UNKNOWN = (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Link:
    """A device. ``member_of`` is the kind of device it is enslaved to (bond, team, bridge), or empty; ``master`` its index.

    ``kind`` is what it was made as (bond, veth); empty for hardware. ``ups`` counts how often the carrier came up.
    """

    index: int
    name: str
    member_of: str
    tx_queues: int
    kind: str = ""
    master: int = 0
    carrier: bool = False
    ups: int = 0


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """Since the device was made; bytes with the link header (rtnl_link_stats64)."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int


def find(channel: Channel, name: str) -> Link:
    """The device of that name in the channel's network namespace. Raises KernelError (ENODEV)."""
    request = ifinfmsg()
    request["header"]["type"] = RTM_GETLINK
    request["attrs"] = [["IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS], ["IFLA_IFNAME", name]]
    return decode(channel.ask(request))


def members(channel: Channel, index: int) -> tuple[Link, ...]:
    """The devices enslaved to one, by name. Raises KernelError."""
    request = ifinfmsg()
    request["header"]["type"] = RTM_GETLINK
    request["attrs"] = [["IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS]]
    found = (decode(m) for m in channel.dump(request))
    return tuple(sorted((x for x in found if x.master == index), key=lambda x: x.name))


def decode(message: nlmsg) -> Link:
    """A link record, of an answer or a notification."""
    about, master = message.get_attr("IFLA_LINKINFO"), message.get_attr("IFLA_MASTER") or 0
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME") or "",
        member_of=about.get_attr("IFLA_INFO_SLAVE_KIND") or "" if about and master else "",
        tx_queues=message.get_attr("IFLA_NUM_TX_QUEUES") or 1,
        kind=about.get_attr("IFLA_INFO_KIND") or "" if about else "",
        master=master,
        carrier=bool(message.get_attr("IFLA_CARRIER")),
        ups=message.get_attr("IFLA_CARRIER_UP_COUNT") or 0,
    )


def driver_name(name: str) -> str:
    """The kernel driver of a device, such as ``mlx5_core`` (ETHTOOL_GDRVINFO); empty when it does not say."""
    answer = ctypes.create_string_buffer(struct.pack("=I", ETHTOOL_GDRVINFO), DRVINFO_BYTES)
    question = struct.pack("16sP16x", name.encode()[: IFNAMSIZ - 1], ctypes.addressof(answer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            fcntl.ioctl(asker, SIOCETHTOOL, question)
        except OSError:
            return ""
    return answer.raw[4:36].split(b"\0")[0].decode("ascii", "replace")


def counters(channel: Channel, index: int) -> LinkCounters:
    """Raises KernelError (ENODEV)."""
    request = ifstatsmsg()
    request["header"]["type"] = RTM_GETSTATS
    request["ifindex"], request["filter_mask"] = index, 1 << (IFLA_STATS_LINK_64 - 1)
    found = channel.ask(request).get_attr("IFLA_STATS_LINK_64")
    return LinkCounters(*(found[f.name] for f in fields(LinkCounters)))


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
