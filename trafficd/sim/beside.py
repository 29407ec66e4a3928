"""What happens beside the turns: other traffic, and faults on a timeline. The same for every contender."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from trafficd.choice.snapshot import NicKind, Role
from trafficd.sim.cluster import Cluster
from trafficd.sim.fluid import Bundle, Resource, Route
from trafficd.sim.scenario import Fault, FaultKind, Load, Where
from trafficd.sim.telemetry import Sampler

_KINDS = {Where.COMPUTE: NicKind.COMPUTE, Where.STORAGE: NicKind.STORAGE}


@dataclass(frozen=True, slots=True)
class _Stream:
    """A load on one direction of a NIC."""

    load: Load
    resource: Resource
    bundle: Bundle


class Beside:
    """Other traffic. Draws depend on the seed and the place alone."""

    def __init__(self, cluster: Cluster, loads: Sequence[Load], seed: int) -> None:
        self.cluster = cluster
        self.clock = cluster.fluid.clock
        self.streams: list[_Stream] = []
        self.offered = 0.0
        for number, load in enumerate(loads):
            for key, nics in self._places(load):
                rng = random.Random(f"{seed}/load/{number}/{key}")
                streams = [s for i in nics for s in self._streams(load, i)]
                self.streams += streams
                self._draw((streams, load, rng))

    def _places(self, load: Load) -> Iterator[tuple[int, list[int]]]:
        """NICs that share a draw: a node's compute NICs, a storage NIC by itself."""
        layout = self.cluster.layout
        wanted = _KINDS[load.where]
        groups: dict[int, list[int]] = {}
        for i, nic in enumerate(layout.nics):
            named = not load.nics or layout.index.nic_names[i] in load.nics
            if named and nic.kind is wanted and layout.nodes[nic.node].role in (Role.PREFILL, Role.DECODE):
                groups.setdefault(nic.node if load.where is Where.COMPUTE else -1 - i, []).append(i)
        yield from groups.items()

    def _streams(self, load: Load, nic: int) -> Iterator[_Stream]:
        """Collectives load both directions; foreign traffic comes in, as reads do."""
        lanes, pair = self.cluster.lanes, self.cluster.nics[nic]
        compute = load.where is Where.COMPUTE
        for resource in (pair.read, pair.write) if compute else (pair.write,):
            lane = lanes.model if compute else lanes.default
            yield _Stream(
                load, resource, self.cluster.fluid.load(Route([(resource, 1.0)]), lane, load.streams)
            )

    def _draw(self, what: tuple[list[_Stream], Load, random.Random]) -> None:
        streams, load, rng = what
        use = min(max(rng.uniform(load.mean - load.spread, load.mean + load.spread), 0.0), 1.0)
        for stream in streams:
            self.cluster.fluid.offer(stream.bundle, use * stream.resource.capacity)
        if load.spread > 0:
            self.clock.at(self.clock.now + load.hold_s, self._draw, what)

    def delivered(self) -> float | None:
        """Part of what was offered that got through, since the start; None without any load."""
        self.cluster.fluid.sync()
        offered = sum(s.bundle.offered for s in self.streams)
        moved = sum(s.bundle.service * s.bundle.count for s in self.streams)
        return moved / offered if offered else None


class Told(Protocol):
    """Whoever acts on a fault beyond rates."""

    def __call__(self, fault: Fault, *, begins: bool) -> None: ...


class Faults:
    """Puts a timeline into effect; ``told`` is called when the service would learn of a change by itself."""

    def __init__(self, cluster: Cluster, sampler: Sampler, faults: Sequence[Fault], told: Told) -> None:
        self.cluster = cluster
        self.sampler = sampler
        self.told = told
        self.silent: set[int] = set()
        self._lost: dict[Resource, dict[str, float]] = {}
        """Of a trunk, what each of its cables has lost: two may fail together."""
        clock = cluster.fluid.clock
        for fault in faults:
            clock.at(fault.at_s, self._begin, fault)
            if fault.until_s is not None:
                clock.at(fault.until_s, self._end, fault)

    def _begin(self, fault: Fault) -> None:
        self._apply(fault, fault.factor)
        if fault.kind is FaultKind.TELEMETRY_STOPS:
            self.silent |= self._nodes(fault)
        self.told(fault, begins=True)

    def _end(self, fault: Fault) -> None:
        self._apply(fault, 1.0)
        if fault.kind is FaultKind.TELEMETRY_STOPS:
            self.silent -= self._nodes(fault)
        self.told(fault, begins=False)

    def _nodes(self, fault: Fault) -> set[int]:
        nodes = self.cluster.layout.nodes
        return {i for i, n in enumerate(nodes) if fault.target in ("", "*", n.name)}

    def _apply(self, fault: Fault, factor: float) -> None:
        fluid = self.cluster.fluid
        if fault.kind in (FaultKind.NIC_DOWN, FaultKind.NIC_RATE):
            nic = self.cluster.layout.index.nic_ids[fault.target]
            pair, full = self.cluster.nics[nic], self.cluster.full[nic]
            for resource in (pair.read, pair.write):
                fluid.set_capacity(resource, full * factor)
            if fault.kind is FaultKind.NIC_RATE and fault.known:
                self.sampler.rates[nic] = int(full * factor * 8)
        elif fault.kind is FaultKind.LINK_DOWN:
            for resource, own_bps, whole_bps in self.cluster.cables.get(fault.target, ()):
                lost = self._lost.setdefault(resource, {})
                lost[fault.target] = own_bps * (1 - factor)
                left = max(whole_bps - sum(lost.values()), 0.0)
                fluid.set_capacity(resource, left / 8 * self.cluster.goodput)
        elif fault.kind is FaultKind.SERVER_RATE:
            for nic in self.cluster.servers.get(fault.target, ()):
                pair, full = self.cluster.nics[nic], self.cluster.full[nic]
                for resource in (pair.read, pair.write):
                    fluid.set_capacity(resource, full * factor)
