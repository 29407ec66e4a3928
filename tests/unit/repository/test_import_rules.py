"""Every import rule fails when it is broken: a checker that cannot fail checks nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LINT = Path(sys.executable).parent / "lint-imports"
BREACHES = {
    "a core that reads a clock": ("trafficd/core/plan.py", "import time"),
    "a core that sees a message": ("trafficd/core/plan.py", "from trafficd.api.v1 import qos_pb2"),
    "a core that calls its edge": ("trafficd/core/plan.py", "import trafficd.server"),
    "a choice with a dependency": ("trafficd/choice/ways.py", "import trafficd_topology"),
    "a client that needs the core": ("trafficd/client/local.py", "import trafficd.core"),
    "a client that issues certificates": ("trafficd/client/local.py", "import trafficd.certs"),
    "a core that reads certificates": ("trafficd/core/plan.py", "import cryptography"),
    "an agent that issues certificates": ("agents/trafficd_agent/files.py", "import trafficd.certs"),
    "a controller that imports the agent": ("trafficd/app/watch.py", "import trafficd_agent"),
    "an agent that imports the core": ("agents/trafficd_agent/apply.py", "import trafficd.core"),
    "an agent that loads networkx": ("agents/trafficd_agent/config.py", "import trafficd_topology.fabric"),
    "a seam that knows its driver": ("agents/trafficd_agent/driver.py", "import trafficd_agent.drivers"),
    "netlink outside its place": ("agents/trafficd_agent/files.py", "import pyroute2"),
    "networkx outside the fabric": ("topology/trafficd_topology/model.py", "import networkx"),
    "a vocabulary that imports somebody": ("topology/trafficd_topology/model.py", "import trafficd"),
    "a module without a place": ("trafficd/misc.py", ""),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for name in ("trafficd", "agents", "topology"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    paths = ":".join(str(folder / p) for p in ("", "agents", "topology"))
    command = [str(LINT), "--no-cache"]
    environment = {"PYTHONPATH": paths, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_house_keeps_its_rules(copy: Path) -> None:
    assert lint(copy).returncode == 0


@pytest.mark.parametrize("what", BREACHES)
def test_a_breach_is_found(copy: Path, what: str) -> None:
    name, line = BREACHES[what]
    file = copy / name
    before = file.read_text() if file.exists() else None
    file.write_text(f"{before or ''}\n{line}\n")
    try:
        done = lint(copy)
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before)
    assert done.returncode == 1, done.stdout + done.stderr
