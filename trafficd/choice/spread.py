"""Near-ties: choosers that see the same picture must not all take the same way."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

NEAR = 1.05
"""Within 5 % is a tie: telemetry is not better than that."""


def fraction(key: str, purpose: int) -> float:
    """From 0 up to 1: one stable draw (the same in every process) per key and purpose, independent of the others."""
    salt = _mix(crc32(key.encode(errors="surrogatepass")))
    return _mix(salt ^ (purpose * 0x9E3779B9)) / 0x1_0000_0000


def weighted(weights: Sequence[float], draw: float) -> int:
    """Index picked in proportion to its weight; the first when none weighs anything."""
    point = draw * sum(weights)
    for i, weight in enumerate(weights):
        if point < weight:
            return i
        point -= weight
    return 0


def near_ties(seconds: Sequence[float]) -> list[int]:
    """Indexes of those that are as good as the best."""
    limit = min(seconds) * NEAR
    return [i for i, s in enumerate(seconds) if s <= limit]


def _mix(value: int) -> int:
    """The finaliser of MurmurHash3 (public domain): every input bit changes every output bit."""
    value &= 0xFFFFFFFF
    value = ((value ^ value >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
    value = ((value ^ value >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
    return value ^ value >> 16
