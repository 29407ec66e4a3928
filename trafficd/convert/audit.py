"""Audit reports, message <-> domain."""

from __future__ import annotations

from trafficd.api.v1 import audit_pb2
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.audit.report import Report, Unjudged

_NUMBERS = {
    Severity.ERROR: audit_pb2.SEVERITY_ERROR,
    Severity.WARNING: audit_pb2.SEVERITY_WARNING,
    Severity.INFO: audit_pb2.SEVERITY_INFO,
}
_WORDS = {number: word for word, number in _NUMBERS.items()}


def report_message(report: Report) -> audit_pb2.AuditResponse:
    return audit_pb2.AuditResponse(
        judged=report.judged,
        findings=[_finding(f) for f in report.findings],
        unjudged=[audit_pb2.Unjudged(source=u.source, reason=u.reason) for u in report.unjudged],
    )


def _finding(f: Finding) -> audit_pb2.Finding:
    return audit_pb2.Finding(
        rule=f.rule, severity=_NUMBERS[f.severity], where=f.where, evidence=f.evidence, remedy=f.remedy
    )


def report(message: audit_pb2.AuditResponse) -> Report:
    """A severity that this version does not know is taken for a warning."""
    return Report(
        tuple(message.judged),
        tuple(
            Finding(f.rule, _WORDS.get(f.severity, Severity.WARNING), f.where, f.evidence, f.remedy)
            for f in message.findings
        ),
        tuple(Unjudged(u.source, u.reason) for u in message.unjudged),
    )
