"""Operators' calls over real gRPC: what connected agents hear, what is shown, what survives the process."""

import asyncio
import json
import subprocess
import sys
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


def test_leave_given_with_the_change_is_for_that_change(tmp_path: Path) -> None:
    """One request: a policy that is refused leaves no leave behind, one that is taken has it at once."""

    async def body(served: Served) -> None:
        async with ScriptedAgent(served.address, "d1") as agent:
            await agent.hello()
            bad = served("apply", DATA / "main.yaml", "--allow-disruptive")
            assert bad.code == 4, "the file owns that policy"
            assert "leave" not in good(served, "log")
            done = served("apply", DATA / "decode.yaml", "--allow-disruptive", "--max-nodes", "3")
            assert done.code == 0
            number = done.out.rpartition("generation ")[2].strip()
            rows = served("log", "-o", "json").json["records"]
            assert [(r["what"], r["subject"]) for r in rows[:2]] == [
                ("leave", "link flap, 3 nodes at once"),
                ("policy", "api"),
            ]
            told = {f"{r['generation']['epoch']}.{r['generation']['number']}" for r in rows[:2]}
            assert told == {number}
            await eventually(lambda: agent.desired and agent.desired[-1].scopes)
            order = agent.desired[-1]
            await agent.accept(order)
            waits = agent_pb2.ScopeStatus(
                kind=agent_pb2.SCOPE_KIND_PORT,
                name="c0",
                observed=order.generation,
                waiting_for=agent_pb2.DISRUPTION_LINK_FLAP,
                drained=True,
            )
            await agent.report(waits)
            await told_grant(agent)

    with serve(tmp_path, "main-p1") as served:
        run(body(served))


async def told_grant(agent: ScriptedAgent) -> None:
    assert await told(agent, "grant")


def test_status_shows_a_pause_and_a_rollout_as_values(tmp_path: Path) -> None:
    async def body(served: Served) -> None:
        async with ScriptedAgent(served.address, "n1", ("s0",)) as agent:
            await agent.hello()
            good(served, "pause", "--reason", "switch upgrade")
            assert served("apply", tmp_path / "fives.yaml").code == 0
            found = served("status", "-o", "json").json
            assert found["pause"]["paused"]
            assert found["pause"]["reason"] == "switch upgrade"
            assert found["rollout"]["phase"] == "ROLLOUT_PHASE_VERIFYING"
            assert found["rollout"]["waves"] == [{"nodes": ["n1"], "admitted": 1, "verified": 0}]
            shown = served("status").out
            assert "paused since 20" in shown
            assert "rollout verifying at wave 1 of 1" in shown
            good(served, "resume")
            late = served("apply", tmp_path / "fives.yaml", "--wait", "0.3")
            assert late.code == 4, "another change has to wait for the one under way"
            await agent.accept(await agent.next_desired())
            await eventually(lambda: "rollout" not in served("status", "-o", "json").json)
            assert not served("status", "-o", "json").json["pause"]["paused"]

    (tmp_path / "fives.yaml").write_bytes(
        (DATA / "canary.yaml").read_bytes().replace(b"soak_seconds: 10", b"soak_seconds: 0")
    )
    with serve(tmp_path, fabric="five") as served:
        run(body(served))


def test_apply_waits_and_says_how_far_it_is(tmp_path: Path) -> None:
    async def body(served: Served) -> None:
        async with ScriptedAgent(served.address, "n1", ("s0",)) as agent:
            await agent.hello()
            applied = asyncio.create_task(
                asyncio.to_thread(served, "apply", tmp_path / "main.yaml", "--wait", "20")
            )
            await agent.accept(await agent.next_desired())
            done = await applied
            assert done.code == 0, done.out + done.err
            assert done.err.splitlines()[-1] == "1 of 1 ports ready"
            late = served("apply", tmp_path / "canary.yaml", "--wait", "0.3")
            assert late.code == 1
            assert "wave 1 of 1 verifying, 0 of 1 nodes verified" in late.err
            assert "not ready within 0.3 seconds" in late.err
            assert served("apply", tmp_path / "canary.yaml", "--wait", "1", "--dry-run").code == 2

    for name in ("main", "canary"):
        text = (DATA / f"{name}.yaml").read_text()
        (tmp_path / f"{name}.yaml").write_text(text.replace("enforce", "enforce, selectors: [{nodes: [n1]}]"))
    with serve(tmp_path, fabric="five") as served:
        run(body(served))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("command", ["trafficd", "trafficd-agent"])
def test_completion_scripts_know_every_command(command: str, shell: str, tmp_path: Path) -> None:
    module = "trafficd.cli" if command == "trafficd" else "trafficd_agent.cli"
    words = [sys.executable, "-c", f"import sys; from {module} import main; sys.exit(main())"]
    done = subprocess.run(
        [*words, "completion", shell], capture_output=True, text=True, check=True, timeout=60
    )
    assert all(word in done.stdout for word in ("status", "pause", "doctor", command))
    if shell == "bash":
        script = tmp_path / "complete"
        script.write_text(done.stdout)
        ask = f'source {script}; COMP_WORDS=({command} paus); COMP_CWORD=1; $(complete -p {command} | sed "s/.*-F \\([^ ]*\\).*/\\1/"); echo "${{COMPREPLY[@]}}"'
        answer = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, timeout=20)
        assert answer.stdout.split() == ["pause"], answer.stderr


@pytest.mark.parametrize("command", ["pause", "resume", "retry", "plan", "rollback", "history", "log"])
def test_help_of_every_command(command: str) -> None:
    assert trafficd(command, "--help").out.startswith("usage: trafficd")
