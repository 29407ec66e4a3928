"""The agent's end of the helper process that sends subnet management packets: start, ask, give up in time."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, TypeVar

from trafficd_agent.driver import BusyError, PermissionMissingError, UnsupportedError
from trafficd_agent.drivers.opensm.manager import Manager, PathAsk, decode_manager, decode_sl, encode_path
from trafficd_agent.drivers.opensm.options import OpensmOptions
from trafficd_agent.drivers.opensm.performance import Ability, Place, Reading, decode_ability, decode_reading
from trafficd_agent.drivers.opensm.survey import Survey, decode, gather

_HELPER = "trafficd_agent.drivers.opensm.smp_helper"
_CHUNK = 1 << 16
T = TypeVar("T")


class Smp:
    """Reads a subnet by SMP. One helper process serves all questions; a broken one is replaced at the next."""

    def __init__(self, options: OpensmOptions) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        # A scope's thread and the one that takes inventory ask alike.
        self._lock = threading.Lock()
        # What the library warns of; cut before every question, so that it never grows.
        self._warnings: IO[bytes] | None = None

    def survey(self, turn: int | None = None) -> Survey:
        """All ports and their tables. Raises DriverError.

        With a ``turn`` only one SL2VL for each out port of a switch, another one in each turn.
        """
        return self._records("survey all" if turn is None else f"survey one {turn}")

    def ports(self) -> Survey:
        """All ports, without their tables: a small part of the packets. Raises DriverError."""
        return self._records("ports")

    def _records(self, question: str) -> Survey:
        survey = gather(self._decoded(decode, question))
        if not survey.ports:
            raise BusyError(f"fabric {self._options.fabric}: the local InfiniBand port has no link: cable it")
        return survey

    def manager(self) -> Manager:
        """The master subnet manager, and the one at the local port. Raises DriverError when no packet can be sent."""
        return self._decoded(decode_manager, "manager")[0]

    def activity(self) -> int | None:
        """How many packets the master subnet manager has sent so far; None when it does not answer.

        Raises DriverError when no packet can be sent at all.
        """
        return self.manager().sent

    def sls(self, asks: Iterable[PathAsk]) -> list[int | None]:
        """The SL that the subnet manager gives each path; None where it gives none. Raises DriverError."""
        words = [encode_path(a) for a in asks]
        return self._decoded(decode_sl, " ".join(["paths", *words])) if words else []

    def watch(self, places: Iterable[Place]) -> dict[int, Ability]:
        """Which ports ``counters`` reads from now on; what each of their nodes (by LID) counts. Raises DriverError."""
        words = [f"{p.lid},{p.port}" for p in places]
        return dict(self._decoded(decode_ability, " ".join(["watch", *words])))

    def counters(self) -> list[Reading]:
        """One reading for each port that is watched, in their order; none when the helper is a new one.

        Raises DriverError.
        """
        return self._decoded(decode_reading, "counters")

    def _decoded(self, decode_line: Callable[[str], T], question: str) -> list[T]:
        try:
            return [decode_line(line) for line in self._ask(question)]
        except (ValueError, TypeError) as e:
            raise BusyError(
                f"the SMP helper answered with something else than records ({e}): try again"
            ) from e

    def close(self) -> None:
        """End the helper, by the end of its input: a killed client keeps its seat in some umad servers."""
        process, self._process = self._process, None
        warnings, self._warnings = self._warnings, None
        if warnings is not None:
            warnings.close()
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._warnings is not None and self._process.poll() is None:
            self._warnings.truncate(0)
            return self._process
        self.close()
        o = self._options
        self._warnings = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - lives as long as the helper
        self._process = subprocess.Popen(
            [sys.executable, "-m", _HELPER, o.device or "", str(o.device_port), str(o.packets_in_flight)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._warnings,
            env={**os.environ, **dict(word.partition("=")[::2] for word in o.helper_env)},
        )
        return self._process

    def _ask(self, word: str) -> list[str]:
        """Ask, one question at a time; a helper that had ended since the last one is replaced, and asked once."""
        with self._lock:
            return self._ask_alone(word)

    def _ask_alone(self, word: str) -> list[str]:
        replaceable = self._process is not None
        try:
            try:
                text = self._answer(word)
            except (EOFError, BrokenPipeError):
                if not replaceable:
                    raise
                text = self._answer(word)
        except (OSError, TimeoutError, EOFError) as e:
            raise BusyError(f"the subnet of {self._options.fabric} could not be read: {e}") from e
        lines = text.splitlines()[:-1]
        for line in lines:
            if line.startswith("error "):
                raise _failure(self._options.fabric, line.removeprefix("error "))
        return lines

    def _answer(self, word: str) -> str:
        """One exchange with the helper; one that fails is ended. Raises OSError, TimeoutError, EOFError."""
        process = self._start()
        try:
            return _exchange(process, word, self._options.answer_seconds)
        except (OSError, TimeoutError, EOFError) as e:
            process.kill()
            words = str(e) or self._last()
            self.close()
            raise type(e)(words) from e

    def _last(self) -> str:
        """The library's last warning."""
        if self._warnings is None:
            return "the helper ended without a word; try again"
        self._warnings.seek(0)
        lines = self._warnings.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the helper ended without a word; try again"


def _failure(fabric: str, text: str) -> BusyError | PermissionMissingError | UnsupportedError:
    sentence = f"fabric {fabric}: {text}"
    if text.startswith("no permission"):
        return PermissionMissingError(sentence)
    if "umad device" in text or "not installed" in text:
        return UnsupportedError(sentence)
    return BusyError(sentence)


def _exchange(process: subprocess.Popen[bytes], word: str, seconds: float) -> str:
    """Send a word and read up to the line ``end``. Raises OSError, TimeoutError, EOFError."""
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(f"{word}\n".encode())
    process.stdin.flush()
    until, data = time.monotonic() + seconds, bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not (data == b"end\n" or data.endswith(b"\nend\n")):
            if not selector.select(max(0.0, until - time.monotonic())):
                raise TimeoutError(f"no answer within {seconds:g} s")
            chunk = os.read(process.stdout.fileno(), _CHUNK)
            if not chunk:
                raise EOFError
            data += chunk
    return data.decode()
