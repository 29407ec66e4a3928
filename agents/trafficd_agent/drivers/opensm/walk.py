"""Finds every port of a subnet from the local one, and reads its tables: pure over a function that sends one SMP.

Source: IBA 1.4 sections 14.2.5.3 (NodeInfo), 14.2.5.6 (PortInfo), 14.2.5.8 (SLtoVLMappingTable), 14.2.5.9
(VLArbitrationTable) and 14.2.5.13 (SMInfo). Nodes are found along directed routes; tables are read by LID, which
switches forward in hardware, or along the route where there is no LID yet. Nothing is ever set.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from trafficd_agent.drivers.opensm.mad import MAX_HOPS, Attribute, NoAnswerError, Target
from trafficd_agent.drivers.opensm.survey import Port, Record, Silent, Table
from trafficd_topology.qos.ib import canonical

SWITCH = 2
LINK_DOWN = 1
ENTRIES_PER_BLOCK = 32
FIRST_BLOCK = {"vlarb_low": 1, "vlarb_high": 3}


class Sender(Protocol):
    """Sends one SubnGet and waits for the answer. Raises NoAnswerError."""

    def get(self, target: Target, attribute: Attribute, modifier: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Node:
    guid: int
    is_switch: bool
    ports: int
    arrived: int
    """The port through which this answer came."""
    path: tuple[int, ...]
    lid: int = 0
    """Of a switch's port 0, which answers for all its ports."""

    def numbers(self) -> range:
        """The ports to look at: a switch answers for all its own, an adapter for the one asked."""
        return range(1, self.ports + 1) if self.is_switch else range(self.arrived, self.arrived + 1)


def _number(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "big")


def _node(sender: Sender, path: tuple[int, ...]) -> _Node:
    info = sender.get(Target(path=path), Attribute.NODE_INFO, 0)
    is_switch = info[2] == SWITCH
    lid = 0
    if is_switch:
        lid = _number(sender.get(Target(path=path), Attribute.PORT_INFO, 0), 16, 2)
    return _Node(_number(info, 12, 8), is_switch, info[3], info[36], path, lid)


def _port(sender: Sender, node: _Node, number: int) -> Port | None:
    """The port, or None when it has no link."""
    info = sender.get(Target(path=node.path), Attribute.PORT_INFO, number)
    if info[32] & 0xF <= LINK_DOWN:
        return None
    lid = node.lid or _number(info, 16, 2)
    return Port(node.guid, number, lid, info[37] >> 4, info[43] >> 4, info[39], info[40], info[38])


def walk(sender: Sender, *, tables: bool) -> Iterator[Record]:
    """Every port with a link, each followed by its ``tables``, and everything that did not answer on the way."""
    queue: deque[tuple[int, ...]] = deque([()])
    seen: set[tuple[int, int]] = set()
    while queue:
        path = queue.popleft()
        try:
            node = _node(sender, path)
        except NoAnswerError:
            yield Silent(0, path[-1] if path else 0, f"the node at the end of route {_route(path)}")
            continue
        mark = (node.guid, 0 if node.is_switch else node.arrived)
        if mark in seen:
            continue
        seen.add(mark)
        for number in node.numbers():
            linked = yield from _read_port(sender, node, number, tables=tables)
            if linked and (node.is_switch or not path) and len(path) < MAX_HOPS:
                queue.append((*path, number))


def _route(path: tuple[int, ...]) -> str:
    return ",".join(map(str, (0, *path)))


def _read_port(sender: Sender, node: _Node, number: int, *, tables: bool) -> Generator[Record, None, bool]:
    try:
        port = _port(sender, node, number)
    except NoAnswerError:
        yield Silent(node.guid, number, "PortInfo")
        return False
    if port is not None:
        yield port
    if port is not None and tables:
        yield from _tables(sender, node, port)
    return port is not None


def _tables(sender: Sender, node: _Node, port: Port) -> Iterator[Record]:
    target = Target(lid=port.lid) if port.lid else Target(path=node.path)
    for kind, room in (("vlarb_high", port.high_entries), ("vlarb_low", port.low_entries)):
        try:
            if port.vl_cap > 1 and room:
                yield Table(
                    kind, port.guid, port.number, -1, _vlarb(sender, target, (kind, room, port.number))
                )
        except NoAnswerError:
            yield Silent(port.guid, port.number, kind)
    for in_port in range(node.ports + 1) if node.is_switch else (-1,):
        modifier = in_port << 8 | port.number if node.is_switch else 0
        try:
            data = sender.get(target, Attribute.SL2VL, modifier)
        except NoAnswerError:
            yield Silent(port.guid, port.number, f"sl2vl from port {in_port}" if node.is_switch else "sl2vl")
            continue
        yield Table("sl2vl", port.guid, port.number, in_port, _nibbles(data[:8]))


def _vlarb(sender: Sender, target: Target, which: tuple[str, int, int]) -> tuple[int, ...]:
    kind, room, number = which
    entries: list[int] = []
    for start in range(0, min(room, 2 * ENTRIES_PER_BLOCK), ENTRIES_PER_BLOCK):
        block = FIRST_BLOCK[kind] + start // ENTRIES_PER_BLOCK
        data = sender.get(target, Attribute.VLARB, block << 16 | number)
        for i in range(min(room - start, ENTRIES_PER_BLOCK)):
            entries += (data[2 * i] & 0xF, data[2 * i + 1])
    return canonical(tuple(entries))


def _nibbles(data: bytes) -> tuple[int, ...]:
    return tuple(n for byte in data for n in (byte >> 4, byte & 0xF))


def sm_activity(sender: Sender) -> int:
    """How many packets the master subnet manager has sent, by its own count. Raises NoAnswerError."""
    lid = _number(sender.get(Target(), Attribute.PORT_INFO, 0), 18, 2)
    return _number(sender.get(Target(lid=lid), Attribute.SM_INFO, 0), 16, 4)
