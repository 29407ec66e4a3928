"""Markings as a running controller answers them: typed, with canonical codes for names it does not know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from scriptedagent import ScriptedAgent

from trafficd.api.v1 import policy_pb2, policy_pb2_grpc, qos_pb2
from trafficd.app.controller import Controller
from trafficd.cli import main
from trafficd.config import Address, ControllerConfig, parse_listen
from trafficd.store import Store

CASE = Path(__file__).parent.parent / "cases" / "marking" / "roce"


@asynccontextmanager
async def controller(folder: Path, fabric: Path | None) -> AsyncIterator[str]:
    """A controller on the case's files; its gRPC address."""
    config = ControllerConfig(
        listen=(parse_listen("127.0.0.1:0"),),
        http=Address("127.0.0.1", 0),
        state=folder / "state.db",
        policy=CASE / "policy.yaml",
        fabric=fabric,
    )
    store = Store.open(config.state)
    try:
        running = Controller(config, store)
        async with running.running():
            yield str(running.grpc[0])
    finally:
        store.close()


async def ask(address: str, traffic_class: str, library: str, node: str) -> policy_pb2.GetMarkingResponse:
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = policy_pb2_grpc.PolicyServiceStub(channel)
        request = policy_pb2.GetMarkingRequest(traffic_class=traffic_class, library=library, node=node)
        answer: policy_pb2.GetMarkingResponse = await stub.GetMarking(request, timeout=5)
        return answer


async def refused(address: str, *question: str) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(address, *question)
    return caught.value.code(), caught.value.details() or ""


def test_both_ends_typed_and_so_priority_only_where_tc_manages(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            controller(tmp_path, CASE / "fabric.yaml") as address,
            ScriptedAgent(address, "p1") as agent,
        ):
            await agent.hello()
            await agent.accept(await agent.next_desired())
            answer = await ask(address, "kv", "ucx", "p1")
            assert [(e.here, list(e.nodes)) for e in answer.ends] == [
                (True, ["p1"]),
                (False, ["p2", "d1"]),
                (False, ["st1"]),
            ]
            (setting,) = answer.ends[0].settings
            assert (setting.form, setting.name, setting.value) == (
                policy_pb2.SETTING_FORM_ENV,
                "UCX_IB_TRAFFIC_CLASS",
                "128",
            )
            assert answer.ends[0].link_layer == qos_pb2.LINK_LAYER_ETHERNET
            assert [e.marking.HasField("so_priority") for e in answer.ends] == [True, False, False]
            assert "ask its vendor" in answer.ends[2].ask_vendor

    asyncio.run(story())


def test_unknown_names_are_not_found_and_no_fabric_is_a_precondition(tmp_path: Path) -> None:
    async def story() -> None:
        async with controller(tmp_path, CASE / "fabric.yaml") as address:
            for question, says in (
                (("kw", "ucx", "p1"), "no policy in force has a class kw"),
                (("kv", "gloo", "p1"), "no library gloo is known"),
                (("kv", "ucx", "p9"), "no host p9 is in the fabric"),
            ):
                code, details = await refused(address, *question)
                assert code == grpc.StatusCode.NOT_FOUND
                assert details.startswith(says)
        (tmp_path / "other").mkdir()
        async with controller(tmp_path / "other", None) as address:
            code, details = await refused(address, "kv", "ucx", "p1")
            assert (code, "--fabric FILE" in details) == (grpc.StatusCode.FAILED_PRECONDITION, True)

    asyncio.run(story())


def test_the_command_asks_the_controller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def story() -> None:
        async with controller(tmp_path, CASE / "fabric.yaml") as address:
            asked = [
                "marking",
                "--for",
                "ucx",
                "--node",
                "p1",
                "-o",
                "env",
                "--controller",
                address,
                "--class",
            ]
            assert await asyncio.to_thread(main, [*asked, "kv"]) == 0
            assert await asyncio.to_thread(main, [*asked, "kw"]) == 4

    asyncio.run(story())
    out, err = capsys.readouterr()
    assert out == "export UCX_IB_TRAFFIC_CLASS=128\n"
    assert "NOT_FOUND" in err


@pytest.mark.parametrize("given", [("--policy",), ("--fabric",)])
def test_files_come_in_pairs(given: tuple[str], capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["marking", "--class", "kv", "--for", "ucx", "--node", "p1"]
    assert main([*asked, *given, str(CASE / "policy.yaml")]) == 2
    assert main([*asked, "--policy", str(CASE / "fabric.yaml"), "--fabric", str(CASE / "policy.yaml")]) == 2
    assert "give both --policy and --fabric" in capsys.readouterr().err


def test_files_with_problems_and_conflicts_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "marking",
        "--class",
        "kv",
        "--for",
        "ucx",
        "--node",
        "p1",
        "--fabric",
        str(CASE / "fabric.yaml"),
    ]
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 1\npolicies: [{name: a, preset: no}]\n")
    twice = tmp_path / "twice.yaml"
    twice.write_text("version: 1\npolicies: [{name: a}, {name: b}]\n")
    assert main([*asked, "--policy", str(broken)]) == 1
    assert main([*asked, "--policy", str(twice)]) == 1
    err = capsys.readouterr().err
    assert "policies[0].preset: must be one of" in err
    assert "selected by policies a and b" in err
