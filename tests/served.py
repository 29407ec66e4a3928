"""A controller as a process, and its command, as a person or a script meets them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAIN = [sys.executable, "-c", "import sys; from trafficd.cli import main; sys.exit(main())"]
DATA = Path(__file__).parent / "scenarios" / "controller" / "data"
FABRICS = Path(__file__).parent / "cases" / "fabric"
TIMEOUT_S = 60


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def trafficd(*args: str | Path, stdin: bytes = b"", timeout: float = TIMEOUT_S) -> Outcome:
    """One command. A traceback is never an answer."""
    done = subprocess.run(
        [*MAIN, *map(str, args)], input=stdin, capture_output=True, timeout=timeout, check=False
    )
    outcome = Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in outcome.out + outcome.err
    return outcome


@dataclass(frozen=True)
class Served:
    process: subprocess.Popen[str]
    address: str
    uuid: str
    generation: str

    def __call__(self, *args: str | Path, stdin: bytes = b"") -> Outcome:
        return trafficd(*args, "--controller", self.address, stdin=stdin)


@contextmanager
def serve(folder: Path, policy: str = "main", fabric: str = "") -> Iterator[Served]:
    """A controller as a process of its own, killed at the end if it still runs.

    On another ``fabric`` than the lab's it has no policy file.
    """
    files = ["--fabric", DATA / f"{fabric or 'lab'}.yaml"]
    files += [] if fabric else ["--policy", DATA / f"{policy}.yaml"]
    arguments = [*files, "--state", folder / "state.db"]
    listen = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    command = [*MAIN, "serve", *map(str, arguments), *listen]
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"gRPC on (\S+) .*controller (\S+), generation (\S+)", line)
            assert found, line + (folder / "log").read_text()
            yield Served(process, *found.groups())
        finally:
            if process.poll() is None:
                process.kill()
