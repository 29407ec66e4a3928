"""What an audit or a doctor says: findings, their order, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """``error``: lanes, links or answers are wrong now. ``warning``: they are, or soon will be, worse than they need
    to be. ``info``: worth knowing. ``ok``: a doctor's check that passed; an audit has none.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    OK = "ok"


ORDER = {severity: i for i, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. ``rule`` is the stable id of docs/audit.md; ``where`` a port, lane, option or file.

    ``evidence`` is what was read there, ``remedy`` what to do, in one sentence; empty for what is well.
    """

    rule: str
    severity: Severity
    where: str
    evidence: str
    remedy: str


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, then by place and rule; each once."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda f: (ORDER[f.severity], f.where, f.rule, f.evidence)))


def is_bad(findings: Iterable[Finding]) -> bool:
    """Whether any finding is a warning or worse."""
    return any(f.severity in (Severity.ERROR, Severity.WARNING) for f in findings)
