"""``agreements`` of a fabric file: what somebody has seen to hold on switches, and when."""

from __future__ import annotations

import re
from datetime import date

from trafficd_topology.model import Agreement
from trafficd_topology.parsers.lanes import read_words
from trafficd_topology.parsers.tree import Mapping
from trafficd_topology.qos.switch import DIGEST_CHARS

_DIGEST = re.compile(f"[0-9a-f]{{{DIGEST_CHARS}}}")
_DIGEST_RULE = f"must be the {DIGEST_CHARS} digits that trafficd check prints for the policy (quote them)"


def read_agreements(top: Mapping) -> tuple[Agreement, ...]:
    return tuple(_agreement(m) for m in top.mappings("agreements"))


def _agreement(m: Mapping) -> Agreement:
    switches = read_words(m, "switches")
    if not switches:
        m.problem("switches", None, "is missing: name switches, as globs")
    found = Agreement(_digest(m), _date(m), m.text("by") or "", switches)
    m.done()
    return found


def _digest(m: Mapping) -> str:
    value = m.text("digest", reason=_DIGEST_RULE)
    if value is not None and not _DIGEST.fullmatch(value):
        m.problem("digest", value, _DIGEST_RULE)
    return value or ""


def _date(m: Mapping) -> str:
    value = m.text("date", reason="must be a date such as 2026-03-31")
    try:
        return date.fromisoformat(value).isoformat() if value else ""
    except ValueError:
        m.problem("date", value, "must be a date such as 2026-03-31")
        return ""
