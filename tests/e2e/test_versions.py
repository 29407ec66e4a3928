"""Both commands say which version they are, the same one as the package."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from trafficd import __version__

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("command", ["trafficd", "trafficd-agent"])
def test_version(command: str) -> None:
    done = subprocess.run(
        [BIN / command, "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{command} {__version__}\n", "")
    assert version("trafficd") == __version__
