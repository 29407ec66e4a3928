"""Lanes on plain Linux: an htb class per lane on a port, classified by DSCP and SO_PRIORITY.

htb schedules what the kernel's own stack sends; RDMA bypasses it. IPv4 packets with options and IPv6 packets with
extension headers are found by DSCP but not by TCP port, and packets that carry a VLAN tag by SO_PRIORITY alone.
"""

from trafficd_agent.drivers.tc.driver import TcDriver, TcOptions

__all__ = ["TcDriver", "TcOptions"]
