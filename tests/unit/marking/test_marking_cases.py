"""A case is a folder: policy.yaml, fabric.yaml, the questions in asks.txt, and the answers in expected.txt."""

import os
import shlex
from pathlib import Path

import pytest

from trafficd.cli import main

CASES = sorted((Path(__file__).parents[2] / "cases" / "marking").iterdir())


def answer(case: Path, line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """One command as a person sees it: output, then what stands on standard error, then the exit code."""
    files = ["--policy", str(case / "policy.yaml"), "--fabric", str(case / "fabric.yaml")]
    code = main(["marking", *shlex.split(line), *files])
    out, err = capsys.readouterr()
    told = "".join(f"! {x}\n" for x in err.splitlines())
    return f"$ trafficd marking {line}\n{out}{told}(exit {code})\n"


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_case(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asks = (case / "asks.txt").read_text().splitlines()
    text = "\n".join(answer(case, line, capsys) for line in asks)
    if os.environ.get("REWRITE") == "1":
        (case / "expected.txt").write_text(text)
    assert text == (case / "expected.txt").read_text(), "REWRITE=1 makes it anew"
