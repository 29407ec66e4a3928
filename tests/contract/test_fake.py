"""The fake driver keeps the contract of all drivers, in memory and in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from agentlab import A, B
from contract.suite import Bench, DriverContract

from trafficd_agent.drivers.fake import FakeDriver, FakeOptions
from trafficd_topology.diff import Element, state
from trafficd_topology.qos.tc import TcLeaf


class FakeBench:
    scope, absent = "c0", "nope0"
    first = A
    second = state([*B, Element("leaf", "12", TcLeaf(10))])
    impossible = Element("leaf", "10", TcLeaf(7))

    def __init__(self, options: FakeOptions) -> None:
        self.driver = FakeDriver(replace(options, ports=("c0",)))

    def disturb(self) -> None:
        self.driver.device.put("c0", "filter/dscp-8", None)

    def recreate(self) -> None:
        self.driver.device.hold("c0", ())
        self.driver.behaviour = replace(self.driver.behaviour, identity="2")

    def vanish(self) -> None:
        self.driver.behaviour = replace(self.driver.behaviour, absent=True)


class RefusingDriver(FakeDriver):
    """Refuses one value, as a device does that cannot hold it."""

    def write(self, scope: str, change: object) -> None:
        new = getattr(change, "new", None)
        self.behaviour = replace(
            self.behaviour, refuse=("leaf/10",) if new == FakeBench.impossible.value else ()
        )
        super().write(scope, change)  # type: ignore[arg-type]


class TestFake(DriverContract):
    @pytest.fixture(params=["memory", "file"])
    def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
        device = str(tmp_path / "device.json") if request.param == "file" else ""
        made = FakeBench(FakeOptions(device=device))
        made.driver = RefusingDriver(made.driver.options)
        return made
