"""What the key of a filter element means to the kernel: u32 comparisons, and back. Pure.

Sources: RFC 791 and RFC 8200 (headers), RFC 2474 (DSCP: the upper six bits of the ToS or traffic class byte, so
that ECN is not looked at), RFC 4861 (neighbour discovery, which is to IPv6 what ARP is to IPv4). Offsets count from
the network header; a TCP port is looked for only where the header has no options, so that it is never mistaken.
"""

from __future__ import annotations

from dataclasses import dataclass

from trafficd_agent.netlink.tc import ETH_P_ALL, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, Filter, Key, handle
from trafficd_topology.qos.tc import HANDLE_MAJOR, TcFilter

SLOTS = (ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, ETH_P_ALL)
"""The kernel keeps one protocol a preference, so each preference of ours is four of its own, in this order."""
MAX_PREF = 0xFFFF // len(SLOTS) - 1
"""The one above is the catch-all's."""
CATCH_ALL_PREF = 0xFFFF
ANY: Key = (0, 0, 0)
_V4_TCP: tuple[Key, ...] = (
    (0x0F00_0000, 0x0500_0000, 0),  # a header of 20 bytes
    (0x0000_1FFF, 0, 4),  # not a later fragment
    (0x00FF_0000, 0x0006_0000, 8),
)
_V6_TCP: tuple[Key, ...] = ((0x0000_FF00, 0x0000_0600, 4),)
_V6_ICMP: tuple[Key, ...] = ((0x0000_FF00, 0x0000_3A00, 4),)
_NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT = 135, 136


@dataclass(frozen=True, slots=True)
class Match:
    """One kernel filter's part of an element: an EtherType and comparisons that must all hold."""

    protocol: int
    keys: tuple[Key, ...]


def _dscp(value: int) -> tuple[Match, ...]:
    return (
        Match(ETH_P_IP, ((0x00FC_0000, value << 18, 0),)),
        Match(ETH_P_IPV6, ((0x0FC0_0000, value << 22, 0),)),
    )


def _tcp_port(value: int) -> tuple[Match, ...]:
    source, destination = (0xFFFF_0000, value << 16), (0x0000_FFFF, value)
    return tuple(
        Match(protocol, (*start, (*port, offset)))
        for protocol, start, offset in ((ETH_P_IP, _V4_TCP, 20), (ETH_P_IPV6, _V6_TCP, 40))
        for port in (source, destination)
    )


def _arp() -> tuple[Match, ...]:
    kinds = (_NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT)
    neighbour = [Match(ETH_P_IPV6, (*_V6_ICMP, (0xFF00_0000, kind << 24, 40))) for kind in kinds]
    return (Match(ETH_P_ARP, (ANY,)), *neighbour)


def matches(key: str) -> tuple[Match, ...]:
    """The kernel filters that a filter element of this key stands for. Raises ValueError, one sentence."""
    if key == "arp":
        return _arp()
    word, _, number = key.rpartition("-")
    value = int(number) if number.isascii() and number.isdigit() and number == str(int(number)) else -1
    if word == "dscp" and 0 <= value <= 63:
        return _dscp(value)
    if word == "tcp-port" and 1 <= value <= 65535:
        return _tcp_port(value)
    raise ValueError(
        f"filter/{key} is no match that tc knows: use arp, dscp-0 to dscp-63 or tcp-port-1 to tcp-port-65535"
    )


def key_of(f: Filter) -> str | None:
    """The element key that a kernel filter is a part of, or None when it is of nobody we know."""
    found = Match(f.protocol, f.keys or ())
    if not found.keys:
        return None
    mask, value, _ = found.keys[-1]
    shift = (mask & -mask).bit_length() - 1 if mask else 0
    guesses = ("arp", f"dscp-{value >> shift}", f"tcp-port-{value >> shift}")
    return next((g for g in guesses if _is_part(g, found)), None)


def _is_part(key: str, found: Match) -> bool:
    try:
        return found in matches(key)
    except ValueError:
        return False


def kernel_filters(key: str, value: TcFilter) -> tuple[Filter, ...]:
    """What to add to the kernel for an element. Raises ValueError, one sentence."""
    if not 1 <= value.pref <= MAX_PREF:
        raise ValueError(f"filter/{key} has preference {value.pref}: use 1 to {MAX_PREF}")
    return tuple(
        Filter(
            "u32",
            len(SLOTS) * value.pref + SLOTS.index(m.protocol),
            m.protocol,
            0,
            _target(value.minor),
            m.keys,
        )
        for m in matches(key)
    )


def preference(f: Filter) -> int | None:
    """Our preference of a kernel filter, or None when its slot is not that of its protocol."""
    pref, slot = divmod(f.pref, len(SLOTS))
    return pref if SLOTS[slot] == f.protocol and 1 <= pref <= MAX_PREF else None


def _target(minor: int) -> int:
    return handle(HANDLE_MAJOR, minor)


def catch_all(minor: int) -> Filter:
    """Where everything goes that no other filter wanted: how the default class changes while htb runs."""
    return Filter("u32", CATCH_ALL_PREF, ETH_P_ALL, 0, _target(minor), (ANY,))


def is_catch_all(f: Filter) -> bool:
    return f.pref == CATCH_ALL_PREF and f.protocol == ETH_P_ALL and f.keys == (ANY,)


def filter_place(f: Filter) -> str:
    """The key of the element ``other`` for a kernel filter that is a part of none of ours."""
    return f"filter/{f.pref}/{f.protocol:04x}/{f.handle:x}"
