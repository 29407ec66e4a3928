"""Whether a device answers DCB questions at all. Reads; needs no capability.

Source: include/uapi/linux/dcbnl.h (RTM_GETDCB, DCB_CMD_IEEE_GET); a driver without dcbnl_ops answers EOPNOTSUPP.
"""

from __future__ import annotations

import errno

from pyroute2.netlink import nlmsg

from trafficd_agent.netlink.channel import Channel, KernelError

RTM_GETDCB = 78
DCB_CMD_IEEE_GET = 21


class _Dcb(nlmsg):  # type: ignore[misc]  # pyroute2 has no types
    """struct dcbmsg and the interface's name."""

    prefix = "DCB_ATTR_"
    fields = (("family", "B"), ("cmd", "B"), ("pad", "H"))
    nla_map = (("DCB_ATTR_UNSPEC", "none"), ("DCB_ATTR_IFNAME", "asciiz"))


def has_dcb(channel: Channel, name: str) -> bool:
    """Whether this device's driver speaks DCB. Raises KernelError for any answer but yes and no."""
    request = _Dcb()
    request["cmd"] = DCB_CMD_IEEE_GET
    request["attrs"] = [("DCB_ATTR_IFNAME", name)]
    request["header"]["type"] = RTM_GETDCB
    try:
        channel.ask(request)
    except KernelError as e:
        if e.number in (errno.EOPNOTSUPP, errno.ENODEV):
            return False
        raise
    return True
