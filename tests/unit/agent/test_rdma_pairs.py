"""Queue pairs as the kernel lists them: messages laid out as in rdma_netlink.h and nldev.c."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from trafficd_agent.app.drain import Question, ask
from trafficd_agent.desired import ScopeId
from trafficd_agent.netlink.rdma import QueuePair, devices, messages, open_pairs, queue_pairs
from trafficd_topology.model import ScopeKind


def attribute(kind: int, payload: bytes, nested: int = 0) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind | nested) + payload + b"\0" * (-len(payload) % 4)


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def entry(kind: int, owner: bytes, port: int | None = 1) -> bytes:
    where = b"" if port is None else u32(3, port)
    return attribute(
        20, where + u32(21, 17) + attribute(26, bytes([kind])) + attribute(27, b"\3") + owner, 0x8000
    )


PROCESS, KERNEL = u32(28, 4711), attribute(29, b"ib_core\0")
RECORD = (
    u32(1, 0)
    + attribute(2, b"mlx5_0\0")
    + attribute(
        19,
        entry(0, KERNEL)  # management
        + entry(1, KERNEL)
        + entry(2, PROCESS)  # a process, connected
        + entry(4, PROCESS, port=2)  # a process, datagrams
        + entry(4, KERNEL)  # IPoIB
        + entry(2, KERNEL, port=None),  # storage of the kernel
        0x8000,
    )
)


def test_only_those_that_a_flap_breaks_matter() -> None:
    found = list(queue_pairs([RECORD]))
    assert [q.matters for q in found] == [False, False, True, True, False, True]
    assert found[3] == QueuePair(4, 2, of_process=True)
    assert found[5] == QueuePair(2, None, of_process=False)


def test_devices_and_messages() -> None:
    assert devices([RECORD, u32(1, 3) + attribute(2, b"rxe0\0"), u32(1, 4)]) == {"mlx5_0": 0, "rxe0": 3}
    stream = struct.pack("=IHHII", 19, 5121, 2, 1, 0) + b"abc\0" + struct.pack("=IHHII", 16, 3, 2, 1, 0)
    assert list(messages(stream)) == [(5121, b"abc"), (3, b"")]
    with pytest.raises(OSError, match="cut off"):
        list(messages(stream[:18]))
    with pytest.raises(OSError, match="cut off"):
        list(queue_pairs([b"\x09\0\x13\0aa"]))


def test_a_device_that_is_not_there_is_unknown_and_not_drained() -> None:
    assert open_pairs("no-such-device") is None


@pytest.mark.parametrize(
    ("hook", "device", "answer"),
    [
        (("/bin/sh", "-c", 'test "$1 $2" = "port c0"', "hook"), None, True),
        (("/bin/false",), None, False),
        (("/nonexistent/hook",), None, None),
        ((), None, None),
        ((), "no-such-device:1", None),
    ],
)
def test_the_hook_goes_before_what_the_kernel_says(
    hook: tuple[str, ...], device: str | None, answer: bool | None
) -> None:
    assert ask(Question(hook, ScopeId(ScopeKind.PORT, "c0"), device)) is answer


def test_a_hook_that_takes_too_long_says_no(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("trafficd_agent.app.drain.HOOK_S", 0.05)
    assert ask(Question(("/bin/sleep", "5"), ScopeId(ScopeKind.FABRIC, "ib0"), None)) is False
