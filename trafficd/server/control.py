"""The seam between the services and the control loop."""

from __future__ import annotations

from typing import Protocol

from trafficd.core.effects import Effect
from trafficd.core.events import Event
from trafficd.core.state import ControlState
from trafficd_topology.counters import Column, Sample


class Control(Protocol):
    """The running control loop as the services see it."""

    @property
    def state(self) -> ControlState:
        """The newest state; an immutable value."""
        ...

    async def submit(self, event: Event) -> tuple[Effect, ...]:
        """Hand over an event and wait until its effects were carried out.

        Cancelling the wait before the loop came to the event withdraws it.
        """
        ...

    def post(self, event: Event) -> None:
        """Hand over an event and do not wait."""
        ...


class TelemetrySink(Protocol):
    """Where counters go. ``now`` is seconds of the loop's clock at reception."""

    def hello(self, node: str, columns: tuple[Column, ...]) -> None:
        """A node (re)started its stream: what each position of its later samples means."""
        ...

    def sample(self, node: str, sample: Sample, now: float) -> None:
        """One reading of every column."""
        ...
