"""Reading somebody else's tree whole."""

from __future__ import annotations

from trafficd_agent.drivers.tc.found import Held, Irreplaceable, below_root, found, has_classes
from trafficd_agent.netlink.channel import Channel
from trafficd_agent.netlink.raw import Record, Sort, has_templates, records
from trafficd_topology.qos.tc import TcFound


def survey(channel: Channel, index: int) -> TcFound:
    """What is kept of the tree below a device's root. Raises Irreplaceable, KernelError."""
    qdiscs = below_root(records(channel, Sort.QDISC, index))
    classes = [c for q in qdiscs if has_classes(q) for c in records(channel, Sort.CLASS, index, q.handle)]
    places = [q.handle for q in qdiscs] + [c.handle for c in classes]
    filters: list[Record] = []
    for place in places:
        there = records(channel, Sort.FILTER, index, place)
        if there and has_templates(channel, index, place):
            raise Irreplaceable("a chain with a template")
        filters += there
    return found(Held(qdiscs, classes, filters))
