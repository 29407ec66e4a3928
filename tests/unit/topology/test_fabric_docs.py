"""The examples of docs/fabric.md: both are good files, and what the capacity of the second is, it is."""

import os
import re
from pathlib import Path

from trafficd_topology.capacity import analyse
from trafficd_topology.capacity_report import report, text
from trafficd_topology.model import FabricSpec
from trafficd_topology.parsers.fabric import parse_fabric

DOC = Path(__file__).parents[3] / "docs" / "fabric.md"
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
TEXT = re.compile(r"(?<=```text\n)(.*?)(?=```)", re.DOTALL)


def examples() -> list[FabricSpec]:
    found = []
    for example in YAML.findall(DOC.read_text()):
        spec, problems = parse_fabric(example)
        assert problems == ()
        found += [spec] if spec else []
    return found


def test_both_examples_are_good() -> None:
    assert [(s.name, len(s.hosts), len(s.switches)) for s in examples()] == [
        ("pod-a", 2, 3),
        ("pod-b", 17, 24),
    ]


def test_the_capacity_shown_is_that_of_the_second() -> None:
    spec = examples()[1]
    capacity, problems = analyse(spec)
    assert problems == ()
    assert capacity
    doc = DOC.read_text()
    new = TEXT.sub(lambda _: text(report(spec.name, capacity, every=False)), doc)
    if os.environ.get("REWRITE") == "1":
        DOC.write_text(new)
    assert doc == new, "REWRITE=1 makes it anew"
