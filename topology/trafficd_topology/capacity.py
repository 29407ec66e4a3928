"""Whether anything binds before the storage NICs do: the DualPath paper's analysis, on any fabric.

KV cache is read from storage as fast as the storage NICs of all prefill and decode nodes can, in on the prefill side
(**PE path**) and in on the decode side (**DE path**; section 4.1, figure 4). What follows is summed up flow by flow
on the fabric's own graph: every step of figure 4 is a row of ``STEPS``, whose traffic ``reads`` works out. On
regular fabrics that gives the formulas of section 4.2.

Not counted, as in the paper: KV of tokens that missed the cache, write-back while decoding, and collectives.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from trafficd_topology.flows import Places, cable_loads
from trafficd_topology.model import FabricSpec, NicKind, PortKey, Problem, Role
from trafficd_topology.ratios import ANY, SLACK, Demand, Range, Ranges, Side, common
from trafficd_topology.reads import Amount, Path, Reads, ReadSet, read_set, reads
from trafficd_topology.routes import UNLIMITED, Cable
from trafficd_topology.wiring import Wiring, wire

READ, WRITE, BOTH = "read", "write", "read+write"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of figure 4: what a node's NIC does to its memory, and how much; ``dram`` where that is DRAM, not HBM."""

    path: Path
    number: str
    direction: str
    amount: Amount
    dram: bool


STEPS = (
    Step(Path.PE, "1-2: storage into the prefill buffer", WRITE, Amount.STORED, dram=True),
    Step(Path.PE, "3: out of the prefill buffer (loopback)", READ, Amount.OWN, dram=True),
    Step(Path.PE, "4: into prefill HBM", WRITE, Amount.OWN, dram=False),
    Step(Path.PE, "5-6: out of prefill HBM, all KV of a layer", READ, Amount.SENT, dram=False),
    Step(Path.PE, "7: into the decode buffer", WRITE, Amount.RECEIVED, dram=True),
    Step(Path.PE, "8: out of the decode buffer (loopback)", READ, Amount.LOADED, dram=True),
    Step(Path.PE, "9: into decode HBM", WRITE, Amount.LOADED, dram=False),
    Step(Path.DE, "1-2: storage into the decode buffer", WRITE, Amount.STORED, dram=True),
    Step(Path.DE, "3-4: out of the decode buffer", READ, Amount.SENT, dram=True),
    Step(Path.DE, "5: into prefill HBM", WRITE, Amount.RECEIVED, dram=False),
    Step(Path.DE, "6: out of the decode buffer (loopback)", READ, Amount.OWN, dram=True),
    Step(Path.DE, "7: into decode HBM", WRITE, Amount.OWN, dram=False),
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A thing with a capacity, and its load at the fabric's own ratio; bits per second.

    A NIC's ``read`` and ``write`` are of memory, on its PCIe side, loopback included. DRAM is half-duplex: reads and
    writes share it. A cable has a load each way. ``capacity_bps`` is None where the fabric file does not say.
    ``premise`` marks what the analysis assumes to be fully used: it never counts as binding.
    """

    kind: str
    element: str
    direction: str
    demand: Demand
    capacity_bps: int | None
    premise: bool = False

    def utilisation(self, scale: float = 1.0) -> float | None:
        """Load over capacity at ``scale`` times the fabric's ratio; above 1 it binds."""
        return None if self.capacity_bps is None else self.demand.at(scale) / self.capacity_bps

    def binds(self) -> bool:
        """Whether this keeps the storage NICs from being fully used, at the fabric's own ratio."""
        return not self.premise and (self.utilisation() or 0.0) > 1 + SLACK

    def fits(self, ratio: float) -> Ranges:
        """The ratios at which this resource does not bind; ``ratio`` is the fabric's own."""
        return ANY if self.capacity_bps is None else self.demand.fits(self.capacity_bps, ratio)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The whole answer. ``ratio`` is that of prefill to decode nodes; notes say what was left out, and why."""

    prefill: int
    decode: int
    read_bps: int
    resources: tuple[Resource, ...]
    notes: tuple[str, ...]

    @property
    def ratio(self) -> float:
        return self.prefill / self.decode

    def first(self, ratio: float | None = None) -> tuple[Resource | None, float]:
        """What binds first at a ratio (the fabric's own), and its utilisation; the premise is passed over."""
        scale = 1.0 if ratio is None else ratio / self.ratio
        known = [(r, r.utilisation(scale) or 0.0) for r in self.resources if not r.premise]
        # Sums of rounded numbers: of what is equally full but for that, the first is named.
        return max(known, key=lambda found: round(found[1], 9), default=(None, 0.0))

    def bottleneck_free(self, ratio: float | None = None) -> bool:
        """Whether the storage NICs are what limits reads at a ratio (the fabric's own)."""
        return self.first(ratio)[1] <= 1 + SLACK

    def ranges(self) -> Ranges:
        """The ratios at which nothing binds; at most two ranges."""
        return common(r.fits(self.ratio) for r in self.resources if not r.premise)

    def ends(self, of: Range) -> tuple[Resource | None, Resource | None]:
        """The resources that end a range of ``ranges`` below and above; None where nothing does."""
        fits = [(r, one) for r in self.resources if not r.premise for one in r.fits(self.ratio)]
        low = next((r for r, one in fits if one.low == of.low > 0), None)
        return low, next((r for r, one in fits if one.high == of.high < math.inf), None)


def analyse(spec: FabricSpec) -> tuple[Capacity | None, tuple[Problem, ...]]:
    """The capacity of a valid fabric at its present roles, or the problems why it has none."""
    found, problems = read_set(spec)
    if found is None:
        return None, problems
    wiring = wire(spec)
    places = Places(
        wiring, {PortKey(h.name, n.name): f"{h.role} {n.kind}" for h in spec.hosts for n in h.nics}
    )
    made = reads(found, places)
    resources = [*_inside(spec, wiring, made), *(_cables(spec, places, made) if spec.links else ())]
    read = sum(node.read_bps for node in found.nodes)
    notes = tuple(_notes(found, made))
    return Capacity(len(found.prefill), len(found.decode), read, tuple(resources), notes), ()


_Spot = tuple[str, PortKey | str, str]
"""(nic or dram, whose, direction)"""


def _spots(made: Reads) -> dict[_Spot, dict[Path, float]]:
    """What NICs and DRAM carry, by path."""
    spots: dict[_Spot, dict[Path, float]] = defaultdict(lambda: dict.fromkeys(Path, 0.0))
    for step in STEPS:
        for port, rate in made.amounts[step.path, step.amount].items():
            spots["nic", port, step.direction][step.path] += rate
            if step.dram:
                spots["dram", port.node, BOTH][step.path] += rate
    return spots


def _sides(spec: FabricSpec) -> dict[str, Side]:
    """Whose a host's resources are; storage servers are shared."""
    sides = {Role.PREFILL: Side.PREFILL, Role.DECODE: Side.DECODE}
    return {host.name: sides.get(host.role, Side.SHARED) for host in spec.hosts}


def _demand(side: Side, rates: dict[Path, float]) -> Demand:
    return Demand(side, rates[Path.PE], rates[Path.DE])


def _inside(spec: FabricSpec, wiring: Wiring, made: Reads) -> Iterator[Resource]:
    """NICs and DRAM of the nodes, and NICs of the storage servers."""
    sides, memory = _sides(spec), {h.name: h.memory_bytes_per_s for h in spec.hosts}
    for (what, whose, direction), rates in _spots(made).items():
        if isinstance(whose, PortKey):
            nic = wiring.nics[whose]
            premise = nic.kind is NicKind.STORAGE
            demand = _demand(sides[whose.node], rates)
            yield Resource(f"{nic.kind} NIC", f"nic:{whose}", direction, demand, nic.rate_bps, premise)
        else:
            bytes_per_s = memory[whose]
            capacity = None if bytes_per_s is None else 8 * bytes_per_s
            yield Resource("DRAM", f"{what}:{whose}", direction, _demand(sides[whose], rates), capacity)
    for port in dict.fromkeys(p for flows in made.flows.values() for p in flows.sent):
        if sides[port.node] is Side.SHARED:
            rates = {path: made.flows[path].sent.get(port, 0.0) for path in Path}
            demand = _demand(Side.SHARED, rates)
            yield Resource("server NIC", f"nic:{port}", READ, demand, wiring.nics[port].rate_bps)


def _cables(spec: FabricSpec, places: Places, made: Reads) -> Iterator[Resource]:
    """Cables of hosts, and between switches, each way."""
    loads: dict[Cable, dict[Path, float]] = defaultdict(lambda: dict.fromkeys(Path, 0.0))
    for path in Path:
        for cable, rate in cable_loads(places, made.flows[path]).items():
            loads[cable][path] += rate
    sides = _sides(spec)
    for cable, rates in sorted(loads.items(), key=lambda item: item[0]):
        ends = [end for end in (cable.a, cable.b) if end in places.wiring.owners]
        # Between two hosts: they are not of one role, for nodes of one role send each other nothing.
        side = sides[ends[0].node] if len(ends) == 1 else Side.SHARED
        capacity = None if cable.capacity_bps >= UNLIMITED else cable.capacity_bps
        yield Resource(
            kind="host link" if ends else "switch link",
            element=cable.name,
            direction=f"{cable.a.node}>{cable.b.node}",
            demand=_demand(side, rates),
            capacity_bps=capacity,
            premise=side is not Side.SHARED and _full(cable, ends[0], places.wiring),
        )


def _full(cable: Cable, end: PortKey, wiring: Wiring) -> bool:
    """Whether a host's cable carries all that a storage NIC reads: then it is as full as the NIC."""
    nic = wiring.nics[wiring.owners[end]]
    return nic.kind is NicKind.STORAGE and cable.capacity_bps >= nic.rate_bps // max(1, len(nic.members))


def _notes(found: ReadSet, made: Reads) -> Iterator[str]:
    """What the answer does not cover, and what to write into the fabric file so that it does."""
    silent = [n.host.name for n in found.nodes if n.host.memory_bytes_per_s is None]
    if silent:
        yield f"{_some(silent)}: no memory bandwidth is given, so DRAM is not judged there"
    if found.without_engine:
        yield f"{_some(found.without_engine)}: no NIC of kind compute, so left out"
    if not found.servers:
        yield "no host of role storage: the storage network and its servers are not judged"
    elif made.unserved:
        yield f"{made.unserved} storage NICs reach no storage server: their way from storage is not judged"
    if made.lost:
        yield f"{made.lost} pairs of prefill and decode engines have no path between them: their KV is not counted"


def _some(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
