"""A real agent process and its certificates: what it says when they are wrong, and that lanes stay meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agentlab import A, name_of
from agentprocess import AgentProcess, Controller, wait_for
from certlab import HOUR, CertLab, server_credentials

from trafficd.api import tls


class Bench:
    """A controller with TLS, an agent, and the authority of both."""

    def __init__(self, folder: Path) -> None:
        self.lab = CertLab(folder)
        self.node = self.lab.issue("agent/n1")
        self.controller = self.serve()
        (folder / "agent").mkdir()
        self.agent = AgentProcess(folder / "agent", self.controller.port)

    def serve(self, port: int = 0, directory: Path | None = None) -> Controller:
        credentials = server_credentials(directory or self.lab.issue("controller/c1"))
        return Controller("controller-1", port, credentials=credentials)

    def start(self) -> None:
        self.agent.start("--tls-dir", str(self.node))

    def restart_controller(self, directory: Path | None = None) -> None:
        """On the same port, so that the agent has to connect, and to show its certificate, again."""
        self.controller.stop()
        self.controller = self.serve(self.controller.port, directory)

    def wait_said(self, *words: str) -> str:
        def line() -> Any:
            return next((s for s in self.agent.said().splitlines() if all(w in s for w in words)), "")

        return str(wait_for(f"line with {words}", line, self.agent.said))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    b = Bench(tmp_path)
    yield b
    b.controller.stop()
    if b.agent.process is not None and b.agent.process.poll() is None:
        b.agent.kill()
    assert "Traceback" not in b.agent.said()


def programmed(bench: Bench) -> None:
    bench.start()
    assert bench.controller.desire(1, {"c0": A}).accepted
    bench.controller.wait_ready("c0", "True 1: Verified")


def test_lanes_outlive_a_certificate_and_a_new_one_is_taken_without_a_restart(bench: Bench) -> None:
    programmed(bench)
    bench.lab.issue("agent/n1", -3 * HOUR, to=bench.node)
    bench.restart_controller()
    line = bench.wait_said(
        "no TLS connection", "it expired at", "this node's clock says", "put a new one there"
    )
    assert f"most likely it does not accept {bench.node}/tls.crt" in line
    assert name_of(bench.agent.holds("c0")) == "A"
    bench.lab.issue("agent/n1", to=bench.node)
    wait_for("hello", lambda: bench.controller.hellos, bench.agent.said)
    assert bench.controller.hellos[0].accepted.number == 1


@pytest.mark.parametrize("what", ["clock", "key", "authority", "rotated"])
def test_each_fault_is_one_sentence_and_the_lanes_stay(bench: Bench, what: str) -> None:
    programmed(bench)
    directory = None
    if what == "clock":
        bench.lab.issue("agent/n1", HOUR, to=bench.node)
        words = ("it is not valid before", "this node's clock says", "set the clock")
    elif what == "key":
        (bench.node / tls.KEY).unlink()
        words = (f"cannot read {bench.node}/tls.key: No such file or directory", "its permissions")
    elif what == "authority":
        directory = CertLab(bench.lab.folder / "other").issue("controller/c1")
        words = ("its certificate is not signed by an authority in", "bring that file up to date")
    else:
        directory = bench.lab.folder / "rotated"
        trusted = (bench.node / tls.AUTHORITIES).read_bytes()
        bench.lab.rotate()
        bench.lab.issue("controller/c1", to=directory)
        new_alone = bench.lab.authority.bundle.removesuffix(trusted)
        assert new_alone != bench.lab.authority.bundle
        (directory / tls.AUTHORITIES).write_bytes(new_alone)
        (bench.node / tls.AUTHORITIES).write_bytes(bench.lab.authority.bundle)
        words = ("most likely it does not accept", "its ca.crt with the authority that signed it")
    bench.restart_controller(directory)
    bench.wait_said(*words)
    assert name_of(bench.agent.holds("c0")) == "A"
    assert not bench.controller.hellos
