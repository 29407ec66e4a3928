"""Ports of the kernel module ``dcbtest`` in a guest, and iproute2's ``dcb`` as the independent reader and writer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.veth import until

TRIES = 5


def sh(*command: str, check: bool = True) -> str:
    """A command to its end; its output."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def dcb_tool(*words: str) -> str:
    """iproute2's ``dcb``. It numbers requests by the second, and where its question and its order fall into different ones
    it takes the answer to the former for a broken one to the latter, which was carried out: asked again, it agrees.
    """
    for _ in range(TRIES):
        done = subprocess.run(["dcb", *words], check=False, capture_output=True, text=True, timeout=60)
        if not done.returncode:
            return done.stdout
        if "Protocol error" not in done.stderr:
            break
    raise RuntimeError(f"dcb {' '.join(words)}: {done.stderr.strip()}")


@dataclass(frozen=True, slots=True)
class DcbPort:
    """A device that speaks DCB. ``behave`` takes the orders of ``dcbtest.c``."""

    name: str

    @property
    def _files(self) -> Path:
        return Path("/sys/class/net") / self.name / "dcbtest"

    def make(self) -> None:
        sh("ip", "link", "add", self.name, "type", "dcbtest")
        sh("ip", "link", "set", self.name, "up")

    def remove(self) -> None:
        sh("ip", "link", "del", self.name, check=False)

    def behave(self, *orders: str) -> None:
        for order in orders:
            (self._files / "behave").write_text(order)

    def wire(self, other: str) -> None:
        (self._files / "wire").write_text(other)

    def counts(self) -> dict[str, int]:
        """Calls of each operation since the last ``forget``; ``flaps`` and ``trusts``."""
        rows = (line.split() for line in (self._files / "counts").read_text().splitlines())
        return {name: int(number) for name, number in rows}

    def forget(self) -> None:
        (self._files / "counts").write_text("0")

    def has_carrier(self) -> bool:
        return (Path("/sys/class/net") / self.name / "carrier").read_text().strip() == "1"

    def await_carrier(self) -> None:
        until(self.has_carrier, f"{self.name} has a carrier")

    def shown(self, what: str) -> Any:
        """What ``dcb WHAT show`` reads."""
        return json.loads(dcb_tool("-j", what, "show", "dev", self.name) or "{}")

    def dcb(self, what: str, *words: str) -> None:
        """Another writer: ``dcb WHAT COMMAND dev NAME ...``."""
        command, *rest = words
        dcb_tool(what, command, "dev", self.name, *rest)


@contextmanager
def dcb_port(name: str = "dt0", *orders: str) -> Iterator[DcbPort]:
    port = DcbPort(name)
    port.make()
    try:
        port.behave(*orders)
        yield port
    finally:
        port.remove()
