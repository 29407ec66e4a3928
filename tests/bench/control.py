"""What a controller does besides answering: telemetry of a cluster at 1 Hz, and a policy compiled, as the app does it."""

import asyncio
import time

from trafficd.core.frame import Frame, make_frame
from trafficd.core.plan import plan
from trafficd.core.snapshot import Live, Moment, build_snapshot
from trafficd.core.telemetry import TelemetryStore
from trafficd.server.path import PathService
from trafficd.sim.plan import Shape, fabric_of
from trafficd_topology.counters import Column, Direction, Quantity, Sample
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import FabricSpec
from trafficd_topology.parsers.policy import parse_policies

POLICY = "version: 1\npolicies: [{name: all, mode: enforce, preset: dualpath}]\n"
COLUMNS = 2


class Control:
    """48 prefill and 96 decode nodes: nine NICs each."""

    def __init__(self, service: PathService) -> None:
        self._service = service
        self._telemetry = TelemetryStore()
        self._spec: FabricSpec = fabric_of(Shape(prefill=48, decode=96))
        self._fabric = Fabric(self._spec)
        self._ticks = 0
        for host in self._spec.hosts:
            self._telemetry.hello(
                host.name,
                tuple(Column(n.name, Quantity.BYTES, way) for n in host.nics for way in Direction),
            )

    async def run(self) -> None:
        """Every second, for ever: samples on the loop, as they come; compiling and building on a thread."""
        while True:
            self._ticks += 1
            now = time.monotonic()
            for host in self._spec.hosts:
                values = (self._ticks * 10**9,) * (COLUMNS * len(host.nics))
                self._telemetry.sample(host.name, Sample(0, int(now * 1e9), values), now)
            frame = await asyncio.to_thread(self._frame)
            moment = Moment(str(self._ticks), time.monotonic(), time.time_ns())
            self._service.publish(
                await asyncio.to_thread(build_snapshot, frame, self._telemetry, Live(), moment)
            )
            await asyncio.sleep(1.0)

    def _frame(self) -> Frame:
        policies, problems = parse_policies(POLICY)
        assert policies is not None, problems
        return make_frame(self._fabric, plan(policies.policies, self._spec, ()), ())
