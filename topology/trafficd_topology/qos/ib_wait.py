"""The longest time that the head of a lane may wait at a port while every other lane has packets.

Source: IBA 1.4 section 7.6.9. High table: weighted round robin. After ``high_limit`` x 4,096 bytes of it the low table
may send one packet. A packet that was begun is finished, and an entry's last packet may exceed its weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trafficd_topology.qos.lanes import LaneSet
from trafficd_topology.qos.shares import IB_PACKET_BYTES
from trafficd_topology.qos.vlarb import LIMIT_BYTES, UNLIMITED, IbTables, VlArb, packets


@dataclass(frozen=True, slots=True)
class LaneWait:
    """``wait_bytes`` is what the port may send before the lane's first packet; None: without end."""

    lane: str
    wait_bytes: int | None

    def seconds(self, rate_bps: int) -> float | None:
        return None if self.wait_bytes is None else self.wait_bytes * 8 / rate_bps


def lane_waits(lanes: LaneSet, tables: IbTables, packet_bytes: int = IB_PACKET_BYTES) -> tuple[LaneWait, ...]:
    """Every lane, in the order of the policy, with all others always having packets of ``packet_bytes``."""
    return tuple(LaneWait(x.name, _wait(x.id, lanes, tables, packet_bytes)) for x in lanes.lanes)


def _wait(vl: int, lanes: LaneSet, tables: IbTables, packet_bytes: int) -> int | None:
    live = frozenset(x.id for x in lanes.lanes)
    found = [w for w in _waits(vl, live, tables, packet_bytes) if w is not None]
    return min(found) + packet_bytes if found else None


def _waits(vl: int, live: frozenset[int], tables: IbTables, packet_bytes: int) -> Iterator[int | None]:
    """By its turns in the high table, and by those in the low one; a lane with both has the shorter wait."""
    high = _gap(vl, live, tables.vlarb_high, packet_bytes)
    low = _gap(vl, live, tables.vlarb_low, packet_bytes)
    burst = max(packet_bytes, tables.high_limit * LIMIT_BYTES)
    if high is not None:
        others = any(e.weight and e.vl in live - {vl} for e in tables.vlarb_low)
        between = -(-high // burst) if others and tables.high_limit != UNLIMITED else 0
        yield high + between * packet_bytes
    if low is not None:
        busy = any(e.weight and e.vl in live - {vl} for e in tables.vlarb_high)
        if not busy:
            yield low
        elif tables.high_limit != UNLIMITED:
            yield low + (low // packet_bytes + 1) * burst


def _gap(vl: int, live: frozenset[int], table: VlArb, packet_bytes: int) -> int | None:
    """Most bytes of others between two turns of a VL in one table; None where it has no turn."""
    turns = [
        (e.vl, packets(e.weight, packet_bytes) * packet_bytes) for e in table if e.weight and e.vl in live
    ]
    places = [i for i, (v, _) in enumerate(turns) if v == vl]
    if not places:
        return None
    first = places[0]
    return max(_runs(vl, (*turns[first:], *turns[: first + 1])))


def _runs(vl: int, turns: Iterable[tuple[int, int]]) -> Iterator[int]:
    total = 0
    for v, size in turns:
        if v == vl:
            yield total
            total = 0
        else:
            total += size
