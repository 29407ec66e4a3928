"""A policy as OpenSM's options, tables by type of port, QoS policy file and partitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trafficd_topology.diff import Element, State, state
from trafficd_topology.qos.ib import EVERY_PORT, PORT_TYPES, IbFile, IbOption
from trafficd_topology.qos.ib_files import Partition, PathRule, partitions_text, qos_policy_text
from trafficd_topology.qos.ib_ports import UNKNOWN, SubnetPorts
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.render import flat, render_ib
from trafficd_topology.qos.vlarb import IbTables, arb_text

SWITCH_PORTS = "swe"
READ_TYPES = ("ca", "rtr")
"""Types whose tables are read back beside those of switch ports."""


@dataclass(frozen=True, slots=True)
class Paths:
    """What PathRecord queries are answered, with numbers in place of names."""

    rules: tuple[PathRule, ...]
    partitions: tuple[Partition, ...]
    ipoib_sl: int


def render_subnet(
    policy: Policy, tables: IbTables, ports: SubnetPorts = UNKNOWN, paths: Paths | None = None
) -> State:
    """The whole desired state of a subnet. Without tables of its own a type of port takes the general ones."""
    general = render_ib(policy.subnet_lanes, tables)
    own = policy.subnet.by_type()
    by_type = {t: own.get(t, tables) for t in PORT_TYPES}
    elements = [e for e in general if e.kind not in {"vlarb_high", "vlarb_low"}]
    elements += _options(tables, by_type)
    elements += _tables(by_type, ports)
    if paths is not None:
        text = qos_policy_text(paths.rules, 0, paths.ipoib_sl)
        elements.append(Element("file", "qos_policy", IbFile(text)))
        if paths.partitions:
            elements.append(Element("file", "partitions", IbFile(partitions_text(paths.partitions))))
    return state(elements)


def _options(general: IbTables, by_type: dict[str, IbTables]) -> Iterator[Element]:
    """``qos_<type>_...`` for what differs from the general options."""
    for port_type, tables in by_type.items():
        pairs = (
            ("high_limit", str(general.high_limit), str(tables.high_limit)),
            ("vlarb_high", arb_text(general.vlarb_high), arb_text(tables.vlarb_high)),
            ("vlarb_low", arb_text(general.vlarb_low), arb_text(tables.vlarb_low)),
        )
        for key, every, mine in pairs:
            if mine != every:
                yield Element("option", f"qos_{port_type}_{key}", IbOption(mine))


def _tables(by_type: dict[str, IbTables], ports: SubnetPorts) -> Iterator[Element]:
    """What is read back: switch ports and all that are like them under ``*``, other types where they differ."""
    switches = not ports.types or ports.has(SWITCH_PORTS)
    every = by_type[SWITCH_PORTS if switches else "ca"]
    for kind in ("vlarb_high", "vlarb_low"):
        most = flat(getattr(every, kind))
        yield Element(kind, EVERY_PORT, most)
        for port_type in READ_TYPES:
            mine = flat(getattr(by_type[port_type], kind))
            there = ports.has(port_type) or (not ports.types and port_type == "ca")
            if switches and there and mine != most:
                yield Element(kind, port_type, mine)
