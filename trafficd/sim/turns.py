"""One turn from its arrival to its last token: choose, read, compute layer by layer, decode, write back.

Bytes per step are those of DualPath, figure 4, as in ``trafficd_topology.capacity.STEPS``; unlike the paper's analysis
KV of the appended tokens and the write-back count too. A read lies in the reader's memory before its first layer is
computed (Full Blocks hold every layer); from there to HBM, and on to the decode node, it moves layer by layer beside
the computation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from trafficd.sim.chooser import Choice, Chooser, NoPathError, Piece
from trafficd.sim.cluster import Cluster, Engine, Steps
from trafficd.sim.fluid import Flow, Route
from trafficd.sim.machines import Decode, Prefill
from trafficd.sim.scenario import World
from trafficd.sim.workload import Agent, Turn


@dataclass(eq=False, slots=True)
class Run:
    """A turn under way. ``waiting`` are pieces not yet read; ``flows`` what moves now."""

    agent: Agent
    number: int
    arrived: float
    choice: Choice | None = None
    waiting: int = 0
    flows: dict[Flow, Piece | None] = field(default_factory=dict)
    prefilled: float = 0.0
    read_began: float = 0.0
    read_s: float = 0.0
    moving_since: float = 0.0
    attempt: int = 0
    computed: bool = False

    @property
    def turn(self) -> Turn:
        return self.agent.turns[self.number]


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who is told: the first token is there, a read took so long, what was foretold and what came, the turn is over."""

    first: Callable[[Run, float], None]
    read: Callable[[float], None]
    foretold: Callable[[float | None, float], None]
    last: Callable[[Run, float], None]


class Turns:
    """Carries turns through the cluster."""

    def __init__(self, world: World, cluster: Cluster, chooser: Chooser, hooks: Hooks) -> None:
        self.world = world
        self.compute = world.compute
        self.cluster = cluster
        self.chooser = chooser
        self.hooks = hooks
        self.fluid = cluster.fluid
        self.clock = cluster.fluid.clock
        self.live: dict[Run, None] = {}
        self._prefill = chooser.machines.prefill
        self._decode = chooser.machines.decode
        self._h2d: dict[int, Route] = {}

    def arrive(self, run: Run) -> None:
        """A turn begins (again, when it was given up)."""
        run.arrived = self.clock.now
        self.live[run] = None
        self._place(run)

    def _place(self, run: Run) -> None:
        size = run.turn.hit * self.compute.kv_bytes_per_token
        try:
            choice = self.chooser.choose(run.turn, size, run.agent.index, self.clock.now)
        except NoPathError:
            self.clock.at(
                self.clock.now + self.world.conditions.detect_s, self._place_again, (run, run.attempt)
            )
            return
        if not size:
            choice = replace(choice, pieces=())
        run.choice = choice
        self._count(run, 1)
        run.read_began = self.clock.now
        run.waiting = len(choice.pieces)
        if not choice.pieces:
            self._was_read(run)
        for piece in choice.pieces:
            self.clock.at(
                self.clock.now + self.world.conditions.setup_s, self._read, (run, run.attempt, piece)
            )

    def _place_again(self, what: tuple[Run, int]) -> None:
        run, attempt = what
        if run.attempt == attempt:
            self._place(run)

    def _count(self, run: Run, sign: int) -> None:
        choice, turn = run.choice, run.turn
        assert choice is not None
        prefill, decode = self._prefill[choice.prefill.index], self._decode[choice.decode.index]
        prefill.tokens += sign * (turn.hit + turn.append)
        prefill.sequences += sign
        prefill.seconds += sign * self.compute.prefill_s(turn.hit, turn.append)
        decode.tokens += sign * (turn.hit + turn.append + turn.generate)
        decode.sequences += sign

    def _read(self, what: tuple[Run, int, Piece]) -> None:
        run, attempt, piece = what
        if run.attempt != attempt:
            return
        cap = self.world.conditions.read_cap_bytes_per_s or math.inf
        source = self.chooser.source(run.agent.index)
        route = self.cluster.reading(piece.nic, source)
        if self.compute.streamed and piece.out is not None and piece.into is not None:
            route = self.cluster.streaming(piece.nic, source, piece.out, piece.into)
        flow = self.fluid.start(route, piece.size, self._piece_read, run, self.cluster.lanes.kv, cap)
        run.flows[flow] = piece

    def _piece_read(self, flow: Flow) -> None:
        run: Run = flow.owner
        del run.flows[flow]
        run.waiting -= 1
        if run.waiting == 0:
            self._was_read(run)

    def _was_read(self, run: Run) -> None:
        choice, now = run.choice, self.clock.now
        assert choice is not None
        run.read_s = now - run.read_began
        if choice.pieces:
            self.hooks.read(run.read_s)
        if self.compute.streamed:
            self.hooks.foretold(choice.expected_s, run.read_s)
            self._ended(run)
            return
        self.chooser.was_read(choice, now)
        self._prefill[choice.prefill.index].enqueue(run)

    def _ended(self, run: Run) -> None:
        """The demo's reads: nothing is computed."""
        assert run.choice is not None
        self.chooser.is_over(run.choice, self.clock.now)
        self._count(run, -1)
        del self.live[run]
        self.hooks.first(run, self.clock.now - run.arrived)
        self.hooks.last(run, 0.0)

    def begin_prefill(self, run: Run) -> None:
        """The GPU is free: compute, with KV moving beside it or, without layer-wise transfers, before it."""
        turn = run.turn
        seconds = self.compute.prefill_s(turn.hit, turn.append)
        assert run.choice is not None
        appended = float(turn.append * self.compute.kv_bytes_per_token)
        steps, size = transfer(self.cluster, run.choice, appended)
        cap = size / seconds if self.compute.layerwise else math.inf
        lane = self.cluster.lanes.kv
        run.computed = self.compute.layerwise
        run.moving_since = self.clock.now
        flow = self.fluid.start(Route(steps), size, self._transferred, run, lane, cap)
        run.flows[flow] = None

    def _transferred(self, flow: Flow) -> None:
        run: Run = flow.owner
        del run.flows[flow]
        seconds = self.compute.prefill_s(run.turn.hit, run.turn.append)
        if run.choice is not None and run.choice.pieces:
            # What the network took: reading, and moving as far as computing did not hide it.
            moved = self.clock.now - run.moving_since
            hidden = seconds if run.computed else 0.0
            self.hooks.foretold(run.choice.expected_s, run.read_s + max(moved - hidden, 0.0))
        if run.computed:
            self._prefilled((run, run.attempt))
        else:
            self.clock.at(self.clock.now + seconds, self._prefilled, (run, run.attempt))

    def _prefilled(self, what: tuple[Run, int]) -> None:
        """The first token is there; the decode node loads its buffer into HBM."""
        run, attempt = what
        if run.attempt != attempt:
            return
        choice, turn = run.choice, run.turn
        assert choice is not None
        run.prefilled = self.clock.now
        self.chooser.is_over(choice, run.prefilled)
        machine = self._prefill[choice.prefill.index]
        machine.tokens -= turn.hit + turn.append
        machine.sequences -= 1
        machine.seconds -= self.compute.prefill_s(turn.hit, turn.append)
        self.hooks.first(run, run.prefilled - run.arrived)
        size = float((turn.hit + turn.append) * self.compute.kv_bytes_per_token)
        flow = self.fluid.start(self._load(choice), size, self._loaded, run, self.cluster.lanes.kv)
        run.flows[flow] = None
        machine.finished()
        if not self.compute.decode:
            self.hooks.last(run, 0.0)

    def _load(self, choice: Choice) -> Route:
        found = self._h2d.get(choice.decode.index)
        if found is None:
            found = self._h2d[choice.decode.index] = Route(loading(self.cluster, choice.decode))
        return found

    def _loaded(self, flow: Flow) -> None:
        run: Run = flow.owner
        del run.flows[flow]
        assert run.choice is not None
        if self.compute.decode:
            self._decode[run.choice.decode.index].add(run, run.turn.generate)
        else:
            self._leave(run)

    def decoded(self, run: Run) -> None:
        """The last token is there."""
        self._leave(run)
        self.hooks.last(run, (self.clock.now - run.prefilled) / run.turn.generate)

    def _leave(self, run: Run) -> None:
        """The turn is over for the decode engine; what is new is written to storage."""
        choice, turn = run.choice, run.turn
        assert choice is not None
        machine = self._decode[choice.decode.index]
        machine.tokens -= turn.hit + turn.append + turn.generate
        machine.sequences -= 1
        del self.live[run]
        readers = self.cluster.layout.index.readers[choice.decode.node]
        if self.compute.write_back and readers:
            size = float((turn.append + turn.generate) * self.compute.kv_bytes_per_token)
            route = self.cluster.writing(readers[0], self.chooser.source(run.agent.index))
            self.fluid.start(route, size, _written, None, self.cluster.lanes.write_back)

    def give_up(self, run: Run) -> None:
        """What stands still is taken back and placed anew; decoding turns have all they need."""
        choice = run.choice
        if choice is None or run.prefilled or run not in self.live:
            return
        for flow in run.flows:
            self.fluid.stop(flow)
        run.flows.clear()
        run.attempt += 1
        self.chooser.is_over(choice, self.clock.now)
        self._count(run, -1)
        self._prefill[choice.prefill.index].drop(run)
        run.choice = None
        self._place(run)

    def vanish(self, run: Run) -> None:
        """A caller dies: its flows end, what it reserved stays until the lease ends."""
        for flow in run.flows:
            self.fluid.stop(flow)
        run.flows.clear()
        run.attempt += 1
        choice = run.choice
        if choice is None or run.prefilled:
            self.live.pop(run, None)
            return
        self._count(run, -1)
        self._prefill[choice.prefill.index].drop(run)
        del self.live[run]


def transfer(cluster: Cluster, choice: Choice, appended: float) -> tuple[Steps, float]:
    """What a turn moves between buffers and HBM layer by layer: (resource, weight), and the bytes that weights are of.

    Figure 4: on the prefill side steps 3 to 7, on the decode side 3 to 5 and what is new back. A relay is read as the
    decode side is, and then all of it goes to the decode node, as on the prefill side.
    """
    nics, layout = cluster.nics, cluster.layout
    prefill, decode = nics[choice.prefill.nic], nics[choice.decode.nic]
    whole = sum(p.size for p in choice.pieces) + appended
    steps: Steps = []
    back = appended
    for piece in choice.pieces:
        part, node = piece.size / whole, layout.nics[piece.nic].node
        steps += cluster.memory(node, part)
        if piece.out is None or piece.into is None:
            steps += [(prefill.read, part), (prefill.write, part)]
        else:
            steps += [(nics[piece.out].read, part), (nics[piece.into].write, part)]
            steps += [(r, w * part) for r, w in cluster.between(piece.out, piece.into)]
        # What the decode node read lies there already; all else goes to its buffer.
        back += piece.size if node != choice.decode.node else 0.0
    part = back / whole
    steps += [(prefill.read, part), (decode.write, part), *cluster.memory(choice.decode.node, part)]
    steps += [(r, w * part) for r, w in cluster.between(choice.prefill.nic, choice.decode.nic)]
    return steps, whole


def loading(cluster: Cluster, engine: Engine) -> Steps:
    """Out of the decode buffer, by loopback, into decode HBM: figure 4, steps 8 and 9, or 6 and 7."""
    nic = cluster.nics[engine.nic]
    return [(nic.read, 1.0), (nic.write, 1.0), *cluster.memory(engine.node, 1.0)]


def _written(_: Flow) -> None:
    """Nobody waits for it."""


def machines_of(cluster: Cluster, world: World) -> tuple[tuple[Prefill, ...], tuple[Decode, ...]]:
    """The engines of a cluster; ``begin`` and ``done`` are set once there is somebody to carry turns."""
    clock = cluster.fluid.clock
    prefill = tuple(Prefill(e, clock, _nobody) for e in cluster.prefill)
    decode = tuple(Decode(e, clock, world.compute.step_s, _nobody) for e in cluster.decode)
    return prefill, decode


def _nobody(_: object) -> None:
    raise AssertionError("no turns are carried yet")
