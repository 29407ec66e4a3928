"""Rates, bandwidths and hardware addresses as operators write them; one canonical text for each.

Every function takes a value of a YAML tree (or text) and answers None for what is not one: the caller knows
where it stood and says so.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

MAX_RATE_BPS = 10**14
"""100 Tb/s: above any port, below where 64-bit counters of bits would wrap within a day."""
MAX_BYTES_PER_S = 10**15
RATE_RULE = "must be bits per second above 0 and at most 100T: a whole number, or a number with K, M, G or T such as 400G"
BANDWIDTH_RULE = (
    "must be bytes per second above 0 and at most 1000TB/s: a whole number, or text such as 500GB/s"
)
_SCALE = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_NUMBER = r"([0-9]{1,18}(?:\.[0-9]{1,12})?)"
_RATE = re.compile(_NUMBER + r" ?([KMGT]?)(?:b(?:it)?/s)?", re.ASCII)
_BANDWIDTH = re.compile(_NUMBER + r" ?([KMGT]?)B/s", re.ASCII)
_PCI = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([0-1][0-9a-fA-F])\.([0-7])", re.ASCII)
_GUID = re.compile(r"(?:0x)?([0-9a-fA-F]{16})", re.ASCII)


def _scaled(value: Any, pattern: re.Pattern[str], most: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        match = pattern.fullmatch(value)
        value = Decimal(match[1]) * _SCALE[match[2]] if match else -1
    # NaN and infinity fail the comparison; a fraction of a bit is no rate.
    return int(value) if 0 < value <= most and value == int(value) else None


def rate(value: Any) -> int | None:
    """Bits per second from ``400G``, ``2.5G``, ``100Mb/s``, ``100000000``; K, M, G, T are powers of 1,000."""
    return _scaled(value, _RATE, MAX_RATE_BPS)


def bandwidth(value: Any) -> int | None:
    """Bytes per second from ``500GB/s`` or a whole number; KB, MB, GB, TB are powers of 1,000."""
    return _scaled(value, _BANDWIDTH, MAX_BYTES_PER_S)


def _largest(value: int) -> str:
    letter = next(k for k in ("T", "G", "M", "K", "") if value % _SCALE[k] == 0)
    return f"{value // _SCALE[letter]}{letter}"


def rate_text(bps: int) -> str:
    """The shortest text that ``rate`` reads back to exactly this: ``400G``, ``1500K``, ``1234567``."""
    return _largest(bps)


def bandwidth_text(bytes_per_s: int) -> str:
    """The shortest text that ``bandwidth`` reads back to exactly this: ``500GB/s``, ``7B/s``."""
    return f"{_largest(bytes_per_s)}B/s"


def pci(value: Any) -> str | None:
    """``0000:3b:00.0`` (domain:bus:device.function, lower case, as in sysfs); the domain may be left out."""
    match = _PCI.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    domain, bus, device, function = match.groups()
    return f"{domain or '0000'}:{bus}:{device}.{function}".lower()


def guid(value: Any) -> str | None:
    """``0x506b4b03005c2740`` (as ibnetdiscover and opensm print it) from that, or sysfs's ``506b:4b03:005c:2740``.

    A GUID of 16 decimal digits reaches us as a number when it was not quoted. Zero is no GUID.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    groups = text.split(":")
    if len(groups) > 1:
        text = "".join(groups) if len(groups) in (4, 8) and len({len(g) for g in groups}) == 1 else ""
    match = _GUID.fullmatch(text)
    return f"0x{match[1].lower()}" if match and int(match[1], 16) else None
