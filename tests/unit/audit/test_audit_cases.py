"""Folders of saved files, or of facts, and what the audit says of them, as text. A case needs no code."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from trees import plant, same

from trafficd.cli.saved import sources
from trafficd_topology.audit import Facts, audit
from trafficd_topology.audit.facts import (
    Count,
    LaneFacts,
    NodeFacts,
    PortFacts,
    PortLanes,
    SubnetLanes,
    SubnetNic,
    merged,
)
from trafficd_topology.audit.report import Report, Unjudged, plain, text
from trafficd_topology.audit.rules import rule_ids
from trafficd_topology.counters import Column, Direction
from trafficd_topology.model import Gpu, LinkLayer, NicKind, Role

CASES = Path(__file__).parents[2] / "cases" / "audit"
DOC = Path(__file__).parents[3] / "docs" / "audit.md"
COUNT = re.compile(r"(\S+) (\S+) (\S+)(?: (lane|priority) (\d+))? = (\d+)(?: \+(\d+))?")


def count(line: str) -> Count:
    """``e0 transmit bytes lane 3 = 100 +5``: port, direction or ``-``, quantity, total, how far it rose."""
    port, way, quantity, of, number, total, risen = COUNT.fullmatch(line).groups()  # type: ignore[union-attr]
    direction = None if way == "-" else Direction(way)
    lane, priority = (int(number) if of == word else None for word in ("lane", "priority"))
    column = Column(port, quantity, direction, lane_id=lane, priority=priority)
    return Count(column, int(total), None if risen is None else int(risen))


def lanes(port: str, said: str) -> PortLanes:
    """``policy name:id[:control|kv|unmarked]...``."""
    policy, *words = said.split()
    found = []
    for word in words:
        name, number, *marks = word.split(":")
        found.append(
            LaneFacts(
                int(number),
                name,
                kv="kv" in marks,
                unmarked="unmarked" in marks,
                idle_is_fine="control" in marks,
            )
        )
    return PortLanes(port, policy, tuple(found))


def subnet(row: dict[str, Any]) -> SubnetLanes:
    """Lanes as of ports, each with the class of its name; ``nics``: switch port -> [NIC, kind]."""
    made = lanes("", f"{row['policy']} {row['lanes']}").lanes
    return SubnetLanes(
        row["name"],
        row["policy"],
        tuple(replace(lane, classes=(lane.name,)) for lane in made),
        tuple(row["classes"].items()),
        tuple(SubnetNic(port, nic, NicKind(kind)) for port, (nic, kind) in row["nics"].items()),
    )


def port(row: dict[str, Any]) -> PortFacts:
    kind = NicKind(row.pop("kind")) if "kind" in row else None
    return PortFacts(**{**row, "link_layer": LinkLayer(row["link_layer"]), "kind": kind})


def node(row: dict[str, Any]) -> NodeFacts:
    return NodeFacts(
        row["name"],
        tuple(port(p) for p in row.get("ports", ())),
        tuple(count(c) for c in row.get("counts", ())),
        float(row.get("seconds", 0)),
        tuple(Gpu(**g) for g in row.get("gpus", ())),
        tuple(lanes(*pair) for pair in row.get("lanes", {}).items()),
        Role(row["role"]) if "role" in row else None,
        tuple(subnet(s) for s in row.get("subnets", ())),
    )


def said(case: Path, tmp_path: Path) -> Report:
    """What the audit says of a case's folder; names of files as they are in the folder."""
    if (case / "facts.yaml").exists():
        facts = Facts(tuple(node(n) for n in yaml.safe_load((case / "facts.yaml").read_text())["nodes"]))
        return Report(tuple(n.name for n in facts.nodes), audit(facts))
    if (case / "tree.tree").exists():
        case = plant((case / "tree.tree").read_text(), tmp_path / "saved")
    found = tuple(s for s in sources([str(case)]) if not s.name.endswith("findings.txt"))
    facts = merged(*(s.judged.facts for s in found if s.judged.facts))
    unjudged = tuple(Unjudged(s.name, s.judged.reason) for s in found if s.judged.reason)
    return Report(
        tuple(f"{s.name} ({s.judged.kind})" for s in found if s.judged.facts), audit(facts), unjudged
    )


def names() -> list[str]:
    return sorted(p.name for p in CASES.iterdir())


@pytest.mark.parametrize("name", names())
def test_case(name: str, tmp_path: Path) -> None:
    case = CASES / name
    shown = text(said(case, tmp_path)).replace(f"{case}/", "").replace(f"{tmp_path}/", "") + "\n"
    same(case / "findings.txt", shown)


def test_every_rule_is_shown_by_a_case(tmp_path: Path) -> None:
    reports = [said(CASES / name, tmp_path / name) for name in names()]
    seen = {f.rule for r in reports for f in r.findings}
    assert seen == set(rule_ids())
    for f in (f for r in reports for f in r.findings):
        assert f.where, f
        assert f.evidence, f
        assert f.remedy.endswith("."), f


def test_every_rule_is_explained() -> None:
    explained = re.findall(r"^\| `([a-z0-9-]+)` \|", DOC.read_text(), re.MULTILINE)
    assert sorted(explained) == sorted(rule_ids())


def test_json_says_the_same(tmp_path: Path) -> None:
    report = said(CASES / "dumps", tmp_path)
    values = plain(report)
    assert len(values["findings"]) == len(report.findings)
    assert set(values["findings"][0]) == {"rule", "severity", "where", "evidence", "remedy"}
    assert {u["source"].rpartition("/")[2] for u in values["unjudged"]} == {
        "binary.bin",
        "empty.txt",
        "ethtool-empty.txt",
        "fabric.topo",
        "ibstat.txt",
        "unknown.txt",
    }
