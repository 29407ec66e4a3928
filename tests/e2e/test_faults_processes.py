"""Faults against single processes: devices that misbehave, strangers at the ports, files that are no files."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from agentlab import A
from agentprocess import AgentProcess
from faultlab import Controller, descriptors, readiness
from lab.cluster import wait_for

from trafficd.api.v1 import agent_pb2, path_pb2, path_pb2_grpc
from trafficd.cli import main

PORTS = ("altered", "ignored", "lying", "hung", "refused", "well")
FABRIC = "version: 1\nname: lab\nhosts:\n  - name: n1\n    role: prefill\n    nics:\n" + "".join(
    f"      - {{name: {port}, kind: storage, rate: 100M}}\n" for port in PORTS
)
POLICY = (
    "version: 1\npolicies:\n  - {name: main, preset: dualpath, mode: enforce, selectors: [{nodes: [n1]}]}\n"
)
STRICT = POLICY.replace("dualpath", "two-lane-strict")


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    made = Controller(tmp_path, FABRIC, POLICY)
    made.start()
    yield made
    assert made.end() == 0
    made.kill()
    assert "Traceback" not in made.said()


@pytest.fixture
def agent(tmp_path: Path, controller: Controller) -> Iterator[AgentProcess]:
    made = AgentProcess(tmp_path / "agent", controller.grpc_port, PORTS)
    yield made
    made.kill()
    assert "Traceback" not in made.said()


def test_devices_that_misbehave_stand_alone_until_a_new_generation(
    controller: Controller, agent: AgentProcess
) -> None:
    agent.behave(
        {"match": "altered", "alter": ["class"]},
        {"match": "ignored", "ignore": ["leaf"]},
        {"match": "lying", "lie": ["filter"]},
        {"match": "hung", "hang": "write"},
        {"match": "refused", "refuse": ["class"]},
    )
    agent.hold(lying=A)
    agent.start()
    expected = {
        "altered": "False VerificationFailed",
        "ignored": "False VerificationFailed",
        "hung": "False DriverHung",
        "refused": "False Refused",
        "well": "True InSync",
    }
    wait_for("verdicts", lambda: verdicts(controller).items() >= expected.items())
    status, said = readiness(controller.status())["lying"]
    assert (status.split()[0], "the state before could not be restored" in said) == ("False", True)
    assert [len(agent.holds(port)) for port in ("altered", "ignored", "refused")] == [0, 0, 0], "restored"
    before = writes(agent)
    # The restore that cannot be proven is tried again at every look: three of them pass.
    wait_for("three looks", lambda: writes(agent)["lying"] >= before["lying"] + 3)
    latched = ("altered", "ignored", "refused")
    assert {p: writes(agent)[p] for p in latched} == {p: before[p] for p in latched}, "latched"
    # A new generation, and devices that do as told.
    agent.behave()
    controller.policy.write_text(STRICT)
    wait_for("all in sync", lambda: verdicts(controller) == dict.fromkeys(PORTS, "True InSync"))
    assert len({agent.holds(port) for port in PORTS}) == 1
    assert agent.end() == 0


def test_an_agent_that_freezes_is_noticed_and_comes_back(controller: Controller, agent: AgentProcess) -> None:
    agent.start()
    assert agent.process is not None
    wait_for("a session", lambda: [n.connected for n in controller.status().nodes] == [True])
    agent.process.send_signal(signal.SIGSTOP)
    try:
        wait_for("its absence", lambda: [n.connected for n in controller.status().nodes] == [False], 30, 0.1)
        controller.policy.write_text(STRICT)
    finally:
        agent.process.send_signal(signal.SIGCONT)
    wait_for("the new policy", lambda: served(controller) == dict.fromkeys(PORTS, 2))
    assert set(verdicts(controller).values()) <= {"True Verified", "True InSync"}
    assert agent.end() == 0


class Nonsense(grpc.GenericRpcHandler):
    """A server whose every answer is no message, or one that does not belong there."""

    ANSWERS = (b"\xff" * 20, b"", agent_pb2.ControlResponse(header=agent_pb2.Header()).SerializeToString())

    def __init__(self) -> None:
        self.calls = 0

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.stream_stream_rpc_method_handler(self.answer)

    def answer(self, _requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        self.calls += 1
        yield self.ANSWERS[self.calls % len(self.ANSWERS)]


def test_a_controller_that_talks_nonsense(tmp_path: Path) -> None:
    server, nonsense = grpc.server(ThreadPoolExecutor(4)), Nonsense()
    server.add_generic_rpc_handlers((nonsense,))
    agent = AgentProcess(tmp_path, server.add_insecure_port("127.0.0.1:0"))
    server.start()
    try:
        agent.start()
        wait_for("five sessions", lambda: nonsense.calls >= 5)
        assert "is it a trafficd controller?" in agent.said()
        assert agent.get("/healthz") == b"ok\n"
        assert agent.end() == 0
    finally:
        agent.kill()
        server.stop(0).wait()
    assert "Traceback" not in agent.said()


def threads(agent: AgentProcess) -> int:
    assert agent.process is not None
    return sum(1 for _ in Path(f"/proc/{agent.process.pid}/task").iterdir())


def test_ports_that_leave_and_come_back_leave_no_threads_behind(tmp_path: Path) -> None:
    ports = tuple(f"c{i}" for i in range(20))
    fabric = FABRIC.partition("      - ")[0] + "".join(
        f"      - {{name: {port}, kind: storage, rate: 100M}}\n" for port in ports
    )
    one = POLICY.replace("[n1]", "[n1], ports: [c0]")
    controller = Controller(tmp_path, fabric, one)
    controller.start()
    agent = AgentProcess(tmp_path / "agent", controller.grpc_port, ports)
    agent.start()
    try:
        wait_for("one port", lambda: set(served(controller)) == {"c0"})
        few = threads(agent)
        controller.policy.write_text(POLICY)
        wait_for("twenty ports", lambda: list(verdicts(controller).values()) == ["True InSync"] * 20)
        assert threads(agent) >= few + 19
        controller.policy.write_text(one)
        wait_for("nineteen returned", lambda: returned(controller) == 19)
        controller.policy.write_text(one.replace("dualpath", "two-lane-strict"))
        # Some of what else runs keeps a few threads at hand.
        wait_for("few threads", lambda: threads(agent) <= few + 8)
    finally:
        agent.kill()
        controller.kill()


def returned(controller: Controller) -> int:
    return sum(verdict == "True ReturnedToAsFound" for verdict in verdicts(controller).values())


def served(controller: Controller) -> dict[str, int]:
    """Port -> the generation that its conditions are about."""
    return {s.name: s.observed.number for n in controller.status().nodes for s in n.scopes}


def verdicts(controller: Controller) -> dict[str, str]:
    return {port: verdict for port, (verdict, _) in readiness(controller.status()).items()}


def writes(agent: AgentProcess) -> dict[str, int]:
    found: dict[str, int] = json.loads(agent.device.read_bytes())["writes"]
    return {port: found.get(port, 0) for port in PORTS}


def reset(connection: socket.socket) -> None:
    """Close so that the other side gets a reset instead of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


PAGES = (
    b"GET /metrics HTTP/1.1\r\n\r\n",
    b"GET",
    bytes(range(256)) * 8,
    b"POST /metrics HTTP/1.1\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/9.9\r\n\r\n",
)
METHODS = (
    "AgentService/Control",
    "AgentService/Telemetry",
    "PathService/Recommend",
    "PathService/ReportEngines",
    "PathService/Watch",
    "PolicyService/ApplyPolicy",
    "FabricService/SetRole",
    "No/Such",
)


def strange_bytes(port: int, seed: random.Random) -> None:
    """Into the gRPC port: what is no HTTP/2, and what begins as HTTP/2 and goes on as noise."""
    preface = seed.choice((b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(preface + seed.randbytes(seed.choice((1, 9, 100, 5000))))


def strange_messages(port: int, seed: random.Random) -> set[str]:
    """To every sort of method: bytes that are no message, and none at all. The codes they are answered with."""
    codes = set()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in METHODS:
            for body in (b"\xff" * 50, seed.randbytes(1000), b"\x0a\x05abc"):
                call = channel.stream_stream(f"/trafficd.api.v1.{method}")
                try:
                    list(call(iter([body]), timeout=5))
                except grpc.RpcError as e:
                    codes.add(e.code().name)
    return codes


def test_strangers_at_the_ports_leave_nothing_behind(controller: Controller) -> None:
    assert controller.process is not None
    seed = random.Random(5)
    controller.status()
    before = descriptors(controller.process)
    for _ in range(5):
        for page in PAGES:
            connection = socket.create_connection(("127.0.0.1", controller.http_port), 5)
            with contextlib.suppress(OSError):
                connection.sendall(page)
            reset(connection)
        for _ in range(10):
            strange_bytes(controller.grpc_port, seed)
    assert strange_messages(controller.grpc_port, seed) == {"UNKNOWN", "UNIMPLEMENTED"}
    wait_for("descriptors as before", lambda: descriptors(controller.process) <= before + 1)
    assert [p.name for p in controller.status().policies] == ["main"]


def test_watchers_that_do_not_read_hold_up_nobody(controller: Controller) -> None:
    """A hundred streams of snapshots that nobody takes; answers go on, and the streams' end leaves nothing."""
    assert controller.process is not None
    ask = path_pb2.RecommendRequest(bytes=10**18, prefill=[path_pb2.EngineRef(node="n1")])
    with grpc.insecure_channel(f"127.0.0.1:{controller.grpc_port}") as channel:
        recommend = path_pb2_grpc.PathServiceStub(channel).Recommend
        wait_for("a snapshot", lambda: answered(recommend, ask))
        before = descriptors(controller.process)
        slow = [grpc.insecure_channel(f"127.0.0.1:{controller.grpc_port}", OWN) for _ in range(100)]
        calls = [path_pb2_grpc.PathServiceStub(c).Watch(path_pb2.WatchRequest()) for c in slow]
        assert len([next(call) for call in calls]) == 100
        assert all(answered(recommend, ask) for _ in range(100))
        for call, opened in zip(calls, slow, strict=True):
            call.cancel()
            opened.close()
    wait_for("descriptors as before", lambda: descriptors(controller.process) <= before + 1)


OWN = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.lookahead_bytes", 0)]


def answered(recommend: Callable[..., path_pb2.RecommendResponse], ask: path_pb2.RecommendRequest) -> bool:
    try:
        return len(recommend(ask, timeout=5).plans) == 1
    except grpc.RpcError:
        return False


def test_a_file_that_may_not_be_read_is_named_and_the_policy_before_stays(tmp_path: Path) -> None:
    # Root reads everything, unless it may not pass permissions by.
    less = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    made = Controller(tmp_path, FABRIC, POLICY, less)
    made.start()
    try:
        made.policy.chmod(0)
        wait_for("the reason", lambda: made.status().rejected)
        said = made.status()
        assert [p.reason for p in said.rejected] == [
            f"cannot read {made.policy}: Permission denied; what was accepted last stays in force"
        ]
        assert [p.name for p in said.policies] == ["main"]
        made.policy.chmod(0o600)
        wait_for("no reason", lambda: not made.status().rejected)
        assert made.end() == 0
    finally:
        made.kill()
    assert "Traceback" not in made.said()


CASES = Path(__file__).parents[1] / "cases"
TEXTS = tuple(
    (CASES / kind / name / f"{kind}.yaml").read_bytes()
    for kind, name in (
        ("policy", "own-lanes"),
        ("policy", "overrides"),
        ("fabric", "demo"),
        ("fabric", "ring"),
    )
)
SCRAPS = (
    b"", b"0", b"-1", b".nan", b"-.inf", b"1e999", b"9" * 400, b"9" * 5000, b"~", b"true", b"[]", b"{}", b"''", b"70%",
    b"nan%", b"!!map [1]", b"!!timestamp x", b"!!binary aGk=", b"! x", b'"\\ud800"', b'"\\x00"', b'"\\e[31m"', b"&a b", b"*a",
    b"<<: {a: b}", b"? [a]", b"|", b"'", b'"', b"{", b"]", b"\x00", b"\xff\xfe", "\u202e".encode(), b"\t", b"\n---\n", b"%YAML 9",
    b"x" * 300, b"[" * 64,
)  # fmt: skip


def mutated(seed: random.Random) -> bytes:
    """A valid policy or fabric with one to three harms: a word, a byte, a line, or the rest."""
    data = seed.choice(TEXTS)
    for _ in range(seed.randint(1, 3)):
        words = [m.span() for m in re.finditer(rb"[A-Za-z0-9._%/-]+", data)] or [(0, 0)]
        start, end = seed.choice(words)
        lines = data.split(b"\n")
        match seed.randrange(5):
            case 0 | 1:
                data = data[:start] + seed.choice(SCRAPS) + data[end:]
            case 2:
                data = data[:start] + seed.choice(SCRAPS) + data[start:]
            case 3:
                lines.insert(seed.randrange(len(lines) + 1), lines.pop(seed.randrange(len(lines))))
                data = b"\n".join(lines)
            case _:
                data = data[: max(start, len(data) // 2)]
    return data


def test_a_thousand_mutations_through_the_command(tmp_path: Path) -> None:
    """Every one is answered by a documented exit code and by lines that a terminal can show; never a traceback."""
    path, codes = tmp_path / "file.yaml", {0: 0, 1: 0}
    for number in range(1000):
        path.write_bytes(mutated(random.Random(number)))
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        more = ["--output", "json"] if number % 5 == 0 else []
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main(["check", str(path), *more])
        text = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
        assert text.strip(), number
        assert "Traceback" not in text, number
        assert all(c.isprintable() or c == "\n" for c in text), number
        codes[code] += 1
    assert min(codes.values()) > 50, "both sorts of answer were seen"
