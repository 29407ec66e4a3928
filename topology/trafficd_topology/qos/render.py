"""Lanes and markings as what a device is told: htb elements, OpenSM options and tables.

Every number survives being written and read back: htb rates are whole bytes per second, bursts whole ticks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from trafficd_topology.diff import Element, State, state
from trafficd_topology.model import LinkLayer
from trafficd_topology.qos.fit import derive_tables
from trafficd_topology.qos.ib import EVERY_PORT, IbOption, IbTable, canonical
from trafficd_topology.qos.lanes import Lane, LaneSet, TrafficClass
from trafficd_topology.qos.policy import TcOptions
from trafficd_topology.qos.shares import exact, guarantees, weight
from trafficd_topology.qos.tc import (
    TcClass,
    TcFilter,
    TcLeaf,
    TcQdisc,
    lane_minor,
    lasting_burst,
    so_priority,
)
from trafficd_topology.qos.vlarb import OPERATIONAL_VLS, IbTables, VlArb, arb_text

MIN_RATE_BPS = 8_000
"""The rate of a lane that is guaranteed nothing: htb refuses zero."""
MIN_PORT_RATE_BPS = 10_000_000
"""A slower port is not split: the smallest share would be below what htb can keep."""
ETHERNET_HEADER_BYTES = 14
SSH_PORT = 22
CONTROLLER_PORT = 7600
CONTROL_PORTS = (SSH_PORT, CONTROLLER_PORT)
DEFAULTS = TcOptions()
SERVICE_LEVELS = 16
_BURST_S = Fraction(250, 10**6)
_QUANTUM_S = Fraction(50, 10**6)
_LARGEST_PACKET = 65_536
_ARP_PREF = 10
_PORT_PREF = 20
_DSCP_PREF = 100


@dataclass(frozen=True, slots=True)
class ClassMarking:
    """How to mark a class on one link layer; fields as in ``trafficd.api.v1.Marking``.

    The first of ``service_levels`` (InfiniBand) or of ``dscps`` (Ethernet) is the one to set; the others are
    recognised. ``tos`` is the ToS or traffic class byte of the first DSCP. ``so_priority`` is for sockets of the
    node itself, where tc manages the port.
    """

    traffic_class: str
    link_layer: LinkLayer
    lane_id: int
    service_levels: tuple[int, ...] = ()
    dscps: tuple[int, ...] = ()
    tos: int | None = None
    so_priority: int | None = None
    intents: tuple[str, ...] = ()


def root_rate_bps(rate_bps: int, headroom: float) -> int:
    """The htb root's rate on a wire of ``rate_bps``: strictly below it, a whole number of bytes per second."""
    return 8 * int(rate_bps * (1 - exact(headroom)) / 8)


def lane_rates_bps(lanes: LaneSet, root_bps: int) -> tuple[int, ...]:
    """The guarantee of each lane, in the order of ``lanes.lanes``; their sum is at most the root's rate."""
    parts = guarantees(lanes.lanes)
    split = root_bps - MIN_RATE_BPS * sum(not part for part in parts)
    return tuple(8 * int(part * split / 8) if part else MIN_RATE_BPS for part in parts)


def _burst(rate_bps: int, options: TcOptions) -> int:
    """Two packets, or 250 microseconds where that is more: what a late timer may cost a fast port.

    No more, because it is also the train of packets that a low lane may put ahead of a high one.
    """
    two = 2 * (options.mtu_bytes + ETHERNET_HEADER_BYTES)
    return lasting_burst(max(two, int(rate_bps * _BURST_S / 8)), rate_bps)


def _quantum(lane: Lane, lanes: LaneSet, root_bps: int, options: TcOptions) -> int:
    """In proportion to the share among lanes of one priority; the smallest still holds a whole packet.

    htb's round robin sends a packet that exceeds what is left of a quantum, so a quantum below the packets' size
    would give every lane the same number of packets. Fast ports carry aggregates of up to 64 KB.
    """
    smallest = min(weight(x) for x in lanes.lanes if x.priority == lane.priority)
    packet = max(options.mtu_bytes, min(_LARGEST_PACKET, int(root_bps * _QUANTUM_S / 8)))
    return int((packet + ETHERNET_HEADER_BYTES) * weight(lane) / smallest)


def _tc_class(lane: Lane, rate_bps: int, lanes: LaneSet, root_bps: int, options: TcOptions) -> TcClass:
    ceil_bps = max(rate_bps, 8 * int(root_bps * exact(lane.limit) / 8))
    quantum = _quantum(lane, lanes, root_bps, options)
    bursts = _burst(rate_bps, options), _burst(ceil_bps, options)
    return TcClass(rate_bps, ceil_bps, lane.priority, quantum, *bursts)


def _filters(lanes: LaneSet, control_ports: Iterable[int]) -> Iterable[Element]:
    """Control traffic by protocol and port, looked at first; then classes by DSCP, but for the default lane's."""
    control = lane_minor(lanes.control.id)
    yield Element("filter", "arp", TcFilter(control, _ARP_PREF))
    for i, port in enumerate(sorted(set(control_ports))):
        yield Element("filter", f"tcp-port-{port}", TcFilter(control, _PORT_PREF + i))
    for c in lanes.classes:
        lane = lanes.lane(c.lane)
        for dscp in c.marking.dscp if lane is not lanes.default else ():
            yield Element("filter", f"dscp-{dscp}", TcFilter(lane_minor(lane.id), _DSCP_PREF + dscp))


def render_tc(
    lanes: LaneSet,
    rate_bps: int,
    options: TcOptions = DEFAULTS,
    control_ports: Iterable[int] = CONTROL_PORTS,
) -> State:
    """The htb elements of a port whose wire carries ``rate_bps`` bits per second (at least MIN_PORT_RATE_BPS).

    ``control_ports`` are TCP ports, at either end, whose packets go to the control lane: at most 80.
    """
    root = root_rate_bps(rate_bps, options.headroom)
    elements = [Element("qdisc", "", TcQdisc(lane_minor(lanes.default.id), root))]
    for lane, rate in zip(lanes.lanes, lane_rates_bps(lanes, root), strict=True):
        minor = f"{lane_minor(lane.id):x}"
        elements.append(Element("class", minor, _tc_class(lane, rate, lanes, root, options)))
        elements.append(Element("leaf", minor, TcLeaf(options.leaf_limit_packets)))
    return state([*elements, *_filters(lanes, control_ports)])


def sl2vl(lanes: LaneSet) -> tuple[int, ...]:
    """The VL of each of the 16 service levels: its class's lane, and the default lane for those nobody claims."""
    claimed = {sl: lanes.lane(c.lane).id for c in lanes.classes for sl in c.marking.sl}
    return tuple(claimed.get(sl, lanes.default.id) for sl in range(SERVICE_LEVELS))


def flat(table: VlArb) -> IbTable:
    """A table as it is read back."""
    return IbTable(canonical(tuple(n for e in table for n in (e.vl, e.weight))))


def render_ib(lanes: LaneSet, tables: IbTables | None = None) -> State:
    """OpenSM's options, and the tables that every port must then hold. Tables are derived where none are given."""
    tables = tables or derive_tables(lanes)
    vls = sl2vl(lanes)
    options = {
        "max_op_vls": str(OPERATIONAL_VLS[tables.max_vls]),
        "qos": "TRUE",
        "qos_max_vls": str(tables.max_vls),
        "qos_high_limit": str(tables.high_limit),
        "qos_vlarb_high": arb_text(tables.vlarb_high),
        "qos_vlarb_low": arb_text(tables.vlarb_low),
        "qos_sl2vl": ",".join(map(str, vls)),
    }
    return state(
        [
            *(Element("option", key, IbOption(text)) for key, text in options.items()),
            Element("vlarb_high", EVERY_PORT, flat(tables.vlarb_high)),
            Element("vlarb_low", EVERY_PORT, flat(tables.vlarb_low)),
            Element("sl2vl", EVERY_PORT, IbTable(vls)),
        ]
    )


def _marking(c: TrafficClass, lane: Lane, link_layer: LinkLayer) -> ClassMarking:
    if link_layer is LinkLayer.INFINIBAND:
        return ClassMarking(c.name, link_layer, lane.id, service_levels=c.marking.sl, intents=c.intents)
    tos = c.marking.dscp[0] << 2 if c.marking.dscp else None
    return ClassMarking(c.name, link_layer, lane.id, (), c.marking.dscp, tos, so_priority(lane.id), c.intents)


def markings(lanes: LaneSet, link_layer: LinkLayer) -> tuple[ClassMarking, ...]:
    """The marking of every class on this link layer, in the order of the policy's classes."""
    return tuple(_marking(c, lanes.lane(c.lane), link_layer) for c in lanes.classes)
