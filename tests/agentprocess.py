"""A real agent process with fake devices, and a real gRPC server for it to talk to."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import yaml

from trafficd.api.v1 import agent_pb2, qos_pb2
from trafficd.api.v1.agent_pb2_grpc import AgentServiceServicer, add_AgentServiceServicer_to_server
from trafficd_agent.plain import from_plain, to_plain
from trafficd_topology.diff import State
from trafficd_topology.qos.kinds import KINDS

DEADLINE_S = 15.0


def wait_for(
    what: str, found: Callable[[], Any], explain: Callable[[], str] = str, seconds: float = DEADLINE_S
) -> Any:
    """Poll until ``found`` gives something true; AssertionError with an explanation after the deadline."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"no {what} within {seconds} s\n{explain()}"
        time.sleep(0.01)
    return value


def element_message(kind: str, key: str, value: Any) -> qos_pb2.Element:
    message = qos_pb2.Element(kind=kind, key=key)
    carrier = getattr(message, KINDS[kind][1])
    carrier.SetInParent()
    for field in carrier.DESCRIPTOR.fields:
        plain = getattr(value, field.name)
        if isinstance(plain, tuple):
            getattr(carrier, field.name).extend(plain)
        else:
            setattr(carrier, field.name, plain)
    return message


def scope_message(port: str, elements: State, mode: int = qos_pb2.MODE_ENFORCE) -> agent_pb2.DesiredScope:
    return agent_pb2.DesiredScope(
        kind=agent_pb2.SCOPE_KIND_PORT,
        name=port,
        driver="fake",
        mode=mode,  # type: ignore[arg-type]
        elements=[element_message(e.kind, e.key, e.value) for e in elements],
        lanes=[agent_pb2.ScopeLane(id=0, name="model", guaranteed_ratio=0.75)],
    )


class Controller(AgentServiceServicer):
    """What a controller does on the wire, and no more: greets, sends what it is told to, and notes what it hears."""

    def __init__(
        self,
        uuid: str,
        port: int = 0,
        refusal: str = "",
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.uuid, self.refusal, self.paused = uuid, refusal, False
        self.hellos: list[agent_pb2.Hello] = []
        self.acknowledgements: list[agent_pb2.Acknowledgement] = []
        self.reports: list[agent_pb2.StatusReport] = []
        self.inventories: list[agent_pb2.InventoryReport] = []
        self.columns: list[agent_pb2.TelemetryHello] = []
        self.samples: list[agent_pb2.Sample] = []
        self._out: Queue[agent_pb2.ControlResponse | None] = Queue()
        self._server = grpc.server(ThreadPoolExecutor(16))
        add_AgentServiceServicer_to_server(self, self._server)
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        self._server.start()

    def Control(self, request_iterator: Any, context: Any) -> Iterator[agent_pb2.ControlResponse]:  # noqa: N802 - its name on the wire
        hello = next(request_iterator).hello
        out = self._out = Queue()
        self.hellos.append(hello)
        threading.Thread(target=self._listen, args=(request_iterator, out), daemon=True).start()
        welcome = agent_pb2.Welcome(
            controller_uuid=self.uuid, telemetry_interval_ms=50, refusal=self.refusal, paused=self.paused
        )
        yield agent_pb2.ControlResponse(welcome=welcome)
        while (message := out.get()) is not None:
            yield message

    def _listen(self, requests: Any, out: Queue[Any]) -> None:
        try:
            for request in requests:
                kind = request.WhichOneof("message")
                heard = {
                    "acknowledgement": self.acknowledgements,
                    "status": self.reports,
                    "inventory": self.inventories,
                }
                heard[kind].append(getattr(request, kind))  # type: ignore[attr-defined]
        except grpc.RpcError:
            pass
        out.put(None)

    def Telemetry(self, request_iterator: Any, context: Any) -> agent_pb2.TelemetryResponse:  # noqa: N802 - its name on the wire
        for request in request_iterator:
            if request.HasField("hello"):
                self.columns.append(request.hello)
            else:
                self.samples.append(request.sample)
        return agent_pb2.TelemetryResponse()

    def desire(
        self,
        number: int,
        scopes: dict[str, State],
        epoch: int = 1,
        digest: str = "",
        uuid: str = "",
        revert_in_ms: int = 0,
    ) -> agent_pb2.Acknowledgement:
        """Send a whole desired state and wait for what the agent says to it."""
        desired = agent_pb2.DesiredState(
            generation=agent_pb2.Generation(epoch=epoch, number=number),
            digest=digest or f"digest-{number}",
            scopes=[scope_message(p, s) for p, s in scopes.items()],
            controller_uuid=uuid or self.uuid,
            revert_in_ms=revert_in_ms,
        )
        return self.say(agent_pb2.ControlResponse(desired=desired))

    def head(self, number: int, digest: str) -> agent_pb2.Acknowledgement:
        generation = agent_pb2.Generation(epoch=1, number=number)
        header = agent_pb2.Header(generation=generation, digest=digest, controller_uuid=self.uuid)
        return self.say(agent_pb2.ControlResponse(header=header))

    def say(self, message: agent_pb2.ControlResponse) -> agent_pb2.Acknowledgement:
        wait_for("session", lambda: self.hellos)
        before = len(self.acknowledgements)
        self._out.put(message)
        wait_for("acknowledgement", lambda: len(self.acknowledgements) > before)
        return self.acknowledgements[before]

    def tell(self, message: agent_pb2.ControlResponse) -> None:
        """Send what is not acknowledged."""
        wait_for("session", lambda: self.hellos)
        self._out.put(message)

    def pause(self, *, paused: bool, reason: str = "", uuid: str = "") -> None:
        order = agent_pb2.Pause(controller_uuid=uuid or self.uuid, paused=paused, reason=reason)
        self.tell(agent_pb2.ControlResponse(pause=order))

    def grant(self, port: str, number: int, ttl_ms: int = 10_000) -> None:
        order = agent_pb2.Grant(
            controller_uuid=self.uuid,
            kind=agent_pb2.SCOPE_KIND_PORT,
            name=port,
            generation=agent_pb2.Generation(epoch=1, number=number),
            disruption=agent_pb2.DISRUPTION_LINK_FLAP,
            ttl_ms=ttl_ms,
        )
        self.tell(agent_pb2.ControlResponse(grant=order))

    def retry(self, *ports: str) -> None:
        scopes = [agent_pb2.ScopeRef(kind=agent_pb2.SCOPE_KIND_PORT, name=p) for p in ports]
        self.tell(agent_pb2.ControlResponse(retry=agent_pb2.Retry(controller_uuid=self.uuid, scopes=scopes)))

    def status(self, port: str) -> agent_pb2.ScopeStatus | None:
        scopes = self.reports[-1].scopes if self.reports else ()
        return next((s for s in scopes if s.name == port), None)

    def ready(self, port: str) -> str:
        """``True 5: Verified``: the Ready condition last reported, the generation and the reason."""
        s = self.status(port)
        if s is None:
            return ""
        found = {c.type: c for c in s.conditions}[qos_pb2.CONDITION_TYPE_READY]
        word = {1: "True", 2: "False", 3: "Unknown"}[found.status]
        return f"{word} {s.observed.number}: {found.reason}"

    def wait_ready(self, port: str, said: str) -> None:
        wait_for(f"{said} of {port}", lambda: self.ready(port) == said, lambda: f"it says {self.ready(port)}")

    def stop(self) -> None:
        self._out.put(None)
        self._server.stop(0).wait()


class AgentProcess:
    """``trafficd-agent run`` on a directory of its own."""

    def __init__(
        self,
        directory: Path,
        controller_port: int,
        ports: tuple[str, ...] = ("c0", "c1"),
        disruptive: tuple[str, ...] = (),
    ) -> None:
        self.directory = directory
        self.device, self.control = directory / "device.json", directory / "control.yaml"
        self.log = directory / "log"
        (directory / "root" / "sys").mkdir(parents=True)
        options = {"device": str(self.device), "control": str(self.control), "ports": list(ports)}
        options["disruptive"] = list(disruptive)
        settings = {
            "node": "n1",
            "controller": f"127.0.0.1:{controller_port}",
            "state_dir": str(directory / "state"),
            "http": "127.0.0.1:0",
            "sysfs": str(directory / "root" / "sys"),
            "verify_seconds": 0.5,
            "deadline_seconds": 1,
            "telemetry_milliseconds": 50,
            "drain_hook": ["/bin/sh", "-c", f"test -e {directory}/drained-$2", "hook"],
            "ports": [{"match": "*", "driver": "fake", "options": options}],
        }
        self.settings = directory / "agent.yaml"
        self.settings.write_text(yaml.safe_dump(settings))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        command = [sys.executable, "-m", "trafficd_agent.cli", "run", "--config", str(self.settings), *more]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log)
        wait_for("http address", self.http, self.said)

    def http(self) -> str:
        found = re.search(r"serving http on (\S+)", self.said())
        return found[1] if found else ""

    def said(self) -> str:
        return self.log.read_text()

    def get(self, page: str) -> bytes:
        with urllib.request.urlopen(f"http://{self.http()}{page}", timeout=5) as answer:
            return bytes(answer.read())

    def status(self) -> Any:
        return json.loads(self.get("/status"))

    def behave(self, *rows: dict[str, Any]) -> None:
        fresh = self.control.with_suffix(".new")
        fresh.write_text(yaml.safe_dump({"scopes": list(rows)}))
        fresh.replace(self.control)

    def hold(self, **held: State) -> None:
        """Somebody else puts this there; ports that are not named hold nothing."""
        fresh = self.device.with_suffix(".new")
        fresh.write_text(json.dumps({"held": {p: to_plain(s) for p, s in held.items()}, "writes": {}}))
        fresh.replace(self.device)

    def holds(self, port: str) -> State:
        if not self.device.exists():
            return ()
        return from_plain(json.loads(self.device.read_bytes())["held"].get(port, []))

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def end(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)
