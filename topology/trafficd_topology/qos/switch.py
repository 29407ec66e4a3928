"""What the switch beside a RoCE port must do, and what it does: host settings are half of a lane.

A switch names its classes as it likes; what counts is what becomes of a packet. So a policy is compared by DSCP: is it
lossless there and here, does it wait in a queue of its own, with what share, is it marked when the queue grows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from trafficd_topology.qos.dcb import PRIORITIES, DcbEts
from trafficd_topology.qos.roce import (
    RoceLane,
    default_of,
    dscp_priorities,
    lossless_priorities,
    priority_tcs,
)

POINTS = 1.0
"""Weights agree when a lane's part is as far off, in points of a hundred: whole numbers on both sides."""
DIGEST_CHARS = 12
_IDENTITY = tuple(range(PRIORITIES))


@dataclass(frozen=True, slots=True)
class SwitchQueue:
    """One egress queue; None is what the switch's configuration does not say. ``weight`` 0 for a strict queue."""

    strict: bool | None = None
    weight: int | None = None
    ecn: bool = False


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """How one port of a switch treats packets. Tuples are by DSCP (64), traffic class, PFC priority and queue (8 each).

    ``problems``: sentences on what could not be told.
    """

    name: str
    alias: str = ""
    dscp_tc: tuple[int, ...] | None = None
    tc_queue: tuple[int, ...] | None = None
    tc_group: tuple[int, ...] | None = None
    pfc_queue: tuple[int, ...] = _IDENTITY
    pfc: tuple[int, ...] | None = None
    watchdog: tuple[int, ...] = ()
    queues: tuple[SwitchQueue, ...] = (SwitchQueue(),) * PRIORITIES
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerDcb:
    """What a switch port announces by DCBX (802.1Q annex D); None is what it does not announce.

    ``dscps``: (DSCP, priority) pairs of its application table. ``willing``: it takes the host's settings over its own.
    """

    chassis: str
    port: str
    interface: str
    pfc: tuple[int, ...] | None = None
    ets: DcbEts | None = None
    dscps: tuple[tuple[int, int], ...] = ()
    willing: bool = False


def _needs(arranged: Sequence[RoceLane]) -> Iterator[str]:
    yield "dscp " + ",".join(map(str, dscp_priorities(arranged)))
    yield "pfc " + ",".join(map(str, lossless_priorities(arranged)))
    for x in sorted(arranged, key=lambda x: x.priority):
        yield f"{x.priority} {'strict' if x.strict else x.percent} {'ecn' if x.ecn else ''}".rstrip()


def switch_digest(arranged: Sequence[RoceLane]) -> str:
    """12 hex digits of SHA-256 over what a switch must do for these lanes: what an agreement is about."""
    text = "\n".join(_needs(arranged))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARS]


def compare_switch(arranged: Sequence[RoceLane], port: SwitchPort) -> tuple[str, ...]:
    """What differs, a sentence each; empty where the port agrees."""
    if missing := tuple(_unsaid(port)):
        return (*port.problems, *missing)
    seen = _Seen(port)
    return (
        *port.problems,
        *_lossless(arranged, port, seen),
        *_strays(arranged, seen),
        *_shared(arranged, seen),
        *_scheduling(arranged, port, seen),
        *_marking(arranged, port, seen),
        *_watchdog(arranged, port),
    )


def _unsaid(port: SwitchPort) -> Iterator[str]:
    for value, what in (
        (port.dscp_tc, "dscp_to_tc_map"),
        (port.tc_queue, "tc_to_queue_map"),
        (port.tc_group, "tc_to_pg_map"),
        (port.pfc, "pfc_enable"),
    ):
        if value is None:
            yield f"nothing says its {what}: set one in PORT_QOS_MAP"


class _Seen:
    """Where a code point ends up on a port that says everything."""

    def __init__(self, port: SwitchPort) -> None:
        self.dscp_tc = port.dscp_tc or ()
        self.tc_queue = port.tc_queue or ()
        self.tc_group = port.tc_group or ()
        self.pfc = frozenset(port.pfc or ())

    def queue(self, dscp: int) -> int:
        return self.tc_queue[self.dscp_tc[dscp]]

    def group(self, dscp: int) -> int:
        return self.tc_group[self.dscp_tc[dscp]]

    def lossless(self, dscp: int) -> bool:
        return self.group(dscp) in self.pfc


def _numbers(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(values)))) or "none"


def _lossless(arranged: Sequence[RoceLane], port: SwitchPort, seen: _Seen) -> Iterator[str]:
    here = lossless_priorities(arranged)
    if tuple(sorted(seen.pfc)) != here:
        yield f"PFC is on for priorities {_numbers(seen.pfc)} there and for {_numbers(here)} here"
    for x in (x for x in arranged if x.lossless):
        for dscp in x.dscps:
            group, queue = seen.group(dscp), seen.queue(dscp)
            if group != x.priority or group not in seen.pfc:
                yield (
                    f"DSCP {dscp} of lossless lane {x.name} is in priority group {group} there: map it to a class "
                    f"of group {x.priority}, with PFC"
                )
            elif port.pfc_queue[x.priority] != queue:
                yield f"pauses of priority {x.priority} stop queue {port.pfc_queue[x.priority]} there, and DSCP {dscp} waits in queue {queue}"


def _strays(arranged: Sequence[RoceLane], seen: _Seen) -> Iterator[str]:
    """Lossy here and lossless there: TCP would fill the headroom of RDMA."""
    mine = {d for x in arranged if x.lossless for d in x.dscps}
    stray = [d for d in range(len(seen.dscp_tc)) if d not in mine and seen.lossless(d)]
    if stray:
        yield f"lossless there and lossy here: DSCP {_numbers(stray)}; map to a class without PFC"


def _queue_of(x: RoceLane, seen: _Seen) -> int:
    """A lane without a DSCP of its own is where unclaimed ones go: DSCP 0."""
    return seen.queue(x.dscps[0] if x.dscps else 0)


def _shared(arranged: Sequence[RoceLane], seen: _Seen) -> Iterator[str]:
    owners: dict[int, str] = {}
    for x in arranged:
        for queue in sorted({seen.queue(d) for d in x.dscps} or {_queue_of(x, seen)}):
            other = owners.setdefault(queue, x.name)
            if other != x.name:
                yield f"lanes {other} and {x.name} wait in one queue there ({queue}): map their DSCPs to classes of their own"


def _scheduling(arranged: Sequence[RoceLane], port: SwitchPort, seen: _Seen) -> Iterator[str]:
    queues = {x.name: port.queues[_queue_of(x, seen)] for x in arranged}
    weights = {n: q.weight for n, q in queues.items() if q.weight}
    total = sum(w for w in weights.values() if w)
    for x in arranged:
        queue, number = queues[x.name], _queue_of(x, seen)
        if queue.strict is None:
            yield f"queue {number} (lane {x.name}) has no scheduler there: give it one"
        elif queue.strict != x.strict:
            yield f"lane {x.name} is {'strict' if queue.strict else 'weighted'} there (queue {number}) and {'strict' if x.strict else 'weighted'} here"
        elif not x.strict and abs((queue.weight or 0) * 100 / (total or 1) - x.percent) > POINTS:
            part = (queue.weight or 0) * 100 / (total or 1)
            yield f"lane {x.name} has {part:.3g} % of the weights there (queue {number}) and {x.percent} % here"


def _marking(arranged: Sequence[RoceLane], port: SwitchPort, seen: _Seen) -> Iterator[str]:
    for x in (x for x in arranged if x.ecn and x is not default_of(arranged)):
        number = _queue_of(x, seen)
        if not port.queues[number].ecn:
            yield f"queue {number} (lane {x.name}) marks no packets: give it a WRED profile with ECN"


def _watchdog(arranged: Sequence[RoceLane], port: SwitchPort) -> Iterator[str]:
    lacking = [p for p in lossless_priorities(arranged) if p not in port.watchdog]
    if lacking:
        yield f"no PFC watchdog guards priorities {_numbers(lacking)}: turn pfcwd on, or one stuck host stops the fabric"


UNSAID_BY_DCBX = (
    "DCBX says nothing of ECN marking, of the watchdog and of buffers: look at them on the switch"
)


def compare_peer(arranged: Sequence[RoceLane], peer: PeerDcb) -> tuple[str, ...]:
    """What a peer announces against what the host will hold, a sentence each; empty where it agrees."""
    out = []
    here = lossless_priorities(arranged)
    if peer.pfc is None and peer.ets is None:
        return ("it announces neither PFC nor ETS: turn DCBX on there, or use its configuration instead",)
    if peer.pfc is not None and peer.pfc != here:
        out.append(f"PFC is on for priorities {_numbers(peer.pfc)} there and for {_numbers(here)} here")
    if peer.ets is not None:
        out += _peer_ets(arranged, peer.ets)
    expected = dscp_priorities(arranged)
    for dscp, priority in peer.dscps:
        if expected[dscp] != priority:
            out.append(f"DSCP {dscp} is priority {priority} there and {expected[dscp]} here")
    return tuple(out)


def _peer_ets(arranged: Sequence[RoceLane], ets: DcbEts) -> Iterator[str]:
    """TC numbers may differ; which lanes share a TC, and what each gets, may not."""
    by_priority = {x.priority: x for x in arranged}
    mine = priority_tcs(arranged)
    for x in arranged:
        tc = ets.prio_tc[x.priority]
        others = [p for p, t in enumerate(ets.prio_tc) if t == tc and mine[p] != x.tc and p in by_priority]
        if others:
            names = ", ".join(by_priority[p].name for p in others)
            yield f"lane {x.name} shares a traffic class there with {names}"
        strict = ets.tsa[tc] == "strict"
        if strict != x.strict:
            yield f"lane {x.name} is {'strict' if strict else 'weighted'} there and {'strict' if x.strict else 'weighted'} here"
        elif not strict and abs(ets.percent[tc] - x.percent) > POINTS:
            yield f"lane {x.name} has {ets.percent[tc]} % there and {x.percent} % here"
