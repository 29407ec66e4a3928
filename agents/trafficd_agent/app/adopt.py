"""Reading what a port's htb tree holds already, for ``trafficd_topology.adopt``."""

from __future__ import annotations

from trafficd_agent.driver import GoneError
from trafficd_agent.netlink import link, tc
from trafficd_agent.netlink.channel import Channel, KernelError
from trafficd_topology.adopt import Held


def read_tc(port: str) -> Held | None:
    """The htb tree of a port; None when its root is no htb. Raises DriverError."""
    try:
        with Channel() as channel:
            index = link.find(channel, port).index
            qdiscs = tc.qdiscs(channel, index)
            root = next((q for q in qdiscs if q.is_root and q.kind == "htb"), None)
            if root is None:
                return None
            major = root.handle >> 16
            return Held(root, qdiscs, tc.classes(channel, index, major), tc.filters(channel, index, major))
    except KernelError as e:
        raise GoneError(f"{port} cannot be read: {e}") from e
