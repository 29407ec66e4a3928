"""The kernel's errors, named by who must act. pyroute2 and sockets end below; this is where errno ends."""

from __future__ import annotations

import errno

from trafficd_agent.driver import (
    BusyError,
    DriverError,
    GoneError,
    PermissionMissingError,
    RefusedError,
    UnsupportedError,
)
from trafficd_agent.netlink.channel import KernelError

RIGHTS = "give the agent CAP_NET_ADMIN in the host's user namespace: a container's root in a user namespace has none"
BY_ERRNO: dict[int, tuple[type[DriverError], str]] = {
    errno.EPERM: (PermissionMissingError, RIGHTS),
    errno.EACCES: (PermissionMissingError, RIGHTS),
    errno.ENODEV: (GoneError, "bring the device back or take it out of the fabric file"),
    errno.ENXIO: (GoneError, "bring the device back or take it out of the fabric file"),
    errno.EOPNOTSUPP: (UnsupportedError, "use another driver for this port"),
    errno.EINVAL: (RefusedError, "the NIC's driver does not take this value: choose another in the policy"),
    errno.ERANGE: (RefusedError, "choose a smaller value in the policy"),
    errno.ENOSPC: (RefusedError, "use fewer entries"),
    errno.ENOMEM: (RefusedError, "choose smaller buffers"),
}
"""Every other errno (EBUSY, EAGAIN, EIO, a lost answer) passes."""


def named(error: KernelError, port: str, what: str) -> DriverError:
    """The driver error for ``what`` (a phrase such as ``changing ets``) on a port."""
    kind, advice = BY_ERRNO.get(error.number, (BusyError, "try again"))
    return kind(f"{port}: {what} failed ({error}): {advice}")
