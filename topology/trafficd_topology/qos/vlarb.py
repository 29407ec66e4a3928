"""InfiniBand VL arbitration tables as numbers.

Sources: IBA 1.4 section 7.6.9; opensm doc/QoS_management_in_OpenSM.txt section 7. A weight is in units of 64 bytes
and 0 skips the entry; a packet that was begun is always finished, so a weight counts as whole packets, rounded up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WEIGHT_BYTES = 64
MAX_WEIGHT = 255
MAX_ENTRIES = 64
"""By protocol. Ports hold fewer: VLArbHighCap and VLArbLowCap of PortInfo say how many."""
COMMON_ENTRIES = 8
"""What many ports hold: tables that we derive keep to it."""
UNLIMITED = 255
"""The high limit that never lets the low table in while the high table has packets."""
LIMIT_BYTES = 4096
"""The unit of the high limit."""
OPERATIONAL_VLS: dict[int, int] = {1: 1, 2: 2, 4: 3, 8: 4, 15: 5}
"""Data VLs in operation -> the code that PortInfo.OperationalVLs and opensm's ``max_op_vls`` want (IBA 14.2.5.6)."""
_ENTRY = re.compile(r"\s*(\d{1,3})\s*:\s*(\d{1,5})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class VlWeight:
    """One entry of a table. A VL may be listed several times and in both tables."""

    vl: int
    weight: int


VlArb = tuple[VlWeight, ...]


@dataclass(frozen=True, slots=True)
class IbTables:
    """What every port of a fabric is to hold. ``max_vls`` is the number of data VLs in operation: 1, 2, 4, 8 or 15.

    ``high_limit`` times 4,096 bytes is what the high table may send before the low table may send one packet; 0
    means one packet, 255 means the low table waits for ever.
    """

    max_vls: int
    high_limit: int
    vlarb_high: VlArb
    vlarb_low: VlArb

    @property
    def served(self) -> frozenset[int]:
        """VLs that some entry serves."""
        return frozenset(e.vl for e in (*self.vlarb_high, *self.vlarb_low) if e.weight)


def arb_text(table: VlArb) -> str:
    """A table as opensm.conf writes it: ``0:192,1:192,2:0``."""
    return ",".join(f"{e.vl}:{e.weight}" for e in table)


def parse_arb(text: str) -> VlArb | None:
    """A table from ``0:192,1:192,2:0``; None when it is not one. Ranges are not checked."""
    found = [_ENTRY.fullmatch(part) for part in text.split(",")]
    if not all(found):
        return None
    return tuple(VlWeight(int(m[1]), int(m[2])) for m in found if m)


def packets(weight: int, packet_bytes: int) -> int:
    """How many packets of this size an entry sends in its turn."""
    return -(-weight * WEIGHT_BYTES // packet_bytes)
