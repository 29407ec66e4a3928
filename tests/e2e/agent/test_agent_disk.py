"""A node whose disk is full: nothing is written that could not be undone, and it goes on by itself with room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agentlab import A, B
from agentprocess import AgentProcess, Controller, wait_for

pytestmark = pytest.mark.kernel
SMALL = "size=64k"


@pytest.fixture
def controller() -> Iterator[Controller]:
    c = Controller("controller-1")
    yield c
    c.stop()


@pytest.fixture
def agent(tmp_path: Path, controller: Controller) -> Iterator[AgentProcess]:
    """Its state directory is a file system of a few kilobytes."""
    a = AgentProcess(tmp_path, controller.port)
    state = tmp_path / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", str(state)], check=True, timeout=10)
    try:
        yield a
    finally:
        if a.process is not None and a.process.poll() is None:
            a.kill()
        subprocess.run(["umount", str(state)], check=True, timeout=10)
    assert "Traceback" not in a.said()


def fill(directory: Path) -> Path:
    """Until nothing more fits."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 512)
        except OSError:
            return filler


def test_a_full_disk_refuses_before_the_first_write_and_says_so(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.start()
    agent.hold(c0=B)
    filler = fill(agent.directory / "state")
    said = controller.desire(1, {"c0": A})
    assert not said.accepted
    assert "cannot save" in said.reason
    assert "No space left on device; free space or correct its permissions" in said.reason
    assert agent.holds("c0") == B
    filler.unlink()
    assert controller.desire(1, {"c0": A}).accepted
    controller.wait_ready("c0", "True 1: Verified")
    assert agent.holds("c0") == A


def test_a_disk_that_fills_up_later_keeps_what_is_in_force(
    agent: AgentProcess, controller: Controller
) -> None:
    agent.start()
    assert controller.desire(1, {"c0": A}).accepted
    controller.wait_ready("c0", "True 1: Verified")
    filler = fill(agent.directory / "state")
    assert not controller.desire(2, {"c0": B}).accepted
    agent.hold(c0=A[:-1])
    controller.wait_ready("c0", "False 1: NotSaved")
    assert agent.holds("c0") == A[:-1], "drift is not repaired while the repair could not be undone"
    filler.unlink()
    wait_for("repair", lambda: agent.holds("c0") == A, agent.said)
