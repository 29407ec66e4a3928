"""How evenly the NICs of one kind are used. Storage and compute are judged apart.

Two figures over the same loads (bytes per second, or a fraction of the rate):

Max/Avg  1 when all are equal, n when one of n carries everything; the ratio that DualPath reports for its storage
         NICs.
Jain     R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984:
         (sum x)^2 / (n * sum x^2); 1 when all are equal, 1/n when one carries everything.

Where nothing moves both are undefined.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trafficd_topology.model import NicKind


@dataclass(frozen=True, slots=True)
class Balance:
    """None: undefined, because no NIC is known or none carries anything."""

    max_over_average: float | None
    jain: float | None


IDLE = Balance(None, None)


@dataclass(frozen=True, slots=True)
class KindBalance:
    """Storage and compute NICs are judged apart."""

    kind: NicKind
    balance: Balance


def balance(loads: Iterable[float]) -> Balance:
    """Max/Avg and Jain's index of loads that are not negative."""
    values = tuple(loads)
    total, squares = sum(values), sum(v * v for v in values)
    if not values or total <= 0 or squares <= 0:
        return IDLE
    n = len(values)
    return Balance(max(values) * n / total, total * total / (n * squares))
