"""From what a walk by SMP answered to a subnet in the words of the topology. Pure.

Codes: LinkWidthActive, LinkSpeedActive and LinkSpeedExtActive of PortInfo (IBA 1.4, 14.2.5.6). Of nodes with two ports
to the same subnet each answers once.
"""

from __future__ import annotations

from trafficd_agent.drivers.opensm.survey import ADAPTER, ROUTER, SWITCH, Node, Port, Survey
from trafficd_topology.subnet import IbEnd, IbLink, IbNode, IbPort, NodeKind, Subnet

_KINDS = {ADAPTER: NodeKind.ADAPTER, SWITCH: NodeKind.SWITCH, ROUTER: NodeKind.ROUTER}
_WIDTHS = {1: 1, 2: 4, 4: 8, 8: 12, 16: 2}
_SPEEDS = {1: "SDR", 2: "DDR", 4: "QDR"}
_SPEEDS_EXT = {1: "FDR", 2: "EDR", 4: "HDR", 8: "NDR"}


def subnet_of(survey: Survey) -> Subnet:
    """Everything that answered; what did not is a note, a sentence each."""
    nodes = {n.guid: n for n in survey.nodes}
    ports = {IbEnd(p.guid, p.number): _port(p) for p in survey.ports}
    ports |= {IbEnd(n.guid, 0): IbPort(IbEnd(n.guid, 0), lid=n.lid) for n in survey.nodes if n.lid}
    ends = ((IbEnd(c.guid, c.port), IbEnd(c.peer_guid, c.peer_port)) for c in survey.links)
    links = {IbLink(min(pair), max(pair)) for pair in ends if pair[0] in ports and pair[1] in ports}
    return Subnet(
        tuple(_node(nodes[guid]) for guid in sorted(nodes)),
        tuple(ports[end] for end in sorted(ports)),
        tuple(sorted(links)),
        tuple(f"{s.name} did not answer" for s in survey.silent),
    )


def _node(n: Node) -> IbNode:
    kind = _KINDS.get(n.type, NodeKind.ADAPTER)
    return IbNode(kind, n.guid, n.description, n.ports, n.system, n.vendor, n.device)


def _port(p: Port) -> IbPort:
    speed = _SPEEDS_EXT.get(p.speed_ext) or _SPEEDS.get(p.speed)
    guid = p.port_guid if p.type != SWITCH else None
    return IbPort(IbEnd(p.guid, p.number), guid, p.lid or None, _WIDTHS.get(p.width), speed)
