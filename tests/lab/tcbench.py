"""A port for the tc driver: a veth in a namespace of its own, and lanes to put on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab import veth

from trafficd_agent.drivers.tc import TcDriver, TcOptions
from trafficd_topology.diff import Element, State, state
from trafficd_topology.qos.tc import TcClass, TcFilter, TcLeaf, TcQdisc, lane_minor, lasting_burst

RATE_BPS = 80_000_000


def lanes(
    shares: dict[int, float],
    default: int,
    filters: dict[str, int],
    rate_bps: int = RATE_BPS,
    limit: int = 1000,
) -> State:
    """Lane id -> share, the default lane, and filter key -> lane; preferences are in the order of ``filters``."""
    found = [Element("qdisc", "", TcQdisc(lane_minor(default), rate_bps))]
    for lane, share in shares.items():
        rate = 8 * int(rate_bps * share / 8)
        bursts = lasting_burst(3028, rate), lasting_burst(3028, rate_bps)
        value = TcClass(rate, rate_bps, 0, int(1514 * share / min(shares.values())), *bursts)
        found.append(Element("class", f"{lane_minor(lane):x}", value))
        found.append(Element("leaf", f"{lane_minor(lane):x}", TcLeaf(limit)))
    for i, (key, lane) in enumerate(filters.items()):
        found.append(Element("filter", key, TcFilter(lane_minor(lane), 10 + i)))
    return state(found)


FIRST = lanes(
    {0: 0.1, 1: 0.3, 2: 0.6}, 1, {"arp": 0, "tcp-port-22": 0, "tcp-port-7600": 0, "dscp-46": 2, "dscp-8": 2}
)
SECOND = lanes(
    {0: 0.2, 2: 0.2, 3: 0.6},
    3,
    {"arp": 0, "tcp-port-22": 2, "dscp-46": 3, "dscp-10": 2},
    40_000_000,
    limit=200,
)


class TcBench:
    """The contract suite's bench over a real kernel."""

    scope, absent = veth.NEAR, "nope0"
    first, second = FIRST, SECOND
    impossible = Element("class", "10", TcClass(7, RATE_BPS, 0, 1514, 1, 3028))

    def __init__(self, cable: veth.Pair, options: TcOptions) -> None:
        self.cable = cable
        self.driver = TcDriver(options)

    def disturb(self) -> None:
        veth.run("tc", "qdisc", "change", "dev", veth.NEAR, "parent", "7f1d:11", "pfifo", "limit", "7")

    def recreate(self) -> None:
        self.cable.unplug()
        self.cable.plug()

    def vanish(self) -> None:
        self.cable.unplug()


@contextmanager
def tc_bench(options: TcOptions = TcOptions(), queues: int = 1) -> Iterator[TcBench]:  # noqa: B008 - frozen
    with veth.pair(queues) as cable:
        bench = TcBench(cable, options)
        try:
            yield bench
        finally:
            bench.driver.close()
