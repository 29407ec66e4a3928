"""Receive buffer of lossless priorities: what still arrives after a NIC has told its peer to stop.

Source: drivers/net/ethernet/mellanox/mlx5/core/en/port_buffer.c, ``calculate_xoff`` and ``update_xoff_threshold``,
which size the buffers of every mlx5 port the same way; IEEE 802.1Q annex O derives such a sum from the delays of
cable, interface and the longest packet in both directions.
"""

from __future__ import annotations

MIN_RATE_BPS = 40_000_000_000
"""Slower ports are reckoned as 40 Gb/s."""
COMMON_CELL_BYTES = 1152
"""What every cell of 128, 144 or 192 bytes divides: for NICs that do not say theirs, so that a size reads back as written."""
LARGEST_PACKET_BYTES = 9216
"""mlx5 reckons with the largest MTU that a port may be given, not with the one it has."""


def xoff_bytes(rate_bps: int, cable_length_m: int, mtu_bytes: int) -> int:
    """What may arrive between the decision to pause and the peer's silence: (301 + 2.16 x metres) x Gb/s + 2.72 x MTU.

    In the kernel's whole-number arithmetic, so that the result is the driver's.
    """
    rate_mbps = max(rate_bps, MIN_RATE_BPS) // 1_000_000
    return (301 + 216 * cable_length_m // 100) * rate_mbps // 1000 + 272 * mtu_bytes // 100


def lossless_buffer_bytes(rate_bps: int, cable_length_m: int, mtu_bytes: int, cell_bytes: int = 0) -> int:
    """The smallest receive buffer that a lossless priority may have, a whole number of cells (0: not known)."""
    cell = cell_bytes or COMMON_CELL_BYTES
    needed = xoff_bytes(rate_bps, cable_length_m, mtu_bytes) + LARGEST_PACKET_BYTES + cell
    return -(-needed // cell) * cell


def lossy_buffer_bytes(cell_bytes: int = 0) -> int:
    """The smallest for the lossy priorities together: two of the largest packets, whole cells."""
    cell = cell_bytes or COMMON_CELL_BYTES
    return -(-2 * LARGEST_PACKET_BYTES // cell) * cell
