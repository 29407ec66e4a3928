"""A hook that swallows tests is found: they are collected, never run, and the run is red."""

import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_tests_that_are_swallowed_make_the_run_red(tmp_path: Path) -> None:
    shutil.copy(TESTS / "conftest.py", tmp_path)
    (tmp_path / "test_two.py").write_text("def test_a():\n    pass\n\n\ndef test_b():\n    pass\n")
    assert run(tmp_path).returncode == 0
    inner = tmp_path / "sub"
    inner.mkdir()
    (inner / "test_c.py").write_text("def test_c():\n    pass\n")
    (inner / "conftest.py").write_text("def pytest_runtest_protocol(item):\n    return True\n")
    swallowed = run(tmp_path)
    assert swallowed.returncode == 3
    assert "3 tests were collected and not run" in swallowed.stdout
