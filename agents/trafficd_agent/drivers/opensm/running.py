"""Whether OpenSM has read its files as they are now: an edit that nobody brought into force would come with our signal.

OpenSM reads its files when it starts and in every sweep of the whole subnet. A file is known to be in force when it is
older than the process, when a sweep of the log ended after it was written, or when it holds, besides our own lines, what
it held when we last signalled. That is kept in a file beside opensm.conf, so that it is known to the next agent too.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from trafficd_agent.driver import DriverError
from trafficd_agent.drivers.opensm.conf import read_beside, write_beside
from trafficd_agent.drivers.opensm.process import Process
from trafficd_agent.drivers.opensm.sweep import last_sweep
from trafficd_agent.drivers.opensm.texts import Texts, rest_of

_START_S = 0.05
"""How long after its start OpenSM may open the file."""
SHOWN = 3


def _note(texts: Texts) -> Path:
    return texts.conf_path.with_name(f".{texts.conf_path.name}.trafficd-in-force")


def note(texts: Texts, process: Process) -> None:
    """Remember what a signal brings into force. Raises DriverError."""
    rest = {path: list(lines) for path, lines in rest_of(texts).items()}
    text = json.dumps({"process": process.identity, "rest": rest}, indent=1) + "\n"
    path = _note(texts)
    if read_beside(path) != text:
        write_beside(path, text, texts.conf_path)


def _noted(texts: Texts, process: Process) -> dict[str, list[str]] | None:
    """What was in force after our last signal to this process."""
    with suppress(DriverError, ValueError, KeyError, TypeError):
        found = json.loads(read_beside(_note(texts)))
        if found["process"] == process.identity:
            return {str(path): [str(line) for line in lines] for path, lines in found["rest"].items()}
    return None


def unapplied(texts: Texts, process: Process, log: Path | None) -> tuple[str, ...]:
    """A sentence for each file with an edit that OpenSM has not read; empty when all are in force."""
    seen = started(process) + _START_S
    paths = (texts.conf_path, texts.policy_path, texts.partitions_path)
    if max(map(_written, paths)) > seen:
        seen = max(seen, last_sweep(log))
    newer = [path for path in paths if _written(path) > seen]
    if not newer:
        return ()
    noted, rest = _noted(texts, process), rest_of(texts)
    return tuple(
        _sentence(path, process, None if noted is None else noted.get(str(path), []), rest[str(path)])
        for path in newer
        if noted is None or tuple(noted.get(str(path), ())) != rest[str(path)]
    )


def started(process: Process) -> float:
    """When the process started, seconds since the Unix epoch."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + process.start / os.sysconf("SC_CLK_TCK")


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _sentence(path: Path, process: Process, was: list[str] | None, now: tuple[str, ...]) -> str:
    at = datetime.fromtimestamp(_written(path), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    what = f" ({_difference(was, now)})" if was is not None else ""
    return (
        f"{path} was edited at {at}{what} and OpenSM (pid {process.pid}) has not read it since, as far as its log tells; "
        f"our signal would bring that into force: do it yourself with kill -HUP {process.pid}, or undo the edit"
    )


def _difference(was: list[str], now: tuple[str, ...]) -> str:
    gone = [f"without {line!r}" for line in was if line not in now]
    new = [f"with {line!r}" for line in now if line not in was]
    both = [*new, *gone]
    more = f", and {len(both) - SHOWN} more" if len(both) > SHOWN else ""
    return ", ".join(both[:SHOWN]) + more
