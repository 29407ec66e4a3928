"""KV bytes outstanding on one NIC: what was reserved, what nobody reserved, and how fast both go away.

Nobody reports the progress of every read, so progress is inferred. Between two measurements the NIC is taken to
go on as measured (**drain**); a measurement then says what really moved and the difference is corrected. An
inference alone never finishes a reservation: the last byte goes by measurement, release or expiry.

All reservations of a NIC drain in proportion to what is left of them. That is held as a **price**: a reservation is
a number of shares bought at the price of its moment, and draining lowers the price of every share at once.
So each operation is O(1), however many reservations there are.

Everything is bytes and seconds. ``now`` may be any clock that does not go back.
"""

from __future__ import annotations

from collections import deque
from math import exp
from typing import NamedTuple

SETTLE_S = 0.25
"""It takes up to this long before a read that was just placed shows in its reader's queue."""
MIN_INTERVAL_S = 0.02
"""Two measurements closer than this are one: their difference is rounding."""
LEAST_SHARE = 0.25
"""Foreign KV in the same lane never leaves us less than this part of what KV may use: lanes share fairly."""
MEMORY_S = 1.0
"""What was placed on a NIC is remembered with this time constant."""
LOWEST_PRICE = 1e-150
LAST_BYTE = 1.0


class Shares(NamedTuple):
    """One reservation's part of a NIC: ``size`` bytes as reserved, shares of an epoch."""

    account: Account
    size: float
    shares: float
    epoch: int


class Account:
    """What is outstanding on one NIC. Mutable; its owner is the ledger."""

    __slots__ = (
        "_baseline_at",
        "_epoch",
        "_expected",
        "_least",
        "_live",
        "_moved",
        "_placed",
        "_placed_at",
        "_price",
        "_recent",
        "_recent_size",
        "_sampled_at",
        "_settled",
        "_touched",
        "available",
        "drain",
        "foreign",
        "learned",
        "name",
        "nic",
        "offered",
        "reserved",
        "unreserved",
    )

    def __init__(self, nic: str) -> None:
        self.nic = nic
        self.name = f"nic:{nic}"
        self.reserved = 0.0
        self.unreserved = 0.0
        """Queued bytes that an engine reported and nobody reserved."""
        self.offered = 0.0
        """Bytes per second that KV may use now; 0 while unknown."""
        self.available = 1.0
        """Bytes per second left for what we place: offered less foreign KV. Above zero."""
        self.drain = 0.0
        """Bytes per second by which outstanding goes down between measurements."""
        self.foreign = 0.0
        """Bytes per second of KV that nobody reserved: measured minus expected."""
        self.learned = 1.0
        """Its rate as seen in reads that ended, over what it claims: at most 1."""
        self._price = 1.0
        self._epoch = 0
        self._least = 1.0
        self._live = 0
        self._touched = 0.0
        self._sampled_at: float | None = None
        self._baseline_at = 0.0
        self._expected = 0.0
        self._moved = 0.0
        self._settled = 0.0
        self._recent: deque[tuple[float, float]] = deque()
        self._recent_size = 0.0
        self._placed = 0.0
        self._placed_at = 0.0

    def placed(self, now: float) -> float:
        """Bytes that were lately reserved, fading with ``MEMORY_S``: evens out what no queue shows any more."""
        return self._placed * exp((self._placed_at - now) / MEMORY_S) if self._placed else 0.0

    def outstanding(self, now: float) -> float:
        """Bytes still to come at ``now``."""
        held = self.reserved + self.unreserved
        if held <= LAST_BYTE or now <= self._touched:
            return held
        self._advance(now)
        return self.reserved + self.unreserved

    def reserve(self, size: float, now: float, *, anew: bool = True) -> Shares:
        """Add a reservation; one that is not ``anew`` restates another."""
        self._advance(now)
        if anew:
            self._placed = self.placed(now) + size
            self._placed_at = now
        self.reserved += size
        self._expected += size
        self._live += 1
        self._recent.append((now, size))
        self._recent_size += size
        self._settle(now)
        return Shares(self, size, size / self._price, self._epoch)

    def remaining(self, part: Shares, now: float) -> float:
        """What is left of a reservation, at most what was reserved."""
        self._advance(now)
        if part.epoch != self._epoch:
            return 0.0
        return min(part.size, part.shares * self._price, self.reserved)

    def release(self, part: Shares, now: float) -> None:
        """Take a reservation off; the last one takes every rounding error with it."""
        left = self.remaining(part, now)
        self.reserved -= left
        self._settled += left
        self._live -= 1
        if self._live == 0:
            self.reserved = 0.0
            self._new_epoch()

    def reduced(self, part: Shares, left: float, now: float) -> Shares:
        """The reservation, of which its holder says that ``left`` bytes are still to come."""
        before = self.remaining(part, now)
        if part.epoch != self._epoch:
            return part
        left = min(max(left, 0.0), part.size)
        self.reserved = max(0.0, self.reserved + left - before)
        self._settled += before - left
        return part._replace(shares=left / self._price)

    def restate(self, size: float, now: float) -> None:
        """Somebody who sees the queue says it holds ``size`` bytes: that replaces everything known before.

        What exceeds our reservations is unreserved; what falls short was moved already, but for what was reserved
        so shortly before that it may not be in the queue yet.
        """
        self._advance(now)
        self._settle(now)
        self._expected += max(0.0, size - self.reserved - self.unreserved)
        if size >= self.reserved:
            self.unreserved = size - self.reserved
        else:
            self.unreserved = 0.0
            self._scale(min(1.0, (size + self._recent_size) / self.reserved))
        self._baseline(now)

    def relearn(self, ratio: float) -> None:
        """Its rate is this part of what it claims."""
        if ratio != self.learned:
            if self.drain == self.offered * self.learned:
                self.drain = self.offered * ratio
            self.learned = ratio
            self.reckon(self._least)

    def reckon(self, least: float) -> None:
        """After a measurement: what is left for us of what is offered; never less than ``least`` (above zero)."""
        self._least = least
        offered = self.offered * self.learned
        self.available = max(offered - self.foreign, offered * LEAST_SHARE, least)

    def unmeasured(self) -> None:
        """No fresh measurement: a NIC with work to do is taken to do it at the rate it offers."""
        self._sampled_at = None
        self.foreign = 0.0
        self.drain = self.offered * self.learned

    def sample(self, rate: float, measured_at: float, now: float) -> None:
        """KV was measured at ``rate`` bytes per second over the interval that ended at ``measured_at``."""
        self._advance(now)
        last = self._sampled_at
        if last is not None and measured_at - last < MIN_INTERVAL_S:
            return
        if last is not None:
            self._learn_foreign(rate, measured_at - last)
            self._correct(rate * (measured_at - self._baseline_at))
        self._sampled_at = measured_at
        self._expected = self.reserved + self.unreserved
        self.drain = max(0.0, rate - self.foreign)
        self._baseline(measured_at)

    def _learn_foreign(self, rate: float, interval: float) -> None:
        """More than we expected to move is somebody else's; while all of it may be ours the estimate fades."""
        surplus = rate - self._expected / interval
        self.foreign = surplus if surplus > 0 else self.foreign / 2

    def _correct(self, measured: float) -> None:
        """Since the baseline ``measured`` bytes moved; put right what was inferred meanwhile."""
        held = self.reserved + self.unreserved
        if held <= 0 or measured < 0:
            return
        error = measured - self._moved - self._settled
        self._take(min(error, held) if error > 0 else max(error, -self._moved))

    def _settle(self, now: float) -> None:
        while self._recent and self._recent[0][0] <= now - SETTLE_S:
            self._recent_size -= self._recent.popleft()[1]
        if not self._recent:
            self._recent_size = 0.0

    def _advance(self, now: float) -> None:
        elapsed = now - self._touched
        if elapsed <= 0:
            return
        self._touched = now
        held = self.reserved + self.unreserved
        gone = min(self.drain * elapsed, held - LAST_BYTE)
        if gone > 0:
            self._moved += gone
            self._take(gone)

    def _take(self, size: float) -> None:
        held = self.reserved + self.unreserved
        left = 1 - size / held
        self.unreserved *= left
        self._scale(left)

    def _scale(self, factor: float) -> None:
        self.reserved *= factor
        self._price *= factor
        if self._price < LOWEST_PRICE:
            self._new_epoch()

    def _new_epoch(self) -> None:
        """Reservations made before count as moved; what rounding left of them drains with the rest."""
        self._epoch += 1
        self._price = 1.0

    def _baseline(self, at: float) -> None:
        self._baseline_at = at
        self._moved = 0.0
        self._settled = 0.0
