"""Reservations: leases over bytes on NICs. In memory only; renewals carry the whole lease, so a restart heals.

A lease ends by release or at its deadline and returns what is left of its bytes. A request id has at most one lease:
reserving it again answers with the lease there is, and taking one in under another lease id replaces it. So neither a
repeated call nor a caller that timed out and chose by itself counts twice.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

from trafficd.choice.account import Account, Shares
from trafficd.choice.feedback import Trial
from trafficd.choice.request import MOST_BYTES, Answer, Lease, LegBytes, Reservation
from trafficd.choice.roster import Known

MAX_TTL_S = 600.0
DEFAULT_TTL_S = 30.0
MIN_TTL_S = 0.001


@dataclass(slots=True)
class Held:
    """A live lease. ``answer`` is what the caller was told with it, for when it asks again."""

    id: str
    request_id: str
    ends: float
    parts: list[Shares]
    answer: Answer | None = None
    since: float = 0.0
    read_at: float = 0.0
    """When its bytes had all come; 0 while they have not."""
    trials: tuple[Trial, ...] = ()
    """For what its end says about predictions; empty when it says nothing."""
    size: int = 0
    """Bytes of the read; 0 where only its loads are known."""

    engines: tuple[Known, ...] = ()
    ahead: int = 0
    """Leases that its prefill engine had already."""

    def serve(self, engines: tuple[Known, ...]) -> None:
        """Made for these engines: they count it until it ends."""
        self.engines, self.ahead = engines, engines[0].live if engines else 0
        for known in engines:
            known.live += 1

    def carry(self, before: Held) -> None:
        """Go on from a lease that is restated."""
        self.answer, self.since, self.trials = before.answer, before.since, before.trials
        self.size, self.read_at = before.size, before.read_at
        self.serve(before.engines)
        self.ahead = before.ahead


def bounded_ttl(ttl_s: float) -> float:
    """Zero or less leaves it to us; none outlives ``MAX_TTL_S``."""
    return min(max(ttl_s, MIN_TTL_S), MAX_TTL_S) if ttl_s > 0 else DEFAULT_TTL_S


def _at_most(reservation: Reservation, left: tuple[LegBytes, ...]) -> Reservation:
    """The reservation, with no more on a NIC than is left there; a NIC that is new keeps what is stated."""
    limits: dict[str, int] = {}
    for nic, size in left:
        limits[nic] = limits.get(nic, 0) + size
    legs: list[LegBytes] = []
    for nic, size in reservation.legs:
        allowed = min(size, limits.get(nic, size))
        if nic in limits:
            limits[nic] -= allowed
        legs.append(LegBytes(nic, allowed))
    return replace(reservation, legs=tuple(legs))


class Ledger:
    """All leases and the account of every NIC. ``name`` makes lease ids of two ledgers differ."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._serial = 0
        self._accounts: dict[str, Account] = {}
        self._leases: dict[str, Held] = {}
        self._by_request: dict[str, Held] = {}
        self._deadlines: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._leases)

    def account(self, nic: str) -> Account:
        """The account of ``node/nic``, made when it is first asked for."""
        found = self._accounts.get(nic)
        if found is None:
            found = self._accounts[nic] = Account(nic)
        return found

    def held(self, request_id: str) -> Held | None:
        """The live lease of a request id; an empty id never has one."""
        return self._by_request.get(request_id) if request_id else None

    def reserve(self, reservation: Reservation, now: float) -> Lease:
        """A lease over these bytes, or the one that this request id has already."""
        self.expire(now)
        held = self.held(reservation.request_id)
        if held is None:
            self._serial += 1
            return self._add(f"{self._name}-{self._serial}", reservation, now)
        self._extend(held, reservation.ttl_s, now)
        return self._told(held, now)

    def renew(self, lease_id: str, reservation: Reservation, now: float) -> Lease:
        """Restate a lease as of now, whether we knew it (a restarted controller does not) or not.

        A holder that does not follow its read's progress states all of it again: of a lease that we know, what
        was inferred to have moved stays moved.
        """
        self.expire(now)
        known = self._leases.get(lease_id)
        twin = self.held(reservation.request_id)
        if known is not None:
            reservation = _at_most(reservation, self.remaining(lease_id, now))
        for old in {id(h): h for h in (known, twin) if h is not None}.values():
            self._end(old, now)
        lease = self._add(lease_id, reservation, now, anew=known is None and twin is None)
        if known is not None:
            self._leases[lease_id].carry(known)
        return lease

    def moved(self, lease_id: str, share: float, now: float) -> bool:
        """This part of a lease (0 to 1) has moved, by its holder's word; False when there is none."""
        self.expire(now)
        held = self._leases.get(lease_id)
        if held is None:
            return False
        held.parts = [p.account.reduced(p, p.size * (1 - share), now) for p in held.parts]
        return True

    def lease(self, lease_id: str) -> Held | None:
        """A live lease by its id."""
        return self._leases.get(lease_id)

    def release(self, lease_id: str, now: float) -> bool:
        """End a lease; False when there was none (any more)."""
        self.expire(now)
        held = self._leases.get(lease_id)
        if held is None:
            return False
        self._end(held, now)
        return True

    def expire(self, now: float) -> int:
        """End every lease whose time is over; how many."""
        ended = 0
        while self._deadlines and self._deadlines[0][0] <= now:
            _, lease_id = heapq.heappop(self._deadlines)
            held = self._leases.get(lease_id)
            if held is not None and held.ends <= now:
                self._end(held, now)
                ended += 1
        return ended

    def remaining(self, lease_id: str, now: float) -> tuple[LegBytes, ...]:
        """What is left of a lease, per NIC; empty when there is none."""
        held = self._leases.get(lease_id)
        if held is None:
            return ()
        return tuple(LegBytes(p.account.nic, round(p.account.remaining(p, now))) for p in held.parts)

    def totals(self, now: float) -> dict[str, int]:
        """Outstanding bytes of every NIC that has any."""
        self.expire(now)
        found = ((nic, round(min(a.outstanding(now), MOST_BYTES))) for nic, a in self._accounts.items())
        return {nic: size for nic, size in found if size > 0}

    def _add(self, lease_id: str, reservation: Reservation, now: float, *, anew: bool = True) -> Lease:
        parts = [
            self.account(leg.nic).reserve(float(leg.bytes), now, anew=anew)
            for leg in reservation.legs
            if leg.bytes > 0
        ]
        held = Held(lease_id, reservation.request_id, 0.0, parts, since=now)
        self._leases[lease_id] = held
        if reservation.request_id:
            self._by_request[reservation.request_id] = held
        self._extend(held, reservation.ttl_s, now)
        return self._told(held, now)

    def _extend(self, held: Held, ttl_s: float, now: float) -> None:
        ends = now + bounded_ttl(ttl_s)
        if ends > held.ends:
            held.ends = ends
            heapq.heappush(self._deadlines, (ends, held.id))

    def _told(self, held: Held, now: float) -> Lease:
        return Lease(held.id, held.ends - now)

    def _end(self, held: Held, now: float) -> None:
        self._leases.pop(held.id, None)
        if self._by_request.get(held.request_id) is held:
            del self._by_request[held.request_id]
        for known in held.engines:
            known.live -= 1
        for part in held.parts:
            part.account.release(part, now)
