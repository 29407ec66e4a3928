"""Our messages are, byte for byte, those that iproute2's ``dcb`` sends for the same settings."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lab.dcbport import DcbPort, dcb_port
from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST
from pyroute2.netlink.rtnl import RTM_GETDCB, RTM_SETDCB

from trafficd_agent.netlink import dcb
from trafficd_agent.netlink.channel import Channel
from trafficd_agent.netlink.dcbmsg import (
    DCB_CMD_IEEE_DEL,
    DCB_CMD_IEEE_GET,
    DCB_CMD_IEEE_SET,
    DCB_CMD_SDCBX,
    dcbmsg,
)

DUMPED = re.compile(r"^ \| [0-9a-f]{5}  ((?:[0-9a-f]{2} {1,2}){1,16})", re.MULTILINE)
CALL = re.compile(r"^(?:sendto|sendmsg)\(", re.MULTILINE)
SEQUENCE = slice(8, 12)


@pytest.fixture(scope="module")
def port() -> Iterator[DcbPort]:
    with dcb_port("dt0") as made:
        yield made


def sent(directory: Path, *words: str) -> list[bytes]:
    """What ``dcb`` hands to the kernel, its numbers made 0."""
    log = directory / "trace"
    trace = ["strace", "-e", "trace=sendto,sendmsg", "-e", "write=all", "-o", str(log), "dcb", *words]
    subprocess.run(trace, check=False, timeout=60, capture_output=True)
    calls = CALL.split(log.read_text())[1:]
    return [plain(bytes.fromhex("".join(DUMPED.findall(call)))) for call in calls]


def plain(message: bytes) -> bytes:
    raw = bytearray(message)
    raw[SEQUENCE] = bytes(4)
    return bytes(raw)


def ours(message: dcbmsg) -> bytes:
    message["header"]["flags"] = NLM_F_REQUEST | NLM_F_ACK
    message.encode()
    return plain(bytes(message.data))


def test_a_question(port: DcbPort, tmp_path: Path) -> None:
    theirs = sent(tmp_path, "ets", "show", "dev", "dt0")
    assert ours(dcb.request(RTM_GETDCB, DCB_CMD_IEEE_GET, "dt0")) in theirs


def test_each_order(port: DcbPort, tmp_path: Path) -> None:
    with Channel() as channel:
        held = dcb.read(channel, "dt0")
    assert held.ets is not None
    assert held.pfc is not None
    assert held.buffer is not None
    ets = replace(held.ets, prio_tc=(1, *held.ets.prio_tc[1:]))
    pfc = replace(held.pfc, enabled=0b1000)
    buffer = replace(held.buffer, prio_buffer=(1, *held.buffer.prio_buffer[1:]))
    apps = [dcb.app_attribute(dcb.App(5, d, p)) for d, p in ((26, 3), (48, 6))]
    # iproute2 6.1 takes a rate in bytes per second for the kernel's kilobits per second: 8 kbit is its word for 1000 of them.
    rates = {"tc_maxrate": (1000, *[0] * 7)}
    rows: tuple[tuple[str, int, list[object]], ...] = (
        ("ets set dev dt0 prio-tc 0:1", DCB_CMD_IEEE_SET, ["DCB_ATTR_IEEE_ETS", dcb.ets_fields(ets)]),
        ("pfc set dev dt0 prio-pfc 3:on", DCB_CMD_IEEE_SET, ["DCB_ATTR_IEEE_PFC", dcb.pfc_fields(pfc)]),
        (
            "app add dev dt0 dscp-prio 26:3 48:6",
            DCB_CMD_IEEE_SET,
            ["DCB_ATTR_IEEE_APP_TABLE", {"attrs": apps}],
        ),
        (
            "app del dev dt0 dscp-prio 26:3 48:6",
            DCB_CMD_IEEE_DEL,
            ["DCB_ATTR_IEEE_APP_TABLE", {"attrs": apps}],
        ),
        ("maxrate set dev dt0 tc-maxrate 0:8kbit", DCB_CMD_IEEE_SET, ["DCB_ATTR_IEEE_MAXRATE", rates]),
        (
            "buffer set dev dt0 prio-buffer 0:1",
            DCB_CMD_IEEE_SET,
            ["DCB_ATTR_DCB_BUFFER", dcb.buffer_fields(buffer)],
        ),
    )
    for words, command, attribute in rows:
        mine = ours(dcb.ieee_order(command, "dt0", attribute))
        theirs = sent(tmp_path, *words.split())
        assert mine.hex() in [t.hex() for t in theirs], words
    mode = ours(dcb.request(RTM_SETDCB, DCB_CMD_SDCBX, "dt0", ["DCB_ATTR_DCBX", 9]))
    assert mode in sent(tmp_path, "dcbx", "set", "dev", "dt0", "host", "ieee")
