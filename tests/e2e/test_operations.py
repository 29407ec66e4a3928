"""Operators' calls over real gRPC: what connected agents hear, what is shown, what survives the process."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path

import pytest
from scriptedagent import ScriptedAgent, eventually
from served import DATA, Served, serve, trafficd

from trafficd.api.v1 import agent_pb2


async def told(agent: ScriptedAgent, kind: str) -> list[object]:
    return await eventually(lambda: [getattr(r, kind) for r in agent.said if r.HasField(kind)])


def good(served: Served, *args: str | Path) -> str:
    done = served(*args)
    assert done.code == 0, done.out + done.err
    return done.out


def run(body: Coroutine[None, None, None]) -> None:
    asyncio.run(body)


def test_pause_reaches_agents_and_survives(tmp_path: Path) -> None:
    async def first(served: Served) -> None:
        async with ScriptedAgent(served.address, "p1") as agent:
            assert not (await agent.hello()).paused
            await agent.accept(await agent.next_desired())
            assert "1 connected agents" in good(served, "pause", "--reason", "switch upgrade")
            (pause,) = await told(agent, "pause")
            assert pause.paused
            assert pause.reason.endswith("switch upgrade")
            assert "every write is paused" in served("status").out

    async def second(served: Served) -> None:
        async with ScriptedAgent(served.address, "p1") as agent:
            assert (await agent.hello()).paused
            await told(agent, "pause")
            good(served, "resume")
            found = await eventually(lambda: [r.pause for r in agent.said if r.HasField("pause")][1:])
            assert not found[0].paused
            assert "resume" in good(served, "log")

    with serve(tmp_path) as served:
        run(first(served))
    with serve(tmp_path) as served:
        run(second(served))


def test_plan_history_and_rollback(tmp_path: Path) -> None:
    async def body(served: Served) -> None:
        async with ScriptedAgent(served.address, "p1") as agent:
            await agent.hello()
            first = await agent.next_desired()
            await agent.accept(first)
            strict = DATA / "main-p1-strict.yaml"
            told_plan = served("plan", DATA / "subnet-policy.yaml", "-o", "json")
            assert json.loads(told_plan.out)["problems"], "a file's policy cannot be taken over"
            assert "0 scopes are pending" in good(served, "plan")
            (tmp_path / "policy.yaml").write_bytes(strict.read_bytes())
            good(served, "history")
            assert served("rollback").code == 4
            assert served("rollback", "--to", "9.9").code == 4
            assert served("rollback", "--to", "x").code == 2
            assert served("rollout", "abort").code == 4
            assert "no rollout" in good(served, "rollout", "status", "--watch")

    with serve(tmp_path) as served:
        run(body(served))


def test_leave_becomes_a_grant(tmp_path: Path) -> None:
    async def body(served: Served) -> None:
        async with ScriptedAgent(served.address, "p1") as agent:
            await agent.hello()
            order = await agent.next_desired()
            await agent.accept(order)
            status = agent_pb2.ScopeStatus(
                kind=agent_pb2.SCOPE_KIND_PORT,
                name="s0",
                driver="tc",
                observed=order.generation,
                waiting_for=agent_pb2.DISRUPTION_LINK_FLAP,
                drained=True,
            )
            await agent.report(status)
            assert "are allowed" in good(served, "resume", "--allow-disruptive")
            (grant,) = await told(agent, "grant")
            assert (grant.name, grant.disruption) == ("s0", agent_pb2.DISRUPTION_LINK_FLAP)
            assert grant.generation == order.generation
            status.latched = True
            await agent.report(status)
            await eventually(lambda: served("retry", "p1/s0").code == 0)
            await told(agent, "retry")

    with serve(tmp_path) as served:
        run(body(served))


@pytest.mark.parametrize("command", ["pause", "resume", "retry", "plan", "rollback", "history", "log"])
def test_help_of_every_command(command: str) -> None:
    assert trafficd(command, "--help").out.startswith("usage: trafficd")
