"""A scheduler with a path service: asks for every read, reserves, says how far it is, releases.

It drives ``trafficd.choice.engine.PathEngine`` in simulated time exactly as the server does. What a contender's name
means is decided there; what the caller can execute, what it tells and what it forgets, here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from trafficd.choice.engine import PathEngine
from trafficd.choice.request import (
    Abilities,
    EngineRef,
    EngineReport,
    Lease,
    LegBytes,
    Plan,
    Request,
    Reservation,
    Source,
    SourceNode,
)
from trafficd.choice.snapshot import NicKind, Role, Snapshot
from trafficd.sim.cluster import Cluster, Engine
from trafficd.sim.machines import Decode, Prefill
from trafficd.sim.scenario import ABILITIES, Conditions, Contender, Pick
from trafficd.sim.workload import Turn


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a read: the storage NIC that reads, and for a reader other than the prefill node the two compute NICs
    that it goes on by. Indexes into the layout's NICs.
    """

    nic: int
    size: float
    out: int | None = None
    into: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a turn runs and its KV is read. ``expected_s`` is None where nobody was asked."""

    prefill: Engine
    decode: Engine
    pieces: tuple[Piece, ...]
    lease: Lease | None = None
    expected_s: float | None = None
    loads: tuple[LegBytes, ...] = ()
    """What was reserved on compute NICs and the like: still to come once storage has been read."""
    scheduler: int = 0


@dataclass(frozen=True, slots=True)
class Machines:
    """The engines' own state, by index."""

    prefill: tuple[Prefill, ...]
    decode: tuple[Decode, ...]


ORACLE = "oracle"
"""A contender's strategy that sees the simulation itself."""


class NoPathError(Exception):
    """Nobody can read this now."""


class Chooser:
    """One contender's schedulers. ``rng`` draws what is random about the caller, never about the work."""

    def __init__(
        self, contender: Contender, cluster: Cluster, machines: Machines, conditions: Conditions, seed: int
    ) -> None:
        self.contender = contender
        self.cluster = cluster
        self.machines = machines
        self.conditions = conditions
        self.schedulers = [PathEngine(f"s{i}") for i in range(conditions.schedulers)]
        self._rng = random.Random(f"{seed}/caller")
        self._abilities: Abilities = ABILITIES[contender.caller]
        self._asked = self._turn = self._alone = 0
        self._by_ref = {
            EngineRef(cluster.name(e.node), e.rank): e for e in (*cluster.prefill, *cluster.decode)
        }
        self._refs = {e: ref for ref, e in self._by_ref.items()}
        self.gone: set[Engine] = set()
        self.foresee: Callable[[float], Choice] | None = None
        """Set for the oracle alone."""

    def take(self, snapshot: Snapshot, now: float) -> None:
        """Give a snapshot to every scheduler's service."""
        for service in self.schedulers:
            service.swap(snapshot, now)

    def report(self, reports: Sequence[EngineReport], now: float) -> None:
        for service in self.schedulers:
            service.report(reports, now)

    def announce(self) -> list[EngineReport]:
        """Who there is, without any load."""
        roles = ((Role.PREFILL, self.cluster.prefill), (Role.DECODE, self.cluster.decode))
        return [
            EngineReport(
                self._refs[e], role=int(role), gpu=self.cluster.layout.nics[e.nic].gpu, gone=e in self.gone
            )
            for role, engines in roles
            for e in engines
        ]

    def ref(self, engine: Engine) -> EngineRef:
        return self._refs[engine]

    def choose(self, turn: Turn, size: int, home: int, now: float) -> Choice:
        """Engines and pieces for one turn; raises NoPathError."""
        if self.foresee is not None:
            return self.foresee(size)
        if self.conditions.through < 1 and self._rng.random() >= self.conditions.through:
            return self._by_itself(size)
        self._asked += 1
        number = self._asked % len(self.schedulers)
        service = self.schedulers[number]
        request = self._request(turn, self._estimate(size), home)
        answer = service.recommend(request, now)
        if not answer.plans:
            raise NoPathError
        return self._taken(answer.plans[0], answer.lease, size, number)

    def _request(self, turn: Turn, size: int, home: int) -> Request:
        prefill, decode = self._picked(home)
        names = self._source_names()
        source = Source(nodes=(SourceNode(names[home % len(names)]),)) if names else Source(pool=self.pool)
        return Request(
            id=f"r{self._asked}",
            bytes=max(size, 1),
            prefill=prefill,
            decode=decode,
            source=source,
            abilities=self._abilities,
            reserve_s=self.conditions.lease_s,
            max_plans=1,
            strategy=self.contender.strategy,
            engines=self.contender.engines,
            tokens=turn.hit + turn.append,
        )

    @property
    def pool(self) -> str:
        return next(iter(self.cluster.layout.index.pools), "")

    def source(self, home: int) -> str:
        """The name that routes know the source by."""
        names = self._source_names()
        return names[home % len(names)] if names else self.pool

    def _source_names(self) -> tuple[str, ...]:
        if not self.conditions.by_node:
            return ()
        layout = self.cluster.layout
        return tuple(layout.nodes[i].name for i in layout.index.roles[Role.STORAGE])

    def _estimate(self, size: int) -> int:
        error = self.conditions.byte_error
        return int(size * self._rng.uniform(1 - error, 1 + error)) if error else size

    def _picked(self, home: int) -> tuple[tuple[EngineRef, ...], tuple[EngineRef, ...]]:
        """Engines that the caller names; none where it leaves them to the service."""
        pick = self.contender.pick
        if pick is Pick.SERVICE:
            return (), ()
        prefill, decode = self._pair(pick, home)
        return (self._refs[prefill],), (self._refs[decode],)

    def _pair(self, pick: Pick, home: int = 0) -> tuple[Engine, Engine]:
        prefill = [m for m in self.machines.prefill if m.engine not in self.gone]
        decode = [m for m in self.machines.decode if m.engine not in self.gone]
        if not prefill or not decode:
            raise NoPathError
        if pick is Pick.ROTATION:
            self._turn += 1
            return prefill[self._turn % len(prefill)].engine, decode[self._turn % len(decode)].engine
        if pick is Pick.HOME:
            return prefill[home % len(prefill)].engine, decode[home % len(decode)].engine
        if pick is Pick.RANDOM:
            return self._rng.choice(prefill).engine, self._rng.choice(decode).engine
        return min(prefill, key=lambda m: m.tokens).engine, min(decode, key=lambda m: m.sequences).engine

    def _taken(self, plan: Plan, lease: Lease | None, size: int, scheduler: int) -> Choice:
        ids = self.cluster.layout.index.nic_ids
        assert plan.prefill is not None
        prefill = self._by_ref[plan.prefill]
        decode = self._by_ref[plan.decode] if plan.decode is not None else self._pair(Pick.LEAST_LOADED)[1]
        total = sum(leg.bytes for leg in plan.legs) or 1
        pieces = [
            Piece(ids[leg.nics[0]], size * leg.bytes / total, *[ids[n] for n in leg.nics[1:3]])
            for leg in plan.legs
            if leg.bytes > 0
        ]
        return Choice(
            prefill, decode, tuple(pieces), lease, plan.expected_seconds, self._later(plan), scheduler
        )

    def _later(self, plan: Plan) -> tuple[LegBytes, ...]:
        """Bytes on what is not passed before the whole read lies in a buffer."""
        index, nics = self.cluster.layout.index, self.cluster.layout.nics
        loads: dict[str, float] = {}
        for leg in plan.legs:
            for name, weight in getattr(leg, "loads", ()) or [(n, 1.0) for n in leg.nics]:
                i = index.nic_ids.get(name)
                if i is not None and nics[i].kind is NicKind.COMPUTE:
                    loads[name] = loads.get(name, 0.0) + leg.bytes * weight
        return tuple(LegBytes(name, round(size)) for name, size in loads.items())

    def _by_itself(self, size: int) -> Choice:
        """A scheduler that does not ask: engines in rotation, sides in turn where it may."""
        prefill, decode = self._pair(Pick.ROTATION)
        self._alone += 1
        readers, movers = self.cluster.layout.index.readers, prefill
        if self._abilities.read_on_decode_side and self._alone % 2 and readers[decode.node]:
            piece = Piece(readers[decode.node][0], size, decode.nic, movers.nic)
        else:
            piece = Piece(readers[prefill.node][0], size)
        return Choice(prefill, decode, (piece,))

    def was_read(self, choice: Choice, now: float) -> None:
        """All bytes lie in buffers: what is left is on compute NICs."""
        if choice.lease is None or self._forgets():
            return
        service = self.schedulers[choice.scheduler]
        if choice.loads:
            service.renew(choice.lease.id, Reservation("", choice.loads, self.conditions.lease_s), now)
        else:
            service.release(choice.lease.id, now)

    def is_over(self, choice: Choice, now: float) -> None:
        """The turn needs the network no more, or gives up."""
        if choice.lease is not None and not self._forgets():
            self.schedulers[choice.scheduler].release(choice.lease.id, now)

    def _forgets(self) -> bool:
        return self.conditions.lost > 0 and self._rng.random() < self.conditions.lost

    def ended(self, engines: Iterable[Engine], now: float) -> None:
        """Engines that can no longer work."""
        self.gone.update(engines)
        self.report([EngineReport(self._refs[e], gone=True) for e in self.gone], now)
