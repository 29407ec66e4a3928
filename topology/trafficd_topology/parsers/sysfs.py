"""What files under ``/sys`` say: one value a file, as text. Nothing here opens a file; nothing here raises.

The tables name what each counter file of an RDMA port counts, how wide it is in hardware and what it does at its
end. Sources: ``drivers/infiniband/core/sysfs.c`` (widths of the PMA attributes),
``drivers/infiniband/hw/mlx5/counters.c`` (32-bit queue counters that wrap, 64-bit congestion counters),
``drivers/infiniband/hw/bnxt_re/hw_counters.c``, ``drivers/infiniband/hw/efa/efa_verbs.c``,
``drivers/infiniband/sw/rxe/rxe_hw_counters.c``, Documentation/ABI/stable/sysfs-class-infiniband.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trafficd_topology.counters import MODULUS64, CounterKind, Direction, Quantity
from trafficd_topology.model import LinkLayer

Q, K = Quantity, CounterKind
TX, RX = Direction.TRANSMIT, Direction.RECEIVE
_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) Gb/sec\b")
_STATE = re.compile(r"(\d{1,3}): *([\w-]+)")
_GUID = re.compile(r"(?:0x)?[0-9a-f]{16}")
_PCI = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@dataclass(frozen=True, slots=True)
class CounterFile:
    """What a counter file counts. ``bits`` is the counter's width in hardware, ``unit`` what one count is worth."""

    quantity: Quantity
    direction: Direction | None
    kind: CounterKind = K.WRAP64
    bits: int = 64
    unit: int = 1

    def value(self, text: str) -> int | None:
        """The file's text in the quantity's unit; None when it is no number, or a saturating counter's maximum.

        A 64-bit count of larger units keeps wrapping at 2^64.
        """
        count = whole(text)
        if count is None or (self.bits < 64 and self.kind is not K.WRAP32 and count == 2**self.bits - 1):
            return None
        return count * self.unit % MODULUS64


def _pma(quantity: Quantity, bits: int, direction: Direction | None = None) -> CounterFile:
    return CounterFile(quantity, direction, K.SATURATE32, bits)


def _wide(quantity: Quantity, direction: Direction, unit: int = 1) -> CounterFile:
    """A counter that is 64 bits wide on devices with extended counters and saturates at 32 bits on others.

    The files do not say which. The 32-bit maximum is taken as unknown on both; otherwise both only rise.
    """
    return CounterFile(quantity, direction, K.WRAP64, 32, unit)


def _queue(quantity: Quantity, direction: Direction | None = None) -> CounterFile:
    return CounterFile(quantity, direction, K.WRAP32, 32)


COUNTERS: dict[str, CounterFile] = {
    "port_xmit_data": _wide(Q.BYTES, TX, 4),  # in 4-byte words
    "port_rcv_data": _wide(Q.BYTES, RX, 4),
    "port_xmit_packets": _wide(Q.PACKETS, TX),
    "port_rcv_packets": _wide(Q.PACKETS, RX),
    "unicast_xmit_packets": CounterFile(Q.UNICAST_PACKETS, TX),
    "unicast_rcv_packets": CounterFile(Q.UNICAST_PACKETS, RX),
    "multicast_xmit_packets": CounterFile(Q.MULTICAST_PACKETS, TX),
    "multicast_rcv_packets": CounterFile(Q.MULTICAST_PACKETS, RX),
    "port_xmit_wait": _pma(Q.TRANSMIT_WAIT_TICKS, 32, TX),
    "port_xmit_discards": _pma(Q.DROPS, 16, TX),
    "symbol_error": _pma(Q.SYMBOL_ERRORS, 16),
    "link_error_recovery": _pma(Q.LINK_RECOVERIES, 8),
    "link_downed": _pma(Q.LINK_DOWNS, 8),
    "port_rcv_errors": _pma(Q.ERRORS, 16, RX),
    "port_rcv_remote_physical_errors": _pma(Q.REMOTE_PHYSICAL_ERRORS, 16, RX),
    "port_rcv_switch_relay_errors": _pma(Q.SWITCH_RELAY_ERRORS, 16, RX),
    "port_xmit_constraint_errors": _pma(Q.CONSTRAINT_ERRORS, 8, TX),
    "port_rcv_constraint_errors": _pma(Q.CONSTRAINT_ERRORS, 8, RX),
    "local_link_integrity_errors": _pma(Q.LINK_INTEGRITY_ERRORS, 4),
    "excessive_buffer_overrun_errors": _pma(Q.BUFFER_OVERRUN_ERRORS, 4),
    "VL15_dropped": _pma(Q.VL15_DROPS, 16),
}
"""Files of ``ports/<n>/counters``."""

HW_COUNTERS: dict[str, CounterFile] = {
    "rx_write_requests": _queue(Q.WRITE_REQUESTS, RX),
    "rx_read_requests": _queue(Q.READ_REQUESTS, RX),
    "rx_atomic_requests": _queue(Q.ATOMIC_REQUESTS, RX),
    "rx_dct_connect": _queue(Q.CONNECT_REQUESTS, RX),
    "out_of_buffer": _queue(Q.OUT_OF_BUFFER, RX),
    "out_of_sequence": _queue(Q.OUT_OF_SEQUENCE, RX),
    "duplicate_request": _queue(Q.DUPLICATE_REQUESTS, RX),
    "rnr_nak_retry_err": _queue(Q.RNR_NAK_RETRIES, RX),
    "packet_seq_err": _queue(Q.PACKET_SEQUENCE_ERRORS, RX),
    "implied_nak_seq_err": _queue(Q.IMPLIED_NAK_SEQUENCE_ERRORS, TX),
    "local_ack_timeout_err": _queue(Q.ACK_TIMEOUTS, TX),
    "resp_local_length_error": _queue(Q.LOCAL_LENGTH_ERRORS, RX),
    "resp_cqe_error": _queue(Q.COMPLETION_ERRORS, RX),
    "req_cqe_error": _queue(Q.COMPLETION_ERRORS, TX),
    "resp_cqe_flush_error": _queue(Q.COMPLETION_FLUSH_ERRORS, RX),
    "req_cqe_flush_error": _queue(Q.COMPLETION_FLUSH_ERRORS, TX),
    "req_remote_invalid_request": _queue(Q.REMOTE_INVALID_REQUESTS, TX),
    "resp_remote_access_errors": _queue(Q.REMOTE_ACCESS_ERRORS, RX),
    "req_remote_access_errors": _queue(Q.REMOTE_ACCESS_ERRORS, TX),
    "req_transport_retries_exceeded": _queue(Q.TRANSPORT_RETRIES_EXCEEDED, TX),
    "req_rnr_retries_exceeded": _queue(Q.RNR_RETRIES_EXCEEDED, TX),
    "roce_adp_retrans": _queue(Q.ADAPTIVE_RETRANSMISSIONS, TX),
    "roce_adp_retrans_to": _queue(Q.ADAPTIVE_RETRANSMISSION_TIMEOUTS, TX),
    "roce_slow_restart": _queue(Q.SLOW_RESTARTS, TX),
    "roce_slow_restart_cnps": _queue(Q.SLOW_RESTART_CNPS, TX),
    "roce_slow_restart_trans": _queue(Q.SLOW_RESTART_TRANSITIONS, TX),
    "rp_cnp_handled": CounterFile(Q.CNP_PACKETS, RX),
    "rp_cnp_ignored": CounterFile(Q.CNP_IGNORED_PACKETS, RX),
    "np_cnp_sent": CounterFile(Q.CNP_PACKETS, TX),
    "np_ecn_marked_roce_packets": CounterFile(Q.ECN_MARKED_PACKETS, RX),
    "rx_icrc_encapsulated": CounterFile(Q.CHECKSUM_ERRORS, RX),
    # bnxt_re
    "tx_cnp_pkts": CounterFile(Q.CNP_PACKETS, TX),
    "rx_cnp_pkts": CounterFile(Q.CNP_PACKETS, RX),
    "rx_ecn_marked_pkts": CounterFile(Q.ECN_MARKED_PACKETS, RX),
    "rx_out_of_buffer": CounterFile(Q.OUT_OF_BUFFER, RX),
    "tx_roce_only_bytes": CounterFile(Q.RDMA_BYTES, TX),
    "rx_roce_only_bytes": CounterFile(Q.RDMA_BYTES, RX),
    "tx_roce_only_pkts": CounterFile(Q.RDMA_PACKETS, TX),
    "rx_roce_only_pkts": CounterFile(Q.RDMA_PACKETS, RX),
    # EFA
    "tx_bytes": CounterFile(Q.RDMA_BYTES, TX),
    "rx_bytes": CounterFile(Q.RDMA_BYTES, RX),
    "tx_pkts": CounterFile(Q.RDMA_PACKETS, TX),
    "rx_pkts": CounterFile(Q.RDMA_PACKETS, RX),
    "rx_drops": CounterFile(Q.BUFFER_DROPS, RX),
    "retrans_pkts": CounterFile(Q.RETRANSMISSIONS, TX),
    # ionic
    "tx_rdma_cnp_pkts": CounterFile(Q.CNP_PACKETS, TX),
    "rx_rdma_cnp_pkts": CounterFile(Q.CNP_PACKETS, RX),
    "rx_rdma_ecn_pkts": CounterFile(Q.ECN_MARKED_PACKETS, RX),
    # rxe
    "sent_pkts": CounterFile(Q.RDMA_PACKETS, TX),
    "rcvd_pkts": CounterFile(Q.RDMA_PACKETS, RX),
    "out_of_seq_request": CounterFile(Q.OUT_OF_SEQUENCE, RX),
    "completer_retry_err": CounterFile(Q.RETRANSMISSIONS, TX),
}
"""Files of ``ports/<n>/hw_counters``; what the device's own engine counts, so on Ethernet RDMA alone."""

STATISTICS: dict[str, CounterFile] = {
    "tx_bytes": CounterFile(Q.BYTES, TX),
    "rx_bytes": CounterFile(Q.BYTES, RX),
    "tx_packets": CounterFile(Q.PACKETS, TX),
    "rx_packets": CounterFile(Q.PACKETS, RX),
    "tx_dropped": CounterFile(Q.DROPS, TX),
    "rx_dropped": CounterFile(Q.DROPS, RX),
    "tx_errors": CounterFile(Q.ERRORS, TX),
    "rx_errors": CounterFile(Q.ERRORS, RX),
}
"""Files of ``/sys/class/net/<if>/statistics``: what the kernel's own stack carried (include/linux/if_link.h)."""

ETHERNET_RDMA = {Q.BYTES: Q.RDMA_BYTES, Q.PACKETS: Q.RDMA_PACKETS}
"""On Ethernet a port's ``counters`` see RDMA alone, so they must not be taken for the whole port."""


def whole(text: str) -> int | None:
    """A counter's text: decimal digits below 2^64. ``N/A (no PMA)``, nothing and anything else are None."""
    word = text.strip()
    if not (word.isascii() and word.isdigit() and len(word) <= 20):
        return None
    number = int(word)
    return number if number < MODULUS64 else None


def signed(text: str) -> int | None:
    """A small number that may be negative, such as ``speed`` or ``numa_node``, where -1 is the kernel's None."""
    word = text.strip()
    if word.startswith("-"):
        number = whole(word[1:])
        return None if number is None else -number
    return whole(word)


def rate_bps(text: str) -> int | None:
    """``ports/<n>/rate``, ``400 Gb/sec (4X NDR)``, in bits per second; None when there is none or it is zero."""
    match = _RATE.match(text.strip())
    if match is None:
        return None
    whole_gbps, _, fraction = match[1].partition(".")
    return (int(whole_gbps) * 1000 + int((fraction + "000")[:3])) * 10**6 or None


def speed_bps(text: str) -> int | None:
    """``/sys/class/net/<if>/speed``, in Mb/s, in bits per second; None when unknown (-1) or above 100 Tb/s."""
    mbps = signed(text)
    return mbps * 10**6 if mbps is not None and 0 < mbps <= 10**8 else None


def port_state(text: str) -> str | None:
    """``ports/<n>/state`` or ``phys_state``: the word after the number, as in ``4: ACTIVE``."""
    match = _STATE.fullmatch(text.strip())
    return None if match is None else match[2]


def link_layer(text: str) -> LinkLayer | None:
    """``ports/<n>/link_layer``: ``InfiniBand`` or ``Ethernet``; EFA and others have none."""
    word = text.strip().lower()
    return LinkLayer(word) if word in tuple(LinkLayer) else None


def guid(text: str) -> str | None:
    """A GUID (``0c42:a103:0011:2233``) as ``0x0c42a10300112233``; None when it is all zero or no GUID."""
    word = text.strip().lower().replace(":", "")
    if not _GUID.fullmatch(word):
        return None
    digits = word.removeprefix("0x")
    return f"0x{digits}" if digits.strip("0") else None


def gid_guid(text: str) -> str | None:
    """The port GUID: the last eight bytes of its GID 0 (``gids/0``), InfiniBand only."""
    groups = text.strip().split(":")
    return guid(":".join(groups[4:])) if len(groups) == 8 else None


def operstate(text: str) -> bool | None:
    """RFC 2863 operational state (``operstate``): up, not up, or None where the driver does not say."""
    word = text.strip()
    return None if word in ("", "unknown") else word == "up"


def uevent(text: str, key: str) -> str | None:
    """One value of a ``uevent`` file (``KEY=value`` lines)."""
    lines = (line.partition("=") for line in text.splitlines())
    return next((value.strip() for name, _, value in lines if name == key), None)


def pci_chain(path: str) -> tuple[str, ...]:
    """The PCI addresses on a device's path under ``/sys/devices``, from the root port to the device."""
    return tuple(part for part in path.lower().split("/") if _PCI.fullmatch(part))


def memory_bytes(meminfo: str) -> int | None:
    """``MemTotal`` of ``/proc/meminfo`` (in kB, which are KiB), in bytes."""
    match = re.search(r"^MemTotal:\s+(\d{1,15}) kB$", meminfo, re.MULTILINE)
    return int(match[1]) * 1024 if match else None
