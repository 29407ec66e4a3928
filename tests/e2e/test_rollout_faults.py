"""What goes wrong around a change: the controller dies in each phase, the disk is full, two operators at once."""

from __future__ import annotations

import asyncio
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from scriptedagent import ScriptedAgent, eventually, port_status
from served import DATA, MAIN, Served, serve

from trafficd.api.v1 import agent_pb2, operation_pb2, policy_pb2, policy_pb2_grpc

NODES = ("n1", "n2", "n3")
POLICY = "version: 1\n{rollout}policies: [{{name: main, preset: {preset}, mode: enforce, selectors: [{{nodes: [{nodes}]}}]}}]\n"
WAVES = "rollout: {canary: {count: 1}, wave_percent: 100, soak_seconds: 2, deadline_seconds: 20}\n"


def policy(folder: Path, preset: str, rollout: str = "", nodes: str = "n1, n2, n3") -> Path:
    path = folder / f"{preset}-{len(rollout)}.yaml"
    path.write_text(POLICY.format(rollout=rollout, preset=preset, nodes=nodes))
    return path


def status(served: Served) -> policy_pb2.GetStatusResponse:
    """Over gRPC: it is asked often."""
    with grpc.insecure_channel(served.address) as channel:
        stub = policy_pb2_grpc.PolicyServiceStub(channel)
        found: policy_pb2.GetStatusResponse = stub.GetStatus(policy_pb2.GetStatusRequest(), timeout=10)
        return found


def at(served: Served) -> str:
    """Phase and wave; empty without a rollout."""
    found = status(served)
    if not found.HasField("rollout"):
        return ""
    phase = operation_pb2.RolloutPhase.Name(found.rollout.phase).removeprefix("ROLLOUT_PHASE_")
    return f"{phase} {found.rollout.wave}"


def alike(served: Served) -> bool:
    found = status(served)
    return all(n.acknowledged == found.generation for n in found.nodes)


class Team:
    """Three agents that do as they are told, but those that ``stall``; they outlive the controller."""

    def __init__(self) -> None:
        self.held: dict[str, ScriptedAgent] = {}
        self.told: dict[str, list[str]] = {n: [] for n in NODES}
        self.stall: set[str] = set()
        self.fail: set[str] = set()

    async def connect(self, served: Served, stack: list[ScriptedAgent]) -> None:
        for name in NODES:
            agent = await ScriptedAgent(served.address, name, ("s0",)).__aenter__()
            if name in self.held:
                before = self.held[name]
                agent.accepted, agent.digest, agent.follows = before.accepted, before.digest, before.follows
            self.held[name] = agent
            stack.append(agent)
            await agent.hello()

    async def obey(self) -> None:
        """Answer every order that has come, until cancelled."""
        seen = dict.fromkeys(NODES, 0)
        while True:
            for name in NODES:
                agent = self.held[name]
                for message in agent.said[seen[name] :]:
                    seen[name] += 1
                    await self._answer(agent, message)
            await asyncio.sleep(0.01)

    async def _answer(self, agent: ScriptedAgent, message: agent_pb2.ControlResponse) -> None:
        kind = message.WhichOneof("message")
        if kind not in ("desired", "header"):
            return
        order = getattr(message, kind)
        if kind == "desired":
            self.told[agent.node].append(order.digest)
        if agent.node in self.stall and kind == "desired":
            return
        await agent.accept(order)
        if agent.node in self.fail:
            await agent.report(port_status("s0", order.generation, VERIFIED=False, READY=False))


@contextmanager
def team(served: Served, members: Team) -> Iterator[Callable[[], None]]:
    """Agents on a thread of their own while a test drives the command."""
    ready, over, failed = threading.Event(), threading.Event(), []

    async def body() -> None:
        stack: list[ScriptedAgent] = []
        await members.connect(served, stack)
        ready.set()
        work = asyncio.create_task(members.obey())
        while not over.is_set() and not work.done():
            await asyncio.sleep(0.02)
        work.cancel()
        for agent in stack:
            await agent.__aexit__()

    def run() -> None:
        try:
            asyncio.run(body())
        except BaseException as e:  # noqa: BLE001 - said below
            failed.append(e)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(20)
        yield over.set
    finally:
        over.set()
        thread.join(20)
        assert not failed, failed


async def _eventually(what: Callable[[], object]) -> None:
    for _ in range(4):
        try:
            await eventually(what)
        except TimeoutError:
            continue
        return
    raise AssertionError("not within 40 seconds")


def wait(what: Callable[[], object]) -> None:
    asyncio.run(_eventually(what))


PHASES: tuple[tuple[str, set[str], set[str], str], ...] = (
    ("verifying the canary", {"n1"}, set(), "VERIFYING 1"),
    ("soaking", set(), set(), "SOAKING 1"),
    ("verifying a later wave", {"n2"}, set(), "VERIFYING 2"),
    ("halted", set(), {"n1"}, "HALTED 1"),
)


@pytest.mark.parametrize(("phase", "stall", "fail", "where"), PHASES, ids=[p[0] for p in PHASES])
def test_a_controller_killed_in_each_phase_goes_on_where_it_was(
    tmp_path: Path, phase: str, stall: set[str], fail: set[str], where: str
) -> None:
    members = Team()
    second = policy(tmp_path, "two-lane-strict", WAVES)

    with serve(tmp_path, fabric="five") as served, team(served, members):
        assert served("apply", policy(tmp_path, "dualpath")).code == 0
        wait(lambda: all(len(t) == 1 for t in members.told.values()))
        members.stall, members.fail = stall, fail
        assert served("apply", second).code == 0
        wait(lambda: at(served) == where)
        served.process.kill()
        served.process.wait()
    members.stall = set()
    with serve(tmp_path, fabric="five") as served:
        assert at(served) in (where, where.replace("SOAKING", "VERIFYING")), "before any agent is back"
        with team(served, members):
            if fail:
                assert at(served) == where, "a halt outlives the process"
                members.fail = set()
                assert served("rollout", "abort").code == 0
            wait(lambda: not at(served))
            digests = {told[-1] for told in members.told.values()}
            assert len(digests) == 1, "every node stands alike"
            back = members.told["n2"][-1] == members.told["n2"][0]
            assert back == bool(fail), "aborted: what was in force before; else the new"
            wait(lambda: alike(served))


def test_two_operators_apply_at_once(tmp_path: Path) -> None:
    """One of them wins whole, the other is told that a change is under way; never a mixture."""
    members = Team()
    with serve(tmp_path, fabric="five") as served, team(served, members):
        assert served("apply", policy(tmp_path, "dualpath")).code == 0
        wait(lambda: all(len(t) == 1 for t in members.told.values()))
        members.stall = {"n1"}
        texts = [policy(tmp_path, "two-lane-strict", WAVES), policy(tmp_path, "three-class", WAVES + " \n")]
        command = [*MAIN, "apply", "--controller", served.address, "--timeout", "30"]
        both = [
            subprocess.Popen([*command, str(t)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for t in texts
        ]
        said = [p.communicate(timeout=60) for p in both]
        codes = [p.returncode for p in both]
        assert sorted(codes) == [0, 4], said
        (refused,) = [err for (_, err), code in zip(said, codes, strict=True) if code]
        assert "a rollout is under way (wave 1 of 2): wait until it is done" in refused
        assert at(served) == "VERIFYING 1"
        assert served("rollout", "abort").code == 0
        assert not at(served)


def test_a_policy_that_selects_nothing_changes_nothing_and_says_so(tmp_path: Path) -> None:
    members = Team()
    with serve(tmp_path, fabric="five") as served, team(served, members):
        nowhere = policy(tmp_path, "dualpath", WAVES, nodes="m*")
        assert served("apply", nowhere).code == 0
        found = status(served)
        assert not found.HasField("rollout")
        assert "policy main selects no port of the fabric" in found.notes
        assert "NothingPlanned" in [c.reason for c in found.conditions]
        assert "0 scopes would change" in served("plan", nowhere).out


SMALL = f"import resource, sys; sys.argv[0] = 'trafficd'; resource.setrlimit(resource.RLIMIT_FSIZE, ({{size}}, {resource.RLIM_INFINITY})); import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from trafficd.cli import main; sys.exit(main())"


def test_a_full_disk_refuses_the_change_and_keeps_what_was(tmp_path: Path) -> None:
    """The state file may not grow: what does not fit is refused whole, a pause is obeyed, and room ends it."""
    with serve(tmp_path, fabric="five") as served:
        assert served("apply", policy(tmp_path, "dualpath")).code == 0
        before = status(served)
    size = (tmp_path / "state.db").stat().st_size
    files = ["--fabric", str(DATA / "five.yaml"), "--state", str(tmp_path / "state.db")]
    listen = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    command = [sys.executable, "-c", SMALL.format(size=size), "serve", *files, *listen]
    log = (tmp_path / "small.log").open("w+")
    with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"gRPC on (\S+) ", process.stdout.readline())
            assert found, (tmp_path / "small.log").read_text()
            served = Served(process, found[1], "", "")
            big = policy(tmp_path, "two-lane-strict")
            big.write_text(big.read_text() + "# " + "x" * 2**20 + "\n")
            refused = served("apply", big)
            assert refused.code == 4, refused
            assert "RESOURCE_EXHAUSTED" in refused.err
            assert status(served).generation == before.generation
            assert [p.digest for p in status(served).policies] == [p.digest for p in before.policies]
            assert "two-lane" not in served("history", "-o", "json").out
            assert served("pause", "--reason", "disk").code in (0, 4)
            assert status(served).pause.paused, "kept or not, it is obeyed"
            resource.prlimit(
                process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
            assert served("apply", big).code == 0, "there is room again"
            assert "Traceback" not in (tmp_path / "small.log").read_text()
        finally:
            process.kill()
