"""DCB messages: what is written reads as the same, for any values; sizes are the kernel's."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroute2.netlink.rtnl import RTM_GETDCB, RTM_SETDCB

from trafficd_agent.netlink import dcb
from trafficd_agent.netlink.channel import Channel, KernelError
from trafficd_agent.netlink.dcb_probe import has_dcb
from trafficd_agent.netlink.dcbmsg import DCB_CMD_IEEE_GET, DCB_CMD_IEEE_SET, dcbmsg


def eight(most: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(0, most)] * 8)


byte, word, long = eight(0xFF), eight(0xFFFFFFFF), eight(2**64 - 1)
ets = st.builds(
    dcb.Ets,
    st.booleans(),
    st.integers(0, 255),
    st.booleans(),
    *[byte] * 7,
)
pfc = st.builds(
    dcb.Pfc, st.integers(0, 255), st.integers(0, 255), st.booleans(), st.integers(0, 65535), long, long
)
buffer = st.builds(dcb.Buffer, byte, word, st.integers(0, 0xFFFFFFFF))
apps = st.lists(
    st.builds(dcb.App, st.sampled_from([1, 2, 3, 4, 5, 255]), st.integers(0, 65535), st.integers(0, 7)),
    max_size=70,
    unique=True,
)


def arrived(message: dcbmsg) -> dcbmsg:
    """The same message, read from its bytes."""
    message.encode()
    found = dcbmsg(bytes(message.data))
    found.decode()
    return found


def nested(*attributes: list[object]) -> dcbmsg:
    return dcb.request(RTM_SETDCB, DCB_CMD_IEEE_SET, "eth0", ["DCB_ATTR_IEEE", {"attrs": list(attributes)}])


@given(ets, pfc, buffer, long, apps)
@settings(max_examples=200, deadline=None)
def test_every_part_reads_as_it_was_written(
    e: dcb.Ets, p: dcb.Pfc, b: dcb.Buffer, rates: tuple[int, ...], entries: list[dcb.App]
) -> None:
    message = nested(
        ["DCB_ATTR_IEEE_ETS", dcb.ets_fields(e)],
        ["DCB_ATTR_IEEE_PFC", dcb.pfc_fields(p)],
        ["DCB_ATTR_IEEE_MAXRATE", {"tc_maxrate": rates}],
        ["DCB_ATTR_DCB_BUFFER", dcb.buffer_fields(b)],
        ["DCB_ATTR_IEEE_APP_TABLE", {"attrs": [dcb.app_attribute(a) for a in entries]}],
        ["DCB_ATTR_DCB_APP_TRUST_TABLE", {"attrs": [["DCB_ATTR_IEEE_APP_TRUST", s] for s in (5, 255)]}],
    )
    expected = dcb.Held(e, p, tuple(sorted(entries)), rates, b, (5, 255))
    assert dcb.held_value(arrived(message)) == expected


SIZES = {
    "DCB_ATTR_IEEE_ETS": (dcb.ets_fields(dcb.Ets()), 59),
    "DCB_ATTR_IEEE_PFC": (dcb.pfc_fields(dcb.Pfc()), 136),
    "DCB_ATTR_IEEE_MAXRATE": ({"tc_maxrate": dcb.NONE}, 64),
    "DCB_ATTR_DCB_BUFFER": (dcb.buffer_fields(dcb.Buffer()), 44),
}


@pytest.mark.parametrize("name", SIZES)
def test_structures_are_as_long_as_the_compiler_makes_them(name: str) -> None:
    value, size = SIZES[name]
    nest = arrived(nested([name, value])).get_attr("DCB_ATTR_IEEE")
    assert nest.get_attr(name).length - 4 == size


def test_an_answer_of_one_byte_is_an_error_and_not_a_nest() -> None:
    raw = bytearray(bytes(28))
    answer = dcb.request(RTM_SETDCB, DCB_CMD_IEEE_SET, "e")
    answer.encode()
    raw = bytearray(answer.data) + (5).to_bytes(2, "little") + (13).to_bytes(2, "little") + b"\xea\0\0\0"
    raw[:4] = len(raw).to_bytes(4, "little")
    found = dcbmsg(bytes(raw))
    found.decode()
    assert found.get_attr("DCB_ATTR_IEEE") == -22


def test_a_port_without_dcb_says_so() -> None:
    """The loopback device of the kernel that runs here."""
    with Channel() as channel:
        assert not has_dcb(channel, "lo")
        with pytest.raises(KernelError) as caught:
            channel.ask(dcb.request(RTM_GETDCB, DCB_CMD_IEEE_GET, "lo"))
    assert caught.value.number == 95
    assert socket.if_nametoindex("lo")
