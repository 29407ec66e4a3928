"""Filter keys to kernel filters and back, and records to elements, without a kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from trafficd_agent.driver import (
    BusyError,
    DriverError,
    ForeignError,
    GoneError,
    PermissionMissingError,
    RefusedError,
    UnsupportedError,
)
from trafficd_agent.drivers.tc.decode import INNER, ROOT, ROOT_PARENT, Tree, elements, sort_filters
from trafficd_agent.drivers.tc.errors import named
from trafficd_agent.drivers.tc.matches import MAX_PREF, catch_all, kernel_filters, key_of, matches, preference
from trafficd_agent.netlink import link, tc
from trafficd_agent.netlink.channel import KernelError
from trafficd_topology.diff import render
from trafficd_topology.qos.tc import TcFilter, burst_ticks

KEYS = ["arp", *(f"dscp-{n}" for n in range(64)), *(f"tcp-port-{n}" for n in (1, 22, 7600, 8192, 65535))]


def header(first: str, at: int = 0) -> bytes:
    return bytes(at) + bytes.fromhex(first.replace(" ", "")) + bytes(60)


def hit(key: str, protocol: int, packet: bytes) -> bool:
    """What net/sched/cls_u32.c does with a packet from its network header on."""
    return any(
        m.protocol == protocol
        and all(int.from_bytes(packet[at : at + 4], "big") & mask == value for mask, value, at in m.keys)
        for m in matches(key)
    )


V4_SSH = header("45 b8 00 3c 00 01 40 00 40 06 0000 0a4d0001 0a4d0002 0016 d431")
V4_OPTIONS = header("46 b8 00 3c 00 01 40 00 40 06 0000 0a4d0001 0a4d0002 0016 0016 0016 0016")
V4_FRAGMENT = header("45 b8 00 3c 00 01 00 b9 40 06 0000 0a4d0001 0a4d0002 0016 d431")
V4_UDP = header("45 b8 00 3c 00 01 40 00 40 11 0000 0a4d0001 0a4d0002 0016 d431")
V6_SSH = header("6b 90 00 00 0014 06 40" + "fd77" * 16 + "d431 0016")
V6_SOLICITATION = header("60 00 00 00 0020 3a ff" + "fd77" * 16 + "87 00")
V6_ECHO = header("60 00 00 00 0020 3a ff" + "fd77" * 16 + "80 00")


@pytest.mark.parametrize(
    ("key", "protocol", "packet", "expected"),
    [
        ("tcp-port-22", tc.ETH_P_IP, V4_SSH, True),
        ("tcp-port-23", tc.ETH_P_IP, V4_SSH, False),
        ("tcp-port-22", tc.ETH_P_IP, V4_OPTIONS, False),
        ("tcp-port-22", tc.ETH_P_IP, V4_FRAGMENT, False),
        ("tcp-port-22", tc.ETH_P_IP, V4_UDP, False),
        ("tcp-port-22", tc.ETH_P_IPV6, V6_SSH, True),
        ("dscp-46", tc.ETH_P_IP, V4_UDP, True),
        ("dscp-46", tc.ETH_P_IPV6, V6_SSH, True),
        ("dscp-45", tc.ETH_P_IPV6, V6_SSH, False),
        ("arp", tc.ETH_P_ARP, header("0001"), True),
        ("arp", tc.ETH_P_IPV6, V6_SOLICITATION, True),
        ("arp", tc.ETH_P_IPV6, V6_ECHO, False),
        ("arp", tc.ETH_P_IP, V4_UDP, False),
    ],
)
def test_which_packets_a_key_means(key: str, protocol: int, packet: bytes, expected: bool) -> None:
    assert hit(key, protocol, packet) is expected


@pytest.mark.parametrize("key", KEYS)
def test_every_part_of_a_key_leads_back_to_it(key: str) -> None:
    parts = kernel_filters(key, TcFilter(0x11, 7))
    assert {key_of(p) for p in parts} == {key}
    assert {preference(p) for p in parts} == {7}
    assert sort_filters(parts) == ({key: TcFilter(0x11, 7)}, [])


@pytest.mark.parametrize(
    "key",
    ["", "dscp-", "dscp-64", "dscp--1", "dscp-08", "tcp-port-0", "tcp-port-65536", "udp-port-9", "dscp-²"],
)
def test_keys_that_mean_nothing_are_named(key: str) -> None:
    with pytest.raises(ValueError, match="no match that tc knows"):
        matches(key)


@pytest.mark.parametrize("pref", [0, MAX_PREF + 1])
def test_preferences_beyond_the_kernels_are_named(pref: int) -> None:
    with pytest.raises(ValueError, match=f"use 1 to {MAX_PREF}"):
        kernel_filters("arp", TcFilter(0x10, pref))


def test_no_preference_meets_the_one_that_catches_all() -> None:
    assert max(f.pref for f in kernel_filters("arp", TcFilter(0x10, MAX_PREF))) < catch_all(0x10).pref


def test_a_pair_with_two_targets_is_no_pair() -> None:
    v4, v6 = kernel_filters("dscp-8", TcFilter(0x11, 7))
    assert sort_filters([v4, replace(v6, target=0x12)]) == ({}, [v4, replace(v6, target=0x12)])


def test_what_stands_twice_counts_once() -> None:
    parts = kernel_filters("dscp-8", TcFilter(0x11, 7))
    twice = [replace(f, handle=n) for n, f in enumerate((*parts, *parts))]
    whole, rest = sort_filters(twice)
    assert (whole, [f.handle for f in rest]) == ({"dscp-8": TcFilter(0x11, 7)}, [2, 3])


def htb_class(minor: int, rate: int, parent: int = INNER) -> tc.Class:
    ticks = burst_ticks(3028, rate)
    return tc.Class(ROOT | minor, parent, rate, rate, ticks, ticks, 1514, 0)


def test_a_tree_as_elements() -> None:
    tree = Tree(
        tc.Qdisc(ROOT, ROOT_PARENT, "htb", default_minor=0x10),
        [
            tc.Qdisc(ROOT, ROOT_PARENT, "htb", default_minor=0x10),
            tc.Qdisc(tc.handle(0x8001), ROOT | 0x10, "pfifo", limit=5),
            tc.Qdisc(tc.handle(0x8002), ROOT | 0x11, "fq_codel"),
            tc.Qdisc(tc.handle(0xFFFF), 0xFFFFFFF1, "clsact"),
        ],
        [htb_class(1, 8_000_000, ROOT_PARENT), htb_class(0x10, 4_000_000), htb_class(0x11, 800_000)],
        [
            *kernel_filters("dscp-8", TcFilter(0x11, 7)),
            tc.Filter("bpf", 9, tc.ETH_P_ALL),
            replace(catch_all(0x11), handle=0x80000800),
        ],
    )
    assert render(elements(tree)) == (
        "class/10 TcClass(rate_bps=4000000, ceil_bps=4000000, prio=0, quantum_bytes=1514, burst_bytes=3028, cburst_bytes=3028)\n"
        "class/11 TcClass(rate_bps=800000, ceil_bps=800000, prio=0, quantum_bytes=1514, burst_bytes=3028, cburst_bytes=3028)\n"
        "filter/dscp-8 TcFilter(minor=17, pref=7)\n"
        "leaf/10 TcLeaf(limit_packets=5)\n"
        "other/filter/9/0003/0 TcOther(text='bpf filter of preference 9 for protocol 0003')\n"
        "other/leaf/11 TcOther(text='fq_codel 8002:')\n"
        "qdisc TcQdisc(default_minor=17, rate_bps=8000000)\n"
    )


def link_record(name: str, master: int, member_of: str) -> ifinfmsg:
    made = ifinfmsg()
    made["index"] = 7
    made["attrs"] = [
        ["IFLA_IFNAME", name],
        ["IFLA_MASTER", master],
        ["IFLA_NUM_TX_QUEUES", 4],
        ["IFLA_LINKINFO", {"attrs": [["IFLA_INFO_SLAVE_KIND", member_of]]}],
    ]
    made.encode()
    return made.copy()


@pytest.mark.parametrize(("master", "member_of"), [(9, "bond"), (9, "bridge"), (0, "")])
def test_whose_member_a_link_is(master: int, member_of: str) -> None:
    found = link.decode(link_record("eth0", master, member_of))
    assert found == link.Link(7, "eth0", member_of, 4, master=master)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1, PermissionMissingError),
        (2, UnsupportedError),
        (16, BusyError),
        (17, ForeignError),
        (19, GoneError),
        (22, RefusedError),
        (95, UnsupportedError),
        (105, BusyError),
        (110, BusyError),
    ],
)
def test_errors_are_named_by_who_must_act(number: int, kind: type[DriverError]) -> None:
    found = named(KernelError(number, "Quantum is wrong."), "eth0", "adding class/10")
    assert type(found) is kind
    assert str(found).startswith("eth0: adding class/10 failed (Quantum is wrong.): ")
