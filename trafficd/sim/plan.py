"""A scenario as its file states it, and the worlds that follow: one for each seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trafficd.sim.scenario import Compute, Conditions, Contender, Fault, Load, Telemetry, World
from trafficd.sim.workload import (
    TABLE,
    Agent,
    TraceRow,
    agents_arriving,
    agents_in_slots,
    agents_offline,
    agents_online,
    agents_traced,
    agents_windowed,
)
from trafficd_topology.model import FabricSpec, Host, LinkLayer
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.qos.policy import Policy


@dataclass(frozen=True, slots=True)
class Shape:
    """A regular cluster in a few numbers. ``slow`` gives single NICs, by node/nic, a rate of their own.

    Nodes are p1.., d1.. with compute NICs c0.. and one storage NIC s0; storage hosts st1.. with s0... With one leaf a
    network is a single switch.
    """

    prefill: int = 2
    decode: int = 4
    gpus: int = 8
    compute_bps: int = 400 * 10**9
    storage_bps: int = 400 * 10**9
    memory: int = 500 * 10**9
    servers: int = 2
    server_nics: int = 4
    server_bps: int = 400 * 10**9
    link_layer: LinkLayer = LinkLayer.INFINIBAND
    leaves: int = 1
    spines: int = 0
    oversubscription: float = 1.0
    slow: tuple[tuple[str, int], ...] = ()


def fabric_of(shape: Shape) -> FabricSpec:
    """The fabric; compute networks never block, storage is oversubscribed where there is more than one leaf."""
    spec, problems = parse_fabric("\n".join(_lines(shape)))
    if spec is None:
        raise ValueError(f"a cluster of these numbers is no fabric: {problems[0]}")
    return replace(spec, hosts=tuple(_slowed(h, dict(shape.slow)) for h in spec.hosts))


def _slowed(host: Host, slow: dict[str, int]) -> Host:
    nics = tuple(replace(n, rate_bps=slow.get(f"{host.name}/{n.name}", n.rate_bps)) for n in host.nics)
    return replace(host, nics=nics)


def _lines(s: Shape) -> Iterable[str]:
    layer = f"link_layer: {s.link_layer}"
    tree = f"leaves: {s.leaves}, spines: {s.spines}, placement: spread"
    over = f", oversubscription: {s.oversubscription:g}" if s.spines else ""
    yield "version: 1\nname: simulated\nregular:\n  networks:"
    yield f"    - {{name: compute, {layer}, {tree}}}"
    yield f"    - {{name: storage, {layer}, {tree}{over}}}"
    yield "  hosts:"
    for letter, role, count in (("p", "prefill", s.prefill), ("d", "decode", s.decode)):
        yield f"    - name: {letter}[1-{count}]\n      role: {role}\n      memory: {s.memory}\n      gpus: {s.gpus}"
        yield f'      nics:\n        - {{name: "c[0-{s.gpus - 1}]", kind: compute, rate: {s.compute_bps}, network: compute, gpu: 0, rail: 0}}'
        yield f"        - {{name: s0, kind: storage, rate: {s.storage_bps}, network: storage}}"
    yield f"    - name: st[1-{s.servers}]\n      role: storage\n      pool: kv\n      nics:"
    yield f'        - {{name: "s[0-{s.server_nics - 1}]", kind: storage, rate: {s.server_bps}, network: storage}}'


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked for; exactly one of ``agents``, ``turns``, ``agents_per_s`` and ``rows`` says how much."""

    trace: str = "64K"
    agents: int | None = None
    turns: int | None = None
    agents_per_s: float | None = None
    turns_per_s: float | None = None
    seconds: float | None = None
    in_flight: int | None = None
    time_scale: float = 1.0
    most: int | None = None
    rows: tuple[TraceRow, ...] = ()
    slots: int | None = None
    tokens: int = 1
    each: int = 1_000
    """With ``slots``: the size of a read, and how many of them each slot makes at most."""

    def draw(self, seed: int) -> tuple[Agent, ...]:
        """The agents of one seed; a trace file gives the same for every seed."""
        table = TABLE[self.trace]
        if self.agents is not None:
            return agents_offline(table, self.agents, seed)
        if self.slots is not None:
            return agents_in_slots(self.slots, self.tokens, self.each)
        if self.turns is not None:
            return agents_windowed(table, self.turns, seed)
        if self.turns_per_s is not None:
            return agents_arriving(table, self.turns_per_s, self.seconds or 0.0, seed)
        if self.agents_per_s is not None:
            return agents_online(table, self.agents_per_s, self.seconds or 0.0, seed)
        return agents_traced(self.rows, self.time_scale, self.most)


@dataclass(frozen=True, slots=True)
class Cases:
    """A scenario: a cluster and work, what is beside it, and who is to be compared."""

    name: str
    fabric: FabricSpec
    policy: Policy | None
    work: Work
    seeds: int
    compute: Compute
    telemetry: Telemetry
    loads: tuple[Load, ...]
    faults: tuple[Fault, ...]
    conditions: Conditions
    contenders: tuple[Contender, ...]
    goodput: float = 1.0
    seconds: float | None = None
    window_s: float = 1.0
    settings: tuple[tuple[str, float | bool | str], ...] = ()

    def world(self, seed: int) -> World:
        """What all contenders meet with this seed."""
        return World(
            self.name,
            self.fabric,
            self.work.draw(seed),
            self.policy,
            self.goodput,
            self.compute,
            self.telemetry,
            self.loads,
            self.faults,
            self.conditions,
            self.work.in_flight,
            self.seconds,
            self.window_s,
            settings=self.settings,
            seed=seed,
        )
