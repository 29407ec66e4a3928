"""The trafficd command as a person or a script meets it: a process, its output, its exit code."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from scriptedagent import ScriptedAgent
from served import DATA, FABRICS, MAIN, TIMEOUT_S, Served, serve, trafficd

from trafficd_topology.parsers.fabric import parse_fabric


def test_check_good_files_and_shares() -> None:
    done = trafficd("check", DATA / "main.yaml", DATA / "lab.yaml")
    assert done.code == 0
    assert "policy main: enforce, 4 ports selected" in done.out
    assert re.search(r"^kv\+model +- +- +1 % +99 %$", done.out, re.MULTILINE)
    told = trafficd("check", "-o", "json", DATA / "main.yaml", DATA / "lab.yaml").json
    assert told["problems"] == []
    assert told["policies"][0]["ports"] == ["d1/c0", "d1/s0", "p1/c0", "p1/s0"]
    assert {c["link_layer"] for c in told["policies"][0]["cases"]} == {
        "LINK_LAYER_ETHERNET",
        "LINK_LAYER_INFINIBAND",
    }


def test_check_names_every_problem(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.yaml"
    nonsense.write_text("a: 1\n")
    done = trafficd("check", DATA / "bad.yaml", DATA / "lab-bad.yaml", nonsense, "-", stdin=b"\xff")
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith(f"{DATA / 'bad.yaml'}: policies[0].preset: must be one of")
    assert lines[1].startswith(f"{DATA / 'lab-bad.yaml'}: hosts[0].rol: unknown key: did you mean role?")
    assert "neither a policy file nor a fabric file" in lines[2]
    assert "not a text file" in lines[3]


def test_check_finds_what_files_do_to_each_other() -> None:
    done = trafficd("check", DATA / "main-p1.yaml", DATA / "second-p1.yaml", DATA / "lab.yaml")
    assert done.code == 1
    assert "selected by policies main and second" in done.err
    assert trafficd("check", DATA / "main.yaml", DATA / "main-p1.yaml").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no-such-command",),
        ("check",),
        ("check", "/no/such/file"),
        ("check", DATA / "lab.yaml", DATA / "lab-d1-prefill.yaml"),
        ("apply",),
        ("apply", "/no/such/file"),
        ("serve", "--listen", "nowhere"),
        ("topology", "check", DATA / "main.yaml"),
        ("recommend", "--source", "n", "--bytes", "many"),
        ("recommend", "--source", "n", "--bytes", "9" * 400),
        ("recommend", "--source", "n", "--reserve", "nan"),
    ],
)
def test_usage_errors(arguments: tuple[str | Path, ...]) -> None:
    done = trafficd(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("apply", DATA / "main.yaml"),
        ("recommend", "--source", "n"),
        ("topology", "show"),
        ("topology", "capacity"),
        ("topology", "discover"),
        ("topology", "role", "p1", "decode"),
    ],
)
def test_no_controller(arguments: tuple[str | Path, ...]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and nobody answers
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        done = trafficd(*arguments, "--controller", address, "--timeout", "2")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"trafficd: no controller answers at {address}")
    assert done.err.count("\n") == 1


def test_topology_of_a_file() -> None:
    assert trafficd("topology", "check", DATA / "lab.yaml").code == 0
    assert trafficd("topology", "check", DATA / "lab-bad.yaml").code == 1
    shown = trafficd("topology", "show", DATA / "lab.yaml")
    assert shown.code == 0
    assert "p1/s0" in shown.out
    assert trafficd("topology", "show", DATA / "lab.yaml", "-o", "json").json["fabric"][0]["nics"] == 4


def test_capacity_of_a_file(tmp_path: Path) -> None:
    large = FABRICS / "48p96d" / "fabric.yaml"
    free = trafficd("topology", "capacity", large)
    assert (free.code, free.err) == (0, "")
    assert "1/7..7/2" in free.out
    brief, whole = (
        trafficd("topology", "capacity", large, "-o", "json", *more).json for more in ((), ("--all",))
    )
    assert brief["set"] == whole["set"]
    assert len(whole["resources"]) == sum(row["count"] for row in brief["resources"])
    assert trafficd("topology", "capacity", FABRICS / "regular" / "fabric.yaml").code == 1
    nobody = trafficd("topology", "capacity", FABRICS / "ring" / "fabric.yaml")
    assert (nobody.code, nobody.out) == (1, "")
    assert "no host of role prefill" in nobody.err
    regular = tmp_path / "regular.yaml"
    regular.write_text("version: 1\nname: n\nregular: {hosts: [{name: h[1-2}]}\n")
    assert trafficd("topology", "check", regular).code == 1


def test_serve_refuses_to_start(tmp_path: Path) -> None:
    state, listen = ("--state", tmp_path / "s.db"), ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    other = tmp_path / "other.db"
    other.write_bytes((DATA / "lab.yaml").read_bytes() * 10)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = f"127.0.0.1:{taken.getsockname()[1]}"
        cases = (
            (
                ("serve", *state, "--listen", port, "--http", "127.0.0.1:0"),
                f"cannot listen for gRPC on {port}",
            ),
            (
                ("serve", *state, "--listen", "127.0.0.1:0", "--http", port),
                f"cannot listen for HTTP on {port}",
            ),
            (("serve", "--state", tmp_path / "no" / "s.db", *listen), "choose a writable directory"),
            (("serve", "--state", other, *listen), "is not a state file"),
        )
        for arguments, says in cases:
            done = trafficd(*arguments)
            assert done.code == 4
            assert says in done.err.splitlines()[-1]


def test_two_controllers_on_one_state_file(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        second = trafficd(
            "serve", "--state", tmp_path / "state.db", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"
        )
        assert second.code == 4
        assert f"in use by process {served.process.pid} on" in second.err


def test_a_day_of_an_operator(tmp_path: Path) -> None:
    with serve(tmp_path, "main-p1") as c:
        empty = c("topology", "discover")
        assert (empty.code, empty.out) == (1, "")
        assert c("status").code == 1
        applied = c("apply", DATA / "decode.yaml")
        assert (applied.code, applied.out.splitlines()[-1]) == (0, "accepted, generation 1.0")
        assert c("apply", "--dry-run", DATA / "second-p1.yaml").code == 1
        refused = c("apply", DATA / "main-p1-strict.yaml")
        assert refused.code == 4
        assert "FAILED_PRECONDITION" in refused.err
        bad = c("apply", "-", stdin=b"version: 1\npolicies: [{name: x, preset: no}]\n")
        assert bad.code == 1
        assert "nothing was changed" in bad.err
        asyncio.run(with_agents(c))
        assert c("apply", "--remove", "decode").code == 0
        assert [p["name"] for p in c("status", "-o", "json").json["policies"]] == ["main"]
        c.process.send_signal(signal.SIGTERM)
        assert c.process.wait(10) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


async def with_agents(c: Served) -> None:
    async with ScriptedAgent(c.address, "p1") as p1, ScriptedAgent(c.address, "d1") as d1:
        for agent in (p1, d1):
            await agent.hello()
            await agent.accept(await agent.next_desired())
        found = await asyncio.to_thread(c, "topology", "discover", "--name", "found")
        assert found.code == 0
        spec, problems = parse_fabric(found.out)
        assert spec is not None, problems
        assert [(h.name, [n.name for n in h.nics]) for h in spec.hosts] == [
            ("d1", ["c0", "s0"]),
            ("p1", ["c0", "s0"]),
        ]
        judged = await asyncio.to_thread(c, "topology", "capacity")
        assert judged.code == 1  # the lab's decode hosts have one compute NIC as fast as its storage NIC
        assert "nic:d1/c0" in judged.out
        shown = await asyncio.to_thread(c, "topology", "show", "-o", "json")
        assert [h["host"] for h in shown.json["hosts"]] == ["p1", "d1"]
        status = await asyncio.to_thread(c, "status")
        assert re.search(r"^p1 +connected", status.out, re.MULTILINE)
        assert "tc lanes govern kernel-stack traffic only; RDMA bypasses them" in status.out
        told = await asyncio.to_thread(
            c, "recommend", "--source", "d1=64MiB", "--prefill", "p1/0", "-o", "json"
        )
        assert told.code == 0
        assert told.json["plans"][0]["legs"][0]["reader"] == "p1"
        unknown = await asyncio.to_thread(c, "recommend", "--source", "nobody=1", "--prefill", "p1/0")
        assert unknown.code == 1
        assert "nobody" in unknown.err


def test_discover_never_overwrites(tmp_path: Path) -> None:
    with serve(tmp_path) as c:
        asyncio.run(discover_twice(c, tmp_path / "found.yaml"))


async def discover_twice(c: Served, path: Path) -> None:
    async with ScriptedAgent(c.address, "p1") as p1:
        await p1.hello()
        assert (await asyncio.to_thread(c, "topology", "discover", "--write", path)).code == 0
        again = await asyncio.to_thread(c, "topology", "discover", "--write", path)
        assert again.code == 2
        assert "may hold your roles" in again.err


def test_kill_in_the_middle_of_applying(tmp_path: Path) -> None:
    """kill -9 while policies are applied: the same controller comes back, with what it last confirmed or later."""
    uuids: set[str] = set()
    for i in range(5):
        with serve(tmp_path, "empty") as c:
            uuids.add(c.uuid)
            names = {p["name"] for p in c("status", "-o", "json").json["policies"]}
            assert {f"p{j}" for j in range(i)} <= names
            text = (
                f"version: 1\npolicies: [{{name: p{i}, preset: dualpath, selectors: [{{nodes: [x{i}]}}]}}]\n"
            )
            assert c("apply", "-", stdin=text.encode()).code == 0
            late = subprocess.Popen(
                [*MAIN, "apply", "-", "--controller", c.address],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            assert late.stdin is not None
            late.stdin.write(text.replace(f"p{i}", f"late{i}").encode())
            late.stdin.close()
            os.kill(c.process.pid, signal.SIGKILL)
            assert late.wait(TIMEOUT_S) in (0, 3)
    assert len(uuids) == 1
