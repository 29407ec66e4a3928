"""InfiniBand arbitration tables for lanes that come without any.

InfiniBand knows two levels, a policy up to eight priorities. Two arrangements are tried, and the one whose shares,
with every lane backlogged, come closest to the guarantees is taken (the first, where both are as close):

- **two tables**: lanes guaranteed nothing or, where there is none, the class lanes of the largest priority number
  stand in the low table, all others in the high table. The high limit lets the low table have its share. Lanes of
  different priorities within one table are weighted, not ordered.
- **one table**: all lanes in the low table, weighted by guarantee. Never taken where a lane may starve.

Weights are whole packets (of 4 KB: 64, 128 or 192), in as many entries as ports hold: see ``Room``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from trafficd_topology.qos.lanes import Lane, LaneSet, LaneUse
from trafficd_topology.qos.shares import IB_PACKET_BYTES, all_busy, guarantees
from trafficd_topology.qos.vlarb import (
    COMMON_ENTRIES,
    LIMIT_BYTES,
    MAX_WEIGHT,
    OPERATIONAL_VLS,
    UNLIMITED,
    WEIGHT_BYTES,
    IbTables,
    VlArb,
    VlWeight,
)

Weighted = tuple[tuple[Lane, Fraction], ...]


@dataclass(frozen=True, slots=True)
class Room:
    """What a table is fitted into: entries of a table, and the MTU, which is the size of a whole packet."""

    entries: int = COMMON_ENTRIES
    packet_bytes: int = IB_PACKET_BYTES

    @property
    def packet_weight(self) -> int:
        return self.packet_bytes // WEIGHT_BYTES

    @property
    def entry_packets(self) -> int:
        """Whole packets of the largest weight."""
        return MAX_WEIGHT // self.packet_weight


USUAL = Room()


def derive_tables(lanes: LaneSet, room: Room = USUAL) -> IbTables:
    """The tables for these lanes; a lane's VL is its id. ``room`` has at least as many entries as there are lanes."""
    parts = tuple(zip(lanes.lanes, guarantees(lanes.lanes), strict=True))
    two = _two_tables(parts, room)
    options = [two] if two else []
    if not two or all(part for _, part in parts):
        options.append(_one_table(parts, room))
    return min(options, key=lambda tables: _error(lanes, tables, room))


def _error(lanes: LaneSet, tables: IbTables, room: Room) -> float:
    everyone = all_busy(lanes, tables, room.packet_bytes)
    wanted = zip(lanes.lanes, guarantees(lanes.lanes), strict=True)
    return max(abs(everyone.ratio(lane.name) - float(part)) for lane, part in wanted)


def _max_vls(parts: Weighted) -> int:
    return next(n for n in OPERATIONAL_VLS if n > max(lane.id for lane, _ in parts))


def _one_table(parts: Weighted, room: Room) -> IbTables:
    return IbTables(_max_vls(parts), 0, (VlWeight(parts[0][0].id, 0),), _table(parts, room))


def _two_tables(parts: Weighted, room: Room) -> IbTables | None:
    low = tuple((lane, part) for lane, part in parts if not part) or _last(parts)
    high = tuple(p for p in parts if p not in low)
    if not low or not high:
        return None
    return IbTables(
        _max_vls(parts), _limit(sum(part for _, part in low), room), _table(high, room), _table(low, room)
    )


def _last(parts: Weighted) -> Weighted:
    """The class lanes served last."""
    classes = [(lane, part) for lane, part in parts if lane.use is LaneUse.CLASS]
    last = max((lane.priority for lane, _ in classes), default=0)
    return tuple(p for p in classes if p[0].priority == last)


def _limit(low: Fraction | int, room: Room) -> int:
    """The largest high limit that still lets the low table have this part of the link."""
    if not low:
        return UNLIMITED
    packets = max(1, int((1 - low) / low))
    return min(UNLIMITED - 1, max(1, packets * room.packet_bytes // LIMIT_BYTES))


def _table(parts: Weighted, room: Room) -> VlArb:
    """Entries of few packets (three of 4 KB), taking turns, so that no VL waits for another's whole weight."""
    counts = _counts([p for _, p in parts], room)
    turns = -(-max(counts) // room.entry_packets)
    entries: list[VlWeight] = []
    for turn in range(turns):
        for (lane, _), count in zip(parts, counts, strict=True):
            n = min(count - turn * room.entry_packets, room.entry_packets)
            entries += [VlWeight(lane.id, n * room.packet_weight)] if n > 0 else []
    return tuple(entries)


def _counts(parts: Sequence[Fraction], room: Room) -> tuple[int, ...]:
    """Packets per round for each lane, at least one, that come closest to ``parts`` and fit in one table."""
    total = sum(parts)
    wanted = [p / total if total else Fraction(1, len(parts)) for p in parts]
    rounds = [
        tuple(max(1, round(w * n)) for w in wanted) for n in range(1, room.entries * room.entry_packets + 1)
    ]
    fitting = [r for r in rounds if sum(-(-n // room.entry_packets) for n in r) <= room.entries] or rounds[:1]
    return min(
        fitting, key=lambda r: max(abs(Fraction(n, sum(r)) - w) for n, w in zip(r, wanted, strict=True))
    )
