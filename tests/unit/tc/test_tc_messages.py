"""What pyroute2's messages are taught here: from bytes as the kernel sends them, and to bytes as it wants them."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from pyroute2.netlink import NLM_F_ACK_TLVS, NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR, nlmsg
from pyroute2.netlink.rtnl import RTM_NEWQDISC, RTM_NEWTCLASS, RTM_NEWTFILTER

from trafficd_agent.drivers.tc.matches import catch_all, kernel_filters
from trafficd_agent.netlink import tc
from trafficd_agent.netlink.messages import Marshal, TcMessage
from trafficd_topology.qos.tc import HANDLE_MAJOR, TcFilter


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def message(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 7, 0) + body


def parsed(data: bytes) -> nlmsg:
    (found,) = Marshal().parse(data)
    return found


KEYS = ["arp", "dscp-0", "dscp-46", "tcp-port-22"]


@pytest.mark.parametrize(
    "wanted",
    [*(f for key in KEYS for f in kernel_filters(key, TcFilter(0x11, 7))), catch_all(0x10)],
    ids=lambda f: f"{f.pref}-{f.keys}",
)
def test_a_filter_is_written_as_the_kernel_reads_it_and_read_back(wanted: tc.Filter) -> None:
    request = tc.add_filter(3, HANDLE_MAJOR, wanted)
    request.encode()
    keys = b"".join(struct.pack(">II", m, v) + struct.pack("=ii", off, 0) for m, v, off in wanted.keys or ())
    selector = struct.pack("=BBBxHHhhI", 1, 0, len(wanted.keys or ()), 0, 0, 0, 0, 0) + keys
    options = attribute(1, struct.pack("=I", wanted.target)) + attribute(5, selector)
    body = struct.pack("=BBHiIII", 0, 0, 0, 3, 0, HANDLE_MAJOR << 16, request["info"])
    expected = body + attribute(1, b"u32\0") + attribute(2, options)
    assert bytes(request.data)[16:] == expected
    answer = bytearray(message(RTM_NEWTFILTER, 0, expected))
    struct.pack_into("=I", answer, 24, 0x80000800)
    assert tc.decode_filter(parsed(bytes(answer))) == replace(wanted, handle=0x80000800)


def u32(*options: bytes, chain: int = 0) -> tc.Filter | None:
    """A u32 filter with options beside its class, decoded."""
    body = struct.pack("=BBHiIII", 0, 0, 0, 3, 0x80000800, HANDLE_MAJOR << 16, 9 << 16 | 0x0008)
    body += attribute(1, b"u32\0") + attribute(11, struct.pack("=I", chain))
    body += attribute(2, attribute(1, struct.pack("=I", 0x7F1D0011)) + b"".join(options))
    return tc.decode_filter(parsed(message(RTM_NEWTFILTER, 0, body)))


def selector(flags: int = 1, off: int = 0, hoff: int = 0, offmask: int = 0) -> bytes:
    head = struct.pack("=BBBxHHhhI", flags, 0, 1, 0, off, 0, hoff, 0)
    return attribute(5, head + struct.pack(">II", 0xFF, 6) + struct.pack("=ii", -14, offmask))


PLAIN = tc.Filter("u32", 9, tc.ETH_P_IP, 0x80000800, 0x7F1D0011, ((0xFF, 6, -14),))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (u32(selector()), PLAIN),
        (u32(selector(), attribute(2, bytes(4)), attribute(9, bytes(24)), attribute(11, bytes(4))), PLAIN),
        (u32(selector(), attribute(10, bytes(12))), replace(PLAIN, keys=None)),
        (u32(selector(), attribute(7, bytes(4))), replace(PLAIN, keys=None)),
        (u32(selector(), attribute(99, bytes(4))), replace(PLAIN, keys=None)),
        (u32(selector(), chain=5), replace(PLAIN, keys=None)),
        (u32(selector(flags=0)), replace(PLAIN, keys=None)),
        (u32(selector(off=4)), replace(PLAIN, keys=None)),
        (u32(selector(hoff=-4)), replace(PLAIN, keys=None)),
        (u32(selector(offmask=1)), replace(PLAIN, keys=None)),
        (u32(), replace(PLAIN, keys=None)),
    ],
)
def test_only_a_terminal_selector_at_fixed_places_is_a_plain_match(
    found: tc.Filter | None, expected: tc.Filter
) -> None:
    assert found == expected


def htb_class(kind: int, attributes: bytes) -> TcMessage:
    body = struct.pack("=BBHiIII", 0, 0, 0, 3, 0x7F1D0011, 0x7F1D0001, 0)
    return parsed(message(kind, 0, body + attribute(1, b"htb\0") + attributes))


@pytest.mark.parametrize(("more", "packets"), [(b"", 5), (attribute(8, struct.pack("=Q", 1 << 40)), 1 << 40)])
def test_packets_are_counted_beyond_32_bits(more: bytes, packets: int) -> None:
    basic = attribute(1, struct.pack("=QI", 1 << 50, 5))
    queue = attribute(3, struct.pack("=IIIII", 1, 2, 3, 4, 5))
    found = tc.counters(htb_class(RTM_NEWTCLASS, attribute(7, basic + queue + more)))
    assert found == tc.Counters(1 << 50, packets, 1, 2, 3, 4, 5)


def test_a_record_without_statistics_has_no_counters() -> None:
    assert tc.counters(htb_class(RTM_NEWTCLASS, b"")) is None


def test_the_limit_of_a_fifo_is_unsigned() -> None:
    body = struct.pack("=BBHiIII", 0, 0, 0, 3, 1, 2, 0)
    found = parsed(message(RTM_NEWQDISC, 0, body + attribute(1, b"pfifo\0") + attribute(2, b"\xff" * 4)))
    assert found.get_attr("TCA_OPTIONS")["limit"] == tc.RATE32_MAX
    request = tc.set_fifo(3, 1, 2, tc.RATE32_MAX, fresh=True)
    request.encode()
    assert bytes(request.data).endswith(attribute(2, b"\xff" * 4))


SAID = attribute(1, b"no such thing\0")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (message(NLMSG_DONE, NLM_F_MULTI, struct.pack("=i", -22)), None),
        (message(NLMSG_DONE, NLM_F_MULTI | NLM_F_ACK_TLVS, struct.pack("=i", -22) + SAID), "no such thing"),
        (message(NLMSG_ERROR, 0, struct.pack("=i", -22) + message(36, 5, bytes(20))), None),
        (
            message(NLMSG_ERROR, NLM_F_ACK_TLVS, struct.pack("=i", -22) + message(36, 5, bytes(20)) + SAID),
            "no such thing",
        ),
    ],
)
def test_how_it_ended_and_what_the_kernel_says_to_it(data: bytes, said: str | None) -> None:
    found = parsed(data)
    assert (found["error"], found.get_attr("NLMSGERR_ATTR_MSG")) == (-22, said)
