"""What the README and the manuals tell people to type is understood by the commands, and the README's example runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text()


def commands(page: Path) -> list[str]:
    """Lines of shell blocks that call one of our two commands, continuation lines joined."""
    blocks = re.findall(r"```(?:sh|console|bash)\n(.*?)```", page.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    parts = [
        p.strip() for line in lines for p in re.split(r"&&|\|\||;|\||\bdo\b|\buntil\b", line.split(" #")[0])
    ]
    return [p.removeprefix("$ ") for p in parts if re.match(r"(\$ )?(sudo )?trafficd(-agent)? ", p)]


SHOWN = sorted({(page.name, command) for page in PAGES for command in commands(page)})


@pytest.mark.parametrize(("page", "command"), SHOWN)
def test_a_shown_command_is_understood(page: str, command: str) -> None:
    """Argument parsing ends with 2 where a flag or a word is unknown; --help after the words stops before any work."""
    words = [w for w in shlex.split(re.sub(r"[<>]\S*", "", command)) if w not in ("sudo", "...")]
    done = subprocess.run(
        [str(BIN / words[0]), *words[1:], "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    # --help ends the parse, so that an unknown flag before it would not be named: ask for each.
    for flag in (w.split("=")[0] for w in words[1:] if w.startswith("--")):
        assert re.search(rf"{flag}\b", done.stdout), f"{page}: {flag} is no flag of {' '.join(words[:2])}"


def test_manuals_show_commands() -> None:
    shown = {" ".join(command.split()[:2]) for _, command in SHOWN}
    assert shown >= {
        "trafficd serve",
        "trafficd check",
        "trafficd status",
        "trafficd topology",
        "trafficd-agent run",
    }


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A controller that knows the small fabric; yields its address."""
    fabric = ROOT / "tests" / "cases" / "fabric" / "demo" / "fabric.yaml"
    listen = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    command = [
        str(BIN / "trafficd"),
        "serve",
        "--fabric",
        str(fabric),
        "--state",
        str(folder / "state.db"),
        *listen,
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"gRPC on (\S+)", process.stdout.readline())
        assert found, (folder / "log").read_text()
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_readme_example_runs(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert example
    with serving(tmp_path) as target:
        code = (
            example[1]
            .replace("127.0.0.1:7600", target)
            .replace("as paths:", "as paths:\n    paths.wait_ready(20)")
        )
        command = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"[pd]1 \(.*\) [0-9.]+ \S+", done.stdout), done.stdout
