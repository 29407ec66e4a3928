"""OpenSM's process: which one it is, whether it runs, where it logs; and the signal that makes it read again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.driver import BusyError, GoneError, PermissionMissingError
from trafficd_agent.drivers.opensm.options import OpensmOptions

PROC = Path("/proc")
DEFAULT_CONF = "/etc/opensm/opensm.conf"
DEFAULT_LOG = "/var/log/opensm.log"


@dataclass(frozen=True, slots=True)
class Process:
    """A running OpenSM. ``start`` is in clock ticks since boot, so that pid and start name it for good."""

    pid: int
    start: int
    state: str
    """One letter of proc(5): R, S, D, T (stopped), Z."""
    conf: str
    log: str
    """As the command line gives it; empty when it does not."""

    @property
    def identity(self) -> str:
        return f"opensm {self.pid}:{self.start}"


def _argument(words: list[str], short: str, long: str) -> str:
    """The value of an option in any of getopt's forms; the last one counts."""
    found = ""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in {short, long}:
            found = following
        elif word.startswith(f"{long}="):
            found = word.removeprefix(f"{long}=")
        elif word.startswith(short) and not word.startswith("--"):
            found = word.removeprefix(short)
    return found


def _resolved(directory: Path, cwd: str, name: str) -> str:
    """A file as the process named it, from the root the agent sees; its cwd cannot be read by everyone."""
    return name if not name or name.startswith("/") else os.path.realpath(str(directory / cwd / name))


def _process(directory: Path) -> Process | None:
    """The process of a directory of /proc if it is an OpenSM."""
    try:
        words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
        if Path(words[0]).name != "opensm":
            return None
        # The name in stat stands in parentheses and may hold blanks: fields count from behind it.
        fields = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    conf = _argument(words, "-F", "--config") or DEFAULT_CONF
    log = _argument(words, "-f", "--log_file")
    return Process(
        int(directory.name),
        int(fields[19]),
        fields[0],
        _resolved(directory, "cwd", conf),
        log if log in {"stdout", "stderr"} else _resolved(directory, "cwd", log),
    )


def _all() -> Iterator[Process]:
    for directory in PROC.iterdir():
        if directory.name.isdigit() and (process := _process(directory)) is not None and process.state != "Z":
            yield process


def find(options: OpensmOptions) -> Process:
    """The OpenSM of a fabric. Raises GoneError when none runs, BusyError when several might be meant."""
    if options.pid_file is not None:
        return _by_pid_file(options)
    conf = os.path.realpath(options.conf)
    mine = [p for p in _all() if os.path.realpath(p.conf) == conf]
    if not mine:
        raise GoneError(f"fabric {options.fabric}: no OpenSM runs with {options.conf}: start it")
    if len(mine) > 1:
        pids = ", ".join(str(p.pid) for p in mine)
        raise BusyError(
            f"fabric {options.fabric}: OpenSM runs {len(mine)} times with {options.conf} (pids {pids}): stop all but one, or name a pid file"
        )
    return mine[0]


def _by_pid_file(options: OpensmOptions) -> Process:
    try:
        pid = int(Path(options.pid_file or "").read_text().split()[0])
    except (OSError, ValueError, IndexError) as e:
        raise GoneError(
            f"fabric {options.fabric}: {options.pid_file} holds no process id: start OpenSM, or correct the path"
        ) from e
    process = _process(PROC / str(pid))
    if process is None or process.state == "Z":
        raise GoneError(
            f"fabric {options.fabric}: process {pid} of {options.pid_file} is no running OpenSM: start it"
        )
    return process


def hang_up(process: Process) -> None:
    """SIGHUP: OpenSM reads its files again and programs every port anew. Raises DriverError."""
    try:
        os.kill(process.pid, signal.SIGHUP)
    except ProcessLookupError as e:
        raise GoneError(f"OpenSM (pid {process.pid}) has ended: start it") from e
    except PermissionError as e:
        raise PermissionMissingError(
            f"no permission to signal OpenSM (pid {process.pid}): run the agent as its user, or give it CAP_KILL"
        ) from e
