"""Predicted against observed: what reads that ended say about the NICs they passed.

A read that took longer than predicted says little: its caller may hold leases longer than its bytes move, or every
prediction may be off alike. So a NIC is compared with its peers: its observed seconds over those predicted at its
claimed rate, against the median of all reads. Only a NIC that is clearly slower than its peers gets a learned rate, never
above its claim and never below a bound; reads that end sooner raise it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp
from typing import NamedTuple

from trafficd.choice.account import Account

FADE_S = 3.0
"""Time constant with which what a NIC's reads said is forgotten."""
LEAST_READS = 4.0
"""A NIC with fewer recent reads is believed what it claims."""
LEAST_LEARNED = 0.2
DEAD_BAND = 1.35
"""A NIC is taken for slower than its peers from this ratio on."""
STEP = 0.03
"""How far one read moves the median, relative."""
LOW = 0.3
"""Quantile of the times of serving that is taken for computation alone."""
SERVING_STEP = 0.02
"""Weight of one lease in the mean time of serving."""
MOST_RATIO = 50.0
"""One read counts as at most this much later than predicted."""
MOST_LATER = 4.0
"""And for a NIC as at most so many times the median: one read that stood still says little of those beside it."""


class Trial(NamedTuple):
    """A leg under way: its reading NIC, its bottleneck if that is another, and seconds predicted at claimed rates."""

    reader: Account
    bottleneck: Account | None
    seconds: float


class Record:
    """What the reads of one NIC said, fading."""

    __slots__ = ("at", "observed", "predicted", "reads")

    def __init__(self) -> None:
        self.at = self.reads = self.predicted = self.observed = 0.0

    def add(self, predicted: float, observed: float, now: float) -> None:
        kept = exp((self.at - now) / FADE_S) if now > self.at else 1.0
        self.at = max(now, self.at)
        self.reads = self.reads * kept + 1
        self.predicted = self.predicted * kept + predicted
        self.observed = self.observed * kept + observed

    @property
    def ratio(self) -> float:
        """Observed over predicted."""
        return self.observed / self.predicted if self.predicted > 0 else 1.0


class Feedback:
    """Mutable; its owner is the path engine. ``median`` is that of observed over predicted seconds of all reads."""

    def __init__(self) -> None:
        self._records: dict[Account, Record] = {}
        self.median = 1.0
        self.reads = 0
        self.serving_s = 0.0
        """What a prefill engine holds a lease for once its read has come, per lease that it has."""
        self.computing_s = 0.0
        """What of that passes on an engine that waits for nothing: copies beside it that take no longer cost nothing."""
        self.predicted_s = 0.0
        self.observed_s = 0.0

    def ended(self, trials: tuple[Trial, ...], observed: float, now: float) -> None:
        """A read ended after ``observed`` seconds; all its legs are taken to have ended together."""
        slowest = max((t.seconds for t in trials), default=0.0)
        if slowest <= 0 or observed <= 0:
            return
        self.reads += 1
        self.predicted_s += slowest
        self.observed_s += observed
        ratio = min(observed / slowest, MOST_RATIO)
        kept = min(ratio, self.median * MOST_LATER)
        self.median *= 1 + STEP if ratio > self.median else 1 - STEP
        self.median = min(max(self.median, 1 / MOST_RATIO), MOST_RATIO)
        for trial in trials:
            for account in (trial.reader, trial.bottleneck):
                if account is not None:
                    self._learn(account, slowest, kept * slowest, now)

    def served(self, held_s: float, ahead: int) -> None:
        """A lease ended ``held_s`` after its read, on an engine that had ``ahead`` leases before."""
        alone = max(0.0, held_s) / (ahead + 1)
        self.serving_s += SERVING_STEP * (alone - self.serving_s)
        # A quantile by small steps: up by the part of the distance that makes LOW of all steps go down.
        step = SERVING_STEP * max(self.serving_s, 1e-6)
        self.computing_s = max(0.0, self.computing_s + step * (LOW if alone > self.computing_s else LOW - 1))

    def _learn(self, account: Account, predicted: float, observed: float, now: float) -> None:
        record = self._records.get(account)
        if record is None:
            record = self._records[account] = Record()
        record.add(predicted, observed, now)
        slower = record.ratio / self.median
        if record.reads >= LEAST_READS and slower > DEAD_BAND:
            account.relearn(max(LEAST_LEARNED, 1 / slower))
        elif account.learned < 1.0:
            account.relearn(min(1.0, account.learned * 1.1))

    def accounts(self) -> Iterable[Account]:
        """NICs that reads were seen to end on."""
        return self._records.keys()

    def forget(self, account: Account) -> None:
        """What was learned of a NIC that was down or changed its rate holds no longer."""
        self._records.pop(account, None)
        account.relearn(1.0)
