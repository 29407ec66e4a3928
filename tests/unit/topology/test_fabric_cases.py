"""A case is a folder: fabric.yaml and, in expected.txt, either its problems or everything there is to show of it."""

from pathlib import Path

import pytest

from trafficd_topology.fabric import Fabric
from trafficd_topology.parsers.fabric import dump_fabric, parse_fabric
from trafficd_topology.show import describe, text

CASES = sorted((Path(__file__).parents[2] / "cases" / "fabric").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_case(case: Path) -> None:
    spec, problems = parse_fabric((case / "fabric.yaml").read_bytes())
    shown = text(describe(Fabric(spec))) if spec else "".join(f"{p}\n" for p in problems)
    assert shown == (case / "expected.txt").read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_text_and_back(case: Path) -> None:
    spec, _ = parse_fabric((case / "fabric.yaml").read_bytes())
    if spec is not None:
        written = dump_fabric(spec, ("Written by hand.", "", "two\nlines \x07"))
        assert parse_fabric(written) == (spec, ())
        assert written.startswith("# Written by hand.\n#\n# two\n# lines ?\nversion: 1\n")
