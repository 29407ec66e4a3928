"""The kernel's errors, named by who must act. pyroute2 and sockets end below; this is where errno ends."""

from __future__ import annotations

import errno

from trafficd_agent.driver import (
    BusyError,
    DriverError,
    ForeignError,
    GoneError,
    PermissionMissingError,
    RefusedError,
    UnsupportedError,
)
from trafficd_agent.netlink.channel import KernelError

BY_ERRNO: dict[int, tuple[type[DriverError], str]] = {
    errno.EPERM: (PermissionMissingError, "give the agent CAP_NET_ADMIN"),
    errno.EACCES: (PermissionMissingError, "give the agent CAP_NET_ADMIN"),
    errno.ENODEV: (GoneError, "bring the device back or take it out of the fabric file"),
    errno.ENXIO: (GoneError, "bring the device back or take it out of the fabric file"),
    errno.EOPNOTSUPP: (UnsupportedError, "use another driver for this port"),
    errno.ENOENT: (UnsupportedError, "use a kernel with sch_htb and cls_u32"),
    errno.EEXIST: (ForeignError, "delete it, or let the agent take over"),
    errno.EINVAL: (RefusedError, "choose other values in the policy"),
    errno.ERANGE: (RefusedError, "choose other values in the policy"),
    errno.ENOSPC: (RefusedError, "use fewer filters"),
}
"""Every other errno (EBUSY, EAGAIN, EINTR, ENOMEM, ENOBUFS, a lost answer) passes."""


def named(error: KernelError, port: str, what: str) -> DriverError:
    """The driver error for ``what`` (a phrase such as ``adding class/10``) on a port."""
    kind, advice = BY_ERRNO.get(error.number, (BusyError, "try again"))
    return kind(f"{port}: {what} failed ({error}): {advice}")
