"""How many queue pairs an RDMA device has open, by the kernel's own books.

Source: include/uapi/rdma/rdma_netlink.h (RDMA_NLDEV_*) and drivers/infiniband/core/nldev.c (fill_res_qp_entry), which
names the owner of each: RES_PID of a process, RES_KERN_NAME of a kernel module. Processes of other PID namespaces are
left out of the answer, so that it counts only where the agent is in the first one.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NETLINK_RDMA = 20
NLDEV_GET = 5 << 10 | 1
NLDEV_RES_QP_GET = 5 << 10 | 10
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
DEV_INDEX, DEV_NAME, PORT_INDEX = 1, 2, 3
RES_QP, RES_QP_ENTRY, RES_TYPE, RES_PID = 19, 20, 26, 28
MANAGEMENT = (0, 1)
"""Queue pairs 0 and 1 of a port (IB_QPT_SMI, IB_QPT_GSI) are always there."""
CONNECTED = (2, 3, 9, 10)
"""IB_QPT_RC, UC, XRC_INI and XRC_TGT; what a module of the kernel sends by datagrams (IPoIB) survives a flap."""
FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""linux/proc_ns.h, PROC_PID_INIT_INO."""
ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class QueuePair:
    """``port`` is None where it is bound to none yet; ``of_process``: opened by one, not by the kernel."""

    type: int
    port: int | None
    of_process: bool

    @property
    def matters(self) -> bool:
        """Whether a flap of the link breaks it."""
        return self.type not in MANAGEMENT and (self.of_process or self.type in CONNECTED)


def open_pairs(device: str, port: int | None = None) -> int | None:
    """Queue pairs of a device, or of one of its ports, that a flap would break; None when that cannot be told."""
    try:
        if str(Path("/proc/self/ns/pid").readlink()) != FIRST_PID_NAMESPACE:
            return None
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_RDMA) as s:
            s.settimeout(ANSWER_SECONDS)
            index = devices(_dump(s, NLDEV_GET, b"")).get(device)
            if index is None:
                return None
            answer = _dump(s, NLDEV_RES_QP_GET, struct.pack("=HHI", 8, DEV_INDEX, index))
    except (OSError, struct.error):
        return None
    pairs = (q for q in queue_pairs(answer) if q.matters)
    return sum(1 for q in pairs if port is None or q.port in (None, port))


def _dump(s: socket.socket, kind: int, attributes: bytes) -> list[bytes]:
    """The payload of every record of a dump. Raises OSError."""
    s.send(struct.pack("=IHHII", 16 + len(attributes), kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + attributes)
    found: list[bytes] = []
    while True:
        for number, payload in messages(s.recv(1 << 18)):
            if number == NLMSG_DONE:
                return found
            if number == NLMSG_ERROR:
                raise OSError(-struct.unpack_from("=i", payload)[0], "refused by the kernel")
            found.append(payload)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each netlink message."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if not 16 <= length <= len(data):
            raise OSError("a netlink message is cut off")
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each attribute; the flag of nested ones is taken off."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if not 4 <= length <= len(data):
            raise OSError("a netlink attribute is cut off")
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def devices(records: list[bytes]) -> dict[str, int]:
    """Name -> index."""
    found = (dict(attributes(r)) for r in records)
    return {
        a[DEV_NAME].rstrip(b"\0").decode(): struct.unpack("=I", a[DEV_INDEX])[0]
        for a in found
        if DEV_NAME in a and DEV_INDEX in a
    }


def queue_pairs(records: list[bytes]) -> Iterator[QueuePair]:
    for record in records:
        for kind, table in attributes(record):
            if kind == RES_QP:
                yield from (
                    _queue_pair(dict(attributes(e))) for k, e in attributes(table) if k == RES_QP_ENTRY
                )


def _queue_pair(a: dict[int, bytes]) -> QueuePair:
    port = struct.unpack("=I", a[PORT_INDEX])[0] if PORT_INDEX in a else None
    return QueuePair(a[RES_TYPE][0] if RES_TYPE in a else -1, port, RES_PID in a)
