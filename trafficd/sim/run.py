"""One contender, one seed: the event loop from the first arrival to the last token."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from trafficd.choice.request import EngineReport
from trafficd.choice.snapshot import NicKind, Role
from trafficd.sim.beside import Beside, Faults
from trafficd.sim.chooser import ORACLE, Choice, Chooser, Machines
from trafficd.sim.clock import Clock
from trafficd.sim.cluster import Cluster, Options, build
from trafficd.sim.fluid import Fluid, Resource
from trafficd.sim.machines import Decode, Prefill
from trafficd.sim.measure import Gauge, Outcome, balance, carried, mean, percentile
from trafficd.sim.oracle import foresee
from trafficd.sim.scenario import Caller, Contender, Fault, FaultKind, World
from trafficd.sim.telemetry import Sampler
from trafficd.sim.turns import Hooks, Run, Turns, machines_of
from trafficd.sim.workload import Agent

Progress = Callable[[float], None]
"""Told the part of the turns that are over, 0 to 1."""


def cluster_of(world: World, clock: Clock) -> Cluster:
    """The world's fabric as resources; what faults touch is kept whether it could limit or not."""
    targets = tuple(name for f in world.faults for name in (f.target, f.target.partition("/")[0]))
    storage = [h.name for h in world.fabric.hosts if h.pool] if world.conditions.by_node else []
    options = Options(world.policy, world.goodput, targets, (*targets, *storage))
    return build(world.fabric, options, Fluid(clock))


MOST_IDLE_S = 600.0
"""Simulated. When nothing has got anywhere for so long, nothing will."""


class StuckError(Exception):
    """The scenario cannot come to an end; one sentence says so."""


class Simulation:
    """Everything of one run."""

    def __init__(self, world: World, contender: Contender, progress: Progress | None = None) -> None:
        self.world = world
        self.clock = Clock()
        self.cluster = cluster_of(world, self.clock)
        prefill, decode = machines_of(self.cluster, world)
        self.chooser = Chooser(
            contender, self.cluster, Machines(prefill, decode), world.conditions, world.seed
        )
        self.gauge = Gauge(self.cluster, storage=storage_nics(self.cluster))
        hooks = Hooks(self._first, self._read, self.gauge.foretold, self._last)
        self.turns = Turns(world, self.cluster, self.chooser, hooks)
        for machine in prefill:
            machine.begin = self.turns.begin_prefill
        for decoder in decode:
            decoder.done = self.turns.decoded
        self.sampler = Sampler(self.cluster, world.telemetry.valid_s, world.settings)
        self.beside = Beside(self.cluster, world.loads, world.seed)
        self.faults = Faults(self.cluster, self.sampler, world.faults, self._told)
        self.open = sum(len(a.turns) for a in world.agents)
        self.total = self.open
        self.waiting = deque(a for a in world.agents if a.starts_s is None)
        self.began: dict[int, float] = {}
        self._moved_at = 0.0
        self._progress = progress
        if contender.strategy == ORACLE:
            self.chooser.foresee = self._foresee

    def run(self) -> Outcome:
        """To the end."""
        self._start()
        self.clock.run(self.cluster.fluid.settle, self._over)
        return self._outcome()

    def _over(self) -> bool:
        limit, now = self.world.seconds, self.clock.now
        if self.open == 0 or (limit is not None and now >= limit):
            return True
        if now - self._moved_at > MOST_IDLE_S and self.turns.live:
            raise StuckError(
                f"{self.world.name}: no turn got anywhere from {self._moved_at:.0f} s on: something that all of them need is "
                "down, out of reach or far too slow"
            )
        return False

    def _read(self, seconds: float) -> None:
        self._moved_at = self.clock.now
        self.gauge.read(seconds)

    def _start(self) -> None:
        chooser, telemetry = self.chooser, self.world.telemetry
        chooser.take(self.sampler.unmeasured(0.0), 0.0)
        chooser.report(chooser.announce(), 0.0)
        if telemetry.interval_s is not None:
            self.clock.at(0.0, self._sample)
        self.clock.at(self.world.window_s, self._window)
        for agent in self.world.agents:
            if agent.starts_s is not None:
                self.clock.at(agent.starts_s, self._begin, agent)
        room = len(self.waiting) if self.world.in_flight is None else self.world.in_flight
        for _ in range(min(room, len(self.waiting))):
            self._begin(self.waiting.popleft())

    def _begin(self, agent: Agent) -> None:
        self.began[agent.index] = self.clock.now
        self.turns.arrive(Run(agent, 0, self.clock.now))

    def _first(self, _: Run, seconds: float) -> None:
        self._moved_at = self.clock.now
        self.gauge.ttft.append(seconds)

    def _last(self, run: Run, tpot: float) -> None:
        now = self._moved_at = self.clock.now
        self.gauge.tpot.append(tpot)
        self.gauge.last_end = now
        self.open -= 1
        if self._progress is not None and self.open % 64 == 0:
            self._progress(1 - self.open / self.total)
        if run.number + 1 < len(run.agent.turns):
            self.turns.arrive(Run(run.agent, run.number + 1, now))
            return
        self.gauge.trajectories.append(now - self.began[run.agent.index])
        if self.waiting:
            self._begin(self.waiting.popleft())

    def _sample(self, _: object) -> None:
        telemetry, now = self.world.telemetry, self.clock.now
        assert telemetry.interval_s is not None
        snapshot = self.sampler.sample(now, self.faults.silent)
        self.clock.at(now + telemetry.delay_s, self._deliver, (snapshot, self._reports()))
        self.clock.at(now + telemetry.interval_s, self._sample)

    def _deliver(self, what: tuple[object, list[EngineReport]]) -> None:
        snapshot, reports = what
        self.chooser.take(snapshot, self.clock.now)  # type: ignore[arg-type]
        self.chooser.report(reports, self.clock.now)

    def _reports(self) -> list[EngineReport]:
        """What every engine says of itself, its node's read queue included."""
        queues = self._queues()
        compute, chooser, found = self.world.compute, self.chooser, []
        context = 32_000
        machines: Sequence[Prefill | Decode] = (*chooser.machines.prefill, *chooser.machines.decode)
        speed = int((context + 430) / compute.prefill_s(context, 430))
        for machine in machines:
            engine = machine.engine
            if engine in chooser.gone or engine.node in self.faults.silent:
                continue
            found.append(
                EngineReport(
                    chooser.ref(engine),
                    read_queue_bytes=round(queues.get(engine.node, 0.0)),
                    bytes_per_token=compute.kv_bytes_per_token,
                    unfinished_tokens=machine.tokens,
                    unfinished_sequences=machine.sequences,
                    tokens_per_s=speed,
                )
            )
        return found

    def _queues(self) -> dict[int, float]:
        """Bytes still to be read by each node."""
        queues: dict[int, float] = {}
        for run in self.turns.live:
            for flow, piece in run.flows.items():
                if piece is not None:
                    node = self.cluster.layout.nics[piece.nic].node
                    left = min(max(flow.ends_at - flow.bundle.service, 0.0), flow.size)
                    queues[node] = queues.get(node, 0.0) + left
        return queues

    def _foresee(self, size: float) -> Choice:
        """The oracle's choice: with what really is."""
        machines, gone = self.chooser.machines, self.chooser.gone
        alive = Machines(
            tuple(m for m in machines.prefill if m.engine not in gone),
            tuple(m for m in machines.decode if m.engine not in gone),
        )
        both = self.chooser.contender.caller is not Caller.PREFILL
        return foresee(self.cluster, alive, self._queues(), size, both=both)

    def _window(self, _: object) -> None:
        self.gauge.window()
        self.clock.at(self.clock.now + self.world.window_s, self._window)

    def _told(self, fault: Fault, *, begins: bool) -> None:
        """What a fault means beyond rates: NICs that the service sees go, reads that callers give up."""
        detect = self.clock.now + self.world.conditions.detect_s
        if fault.kind is FaultKind.NIC_DOWN:
            self.clock.at(detect, self._seen, (fault.target, not begins))
        elif fault.kind is FaultKind.NIC_RATE and fault.known:
            self.clock.at(self.clock.now, self._retell)
        elif fault.kind is FaultKind.AGENTS_LOST and begins:
            self._lose(fault.factor)

    def _retell(self, _: object) -> None:
        self.chooser.take(self.sampler.unmeasured(self.clock.now), self.clock.now)

    def _seen(self, what: tuple[str, bool]) -> None:
        """A NIC went or came back: links are watched, engines that lost theirs say so, stuck reads are placed anew."""
        name, up = what
        nic = self.cluster.layout.index.nic_ids[name]
        if (self.cluster.nics[nic].write.capacity > 0) is not up:
            return
        self.sampler.up[nic] = up
        self._retell(None)
        engines = [e for e in (*self.cluster.prefill, *self.cluster.decode) if e.nic == nic]
        if up:
            self.chooser.gone.difference_update(engines)
            self.chooser.report(self.chooser.announce(), self.clock.now)
            return
        self.chooser.ended(engines, self.clock.now)
        for run in [r for r in self.turns.live if self._touches(r, nic)]:
            self.turns.give_up(run)

    def _touches(self, run: Run, nic: int) -> bool:
        choice = run.choice
        if choice is None:
            return False
        stuck = any(nic in (p.nic, p.out, p.into) for p in run.flows.values() if p is not None)
        return stuck or nic in (choice.prefill.nic, choice.decode.nic)

    def _lose(self, part: float) -> None:
        """Agents vanish: what they reserved is released by nobody."""
        lost = {r.agent.index for r in self.turns.live}
        wanted = sorted(lost)[: round(part * len(lost))]
        for run in [r for r in self.turns.live if r.agent.index in wanted]:
            self.open -= len(run.agent.turns) - run.number
            self.turns.vanish(run)

    def _outcome(self) -> Outcome:
        gauge, cluster = self.gauge, self.cluster
        cluster.fluid.sync()
        end = gauge.last_end or self.clock.now
        done = len(gauge.tpot)
        ingress = sum(sum(cluster.nics[i].write.moved) for i in gauge.storage)
        full = sum(cluster.full[i] for i in gauge.storage) * end
        compute = [i for i, n in enumerate(cluster.layout.nics) if n.kind is NicKind.COMPUTE]
        busiest = [b / cluster.full[i] for i, b in zip(compute, carried(cluster, compute), strict=True)]
        return Outcome(
            completion_s=end,
            trajectory_mean_s=mean(gauge.trajectories),
            turns=done,
            turns_per_s=done / end if end else 0.0,
            ttft_mean_s=mean(gauge.ttft),
            ttft_p50_s=percentile(gauge.ttft, 0.50),
            ttft_p99_s=percentile(gauge.ttft, 0.99),
            ttft_max_s=max(gauge.ttft, default=None),
            tpot_mean_s=mean(gauge.tpot),
            tpot_p99_s=percentile(gauge.tpot, 0.99),
            storage_balance=balance(gauge.ratios, gauge.used),
            storage_use=ingress / full if full else 0.0,
            compute_use=max(busiest, default=0.0) / end if end else 0.0,
            model_delivered=self.beside.delivered(),
            prediction_error=gauge.missed / gauge.taken if gauge.taken else None,
            read_mean_s=mean(gauge.reads),
            agents_done=len(gauge.trajectories),
            longest_read_s=max(gauge.reads, default=0.0),
            events=self.clock.events,
            used=tuple((r.name, sum(r.moved) / (f * end)) for r, f in self._full() if end and f),
        )

    def _full(self) -> Iterator[tuple[Resource, float]]:
        """Every resource with what it can when nothing is wrong."""
        cluster = self.cluster
        full = {r: f for p, f in zip(cluster.nics, cluster.full, strict=True) for r in (p.read, p.write)}
        for resource in cluster.fluid.resources:
            yield resource, full.get(resource, resource.capacity)


def storage_nics(cluster: Cluster) -> tuple[int, ...]:
    """NICs that read on prefill and decode nodes."""
    layout = cluster.layout
    nodes = (*layout.index.roles[Role.PREFILL], *layout.index.roles[Role.DECODE])
    return tuple(i for node in nodes for i in layout.index.readers[node])
