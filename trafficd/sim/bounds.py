"""Below which no choice can get: bytes over usable ingress, and, where the network may bind, a flow problem.

The linear program gives every turn's read to any prefill or decode node, and every transfer to any pair of engines, as
fractions, so as to move all bytes at the largest common rate (maximum concurrent flow, Shahrokhi and Matula 1990): its
optimum bounds every real choice. It counts the resources that the simulator has. It needs scipy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trafficd.choice.snapshot import NicKind, Role
from trafficd.sim.clock import Clock
from trafficd.sim.cluster import Cluster, Options, build
from trafficd.sim.fluid import Fluid, Resource
from trafficd.sim.scenario import Load, Where, World


@dataclass(frozen=True, slots=True)
class Bound:
    """Seconds that completion cannot be below. ``network_s`` is None without scipy or for streamed reads."""

    ingress_s: float
    prefill_s: float
    network_s: float | None

    @property
    def seconds(self) -> float:
        return max(self.ingress_s, self.prefill_s, self.network_s or 0.0)


def read_bytes(world: World) -> float:
    return float(sum(t.hit for a in world.agents for t in a.turns) * world.compute.kv_bytes_per_token)


def bound_of(world: World) -> Bound:
    """The bounds of one world, faults not counted (they only take away)."""
    cluster = build(world.fabric, Options(world.policy, world.goodput), Fluid(Clock()))
    ingress = sum(_usable(world, cluster, i) for i in _readers(cluster))
    size = read_bytes(world)
    gpus = len(cluster.prefill)
    compute = world.compute
    busy = (
        0.0
        if compute.streamed
        else sum(compute.prefill_s(t.hit, t.append) for a in world.agents for t in a.turns)
    )
    network = None if compute.streamed else _network(world, cluster)
    return Bound(size / ingress, busy / gpus if gpus else 0.0, network)


def _readers(cluster: Cluster) -> Iterable[int]:
    layout = cluster.layout
    nodes = (*layout.index.roles[Role.PREFILL], *layout.index.roles[Role.DECODE])
    return [i for node in nodes for i in layout.index.readers[node]]


def _usable(world: World, cluster: Cluster, nic: int) -> float:
    """What is left for KV of a NIC on average: foreign traffic is served first, as far as lanes let it."""
    full = cluster.full[nic]
    used = sum(_mean_use(load, cluster, nic) for load in world.loads)
    return max(full * (1 - used), full * cluster.guarantee, 1.0)


def _mean_use(load: Load, cluster: Cluster, nic: int) -> float:
    layout = cluster.layout
    kind = NicKind.COMPUTE if load.where is Where.COMPUTE else NicKind.STORAGE
    named = not load.nics or layout.index.nic_names[nic] in load.nics
    return load.mean if named and layout.nics[nic].kind is kind else 0.0


def _network(world: World, cluster: Cluster) -> float | None:
    """Seconds of the linear program; None when scipy is not there."""
    try:
        from scipy.optimize import linprog  # noqa: PLC0415 - an extra of its own
        from scipy.sparse import csr_array  # noqa: PLC0415
    except ImportError:
        return None
    columns, left = _columns(cluster, 1.0 if world.compute.decode else 0.0), _left(world, cluster)
    size, total = len(columns), read_bytes(world) or 1.0
    row_of: dict[Resource, int] = {}
    values, rows, cols = [], [], []
    # Least seconds T: on each resource the bytes of all fractions, at most capacity x T; fractions sum to 1.
    for k, column in enumerate(columns):
        for resource, weight in column.items():
            rows.append(row_of.setdefault(resource, len(row_of)))
            cols.append(k)
            values.append(weight * total / left[resource])
    for row in row_of.values():
        rows.append(row)
        cols.append(size)
        values.append(-1.0)
    matrix = csr_array((values, (rows, cols)), shape=(len(row_of), size + 1))
    equal = csr_array(([1.0] * size, ([0] * size, list(range(size)))), shape=(1, size + 1))
    solved = linprog([0.0] * size + [1.0], matrix, [0.0] * len(row_of), equal, [1.0], method="highs")
    return float(solved.x[size]) if solved.status == 0 else None


def _columns(cluster: Cluster, loaded: float) -> list[dict[Resource, float]]:
    """Bytes per byte read that each resource carries, for every (prefill node, decode node, side).

    Nodes of one role are taken with all their engines, whose NICs share evenly: an even split is best for equals, and
    for unequal ones the program mixes nodes.
    """
    layout = cluster.layout
    roles = layout.index.roles
    found: list[dict[Resource, float]] = []
    for p in roles[Role.PREFILL]:
        for d in roles[Role.DECODE]:
            for reader in (p, d):
                found += [_column(cluster, (p, d), nic, loaded) for nic in layout.index.readers[reader]]
    return found


def _column(cluster: Cluster, pair: tuple[int, int], nic: int, loaded: float) -> dict[Resource, float]:
    """``loaded`` 0: runs end with the first token, before the decode buffer is loaded."""
    p, d = pair
    column: dict[Resource, float] = {}

    def add(steps: Iterable[tuple[Resource, float]], weight: float = 1.0) -> None:
        for resource, w in steps:
            column[resource] = column.get(resource, 0.0) + w * weight

    layout = cluster.layout
    pool = next(iter(layout.index.pools), "")
    add(cluster.reading(nic, pool).steps)
    at_prefill = layout.nics[nic].node == p
    into, out = layout.index.movers[p], layout.index.movers[d]
    for i in into:
        nics, part = cluster.nics[i], 1 / len(into)
        add([(nics.read, 2.0 if at_prefill else 0.0), (nics.write, 1.0)], part)
    for i in out:
        nics, part = cluster.nics[i], 1 / len(out)
        own = 0.0 if at_prefill else 1.0
        add([(nics.read, own + loaded), (nics.write, 1.0 - own + loaded)], part)
    add(cluster.memory(p, 1.0 if at_prefill else 0.0))
    add(cluster.memory(d, 1.0 + loaded))
    return column


def _left(world: World, cluster: Cluster) -> dict[Resource, float]:
    """What loads leave of every resource on average."""
    found = {r: r.capacity for r in cluster.fluid.resources}
    for i, pair in enumerate(cluster.nics):
        found[pair.read] = found[pair.write] = _usable(world, cluster, i)
    return found
