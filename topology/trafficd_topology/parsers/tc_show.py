"""What ``tc qdisc show``, ``tc class show`` and ``tc filter show`` printed, one after the other, of one or more devices.

Source: tc(8), and the printers of iproute2 (tc/tc_qdisc.c, q_htb.c, f_u32.c). Statistics between the lines are skipped.
What names no device belongs to the device named last, or to the one the caller says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from trafficd_topology.adopt import ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, Held

ROOT = 0xFFFFFFFF
PROTOCOLS = {"ip": ETH_P_IP, "arp": ETH_P_ARP, "ipv6": ETH_P_IPV6, "all": 3}
UNITS = {"bit": 1, "Kbit": 1_000, "Mbit": 1_000_000, "Gbit": 1_000_000_000, "Tbit": 1_000_000_000_000}
RATE = re.compile(r"([0-9.]+)([KMGT]?bit)")
MATCH = re.compile(r"match ([0-9a-f]{8})/([0-9a-f]{8}) at ([0-9]+)$")
OBJECT = re.compile(r"(qdisc|class|filter) ")


@dataclass(frozen=True, slots=True)
class ShownQdisc:
    handle: int
    parent: int
    kind: str
    default_minor: int | None = None

    @property
    def is_root(self) -> bool:
        return self.parent == ROOT


@dataclass(frozen=True, slots=True)
class ShownClass:
    handle: int
    parent: int
    rate_bps: int
    ceil_bps: int
    prio: int


@dataclass(slots=True)
class ShownFilter:
    """``keys`` grow with the lines below; None for what is no u32 match, and for one with an action."""

    kind: str
    pref: int
    protocol: int
    target: int | None
    keys: tuple[tuple[int, int, int], ...] | None


@dataclass(slots=True)
class _Device:
    qdiscs: list[ShownQdisc] = field(default_factory=list)
    classes: list[ShownClass] = field(default_factory=list)
    filters: list[ShownFilter] = field(default_factory=list)


def parse_tc_show(text: str, device: str = "") -> tuple[Mapping[str, Held | None], tuple[str, ...]]:
    """Device -> its htb tree, None where its root is another queue; and the lines that were not understood.

    ``device`` owns what names none. Never raises.
    """
    devices: dict[str, _Device] = {}
    strange: list[str] = []
    current, under = device, None
    for line in map(str.strip, text.splitlines()):
        # A star stands before a class that is known to be there.
        words = [w.lstrip("*") for w in line.split()]
        if OBJECT.match(line):
            current = _after(words, "dev") or current
            under = None
            into = devices.setdefault(current, _Device())
            if not _object(into, words):
                strange.append(line)
            elif words[0] == "filter":
                under = into.filters[-1] if into.filters else None
        elif under is not None and line.startswith(("match ", "action ", "mark ")):
            _below(under, line)
    trees = {name: _tree(found) for name, found in devices.items()}
    return MappingProxyType(trees), tuple(strange)


def _object(into: _Device, words: Sequence[str]) -> bool:
    try:
        if words[0] == "qdisc":
            into.qdiscs.append(_qdisc(words))
        elif words[0] == "class":
            if words[1] == "htb":
                into.classes.append(_class(words))
        elif not ((made := _filter(words)).kind == "u32" and made.target is None):
            # Lines of u32 without a target are its hash tables.
            into.filters.append(made)
    except (ValueError, IndexError, KeyError):
        return False
    return True


def _qdisc(words: Sequence[str]) -> ShownQdisc:
    default = _after(words, "default")
    minor = int(default, 16) if default and words[1] == "htb" else None
    parent = ROOT if "root" in words else _handle(_after(words, "parent"))
    return ShownQdisc(_handle(words[2]), parent, words[1], minor)


def _class(words: Sequence[str]) -> ShownClass:
    parent = ROOT if "root" in words else _handle(_after(words, "parent"))
    rate, ceil = _rate(_after(words, "rate")), _rate(_after(words, "ceil"))
    return ShownClass(_handle(words[2]), parent, rate, ceil, int(_after(words, "prio") or "0"))


def _filter(words: Sequence[str]) -> ShownFilter:
    pref = int(_after(words, "pref"))
    kind = words[words.index("pref") + 2]
    target = _after(words, "flowid") or _after(words, "classid")
    protocol = PROTOCOLS.get(_after(words, "protocol"), 0)
    return ShownFilter(
        kind, pref, protocol, _handle(target) if target else None, () if kind == "u32" else None
    )


def _below(under: ShownFilter, line: str) -> None:
    found = MATCH.match(line)
    if found is None or under.keys is None:
        under.keys = None
        return
    value, mask, offset = int(found[1], 16), int(found[2], 16), int(found[3])
    under.keys = (*under.keys, (mask, value, offset))


def _tree(found: _Device) -> Held | None:
    root = next((q for q in found.qdiscs if q.is_root and q.kind == "htb"), None)
    if root is None:
        return None
    return Held(root, found.qdiscs, found.classes, found.filters)


def _after(words: Sequence[str], key: str) -> str:
    """The word behind a key; empty when it is not there."""
    return words[words.index(key) + 1] if key in words[:-1] else ""


def _handle(text: str) -> int:
    """Raises ValueError."""
    major, _, minor = text.partition(":")
    return int(major or "0", 16) << 16 | int(minor or "0", 16)


def _rate(text: str) -> int:
    """Raises ValueError."""
    found = RATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return round(float(found[1]) * UNITS[found[2]])
