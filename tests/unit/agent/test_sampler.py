"""Telemetry: a reader that fails stops no other, a slow stream loses samples and never queues them."""

from __future__ import annotations

import asyncio

from trafficd_agent.app.telemetry import Sampler
from trafficd_agent.metrics.board import Board
from trafficd_agent.readers import Collector
from trafficd_topology.counters import Column, CounterKind, Direction, Values


class Counting:
    """A port's bytes, one more each time; a second port appears when told."""

    name = "counting"

    def __init__(self) -> None:
        self.ports = ["c0"]
        self.value = 0

    def columns(self) -> tuple[Column, ...]:
        return tuple(Column(p, "bytes", Direction.TRANSMIT, CounterKind.WRAP64) for p in self.ports)

    def read(self) -> Values:
        self.value += 1
        return (self.value,) * len(self.columns())


class Broken:
    name = "broken"

    def columns(self) -> tuple[Column, ...]:
        return (Column("c0", "drops", Direction.TRANSMIT, CounterKind.WRAP64),)

    def read(self) -> Values:
        raise OSError(5, "Input/output error")


def test_newest_sample_first_and_the_others_dropped() -> None:
    async def scenario() -> None:
        reader, board = Counting(), Board("n1", "1")
        sampler = Sampler(Collector((Broken(), reader)), board, 0.005)
        sampler.start()
        try:
            columns, first = await asyncio.wait_for(sampler.next(), 5)
            assert [c.quantity for c in columns] == ["drops", "bytes"]
            assert first.values[0] is None
            while sampler.dropped < 3:
                await asyncio.sleep(0.001)
            _, later = await asyncio.wait_for(sampler.next(), 5)
            assert (first.values[1] or 0) + 3 < (later.values[1] or 0)
            assert {o.reader: o.success for o in board.view.outcomes} == {"broken": False, "counting": True}
            reader.ports.append("c1")
            sampler.look_again()
            while len(columns) < 3:
                columns, later = await asyncio.wait_for(sampler.next(), 5)
            assert len(later.values) == 3
        finally:
            sampler.end()

    asyncio.run(scenario())
