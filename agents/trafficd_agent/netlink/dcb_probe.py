"""Whether a device answers DCB questions at all. Reads; needs no capability."""

from __future__ import annotations

import errno

from trafficd_agent.netlink import dcb
from trafficd_agent.netlink.channel import Channel, KernelError


def has_dcb(channel: Channel, name: str) -> bool:
    """Whether this device's driver speaks DCB. Raises KernelError for any answer but yes and no."""
    try:
        dcb.read(channel, name)
    except KernelError as e:
        if e.number in (errno.EOPNOTSUPP, errno.ENODEV):
            return False
        raise
    return True
