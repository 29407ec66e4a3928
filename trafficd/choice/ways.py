"""What one read would cost on one side: the NICs it passes, the slowest of them, and the legs that say so."""

from __future__ import annotations

from typing import NamedTuple

from trafficd.choice.request import MOST_BYTES, Leg, Side
from trafficd.choice.roster import Known
from trafficd.choice.spread import fraction, near_ties, weighted
from trafficd.choice.view import Hop, Task

_NIC_DRAW, _HOP_DRAW = 1, 2


class Limit(NamedTuple):
    """The slowest element so far. ``rate`` is in bytes per second, ``queue`` in bytes ahead."""

    seconds: float
    name: str
    queue: float
    rate: float


class Way(NamedTuple):
    """One side for one pair of engines. ``nics`` are indexes, the reader's storage NIC first."""

    side: Side
    reader: str
    nics: tuple[int, ...]
    limit: Limit
    seconds: float


def nic_seconds(task: Task, nic: int) -> float:
    """Bytes ahead and our own, over the rate KV may use there."""
    account = task.view.accounts[nic]
    return (account.outstanding(task.now) + task.size) / account.available


def reader_nic(task: Task, known: Known) -> int | None:
    """The storage NIC of an engine's node that is soonest done; near-ties prefer its GPU's NIC, then the hash."""
    view = task.view
    nics = [i for i in view.index.readers[view.index.node_ids[known.ref.node]] if _readable(task, i)]
    if len(nics) <= 1:
        return nics[0] if nics else None
    seconds = [nic_seconds(task, i) for i in nics]
    near = [nics[k] for k in near_ties(seconds)]
    gpu = known.engine.gpu
    paired = [i for i in near if gpu is not None and view.layout.nics[i].gpu == gpu] or near
    if len(paired) == 1:
        return paired[0]
    return paired[weighted([view.accounts[i].available for i in paired], fraction(task.key, _NIC_DRAW))]


def _readable(task: Task, nic: int) -> bool:
    """Up, and every part of the source reaches it."""
    view = task.view
    if not view.states[nic].up:
        return False
    for source, _, servers in task.parts:  # noqa: SIM110 - a generator costs more than the look-up it makes
        if view.serve(nic, source, servers) is None:
            return False
    return True


def read_seconds(task: Task, known: Known) -> float | None:
    """Seconds to read everything on this engine's node; None when it cannot."""
    nic = reader_nic(task, known)
    return None if nic is None else _read_limit(task, nic).seconds


def prefill_way(task: Task, prefill: Known) -> Way | None:
    """Read by the prefill engine's node."""
    nic = reader_nic(task, prefill)
    if nic is None:
        return None
    limit = _read_limit(task, nic)
    return Way(Side.PREFILL, prefill.ref.node, (nic,), limit, limit.seconds)


def decode_way(task: Task, prefill: Known, decode: Known) -> Way | None:
    """Read by the decode engine's node, then to the prefill engine's GPU over the compute network."""
    if decode.ref.node == prefill.ref.node:
        return None
    nic = reader_nic(task, decode)
    hop = None if nic is None else _best_hop(task, prefill, decode)
    if nic is None or hop is None:
        return None
    limit = max(_read_limit(task, nic), *_hop_limits(task, hop), key=_seconds)
    return Way(Side.DECODE, decode.ref.node, (nic, hop.out, hop.into), limit, limit.seconds)


def _seconds(limit: Limit) -> float:
    return limit.seconds


def _nic_limit(task: Task, nic: int) -> Limit:
    account = task.view.accounts[nic]
    queue = account.outstanding(task.now)
    rate = account.available
    return Limit((queue + task.size) / rate, f"nic:{account.nic}", queue, rate)


def _read_limit(task: Task, nic: int) -> Limit:
    """The slowest of the reading NIC, the sources and the links between."""
    limit = _nic_limit(task, nic)
    for source, size, servers in task.parts:
        serving = task.view.serve(nic, source, servers)
        if serving is not None:
            if size / serving.rate > limit.seconds:
                limit = Limit(size / serving.rate, serving.name, 0.0, serving.rate)
            if size / serving.link_rate > limit.seconds:
                limit = Limit(size / serving.link_rate, serving.link, 0.0, serving.link_rate)
    return limit


def _hop_limits(task: Task, hop: Hop) -> tuple[Limit, Limit, Limit]:
    link = Limit(task.size / hop.link_rate, hop.link, 0.0, hop.link_rate)
    return _nic_limit(task, hop.out), _nic_limit(task, hop.into), link


def _best_hop(task: Task, prefill: Known, decode: Known) -> Hop | None:
    ids = task.view.index.node_ids
    hops = task.view.ways(ids[decode.ref.node], ids[prefill.ref.node], prefill.engine.gpu)
    if len(hops) <= 1:
        return hops[0] if hops else None
    seconds = [
        max(nic_seconds(task, h.out), nic_seconds(task, h.into), task.size / h.link_rate) for h in hops
    ]
    near = [hops[k] for k in near_ties(seconds)]
    if len(near) == 1:
        return near[0]
    return near[weighted([1.0] * len(near), fraction(task.key, _HOP_DRAW))]


def legs_of(task: Task, way: Way) -> tuple[Leg, ...]:
    """One leg per part of the source: the parts of a read lie where they lie, all take the same way."""
    view = task.view
    names = tuple(view.index.nic_names[i] for i in way.nics)
    nic = view.layout.nics[way.nics[0]]
    traffic_class, lane = view.lanes.get((task.request.intent, nic.link_layer), ("", nic.kv_lane_id))
    limit = way.limit
    parts = task.parts or (("pool:", task.size, ()),)
    legs = [
        Leg(
            way.side,
            way.reader,
            "" if source.startswith("pool:") else source.removeprefix("node:"),
            names,
            size,
            way.seconds,
            limit.name,
            int(min(limit.queue, MOST_BYTES)),
            int(limit.rate * 8),
            lane,
            traffic_class,
        )
        for source, size, _ in parts
    ]
    return tuple(legs)
