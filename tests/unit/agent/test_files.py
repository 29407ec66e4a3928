"""What is on disk is either whole and trusted, or moved aside and named."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from agentlab import PORT, A, B, SaveError, enforced

from trafficd_agent.conditions import Row, Verdict
from trafficd_agent.desired import Desired, DesiredScope, ScopeId, ScopeLane
from trafficd_agent.files import AsFound, Files, Record, save
from trafficd_agent.plain import from_plain, to_plain
from trafficd_agent.scope import Latch, Stage
from trafficd_topology.diff import Element, state
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.ib import IbOption, IbTable
from trafficd_topology.status import Generation

DESIRED = Desired(Generation(2, 7), "d" * 64, "uuid-1", (enforced(A), DesiredScope(PORT, "tc", refusal="x")))


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    files = Files(tmp_path)
    lanes = (ScopeLane(1, "kv", ("kv-read", "kv-write"), 0.01), ScopeLane(0, "model", unmarked=True))
    ib = state(
        [Element("option", "qos_vlarb_high", IbOption("0:255")), Element("sl2vl", "*", IbTable((0, 1, 15)))]
    )
    fabric = DesiredScope(ScopeId(ScopeKind.FABRIC, "ib 0/ä"), "opensm", elements=ib, lanes=lanes)
    desired = Desired(DESIRED.generation, DESIRED.digest, DESIRED.controller_uuid, (*DESIRED.scopes, fabric))
    files.keep_accepted(desired)
    assert Files(tmp_path).accepted() == desired
    scope = files.scope(fabric.id)
    scope.begin("opensm", ib, ())
    assert (scope.as_found(), scope.record()) == (AsFound("opensm", ib), Record((), ib, open=True))
    scope.settle(ib)
    scope.begin("opensm", (), ib)
    assert scope.as_found() == AsFound("opensm", ib), "what was found first stays"
    assert scope.record() == Record(ib, (), open=True)
    assert files.touched() == (fabric.id,)
    latch = Latch(Stage.FOUGHT, Verdict(Row.DRIFTED, "RepairLimit", "who?"))
    scope.keep_latch(latch)
    assert scope.latch() == latch
    scope.keep_latch(Latch(None, None))
    assert scope.latch() is None
    scope.forget()
    assert (scope.as_found(), scope.record(), files.touched(), files.problems) == (None, None, (), [])


def test_lanes_that_an_earlier_agent_wrote_are_taken_up(tmp_path: Path) -> None:
    files = Files(tmp_path)
    scope = replace(enforced(A), lanes=(ScopeLane(1, "kv", ("kv-read",), 0.01, True),))
    files.keep_accepted(Desired(Generation(1, 1), "d", "u", (scope,)))
    path = tmp_path / "accepted.json"
    body = json.loads(path.read_bytes())["body"]
    for lane in body["scopes"][0]["lanes"]:
        del lane["guaranteed_ratio"], lane["unmarked"]
    save(path, body)
    found = Files(tmp_path).accepted()
    assert found is not None
    assert found.scopes == (replace(scope, lanes=(ScopeLane(1, "kv", ("kv-read",)),)),)


def tampered(path: Path, **changes: object) -> bytes:
    return json.dumps({**json.loads(path.read_bytes()), **changes}).encode()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda p: b"", "it is not JSON"),
        (lambda p: p.read_bytes()[:-40], "it is not JSON"),
        (lambda p: b"\x00\xff" * 100, "it is not JSON"),
        (lambda p: b"[" * 100_000, "it is not JSON"),
        (lambda p: b"{}", "it is no state file"),
        (lambda p: p.read_bytes().replace(b"uuid-1", b"uuid-2"), "its checksum is wrong"),
        (lambda p: tampered(p, version=2), "it is of version 2, and this agent writes version 1"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_moved_aside_and_named(
    tmp_path: Path, spoil: object, why: str
) -> None:
    files = Files(tmp_path)
    files.keep_accepted(DESIRED)
    path = tmp_path / "accepted.json"
    spoiled: bytes = spoil(path)  # type: ignore[operator]
    path.write_bytes(spoiled)
    assert files.accepted() is None
    assert files.problems == [
        f"{path} cannot be trusted ({why}) and was moved aside to accepted.json.corrupt-1"
    ]
    assert (path.exists(), (tmp_path / "accepted.json.corrupt-1").read_bytes()) == (False, spoiled)


def test_what_was_found_and_cannot_be_read_is_lost_and_never_replaced(tmp_path: Path) -> None:
    scope = Files(tmp_path).scope(PORT)
    scope.begin("fake", B, A)
    (tmp_path / "asfound" / "port-c0.json").write_bytes(b"?")
    assert scope.as_found() == AsFound("", lost=True)
    scope.begin("fake", A, B)
    assert Files(tmp_path).scope(PORT).as_found() == AsFound("", lost=True)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 10 bytes: every write of more fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.keep_accepted(DESIRED)
    newer = Desired(Generation(2, 8), "e", "uuid-1")
    with (
        full_disk(),
        pytest.raises(SaveError, match=r"^cannot save .*accepted.json: File too large; free space"),
    ):
        files.keep_accepted(newer)
    assert Files(tmp_path).accepted() == DESIRED
    files.keep_accepted(newer)
    assert Files(tmp_path).accepted() == newer


@pytest.mark.parametrize(
    "plain",
    [
        {"kind": "warp", "key": "", "value": {}},
        {"kind": "leaf", "key": "10", "value": {}},
        {"kind": "leaf", "key": "10", "value": {"limit_packets": "7"}},
        {"kind": "leaf", "key": "10", "value": {"limit_packets": True}},
        {"kind": "sl2vl", "key": "*", "value": {"entries": [1, "2"]}},
        {"kind": "leaf", "key": 10, "value": {"limit_packets": 7}},
        "leaf",
        None,
    ],
)
def test_what_is_no_element_is_refused(plain: object) -> None:
    with pytest.raises(ValueError, match="not an element of a known kind"):
        from_plain([plain])


def test_plain_and_back() -> None:
    assert from_plain(json.loads(json.dumps(to_plain(A)))) == A
