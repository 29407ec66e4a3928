"""The demo of a machine that allows no namespaces, run without any capability."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parents[1] / "demo" / "run.py"
FORBIDDEN = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$0" "$@"'
"""Inside a user namespace: no other one within it, and nothing of root's rights."""
ROWS = (
    r"policy observes: ports compared, writes to devices  18 ports, 0 writes .*  met",
    r"policy file written to verified on all nodes +\d+\.\d\d s +under 1 s",
    r"lane lost by a device, repaired after +\d+\.\d\d s +under 2 s",
    r"device that ignores what it accepts +VerificationFailed on 1 of 18 ports, restored +found, restored +met",
    r"it does as told again: next policy to verified +\d+\.\d\d s +under 1 s",
    r"recommendation, median of 200 +[pd]1 reads, \d+\.\d\d ms, no_telemetry +by the controller +met",
)
"""How fast is for a machine that does nothing else to say."""


def test_without_namespaces_the_loop_runs_on_devices_in_memory(tmp_path: Path) -> None:
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", FORBIDDEN, sys.executable, str(RUN)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert re.fullmatch(
        r"No network namespaces here \(unshare: .+\): showing the loop on in-memory devices, without traffic\.",
        lines[0],
    )
    assert any(line.startswith("p1/c0 had lost leaf/10 (removed") for line in lines)
    said = "p2/s0 says yes and does nothing: VerificationFailed: class/10."
    assert any(line.startswith(said) and "; the state before is restored" in line for line in lines)
    begin = next(i for i, line in enumerate(lines) if line.startswith("---")) + 1
    for row, line in zip(ROWS, lines[begin : begin + len(ROWS)], strict=True):
        assert re.match(row, line), line
    assert list(tmp_path.iterdir()) == []
