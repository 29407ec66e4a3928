"""Findings as text for people and as plain values for JSON; the same from every command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trafficd_topology.audit.finding import Finding, Severity

SHOWN = 200
"""A person reads no more than this; JSON has all."""


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Something that was looked at and could not be judged, and why, in one sentence."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """``judged`` says what was looked at: nodes, files."""

    judged: tuple[str, ...]
    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...] = ()


def plain(report: Report) -> dict[str, Any]:
    """Values for JSON. The keys are stable."""
    return {
        "judged": list(report.judged),
        "findings": [
            {
                "rule": f.rule,
                "severity": f.severity,
                "where": f.where,
                "evidence": f.evidence,
                "remedy": f.remedy,
            }
            for f in report.findings
        ],
        "unjudged": [{"source": u.source, "reason": u.reason} for u in report.unjudged],
    }


def text(report: Report) -> str:
    """A paragraph a finding, then what could not be judged, then the sums."""
    parts = [_paragraph(f) for f in report.findings[:SHOWN]]
    if len(report.findings) > SHOWN:
        parts.append(f"and {len(report.findings) - SHOWN} more: --output json has all")
    if report.unjudged:
        parts.append("not judged:\n" + "\n".join(f"  {u.source}: {u.reason}" for u in report.unjudged))
    parts.append(summary(report))
    return "\n".join(parts)


def _paragraph(f: Finding) -> str:
    lines = [f"{f.severity.value:<8}{f.rule}  {f.where}", f"        {f.evidence}"]
    return "\n".join([*lines, *([f"        -> {f.remedy}"] if f.remedy else [])])


def summary(report: Report) -> str:
    tally = Counter(f.severity for f in report.findings)
    counts = ", ".join(f"{tally[s]} {s}" for s in Severity if s is not Severity.OK or tally[s])
    looked = f"{len(report.judged)} judged"
    left = f", {len(report.unjudged)} not judged" if report.unjudged else ""
    return f"{counts} ({looked}{left})"


def checks(findings: Sequence[Finding]) -> str:
    """A doctor's checks: a line each, with the remedy below where there is one."""
    width = max((len(f.rule) for f in findings), default=0)
    lines = []
    for f in findings:
        lines.append(f"{f.severity.value:<8}{f.rule:<{width}}  {f.where}: {f.evidence}")
        if f.remedy:
            lines.append(f"{'':8}{'':<{width}}  -> {f.remedy}")
    return "\n".join(lines)
