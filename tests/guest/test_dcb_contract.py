"""The dcb driver on a device in a guest keeps the contract of all drivers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from contract.suite import Bench, DriverContract
from lab.dcbport import DcbPort
from lab.dcbstates import FIRST, SECOND

from trafficd_agent.drivers.dcb import DcbDriver, DcbOptions
from trafficd_topology.diff import Element
from trafficd_topology.qos.dcb import DcbEts


class NicBench:
    scope, absent = "dt0", "nope0"
    first, second = FIRST, SECOND
    impossible = Element("ets", "", DcbEts((0,) * 8, ("cbs",) * 8, (0,) * 8))

    def __init__(self) -> None:
        self.driver = DcbDriver(DcbOptions(link_wait_s=5.0))
        self.port = DcbPort("dt0")

    def build(self) -> None:
        self.port.make()
        self.port.behave("mlx5")

    def disturb(self) -> None:
        self.port.dcb("app", "del", "dscp-prio", "26:3")
        self.port.dcb("ets", "set", "prio-tc", "3:0")

    def recreate(self) -> None:
        self.vanish()
        self.build()

    def vanish(self) -> None:
        self.port.remove()


class TestDcb(DriverContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        made = NicBench()
        with ExitStack() as stack:
            stack.callback(made.vanish)
            stack.callback(made.driver.close)
            made.build()
            yield made
