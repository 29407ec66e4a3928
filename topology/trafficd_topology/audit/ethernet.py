"""Rules about what a RoCE port holds: trust, PFC, ETS, and who controls them."""

from __future__ import annotations

from collections.abc import Iterator

from trafficd_topology.audit.facts import EthernetQos, Facts
from trafficd_topology.audit.finding import Finding, Severity

LOSSLESS_AT_MOST = 2
"""Switch buffers have headroom for one or two lossless priorities; see docs/audit.md."""


def trust(facts: Facts) -> Iterator[Finding]:
    for q in facts.ethernet:
        if q.trust == "pcp":
            yield Finding(
                "trust-pcp",
                Severity.WARNING,
                q.where,
                "the port trusts PCP: packets without a VLAN tag fall into priority 0 whatever their DSCP",
                "Set trust to dscp if applications mark by ToS or traffic class.",
            )


def lossless(facts: Facts) -> Iterator[Finding]:
    for q in facts.ethernet:
        if q.pfc is None or len(q.pfc) <= LOSSLESS_AT_MOST:
            continue
        yield Finding(
            "pfc-too-many",
            Severity.WARNING,
            q.where,
            f"PFC is on for {len(q.pfc)} priorities ({', '.join(map(str, q.pfc))})",
            "Keep one, at most two lossless priorities: each needs buffer headroom on every port of the way.",
        )


def lossy(facts: Facts) -> Iterator[Finding]:
    for q in facts.ethernet:
        if q.pfc == ():
            yield Finding(
                "pfc-none",
                Severity.INFO,
                q.where,
                "PFC is off for every priority: RoCE loses packets under congestion here",
                "Turn it on for the lossless lane's priority, or make sure that ECN keeps queues short.",
            )


def ets(facts: Facts) -> Iterator[Finding]:
    for q in facts.ethernet:
        yield from _ets(q)


def _ets(q: EthernetQos) -> Iterator[Finding]:
    shares = {tc: bw or 0 for tc, (tsa, bw) in enumerate(q.tsa) if tsa == "ets"}
    if shares and sum(shares.values()) != 100:
        yield Finding(
            "ets-sum",
            Severity.ERROR,
            q.where,
            f"the ETS shares come to {sum(shares.values())} %, not 100 %",
            "Give the ETS traffic classes shares that come to 100 %.",
        )
    for tc in (tc for tc, share in shares.items() if share == 0):
        yield Finding(
            "ets-starved",
            Severity.WARNING,
            q.where,
            f"traffic class {tc} has an ETS share of 0 %: it sends only what others leave",
            "Give it at least 1 %.",
        )
    if len(q.tsa) > 1 and all(tsa == "vendor" for tsa, _ in q.tsa):
        yield Finding(
            "ets-vendor",
            Severity.INFO,
            q.where,
            "every traffic class is scheduled the vendor's way: no class has a guaranteed share",
            "Set strict or ets for each traffic class if lanes shall have shares.",
        )


def firmware(facts: Facts) -> Iterator[Finding]:
    for q in facts.ethernet:
        if q.host_controlled is False:
            yield Finding(
                "dcbx-firmware",
                Severity.WARNING,
                q.where,
                "the NIC's firmware negotiates by DCBX and may overwrite what the host sets",
                "Set DCBX to OS control (mlnx_qos -d os) where the host is to set the lanes.",
            )
