"""What one read would cost on one side: the resources it loads, the slowest of them, and the legs that say so.

A way loads a vector of resources: the reading node's storage NIC, compute NICs (with their loopback on the PCIe side
where the policy says that runtimes copy through them), sources and links. Per byte read, DualPath section 4.2:

=======================  ===============================  ==============================
                         read by the prefill node         read by the decode node
=======================  ===============================  ==============================
prefill GPU's NIC        sends 2 (loopback, to the        receives 1
                         decode node), receives 1
decode node's NIC        -                                sends 1
decode GPU's NIC         receives 1                       -
=======================  ===============================  ==============================

What the decode node loads from its buffer into HBM comes after the first token and is no part of the read.

Without copies through compute NICs only the transfer of the decode side remains. NICs are full duplex: what counts is
the busier direction. A resource takes (bytes ahead + own bytes) / (rate that KV may use there) seconds; the largest is
the way's, and its resource the bottleneck.
"""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from trafficd.choice.account import Account
from trafficd.choice.request import MOST_BYTES, Leg, Side
from trafficd.choice.roster import Known
from trafficd.choice.spread import fraction, near_ties, weighted
from trafficd.choice.view import MOST_REMEMBERED, Hop, Reader, Task, View

_NIC_DRAW, _HOP_DRAW = 1, 2
Load = tuple[Account, float]
"""A resource and the bytes moved there per byte read."""
Copies = tuple[tuple[Account, float, float], ...]
"""A GPU's NIC with the bytes it sends and receives per byte read."""
NO_COPIES: Copies = ()


class Limit(NamedTuple):
    """The slowest element so far. ``rate`` is in bytes per second, ``queue`` in bytes ahead."""

    seconds: float
    name: str
    queue: float
    rate: float


class Way(NamedTuple):
    """One side for one pair of engines. ``nics`` are indexes, the reader's storage NIC first, in the order the bytes
    pass; ``loads`` are all resources with a queue; ``per_byte`` and ``fixed`` the slowest of those without.
    The first ``stored`` loads work at the same time; the others begin when the read lies in a buffer. ``seconds`` is
    until all are done; ``limit`` is the slowest resource alone.
    """

    side: Side
    reader: str
    nics: tuple[int, ...]
    loads: tuple[Load, ...]
    per_byte: float
    fixed: str
    limit: Limit
    seconds: float
    stored: int
    both: tuple[tuple[float, float], ...] = ()
    """Parallel to ``loads``: bytes sent and received there per byte read; empty: all one way."""
    relay: bool = False


def nic_seconds(task: Task, account: Account, weight: float = 1.0) -> float:
    """Bytes ahead and our own, over the rate KV may use there."""
    return (account.outstanding(task.now) + task.size * weight) / account.available


def readers_of(task: Task, node: int) -> tuple[Reader, ...]:
    """The node's storage NICs that are up and reach every part of the source. Remembered for a source in one place."""
    view, parts = task.view, task.parts
    if len(parts) > 1:
        return _readers(task, node)
    key = (node, parts[0][0] if parts else "")
    found = view.readers.get(key)
    if found is None:
        if len(view.readers) > MOST_REMEMBERED:
            view.readers.clear()
        found = view.readers[key] = _readers(task, node)
    return found


def _readers(task: Task, node: int) -> tuple[Reader, ...]:
    view = task.view
    found = (_reader(task, i) for i in view.index.readers[node] if view.states[i].up)
    return tuple(r for r in found if r is not None)


def _reader(task: Task, nic: int) -> Reader | None:
    view, slowest, limit = task.view, 0.0, ""
    for source, size, servers in task.parts:
        serving = view.serve(nic, source, servers)
        if serving is None:
            return None
        share = size / task.size if len(task.parts) > 1 and task.size else 1.0
        for rate, name in ((serving.rate, serving.name), (serving.link_rate, serving.link)):
            if share / rate > slowest:
                slowest, limit = share / rate, name
    return Reader(nic, view.accounts[nic], slowest, limit)


def reader_of(task: Task, known: Known) -> Reader | None:
    """The storage NIC of an engine's node that is soonest done; near-ties prefer its GPU's NIC, then the hash."""
    readers = readers_of(task, task.view.index.node_ids[known.ref.node])
    if len(readers) <= 1:
        return readers[0] if readers else None
    near = [readers[k] for k in near_ties([nic_seconds(task, r.account) for r in readers])]
    gpu, nics = known.engine.gpu, task.view.layout.nics
    paired = [r for r in near if gpu is not None and nics[r.nic].gpu == gpu] or near
    if len(paired) == 1:
        return paired[0]
    return paired[weighted([r.account.available for r in paired], fraction(task.key, _NIC_DRAW))]


def read_seconds(task: Task, known: Known) -> float | None:
    """Seconds to read everything on this engine's node; None when it cannot."""
    reader = reader_of(task, known)
    return None if reader is None else max(nic_seconds(task, reader.account), reader.per_byte * task.size)


def prefill_way(task: Task, prefill: Known, decode: Known | None) -> Way | None:
    """Read by the prefill engine's node."""
    reader = reader_of(task, prefill)
    if reader is None:
        return None
    node = prefill.ref.node
    if not task.view.snapshot.settings.through_compute_nics:
        limit = _reading(task, reader)
        return Way(
            Side.PREFILL,
            node,
            (reader.nic,),
            ((reader.account, 1.0),),
            reader.per_byte,
            reader.limit,
            limit,
            limit[0],
            1,
        )
    own = _copies(task.view, ((prefill, 2.0, 1.0), (decode, 0.0, 1.0)))
    return None if own is None else made(task, (Side.PREFILL, node), reader, (), own)


def decode_way(task: Task, prefill: Known, decode: Known) -> Way | None:
    """Read by the decode engine's node, then to the prefill engine's GPU over the compute network."""
    node = decode.ref.node
    if node == prefill.ref.node:
        return None
    reader = reader_of(task, decode)
    hop = None if reader is None else best_hop(task, prefill, node)
    if reader is None or hop is None:
        return None
    return made(task, (Side.DECODE, node), reader, (hop,), NO_COPIES)


def made(task: Task, where: tuple[Side, str], reader: Reader, hops: tuple[Hop, ...], own: Copies) -> Way:
    """A way by its parts, with its slowest resource."""
    accounts = task.view.accounts
    moved = {reader.account: [0.0, 1.0]}
    nics, per_byte, fixed = [reader.nic], reader.per_byte, reader.limit
    for hop in hops:
        nics += (hop.out, hop.into)
        moved.setdefault(accounts[hop.out], [0.0, 0.0])[0] += 1.0
        moved.setdefault(accounts[hop.into], [0.0, 0.0])[1] += 1.0
        if 1 / hop.link_rate > per_byte:
            per_byte, fixed = 1 / hop.link_rate, hop.link
    for account, sent, received in own:
        row = moved.setdefault(account, [0.0, 0.0])
        row[0] += sent
        row[1] += received
    both = tuple([(sent, received) for sent, received in moved.values()])
    loads = tuple([(account, max(row)) for account, row in zip(moved, both, strict=True)])
    limit = slowest(task, loads, (per_byte, fixed), task.size)
    seconds = limit.seconds
    stored = len(loads)
    if task.view.settings.through_compute_nics:
        stored = 1
        seconds = max(
            (loads[0][0].outstanding(task.now) + task.size) / loads[0][0].available, per_byte * task.size
        )
        copies = slowest(task, loads[1:], (0.0, ""), task.size).seconds
        seconds += max(0.0, copies - task.view.feedback.computing_s)
    return Way(*where, tuple(nics), loads, per_byte, fixed, limit, seconds, stored, both, len(hops) > 1)


def slowest(task: Task, loads: tuple[Load, ...], fixed: tuple[float, str], size: float) -> Limit:
    """The resource that is last done with ``size`` bytes of the read."""
    now, limit = task.now, Limit(0.0, "", 0.0, 1.0)
    for account, weight in loads:
        queue, rate = account.outstanding(now), account.available
        seconds = (queue + size * weight) / rate
        if seconds > limit.seconds or not limit.name:
            limit = Limit(seconds, account.name, queue, rate / weight)
    per_byte, name = fixed
    return Limit(size * per_byte, name, 0.0, 1 / per_byte) if size * per_byte > limit.seconds else limit


def _reading(task: Task, reader: Reader) -> Limit:
    """As ``slowest`` for a way that loads nothing but its reader."""
    account, size = reader.account, task.size
    queue, rate = account.outstanding(task.now), account.available
    seconds = (queue + size) / rate
    if size * reader.per_byte > seconds:
        return Limit(size * reader.per_byte, reader.limit, 0.0, 1 / reader.per_byte)
    return Limit(seconds, account.name, queue, rate)


def _copies(view: View, engines: tuple[tuple[Known | None, float, float], ...]) -> Copies | None:
    """Loads of the GPUs' own NICs; None when one of them has none that is up."""
    found: list[tuple[Account, float, float]] = []
    for known, sent, received in engines:
        if known is not None:
            nic = view.own_nic(known)
            if nic is None:
                return None
            found.append((view.accounts[nic], sent, received))
    return tuple(found)


def best_hop(task: Task, prefill: Known, start: str) -> Hop | None:
    """From a node to the prefill engine's GPU: the soonest pair of NICs, near-ties by the hash."""
    ids, accounts = task.view.index.node_ids, task.view.accounts
    hops = task.view.ways(ids[start], ids[prefill.ref.node], prefill.engine.gpu)
    if len(hops) <= 1:
        return hops[0] if hops else None
    seconds = [
        max(nic_seconds(task, accounts[h.out]), nic_seconds(task, accounts[h.into]), task.size / h.link_rate)
        for h in hops
    ]
    near = [hops[k] for k in near_ties(seconds)]
    if len(near) == 1:
        return near[0]
    return near[weighted([1.0] * len(near), fraction(task.key, _HOP_DRAW))]


def legs_of(task: Task, way: Way, size: int, taken: tuple[float, Limit]) -> tuple[Leg, ...]:
    """One leg per part of the source: the parts of a read lie where they lie, all take the same way."""
    view = task.view
    seconds, limit = taken
    index, first = view.index.nic_names, way.nics[0]
    names = (index[first],) if len(way.nics) == 1 else tuple([index[i] for i in way.nics])
    nic = view.layout.nics[first]
    traffic_class, lane = view.lanes.get((task.request.intent, nic.link_layer)) or ("", nic.kv_lane_id)
    loads: tuple[tuple[str, float], ...] = ()
    if len(way.loads) > 1:
        loads = tuple([(a.nic, w) for a, w in way.loads])
        if len(loads) == len(names) and all(w == 1.0 for _, w in loads):
            loads = ()
    queue = int(limit.queue) if limit.queue < MOST_BYTES else MOST_BYTES
    said = seconds, limit.name, queue, int(limit.rate * 8), lane, traffic_class, loads
    if len(task.parts) <= 1:
        source = task.parts[0][0] if task.parts else "pool:"
        source = "" if source[:5] == "pool:" else source[5:]
        return (Leg(way.side, way.reader, source, names, size, *said),)
    return tuple(
        [Leg(way.side, way.reader, source, names, part, *said) for source, part in sources_of(task, size)]
    )


def sources_of(task: Task, size: int) -> list[tuple[str, int]]:
    """(node, bytes) of ``size`` bytes of a read that lies on several nodes; in the proportions of the whole."""
    if size == task.size:
        return [(source[5:], part) for source, part, _ in task.parts]
    ends, total, found, before = 0, max(task.size, 1), [], 0
    for source, part, _ in task.parts:
        ends += part
        until = size * ends // total
        found.append((source[5:], until - before))
        before = until
    return found


by_seconds = itemgetter(7)
"""Key of a way: its seconds."""
