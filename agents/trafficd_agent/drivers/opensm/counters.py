"""Counters of a subnet's switch ports, for telemetry: what each link and each lane on it carries.

A switch's port counts what it sends to a NIC and what it receives from it, so switches alone tell of every link. Ports
are named ``<node guid>:<port>`` as in the lanes that are read back. A lane's bytes are those of the SLs that
``qos_sl2vl`` puts there; they are counted only where a port has 64-bit counters by SL. Elsewhere the use of a class is not
known on this port, and no column says otherwise. An SL has columns of its own (``priority``) once anything was counted
there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.driver import DriverError
from trafficd_agent.drivers.opensm.options import OpensmOptions
from trafficd_agent.drivers.opensm.performance import NOTHING, SLS, Ability, Place, Reading
from trafficd_agent.drivers.opensm.smp import Smp
from trafficd_agent.drivers.opensm.survey import SWITCH, Port
from trafficd_agent.drivers.opensm.tables import option_in_force, parse_table
from trafficd_agent.drivers.opensm.texts import read_texts
from trafficd_topology.counters import Column, CounterKind, Direction, Quantity, Values

Lanes = tuple[tuple[int, tuple[int, ...]], ...]
"""(lane, its SLs)."""
OUT, IN = Direction.TRANSMIT, Direction.RECEIVE
Ports = Callable[[], tuple[Port, ...]]
"""The subnet's ports as the driver last saw them; empty before."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A port, what it counts, which SLs each lane holds there, and the SLs that were seen in use."""

    port: Port
    able: Ability
    lanes: Lanes
    sls: tuple[int, ...]

    def columns(self) -> Iterator[Column]:
        name, wide = self.port.name, CounterKind.WRAP64
        if self.able.wide:
            for quantity in (Quantity.BYTES, Quantity.PACKETS):
                yield from (Column(name, quantity, way, wide) for way in (OUT, IN))
        if self.able.wait_bits:
            kind = wide if self.able.wait_bits == 64 else CounterKind.SATURATE32
            yield Column(name, Quantity.TRANSMIT_WAIT_TICKS, OUT, kind)
        if self.able.wait_bits == 64:
            yield Column(name, Quantity.DROPS, OUT, wide)
        for lane, _ in self.lanes:
            yield from (Column(name, Quantity.BYTES, way, wide, lane_id=lane) for way in (OUT, IN))
        for sl in self.sls:
            yield from (Column(name, Quantity.BYTES, way, wide, priority=sl) for way in (OUT, IN))

    def values(self, r: Reading) -> Iterator[int | None]:
        if self.able.wide:
            yield from (r.sent_bytes, r.received_bytes, r.sent_packets, r.received_packets)
        if self.able.wait_bits:
            yield r.wait_ticks
        if self.able.wait_bits == 64:
            yield r.discards
        for _, sls in self.lanes:
            yield from (_sum(r.sent_by_sl, sls), _sum(r.received_by_sl, sls))
        for sl in self.sls:
            yield from (r.sent_by_sl[sl], r.received_by_sl[sl])


def _sum(counts: tuple[int | None, ...], among: tuple[int, ...]) -> int | None:
    known = [n for sl in among if (n := counts[sl]) is not None]
    return sum(known) % 2**64 if len(known) == len(among) else None


def lanes_of(options: dict[str, str], port_type: str) -> Lanes:
    """(lane, its SLs), as the options put them there; empty while OpenSM makes no lanes."""
    table = parse_table("sl2vl", option_in_force(options, "sl2vl", port_type)[1])
    if options.get("qos") != "TRUE" or table is None:
        return ()
    return tuple((vl, tuple(sl for sl in range(16) if table[sl] == vl)) for vl in sorted(set(table)))


class FabricReader:
    """Counters of every switch port with a link, through a helper process of its own."""

    def __init__(self, options: OpensmOptions, ports: Ports) -> None:
        self.name = f"opensm {options.fabric}"
        self._options, self._ports = options, ports
        self._smp = Smp(options)
        self._able: dict[int, Ability] = {}
        self._places: tuple[Place, ...] = ()
        self._watched: tuple[_Watched, ...] = ()
        self._used: dict[str, set[int]] = {}

    def close(self) -> None:
        self._smp.close()

    def columns(self) -> tuple[Column, ...]:
        with _as_os_error():
            known = self._ports() or self._smp.ports().ports
            ports = tuple(p for p in known if p.type == SWITCH and p.lid)
            places = tuple(Place(p.lid, p.number) for p in ports)
            if places != self._places:
                self._able, self._places = self._smp.watch(places), places
            options = read_texts(Path(self._options.conf)).options
        lanes = lanes_of(options, "swe")
        self._watched = tuple(self._watch(p, lanes) for p in ports)
        return tuple(c for w in self._watched for c in w.columns())

    def _watch(self, port: Port, lanes: Lanes) -> _Watched:
        able = self._able.get(port.lid, Ability())
        return _Watched(port, able, lanes if able.by_sl else (), tuple(sorted(self._used.get(port.name, ()))))

    def read(self) -> Values:
        with _as_os_error():
            found = self._smp.counters() if self._places else []
        if len(found) != len(self._watched):
            # The helper was replaced and knows no ports yet: the next look at the machine tells it.
            self._places, found = (), [NOTHING] * len(self._watched)
        both = tuple(zip(self._watched, found, strict=True))
        for watched, reading in both:
            if watched.able.by_sl:
                used = (sl for sl in range(SLS) if reading.sent_by_sl[sl] or reading.received_by_sl[sl])
                self._used.setdefault(watched.port.name, set()).update(used)
        return tuple(value for watched, reading in both for value in watched.values(reading))


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Readers fail with OSError."""
    try:
        yield
    except DriverError as e:
        raise OSError(str(e)) from e
