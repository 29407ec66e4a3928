"""Subnet management packets through libibmad, by ctypes: the only code that touches the library.

It may hang or crash with the device it talks to, so it runs in a process of its own (``smp_helper``).
Sources: infiniband/mad.h and infiniband/umad.h of rdma-core; IBA 1.4 chapter 14 for the attributes.
"""

from __future__ import annotations

import ctypes
import errno
from dataclasses import dataclass
from enum import IntEnum

SMI_CLASS, SMI_DIRECT_CLASS = 0x01, 0x81
TIMEOUT_MS, TRIES = 200, 3
DATA_BYTES = 64
MAX_HOPS = 63


class Attribute(IntEnum):
    """Attribute ids of IBA 1.4 table 123."""

    NODE_INFO = 0x11
    PORT_INFO = 0x15
    SL2VL = 0x17
    VLARB = 0x18
    SM_INFO = 0x20


@dataclass(frozen=True, slots=True)
class Target:
    """Where a packet goes: by LID, or by the ports to leave through when ``lid`` is 0."""

    lid: int = 0
    path: tuple[int, ...] = ()


class NoAnswerError(Exception):
    """The target did not answer, or answered with an error."""


class OpenError(Exception):
    """The device cannot be opened; the text says what to do."""


class _Path(ctypes.Structure):
    _fields_ = (
        ("cnt", ctypes.c_int),
        ("p", ctypes.c_uint8 * 64),
        ("drslid", ctypes.c_uint16),
        ("drdlid", ctypes.c_uint16),
    )


class PortId(ctypes.Structure):
    """``ib_portid_t`` of infiniband/mad.h."""

    _fields_ = (
        ("lid", ctypes.c_int),
        ("drpath", _Path),
        ("grh_present", ctypes.c_int),
        ("gid", ctypes.c_uint8 * 16),
        ("qp", ctypes.c_uint32),
        ("qkey", ctypes.c_uint32),
        ("sl", ctypes.c_uint8),
        ("pkey_idx", ctypes.c_uint),
    )


def port_id(target: Target) -> PortId:
    """The library's form of a target; a directed route starts at entry 1."""
    port = PortId(lid=target.lid)
    if not target.lid:
        port.drpath.cnt = len(target.path)
        port.drpath.drslid = port.drpath.drdlid = 0xFFFF
        for hop, out in enumerate(target.path, start=1):
            port.drpath.p[hop] = out
    return port


def _library() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libibmad.so.5", use_errno=True)
    except OSError as e:
        raise OpenError("libibmad.so.5 is not installed: install the Debian package libibmad5") from e
    lib.mad_rpc_open_port.restype = ctypes.c_void_p
    lib.mad_rpc_open_port.argtypes = (
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_int),
        ctypes.c_int,
    )
    lib.mad_rpc_set_timeout.argtypes = lib.mad_rpc_set_retries.argtypes = (ctypes.c_void_p, ctypes.c_int)
    lib.mad_rpc_close_port.argtypes = (ctypes.c_void_p,)
    number = ctypes.c_uint
    lib.smp_query_via.restype = ctypes.c_void_p
    lib.smp_query_via.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(PortId),
        number,
        number,
        number,
        ctypes.c_void_p,
    )
    return lib


def _why(code: int, device: str) -> str:
    name = device or "the first active InfiniBand device"
    if code in {errno.EACCES, errno.EPERM}:
        return (
            f"no permission to open the umad device of {name}: run the agent as root, or give its group read "
            "and write access to /dev/infiniband/umad*"
        )
    return f"{name} has no umad device to send packets through: load the ib_umad module and see that a port is up"


class MadPort:
    """An open umad port. Not for use by two threads."""

    def __init__(self, device: str = "", port: int = 0) -> None:
        """Open ``device`` (empty: the first active one). Raises OpenError."""
        self._lib = _library()
        classes = (ctypes.c_int * 2)(SMI_CLASS, SMI_DIRECT_CLASS)
        ctypes.set_errno(0)
        self._port = self._lib.mad_rpc_open_port(device.encode() or None, port, classes, 2)
        if not self._port:
            raise OpenError(_why(ctypes.get_errno(), device))
        self._lib.mad_rpc_set_timeout(self._port, TIMEOUT_MS)
        self._lib.mad_rpc_set_retries(self._port, TRIES)

    def close(self) -> None:
        self._lib.mad_rpc_close_port(self._port)

    def get(self, target: Target, attribute: Attribute, modifier: int) -> bytes:
        """SubnGet: the 64 data bytes of an attribute. Raises NoAnswerError."""
        buffer = ctypes.create_string_buffer(DATA_BYTES)
        if not self._lib.smp_query_via(
            buffer, ctypes.byref(port_id(target)), attribute, modifier, 0, self._port
        ):
            raise NoAnswerError(f"no answer to attribute 0x{attribute:02x}")
        return buffer.raw
