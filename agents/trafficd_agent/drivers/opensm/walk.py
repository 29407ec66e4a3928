"""Finds every port of a subnet from the local one, and reads its tables: pure over something that asks SMPs.

Source: IBA 1.4 sections 14.2.5.2 (NodeDescription), 14.2.5.3 (NodeInfo), 14.2.5.6 (PortInfo), 14.2.5.8
(SLtoVLMappingTable), 14.2.5.9 (VLArbitrationTable) and 14.2.5.13 (SMInfo). Nodes are found along directed routes, level
by level; tables are read by LID, which switches forward in hardware, or along the route where there is no LID yet.
Questions go out many at a time, one after the other to different nodes where that is possible. Nothing is ever set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from trafficd_agent.drivers.opensm.mad import MAX_HOPS, Answer, Asker, Attribute, Query, Silence, Target
from trafficd_agent.drivers.opensm.survey import SWITCH, Link, Node, Port, Record, Silent, Table
from trafficd_topology.qos.ib import canonical

LINK_DOWN = 1
ENTRIES_PER_BLOCK = 32
FIRST_BLOCK = {"vlarb_low": 1, "vlarb_high": 3}
BATCH = 4096
"""Questions that are held in memory at once."""

T = TypeVar("T")
Pairs = Callable[[int, int], Iterable[int]]
"""(ports of the switch, out port) -> the in ports whose SL2VL is read."""


def every_pair(ports: int, _: int) -> Iterable[int]:
    """All of a switch, port 0 included."""
    return range(ports + 1)


def one_pair(turn: int) -> Pairs:
    """One in port for each out port, another one in each turn: all of them in as many turns as the switch has ports."""
    return lambda ports, out: ((turn + out) % (ports + 1),)


def no_pair(_ports: int, _out: int) -> Iterable[int]:
    return ()


@dataclass(frozen=True, slots=True)
class _Step:
    """A route, and the port that its last hop leaves from (guid 0 at the start)."""

    path: tuple[int, ...]
    guid: int = 0
    port: int = 0


@dataclass(frozen=True, slots=True)
class _Reached:
    """A node, and how: the route to it, and its port at the end of it."""

    node: Node
    path: tuple[int, ...]
    arrived: int
    port_guid: int

    @property
    def is_switch(self) -> bool:
        return self.node.type == SWITCH

    def numbers(self) -> Iterable[int]:
        """The ports to look at: a switch answers for all its own, an adapter for the one asked."""
        return range(1, self.node.ports + 1) if self.is_switch else (self.arrived,)


@dataclass(frozen=True, slots=True)
class _Seat:
    """A port with a link, where to ask for its tables, and how many ports its node has."""

    port: Port
    target: Target
    ports: int


def _number(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "big")


def walk(asker: Asker, pairs: Pairs | None = None) -> Iterator[Record]:
    """Every node and port with a link, and what did not answer on the way; with ``pairs`` their tables as well."""
    seats: list[_Seat] = []
    level, seen = [_Step(())], set[tuple[int, int]]()
    while level:
        reached: list[_Reached] = []
        yield from _nodes(asker, level, seen, reached)
        level = []
        yield from _ports(asker, reached, seats, level)
    if pairs is not None:
        yield from _arbitration(asker, seats)
        yield from _maps(asker, seats, pairs)


def _nodes(
    asker: Asker, level: list[_Step], seen: set[tuple[int, int]], reached: list[_Reached]
) -> Iterator[Record]:
    """The nodes at the ends of these routes that were not seen yet."""
    answers = asker.ask([Query(Target(path=s.path), Attribute.NODE_INFO) for s in level])
    fresh: list[tuple[_Step, bytes]] = []
    for step, info in zip(level, answers, strict=True):
        if isinstance(info, Silence):
            yield Silent(step.guid, step.port, "the node behind the link" if step.path else "the local port")
            continue
        if step.path:
            yield Link(step.guid, step.port, _number(info, 12, 8), info[36])
        mark = (_number(info, 12, 8), 0 if info[2] == SWITCH else info[36])
        if mark not in seen:
            seen.add(mark)
            fresh.append((step, info))
    targets = [Target(path=step.path) for step, _ in fresh]
    texts = asker.ask([Query(t, Attribute.NODE_DESCRIPTION) for t in targets])
    zeros = asker.ask([Query(t, Attribute.PORT_INFO, 0) for t in targets])
    for (step, info), text, zero in zip(fresh, texts, zeros, strict=True):
        lid = _number(zero, 16, 2) if info[2] == SWITCH and isinstance(zero, bytes) else 0
        node = _node(info, lid, text)
        yield node
        reached.append(_Reached(node, step.path, info[36], _number(info, 20, 8)))


def _node(info: bytes, lid: int, text: Answer) -> Node:
    said = text.split(b"\0")[0].decode(errors="replace") if isinstance(text, bytes) else ""
    return Node(
        guid=_number(info, 12, 8),
        system=_number(info, 4, 8),
        type=info[2],
        ports=info[3],
        device=_number(info, 30, 2),
        vendor=_number(info, 37, 3),
        lid=lid,
        description=said,
    )


def _ports(
    asker: Asker, reached: list[_Reached], seats: list[_Seat], level: list[_Step]
) -> Iterator[Port | Silent]:
    """Their ports that have a link; where these lead from a switch, or from where we are, is the next level."""
    places = [(r, number) for r in reached for number in r.numbers()]
    answers = asker.ask([Query(Target(path=r.path), Attribute.PORT_INFO, n) for r, n in places])
    for (r, number), info in zip(places, answers, strict=True):
        if isinstance(info, Silence):
            yield Silent(r.node.guid, number, "PortInfo")
            continue
        if info[32] & 0xF <= LINK_DOWN:
            continue
        port = _port(r, number, info)
        yield port
        target = Target(lid=port.lid) if port.lid else Target(path=r.path)
        seats.append(_Seat(port, target, r.node.ports))
        if (r.is_switch or not r.path) and len(r.path) < MAX_HOPS:
            level.append(_Step((*r.path, number), r.node.guid, number))


def _port(r: _Reached, number: int, info: bytes) -> Port:
    return Port(
        guid=r.node.guid,
        port_guid=r.port_guid,
        number=number,
        type=r.node.type,
        lid=r.node.lid or _number(info, 16, 2),
        lmc=info[34] & 7,
        vl_cap=info[37] >> 4,
        op_vls=info[43] >> 4,
        high_entries=info[39],
        low_entries=info[40],
        high_limit=info[38],
        mtu=info[36] >> 4,
        width=info[31],
        speed=info[35] >> 4,
        speed_ext=info[62] >> 4,
    )


def _arbitration(asker: Asker, seats: list[_Seat]) -> Iterator[Record]:
    wanted = [(s, kind) for kind in ("vlarb_high", "vlarb_low") for s in seats if _room(s.port, kind)]
    asks = ((place, query) for place in wanted for query in _blocks(*place))
    held: tuple[_Seat, str] | None = None
    data: list[Answer] = []
    for place, part in _asked(asker, asks):
        if held is not None and place != held:
            yield _table(held, data)
            data = []
        held = place
        data.append(part)
    if held is not None:
        yield _table(held, data)


def _room(port: Port, kind: str) -> int:
    """Entries of a port's table; one that runs a single VL has none."""
    room = port.high_entries if kind == "vlarb_high" else port.low_entries
    return min(room, 2 * ENTRIES_PER_BLOCK) if port.vl_cap > 1 else 0


def _blocks(seat: _Seat, kind: str) -> Iterator[Query]:
    for start in range(0, _room(seat.port, kind), ENTRIES_PER_BLOCK):
        block = FIRST_BLOCK[kind] + start // ENTRIES_PER_BLOCK
        yield Query(seat.target, Attribute.VLARB, block << 16 | seat.port.number)


def _table(place: tuple[_Seat, str], parts: list[Answer]) -> Table | Silent:
    seat, kind = place
    port = seat.port
    data = b"".join(part for part in parts if isinstance(part, bytes))
    if len(data) < len(parts) * 2 * ENTRIES_PER_BLOCK:
        return Silent(port.guid, port.number, kind)
    pairs = ((data[2 * i] & 0xF, data[2 * i + 1]) for i in range(_room(port, kind)))
    return Table(kind, port.guid, port.number, (), canonical(tuple(n for pair in pairs for n in pair)))


def _maps(asker: Asker, seats: list[_Seat], pairs: Pairs) -> Iterator[Record]:
    """SL2VL of each port; pairs of a switch with equal ones are told together."""
    found: dict[tuple[int, int, bytes], list[int]] = {}
    for (seat, in_port), data in _asked(asker, _map_queries(seats, pairs)):
        port = seat.port
        if isinstance(data, Silence):
            place = f" from port {in_port}" if in_port >= 0 else ""
            yield Silent(port.guid, port.number, f"sl2vl{place}")
            continue
        found.setdefault((port.guid, port.number, data[:8]), []).extend((in_port,) if in_port >= 0 else ())
    for (guid, number, data), in_ports in found.items():
        yield Table("sl2vl", guid, number, tuple(sorted(in_ports)), _nibbles(data))


def _map_queries(seats: list[_Seat], pairs: Pairs) -> Iterator[tuple[tuple[_Seat, int], Query]]:
    """Adapters first; then switches in rounds over all out ports, so that no switch is asked many times in a row."""
    switches = []
    for seat in seats:
        if seat.port.type == SWITCH:
            switches.append((seat, iter(pairs(seat.ports, seat.port.number))))
        else:
            yield (seat, -1), Query(seat.target, Attribute.SL2VL)
    while switches:
        left = []
        for seat, rest in switches:
            if (in_port := next(rest, None)) is not None:
                left.append((seat, rest))
                query = Query(seat.target, Attribute.SL2VL, in_port << 8 | seat.port.number)
                yield (seat, in_port), query
        switches = left


def _asked(asker: Asker, asks: Iterable[tuple[T, Query]]) -> Iterator[tuple[T, Answer]]:
    """Each question with its answer, a batch at a time."""
    rest = iter(asks)
    while batch := list(islice(rest, BATCH)):
        answers = asker.ask([query for _, query in batch])
        yield from zip((place for place, _ in batch), answers, strict=True)


def _nibbles(data: bytes) -> tuple[int, ...]:
    return tuple(n for byte in data for n in (byte >> 4, byte & 0xF))
