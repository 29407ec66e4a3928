"""The examples for scheduler authors run as they stand, against a real server."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pathlab import snapshot
from pathserver import PathServer

PAGE = Path(__file__).parents[2] / "docs" / "schedulers.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
PRINTED = [
    r"d[12]/0 (PREFILL|DECODE) \('..\/s0'.*\) 1\.00 s nic:../s0\n",
    r"\('p1/s0',\) 1\.0\n\('p1/s0',\)\n",
    r"$",
    r"$",
    r"DSCP \(10,\) ToS 40 service level \(\)\n",
]


@pytest.mark.parametrize(("example", "printed"), list(zip(EXAMPLES, PRINTED, strict=True)))
def test_an_example_runs(example: str, printed: str) -> None:
    server = PathServer(replace(snapshot(), valid_for_ms=600_000))
    try:
        code = example.replace("127.0.0.1:7600", server.target).replace("timeout_s=0.05", "timeout_s=10")
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.close()
    assert (done.stderr, done.returncode) == ("", 0)
    assert re.match(printed, done.stdout), done.stdout
