"""Lanes on a RoCE NIC: trust, DSCP -> priority -> traffic class, shares, PFC, ceilings, buffers, ECN, by DCB netlink.

The NIC's own scheduler and flow control serve RDMA and the kernel's stack alike. What is set here rules what the port sends
and how it stops its peer; what arrives is scheduled by the switch, which must agree.
"""

from trafficd_agent.drivers.dcb.driver import DcbDriver, DcbOptions

__all__ = ["DcbDriver", "DcbOptions"]
