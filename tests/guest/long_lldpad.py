"""A real lldpad beside a whole agent on a DCB port: it writes by its own settings, and answers what the agent writes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Self

from guest.test_dcb_agent import LIMITS, PORT, WAIT_S, serve, status, told, until
from lab import guest
from lab.dcbport import dcb_port
from lab.dcbstates import FIRST
from lab.veth import until as wait

from trafficd_agent.app.run import Running
from trafficd_agent.netlink import rivals


class Lldpad:
    """Debian's lldpad, started here and ended here."""

    def __init__(self) -> None:
        root = guest.kernel().cache / "lldpad/usr"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._bin, self._env = (
            root / "sbin",
            {**os.environ, "LD_LIBRARY_PATH": str(root / "lib/x86_64-linux-gnu")},
        )

    def __enter__(self) -> Self:
        return self

    def start(self) -> None:
        Path("/var/lib/lldpad").mkdir(parents=True, exist_ok=True)
        self._daemon = subprocess.Popen([self._bin / "lldpad"], env=self._env)
        wait(rivals.lldpad_runs, "lldpad listens")
        wait(self._knows_the_port, "lldpad knows the port", WAIT_S)

    def _knows_the_port(self) -> bool:
        words = [self._bin / "lldptool", "-i", "dt0", "set-lldp", "adminStatus=rxtx"]
        return (
            subprocess.run(words, env=self._env, check=False, capture_output=True, timeout=60).returncode == 0
        )

    def __exit__(self, *_: object) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()

    def tool(self, *words: str) -> None:
        subprocess.run(
            [self._bin / "lldptool", *words], env=self._env, check=True, capture_output=True, timeout=60
        )

    def share(self, percent: int) -> None:
        """Let it program the port by its own settings."""
        tsa = ",".join(f"{n}:{'ets' if n < 2 else 'strict'}" for n in range(8))
        rest = f"tcbw={percent},{100 - percent},0,0,0,0,0,0"
        self.tool("-T", "-i", "dt0", "-V", "ETS-CFG", "enableTx=yes", "willing=no", f"tsa={tsa}", rest)


async def fight(lldpad: Lldpad, running: Running) -> None:
    """It answers each of our writes with its own: within a few the agent gives up, whoever wins a round."""
    await serve(running, FIRST)
    await asyncio.to_thread(lldpad.start)
    for number in range(4 * LIMITS.repairs):
        if status(running).latched:
            return
        await asyncio.to_thread(lldpad.share, 50 + number)
        await asyncio.sleep(2 * LIMITS.gap_s)
    await until("latch", lambda: status(running).latched)


def test_a_real_lldpad_that_fights_back_is_named_and_left_alone(tmp_path: Path) -> None:
    with dcb_port("dt0", "mlx5") as port, dcb_port("dt1") as other, Lldpad() as lldpad:
        port.wire("dt1")

        async def story(running: Running) -> None:
            await fight(lldpad, running)
            verdict = running.agent.states[PORT].verdict
            assert verdict.reason in ("RepairLimit", "VerificationFailed")
            assert "by lldpad, which runs here" in verdict.message
            port.forget()
            await asyncio.to_thread(lldpad.share, 30)
            await until("its own write", lambda: port.counts()["setets"] > 0)
            assert port.shown("ets")["tc_bw"][:2] == [30, 70], "left alone"

        told(tmp_path, story, take_over=True)
        assert other.has_carrier()
