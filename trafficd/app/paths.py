"""The path side of the controller: telemetry in, snapshots out, answers beside them.

Frames and snapshots are built on a thread from immutable values and single look-ups; the engine itself and everything
that answers live on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import grpc

from trafficd.choice.engine import PathEngine
from trafficd.choice.snapshot import Snapshot
from trafficd.core.balance import KindBalance
from trafficd.core.frame import Frame, make_frame, settings_of
from trafficd.core.live import Now
from trafficd.core.recent import Recent
from trafficd.core.settle import inventories
from trafficd.core.snapshot import Live, Moment, RoleUse, balance_of, build_snapshot, loads, use_by_role
from trafficd.core.state import ControlState
from trafficd.core.telemetry import TelemetryStore
from trafficd.metrics import Answers, Reads
from trafficd.server.path import PathService, register
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import NicKind

log = logging.getLogger("trafficd.paths")


@dataclass(frozen=True, slots=True)
class Built:
    snapshot: Snapshot
    balances: tuple[KindBalance, ...]
    roles: tuple[RoleUse, ...]


class Paths:
    """Owns telemetry and the path engine. ``state`` is asked for the newest control state."""

    def __init__(self, state: Callable[[], ControlState], answers: Answers) -> None:
        self._state = state
        self.telemetry = TelemetryStore()
        # Leases of an earlier run must not be taken for this one's.
        engine = PathEngine(f"{state().uuid[:8]}-{time.time_ns():x}")
        self._recent = Recent()
        self._service = PathService(engine, answers, self._recent)
        self._frame: Frame | None = None
        self._changed = asyncio.Event()
        self._built = 0
        self.balances: tuple[KindBalance, ...] = ()
        self.roles: tuple[RoleUse, ...] = ()
        self.reads = Reads()

    def register(self, server: grpc.aio.Server) -> None:
        register(self._service, server)

    def now(self, heard: tuple[tuple[str, float], ...]) -> Now:
        """What a person is shown, of this moment; from any thread. ``heard``: (node, seconds since its last sample)."""
        return Now(
            self._state(),
            self._frame,
            self.telemetry,
            self.balances,
            heard,
            self._recent.kept,
            self._recent.answered,
            time.monotonic(),
            time.time_ns(),
        )

    def publish(self) -> None:
        """The fabric, the plan or an inventory has changed: a new snapshot is due at once."""
        self._changed.set()

    async def run(self, every_s: float) -> None:
        """A snapshot every so often, and at every change; until cancelled."""
        self._changed.set()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), every_s)
            try:
                await self._turn()
            except Exception:  # the answers go on from the snapshot before; telemetry grows old and says so
                log.exception("no new snapshot: internal error")

    async def _turn(self) -> None:
        if self._changed.is_set():
            self._changed.clear()
            self._frame = await asyncio.to_thread(_frame, self._state(), self._frame)
            nics = self._frame.nics if self._frame else ()
            self.telemetry.count_priorities(frozenset(n.own for n in nics if n.lane_of))
        if self._frame is None:
            return
        engine, now = self._service.engine, time.monotonic()
        live = Live(engine.engines(), engine.totals(now), engine.learned())
        self._built += 1
        moment = Moment(f"{self._state().generation}-{self._built}", now, time.time_ns())
        built = await asyncio.to_thread(_build, self._frame, self.telemetry, live, moment)
        self._service.publish(built.snapshot)
        self.balances, self.roles = built.balances, built.roles
        self.reads = _reads(engine, live)


def _frame(state: ControlState, before: Frame | None) -> Frame | None:
    spec = state.spec
    if spec is None:
        return None
    frame = make_frame(Fabric(spec), state.plan, inventories(state), before)
    return replace(frame, settings=settings_of(state.paths))


def _build(frame: Frame, telemetry: TelemetryStore, live: Live, moment: Moment) -> Built:
    among = loads(frame, telemetry)
    balances = tuple(KindBalance(kind, balance_of(kind, among)) for kind in NicKind)
    return Built(build_snapshot(frame, telemetry, live, moment), balances, use_by_role(among))


def _reads(engine: PathEngine, live: Live) -> Reads:
    told = engine.feedback
    return Reads(
        told.reads,
        told.predicted_s,
        told.observed_s,
        len(engine.ledger),
        sum((live.totals or {}).values()),
        len(live.learned or ()),
    )
