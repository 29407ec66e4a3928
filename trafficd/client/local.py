"""What a client knows and decides by itself: no sockets, no threads, no clock. The clients around it do the talking.

Three steps down when the controller does not answer: the same choice as the controller's, on the last snapshot and
our own reservations; when that snapshot's telemetry is too old, sides in proportion to their rates; without any
snapshot, the prefill side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from trafficd.choice.engine import PathEngine
from trafficd.choice.ledger import bounded_ttl
from trafficd.choice.request import (
    Answer,
    EngineRef,
    EngineReport,
    Fallback,
    FallbackReason,
    ItemProblem,
    Lease,
    Leg,
    LegBytes,
    Plan,
    Request,
    Reservation,
    Side,
    reservation_of,
)
from trafficd.choice.snapshot import Marking, Snapshot
from trafficd.choice.spread import fraction

RETRY_S = 1.0
_TELEMETRY = (FallbackReason.NO_TELEMETRY, FallbackReason.STALE_TELEMETRY)
_ENGINE_DRAW = 9


@dataclass(frozen=True, slots=True)
class Settings:
    """How a client behaves.

    ``watch_interval_s``: shortest time between two snapshots; 0 leaves it to the controller. ``auto_renew``: renew
    leases until they are released, for at most ``lease_limit_s``, so that a lost release does not hold for ever.
    """

    watch_interval_s: float = 0.0
    auto_renew: bool = True
    lease_limit_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Order:
    """Something to tell the controller about a lease: renew it (with all of it), or release it."""

    lease_id: str
    reservation: Reservation | None


@dataclass(slots=True)
class _Kept:
    """A lease we look after. ``due`` is when to renew it, ``until`` when to stop doing so.

    Renewals state all of it: how much has moved is for the controller, who measures, to reckon.
    """

    reservation: Reservation
    due: float
    until: float


@dataclass(slots=True)
class _Release:
    """A release the controller has not heard of: when to tell it, and when the lease ends there by itself."""

    due: float
    until: float


class Local:
    """Not thread-safe: its client calls it under a lock, or from one event loop."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._engine = PathEngine(name)
        self._settings = settings
        self._kept: dict[str, _Kept] = {}
        self._releases: dict[str, _Release] = {}
        self._agenda: list[tuple[float, str]] = []
        """A heap of when to look at which lease. What was rescheduled meanwhile is dropped when its time comes."""
        self._reports: dict[EngineRef, EngineReport] = {}

    @property
    def snapshot(self) -> Snapshot | None:
        return self._engine.snapshot

    def take(self, snapshot: Snapshot, now: float, *, first: bool) -> None:
        """A snapshot came. ``first`` of a stream: it may be a controller that knows none of our leases."""
        self._engine.follow(snapshot, now)
        if first:
            for lease_id, kept in self._kept.items():
                self._schedule(lease_id, kept, now)

    def choose(self, request: Request, now: float, why: str) -> Answer:
        """Answer by ourselves. ``why``: what kept the controller from it; empty when it was not asked."""
        if self._engine.snapshot is None:
            return _static(request, why)
        answer = self._engine.recommend(request, now)
        if answer.lease is not None:
            self._keep(answer.lease.id, request, answer, now, announce=True)
        return _explained(answer, why) if why else answer

    def accept(self, request: Request, answer: Answer, now: float) -> None:
        """The controller answered: its reservation counts here too until a snapshot shows it."""
        if answer.lease is not None and answer.plans:
            reservation = reservation_of(answer.plans[0], request.id, answer.lease.ttl_s)
            self._engine.ledger.renew(answer.lease.id, reservation, now)
            self._keep(answer.lease.id, request, answer, now, announce=False)

    def reserve(self, reservation: Reservation, now: float) -> tuple[Lease, tuple[ItemProblem, ...]]:
        """A reservation of our own making; the controller hears of it with the next orders."""
        reservation = replace(reservation, ttl_s=bounded_ttl(reservation.ttl_s))
        lease, problems = self._engine.reserve(reservation, now)
        kept = self._kept[lease.id] = _Kept(reservation, now, now + self._limit(reservation.ttl_s))
        self._schedule(lease.id, kept, now)
        return lease, problems

    def restate(self, lease_id: str, legs: Iterable[LegBytes], now: float) -> bool:
        """What is left of a lease now; False for one that is not ours (any more)."""
        kept = self._kept.get(lease_id)
        if kept is None:
            return False
        kept.reservation = replace(kept.reservation, legs=tuple(legs))
        self._engine.renew(lease_id, kept.reservation, now)
        self._schedule(lease_id, kept, now)
        return True

    def release(self, lease_id: str, now: float) -> bool:
        """End a lease here at once and there with the next orders; False for one that is not ours (any more)."""
        kept = self._kept.pop(lease_id, None)
        self._engine.release(lease_id, now)
        if kept is not None:
            self._releases[lease_id] = _Release(now, now + kept.reservation.ttl_s)
            heappush(self._agenda, (now, lease_id))
        return kept is not None

    def orders(self, now: float) -> list[Order]:
        """What to tell the controller now. Each comes again after ``RETRY_S`` unless ``told`` says it got there."""
        found: list[Order] = []
        while self._agenda and self._agenda[0][0] <= now:
            due, lease_id = heappop(self._agenda)
            kept, release = self._kept.get(lease_id), self._releases.get(lease_id)
            if kept is not None and now >= kept.until:
                del self._kept[lease_id]
            elif kept is not None and kept.due == due:
                found.append(self._renew_order(lease_id, kept, now))
            elif release is not None and release.due == due:
                found.append(self._release_order(lease_id, release, now))
        return found

    def next_order(self) -> float | None:
        """When there may be something to tell next; None while nothing is planned."""
        return self._agenda[0][0] if self._agenda else None

    def told(self, order: Order, ttl_s: float, now: float) -> None:
        """The controller has it; a renewal lasts ``ttl_s`` from now."""
        if order.reservation is None:
            self._releases.pop(order.lease_id, None)
        elif order.lease_id in self._kept:
            kept = self._kept[order.lease_id]
            self._schedule(order.lease_id, kept, now + ttl_s / 3 if self._settings.auto_renew else kept.until)

    def report(self, reports: Iterable[EngineReport]) -> None:
        """Remember the newest of each engine, to be told again to a controller that knows nothing."""
        for report in reports:
            self._reports[report.engine] = report

    def reports(self) -> list[EngineReport]:
        """The newest report of every engine; those of engines that are gone are told once."""
        found = list(self._reports.values())
        self._reports = {ref: r for ref, r in self._reports.items() if not r.gone}
        return found

    def marking(self, traffic_class: str, link_layer: int) -> Marking | None:
        """How to mark a class on a link layer; None while no snapshot says."""
        markings = self._engine.snapshot.markings if self._engine.snapshot is not None else ()
        wanted = (m for m in markings if m.traffic_class == traffic_class and m.link_layer == link_layer)
        return next(wanted, None)

    def _keep(self, lease_id: str, request: Request, answer: Answer, now: float, *, announce: bool) -> None:
        assert answer.lease is not None
        ttl = answer.lease.ttl_s
        due = now if announce else now + ttl / 3
        until = now + self._limit(ttl)
        if not announce and not self._settings.auto_renew:
            due = until
        kept = self._kept[lease_id] = _Kept(reservation_of(answer.plans[0], request.id, ttl), due, until)
        self._schedule(lease_id, kept, due)

    def _schedule(self, lease_id: str, kept: _Kept, due: float) -> None:
        kept.due = min(due, kept.until)
        heappush(self._agenda, (kept.due, lease_id))

    def _limit(self, ttl_s: float) -> float:
        return max(ttl_s, self._settings.lease_limit_s) if self._settings.auto_renew else ttl_s

    def _release_order(self, lease_id: str, release: _Release, now: float) -> Order:
        """Tried again until the lease must have ended by itself."""
        release.due = now + RETRY_S
        if release.due < release.until:
            heappush(self._agenda, (release.due, lease_id))
        else:
            del self._releases[lease_id]
        return Order(lease_id, None)

    def _renew_order(self, lease_id: str, kept: _Kept, now: float) -> Order:
        self._engine.ledger.renew(lease_id, kept.reservation, now)
        self._schedule(lease_id, kept, now + RETRY_S)
        return Order(lease_id, kept.reservation)


def _explained(answer: Answer, why: str) -> Answer:
    """Name the step down: what the choice itself lacked makes it a static one."""
    reason, detail = FallbackReason.LOCAL, why
    if answer.fallback is not None:
        detail = f"{why}; {answer.fallback.detail}"
        if answer.fallback.reason in _TELEMETRY:
            reason = FallbackReason.STATIC
    return answer._replace(fallback=Fallback(reason, detail))


def _static(request: Request, why: str) -> Answer:
    """Knowing nothing: the prefill side, or the decode side where the caller can do no other."""
    side, readers = Side.PREFILL, request.prefill
    if request.abilities.no_prefill_side:
        side, readers = Side.DECODE, request.decode
    detail = "; ".join(filter(None, [why, f"no snapshot was received yet: the {side.name.lower()} side"]))
    fallback = Fallback(FallbackReason.STATIC, detail)
    if not readers:
        return Answer((), fallback=fallback)
    draw = fraction(request.id, _ENGINE_DRAW)
    reader = readers[int(draw * len(readers))]
    prefill = reader if side is Side.PREFILL else _any(request.prefill, draw)
    decode = reader if side is Side.DECODE else _any(request.decode, draw)
    size = request.bytes or sum(n.bytes for n in request.source.nodes)
    parts = request.source.nodes or (("", size),)
    legs = tuple(Leg(side, reader.node, node, (), held or size, 0.0, "", 0, 0, 0, "") for node, held in parts)
    return Answer((Plan(prefill, decode, legs, 0.0, 1.0),), fallback=fallback)


def _any(refs: tuple[EngineRef, ...], draw: float) -> EngineRef | None:
    return refs[int(draw * len(refs))] if refs else None
