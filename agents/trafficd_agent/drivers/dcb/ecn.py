"""ECN and CNP settings of mlx5, which no netlink carries: files below ``/sys``.

Two forms. The vendor's driver has ``/sys/class/net/<if>/ecn/roce_np`` (notification point: it sends CNPs) and ``roce_rp``
(reaction point: it slows down), each with ``enable/<priority>``, and ``cnp_dscp``, ``cnp_802p_prio`` in ``roce_np``. The
kernel's own has ``/sys/kernel/debug/mlx5/<pci>/cc_params/np_cnp_dscp`` and ``np_cnp_prio`` (drivers/infiniband/hw/mlx5/cong.c)
and no switch for each priority. Nothing here outlives a reset of the NIC.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.driver import DriverError, GoneError, PermissionMissingError, RefusedError
from trafficd_topology.qos.dcb import PRIORITIES, DcbCnp, DcbEcn


@dataclass(frozen=True, slots=True)
class Files:
    """Where one device's settings are; None: it has none there."""

    notify: tuple[Path, ...] | None = None
    react: tuple[Path, ...] | None = None
    cnp_dscp: Path | None = None
    cnp_priority: Path | None = None


def find(root: Path, name: str, hardware: Path | None) -> Files:
    """Look in both places; the vendor's form goes before the kernel's."""
    ecn = root / "sys/class/net" / name / "ecn"
    cnp = ecn / "roce_np/cnp_dscp", ecn / "roce_np/cnp_802p_prio"
    if not _there(cnp[0]) and hardware is not None:
        params = root / "sys/kernel/debug/mlx5" / hardware.name / "cc_params"
        cnp = params / "np_cnp_dscp", params / "np_cnp_prio"
    notify, react = (
        tuple(ecn / p / "enable" / str(n) for n in range(PRIORITIES)) for p in ("roce_np", "roce_rp")
    )
    switches = all(_there(f) for f in (*notify, *react))
    marks = all(_there(f) for f in cnp)
    return Files(
        notify if switches else None,
        react if switches else None,
        *(cnp if marks else (None, None)),
    )


def _there(path: Path) -> bool:
    """False too where this agent may not look, as in debugfs without root."""
    try:
        return path.exists()
    except OSError:
        return False


def read_ecn(files: Files) -> tuple[DcbEcn, ...] | None:
    """For each priority; None where the device has no switches. Raises DriverError."""
    if files.notify is None or files.react is None:
        return None
    pairs = zip(files.notify, files.react, strict=True)
    return tuple(DcbEcn(_number(np) != 0, _number(rp) != 0) for np, rp in pairs)


def read_cnp(files: Files) -> DcbCnp | None:
    """Raises DriverError."""
    if files.cnp_dscp is None or files.cnp_priority is None:
        return None
    return DcbCnp(_number(files.cnp_dscp), _number(files.cnp_priority))


def write_ecn(files: Files, priority: int, value: DcbEcn) -> None:
    """Raises DriverError. A receiver that notifies comes before a sender that reacts, and goes after it."""
    if files.notify is None or files.react is None or not 0 <= priority < PRIORITIES:
        raise RefusedError(f"there is no ECN setting of priority {priority} here")
    _put(files.notify[priority], int(value.notify))
    _put(files.react[priority], int(value.react))


def write_cnp(files: Files, value: DcbCnp) -> None:
    """Raises DriverError."""
    if files.cnp_dscp is None or files.cnp_priority is None:
        raise RefusedError("there is no setting of CNPs here")
    _put(files.cnp_dscp, value.dscp)
    _put(files.cnp_priority, value.priority)


def _number(path: Path) -> int:
    try:
        return int(path.read_text("ascii").strip(), 0)
    except ValueError as e:
        raise DriverError(f"{path} does not hold a number: report it with the NIC's driver version") from e
    except OSError as e:
        raise _named(path, "read", e) from e


def _put(path: Path, value: int) -> None:
    try:
        path.write_text(f"{value}\n", "ascii")
    except OSError as e:
        raise _named(path, "written", e) from e


def _named(path: Path, what: str, error: OSError) -> DriverError:
    text = f"{path} cannot be {what} ({error.strerror})"
    if error.errno in (errno.EPERM, errno.EACCES, errno.EROFS):
        return PermissionMissingError(f"{text}: run the agent as root, with /sys writable")
    if error.errno in (errno.ENOENT, errno.ENODEV):
        return GoneError(f"{text}: the device went away")
    return RefusedError(f"{text}: choose another value in the policy")
