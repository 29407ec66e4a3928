"""The examples of docs/policy.md: each is parsed, and the text below it is what comes of it."""

import os
import re
from pathlib import Path

import pytest

from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.parsers.presets import read_preset
from trafficd_topology.qos.fit import derive_tables
from trafficd_topology.qos.policy import Preset
from trafficd_topology.qos.shares import compile_shares

DOC = Path(__file__).parents[3] / "docs" / "policy.md"
EXAMPLE = re.compile(
    r"```yaml\n(?P<yaml>.*?)```(?P<between>(?:(?!```).)*?)(?:```text\n(?P<text>.*?)```)", re.DOTALL
)
FIRST = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def shown(yaml: str) -> str:
    policies, problems = parse_policies(yaml)
    if policies is None:
        return "".join(f"{p}\n" for p in problems)
    cases = compile_shares(policies.policies[0].lanes)
    return "".join(", ".join(f"{s.lane} {s.ratio:.2%}" for s in c.shares) + "\n" for c in cases)


@pytest.mark.parametrize("which", [0, 1])
def test_the_first_examples_are_good(which: int) -> None:
    policies, problems = parse_policies(FIRST.findall(DOC.read_text())[which])
    assert problems == ()
    assert policies is not None


def test_every_other_example_says_what_it_says() -> None:
    text = DOC.read_text()
    assert len(FIRST.findall(text)) == 5
    _, _, rest = text.partition("## Selectors")
    examples = list(EXAMPLE.finditer(rest))
    assert len(examples) == 3
    new = EXAMPLE.sub(lambda m: f"```yaml\n{m['yaml']}```{m['between']}```text\n{shown(m['yaml'])}```", rest)
    if os.environ.get("REWRITE") == "1":
        DOC.write_text(text.replace(rest, new))
    assert text.endswith(new), "REWRITE=1 makes it anew"


def percent(ratio: float) -> str:
    return f"{ratio:.0%}".replace("%", " %")


def table(preset: Preset) -> str:
    """A preset's lanes in the order in which they are served, as the manual shows them."""
    policies, _ = parse_policies(f"version: 1\npolicies: [{{name: p, preset: {preset}}}]")
    assert policies is not None
    lanes = policies.policies[0].lanes
    rows = []
    for lane in sorted(lanes.lanes, key=lambda x: x.priority):
        mine = [c for c in lanes.classes if c.lane == lane.name]
        marks = [[str(v) for c in mine for v in getattr(c.marking, word)] for word in ("dscp", "sl")]
        limit = "" if lane.limit == 1 else percent(lane.limit)
        cells = [lane.name, lane.id, lane.priority, percent(lane.share), limit]
        cells += [", ".join(x) for x in ([c.name for c in mine], *marks)]
        rows.append(" | ".join(map(str, cells)).replace("  ", " "))
    return "".join(f"| {row} |\n" for row in rows)


@pytest.mark.parametrize(
    "preset", [Preset.DUALPATH, Preset.DUALPATH_FOUR_LOSSLESS, Preset.THREE_CLASS, Preset.NCCL_TWO_VL]
)
def test_the_table_of_a_preset_is_its_lanes(preset: Preset) -> None:
    assert table(preset) in DOC.read_text()
    assert "DSCP 26" in read_preset(preset)


def test_three_classes_with_a_lane_for_control_as_the_manual_says() -> None:
    given = re.findall(r"^(?:and )?`((?:lanes|classes): \[.*\])`", DOC.read_text(), re.MULTILINE)
    assert len(given) == 2
    body = "".join(f"    {line}\n" for line in ("preset: three-class", *given))
    policies, problems = parse_policies(f"version: 1\npolicies:\n  - name: p\n{body}")
    assert policies is not None, problems
    lanes = policies.policies[0].lanes
    assert (lanes.control.name, lanes.control.id, derive_tables(lanes).max_vls) == ("control", 4, 8)
