"""The examples of docs/policy.md: each is parsed, and the text below it is what comes of it."""

import os
import re
from pathlib import Path

from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.parsers.presets import read_preset
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


def test_the_first_example_is_good() -> None:
    policies, problems = parse_policies(FIRST.findall(DOC.read_text())[0])
    assert problems == ()
    assert policies is not None


def test_every_other_example_says_what_it_says() -> None:
    text = DOC.read_text()
    assert len(FIRST.findall(text)) == 4
    _, _, rest = text.partition("## Selectors")
    examples = list(EXAMPLE.finditer(rest))
    assert len(examples) == 3
    new = EXAMPLE.sub(lambda m: f"```yaml\n{m['yaml']}```{m['between']}```text\n{shown(m['yaml'])}```", rest)
    if os.environ.get("REWRITE") == "1":
        DOC.write_text(text.replace(rest, new))
    assert text.endswith(new), "REWRITE=1 makes it anew"


def test_the_table_of_dualpath_is_its_lanes() -> None:
    policies, _ = parse_policies("version: 1\npolicies: [{name: p}]")
    assert policies is not None
    lanes = policies.policies[0].lanes
    rows = []
    for lane in sorted(lanes.lanes, key=lambda x: x.priority):
        (c,) = [c for c in lanes.classes if c.lane == lane.name]
        limit = "" if lane.limit == 1 else f"{lane.limit:.0%}".replace("%", " %")
        cells = [lane.name, lane.id, lane.priority, f"{lane.share:.0%}".replace("%", " %"), limit, c.name]
        rows.append(" | ".join(map(str, [*cells, *c.marking.dscp, *c.marking.sl])).replace("  ", " "))
    assert "".join(f"| {row} |\n" for row in rows) in DOC.read_text()
    assert "DSCP 26" in read_preset(Preset.DUALPATH)
