"""Every rule there is, in one list, and the audit itself: pure, and it never raises on facts of the right types."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trafficd_topology.audit import balance, counts, ethernet, lanes, opensm, ports, service_levels, subnets
from trafficd_topology.audit.facts import Facts
from trafficd_topology.audit.finding import Finding, Severity, ordered

Rule = Callable[[Facts], Iterator[Finding]]


def input_problems(facts: Facts) -> Iterator[Finding]:
    """What is wrong with policy and fabric files, as the controller would say it."""
    for p in facts.problems:
        found = f" (found {p.value})" if p.value else ""
        yield Finding(
            "file-problem",
            Severity.ERROR,
            p.path,
            f"{p.reason}{found}",
            "Correct it; trafficd check shows every problem of the file.",
        )


RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    # ids that a rule may give -> rule; each id is explained in docs/audit.md
    (("port-waits-for-sm",), ports.port_waits_for_sm),
    (("port-down",), ports.port_down),
    (("port-below-rate",), ports.port_below_rate),
    (("port-narrow",), ports.port_narrow),
    (("pcie-below-capability",), ports.pcie_below),
    (("gpu-far-nic",), ports.gpu_far_nic),
    (("gpu-pair-far",), ports.gpu_pair_far),
    (tuple(t.rule for t in counts.TROUBLES), counts.troubles),
    (("discards",), counts.discards),
    (("paused",), counts.paused),
    (("pauses-counted",), counts.pause_history),
    (("headroom",), counts.headroom),
    (("ecn-without-cnp",), counts.ecn_without_cnp),
    (("pci-stalled",), counts.pci_stalled),
    (("lane-unused",), lanes.lane_unused),
    (("kv-unmarked",), lanes.kv_unmarked),
    (("nothing-marked",), lanes.nothing_marked),
    (("subnet-class-unknown",), service_levels.uncounted),
    (("subnet-sl-unclaimed",), service_levels.unclaimed),
    (("subnet-kv-unmarked",), service_levels.kv_unmarked),
    (("subnet-lane-misused",), service_levels.misused),
    (("global-traffic-class",), lanes.global_class),
    (("cma-default-tos",), lanes.cma_default),
    (("one-nic-carries-all", "nics-uneven"), balance.nic_balance),
    (("storage-nics-uneven",), balance.sides_uneven),
    (("opensm-qos-off",), opensm.off),
    (("opensm-vl-alias",), opensm.aliases),
    (("opensm-vls-unsure",), opensm.unsure_vls),
    (("opensm-sl-dropped",), opensm.dropped_sl),
    (("opensm-vl-without-turn",), opensm.unserved_vl),
    (("opensm-bad-value",), opensm.bad_tables),
    (("opensm-bad-value",), opensm.bad_numbers),
    (("opensm-weight-too-large",), opensm.weights),
    (("opensm-table-too-long",), opensm.lengths),
    (("opensm-low-table-starved",), opensm.unlimited),
    (("opensm-engine-owns-sl",), opensm.engine),
    (("opensm-port-types-differ",), opensm.port_types),
    (("opensm-line-cut", "opensm-key-twice"), opensm.lines),
    (("opensm-ar-mask",), opensm.adaptive_routing),
    (("ib-link-narrow",), subnets.narrow),
    (("ib-link-slow",), subnets.slow),
    (("ib-dump-unclear",), subnets.unclear),
    (("trust-pcp",), ethernet.trust),
    (("pfc-too-many",), ethernet.lossless),
    (("pfc-none",), ethernet.lossy),
    (("ets-sum", "ets-starved", "ets-vendor"), ethernet.ets),
    (("dcbx-firmware",), ethernet.firmware),
    (("file-problem",), input_problems),
)


def rule_ids() -> tuple[str, ...]:
    """Every id that a finding may have, in the list's order."""
    return tuple(dict.fromkeys(i for ids, _ in RULES for i in ids))


def audit(facts: Facts) -> tuple[Finding, ...]:
    """Every finding, the worst first."""
    return ordered(finding for _, rule in RULES for finding in rule(facts))
