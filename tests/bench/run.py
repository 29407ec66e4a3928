"""``make bench``: figures as ratios, medians of 5 runs, with the machine and versions they were seen on."""

import importlib.metadata
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parents[1]))

import choice
import cost
import infiniband
import lanes
import path
import pathload
import scrape
import subnet

import agents

BENCHES: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
    ("path choice", path.decisions),
    ("figures of path choice", choice.choice),
    ("path service", path.service),
    ("path service under load", pathload.load),
    ("lanes", lanes.lanes),
    ("subnet", subnet.discovery),
    ("operations", agents.operations),
    ("cost of agents", cost.cost),
    ("scrape", scrape.scrape),
    ("infiniband", infiniband.subnets),
)


def machine() -> str:
    """What the figures were seen on."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    packages = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("grpcio", "protobuf"))
    return (
        f"{model}, {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}"
    )


def main() -> int:
    """Run all, or those whose name contains an argument."""
    wanted = sys.argv[1:]
    sys.stdout.write(f"{machine()}\n")
    for name, bench in BENCHES:
        if wanted and not any(w in name for w in wanted):
            continue
        sys.stdout.write(f"\n{name}\n")
        for line in bench():
            sys.stdout.write(f"  {line}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
