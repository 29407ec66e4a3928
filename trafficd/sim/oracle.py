"""Who sees every queue exactly, at any moment: how much better knowledge could make a choice of one leg.

Not a strategy that anybody can run; scenarios name it ``oracle``. It reads where the last byte of this read would be
there first, given what is really still to be read there and what the NIC really can, and computes where that and the
wait for the GPU end first.
"""

from __future__ import annotations

from collections.abc import Iterable

from trafficd.sim.chooser import Choice, Machines, Piece
from trafficd.sim.cluster import Cluster, Engine
from trafficd.sim.machines import Prefill


def foresee(
    cluster: Cluster, machines: Machines, queues: dict[int, float], size: float, *, both: bool
) -> Choice:
    """The best engines and side by the real state; ``queues`` are bytes still to be read, by node; ``both`` allows the decode side."""
    waits = {m.engine: _wait(m) for m in machines.prefill}
    soonest = min(machines.prefill, key=lambda m: (waits[m.engine], m.engine.index)).engine
    idle = min(machines.decode, key=lambda m: (m.sequences, m.engine.index)).engine
    options: list[tuple[float, int, Choice]] = []
    for node in dict.fromkeys(m.engine.node for m in machines.prefill):
        mine = min((e for e in waits if e.node == node), key=lambda e: (waits[e], e.index))
        for nic in cluster.layout.index.readers[node]:
            end = max(_read_s(cluster, nic, queues, size), waits[mine])
            options.append((end, nic, Choice(mine, idle, (Piece(nic, size),))))
    for node in dict.fromkeys(m.engine.node for m in machines.decode) if both else ():
        mine = _least(
            m.engine for m in sorted(machines.decode, key=lambda m: m.sequences) if m.engine.node == node
        )
        for nic in cluster.layout.index.readers[node]:
            end = max(_read_s(cluster, nic, queues, size), waits[soonest])
            options.append((end, nic, Choice(soonest, mine, (Piece(nic, size, mine.nic, soonest.nic),))))
    end, _, choice = min(options, key=lambda o: o[:2])
    return Choice(choice.prefill, choice.decode, choice.pieces, expected_s=end)


def _least(engines: Iterable[Engine]) -> Engine:
    return next(iter(engines))


def _wait(machine: Prefill) -> float:
    """Seconds until the engine has done what it was given."""
    return machine.seconds


def _read_s(cluster: Cluster, nic: int, queues: dict[int, float], size: float) -> float:
    node = cluster.layout.nics[nic].node
    return (queues.get(node, 0.0) + size) / max(cluster.nics[nic].write.capacity, 1.0)
