"""Rules about ports: their link, its rate, and where the NIC sits in its host."""

from __future__ import annotations

from collections.abc import Iterator

from trafficd_topology.audit.facts import Facts, NodeFacts, PortFacts
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.model import Gpu, LinkLayer

USUAL_WIDTH = 4
"""InfiniBand links of hosts have four lanes."""


def gbps(rate_bps: float) -> str:
    return f"{rate_bps / 1e9:g} Gb/s"


def _each(facts: Facts) -> Iterator[tuple[NodeFacts, PortFacts]]:
    return ((node, port) for node in facts.nodes for port in node.ports)


def port_waits_for_sm(facts: Facts) -> Iterator[Finding]:
    for node, p in _each(facts):
        if p.link_layer is LinkLayer.INFINIBAND and p.physical == "LINKUP" and p.state in ("INIT", "ARMED"):
            yield Finding(
                "port-waits-for-sm",
                Severity.ERROR,
                node.at(p.name),
                f"the link is up and the port is {p.state}: no subnet manager has brought it to ACTIVE",
                "Look for this port in the subnet manager's log (it may be out of LIDs, or see a duplicate GUID), then reset the port.",
            )


def _severity_down(p: PortFacts) -> Severity:
    """A port that the fabric file names must be up; an Ethernet port that nobody named often is a spare one."""
    if p.expected_bps is not None:
        return Severity.ERROR
    return Severity.WARNING if p.rdma or p.link_layer is LinkLayer.INFINIBAND else Severity.INFO


def port_down(facts: Facts) -> Iterator[Finding]:
    for node, p in _each(facts):
        if p.up is not False or p.physical == "LINKUP":
            continue
        said = ", ".join(w for w in (p.state, p.physical) if w)
        yield Finding(
            "port-down",
            _severity_down(p),
            node.at(p.name),
            f"the port is down{f' ({said})' if said else ''}",
            "Check cable, transceiver and the switch port's state, or take the port out of the fabric file.",
        )


def port_below_rate(facts: Facts) -> Iterator[Finding]:
    for node in facts.nodes:
        for p in node.ports:
            if p.up is False or p.rate_bps is None:
                continue
            best, why = _expected(node, p)
            if p.rate_bps < best:
                yield Finding(
                    "port-below-rate",
                    Severity.ERROR if 2 * p.rate_bps <= best else Severity.WARNING,
                    node.at(p.name),
                    f"it runs at {gbps(p.rate_bps)}, {why} {gbps(best)}",
                    "Reseat or replace the cable, and compare speed and FEC settings of both ends.",
                )


def _expected(node: NodeFacts, p: PortFacts) -> tuple[int, str]:
    """What this port should run at, and who says so; 0 when nobody does."""
    if p.expected_bps is not None:
        return p.expected_bps, "the fabric file says"
    peers = [q for q in node.ports if _alike(p, q) and q.up is not False and q.rate_bps]
    best = max(peers, key=lambda q: q.rate_bps or 0, default=None)
    if best is None:
        return 0, ""
    return best.rate_bps or 0, f"and {best.name} of the same make at"


def _alike(p: PortFacts, q: PortFacts) -> bool:
    return bool(p.model) and (p.model, p.link_layer) == (q.model, q.link_layer)


def port_narrow(facts: Facts) -> Iterator[Finding]:
    for node, p in _each(facts):
        infiniband = p.link_layer is LinkLayer.INFINIBAND and p.up is not False
        if infiniband and p.width is not None and 0 < p.width < USUAL_WIDTH:
            yield Finding(
                "port-narrow",
                Severity.WARNING,
                node.at(p.name),
                f"the link runs {p.width} of {USUAL_WIDTH} lanes",
                "Reseat or replace the cable: a lane of it does not train.",
            )


def pcie_below(facts: Facts) -> Iterator[Finding]:
    for node, p in _each(facts):
        link = p.pcie
        narrow = bool(link.width and link.most_width and link.width < link.most_width)
        slow = bool(link.gts and link.most_gts and link.gts < link.most_gts)
        if narrow or slow:
            yield Finding(
                "pcie-below-capability",
                Severity.WARNING,
                node.at(p.name),
                f"its PCIe link runs x{link.width} at {link.gts or 0:g} GT/s and could run x{link.most_width} at {link.most_gts or 0:g} GT/s",
                "Move the NIC to a slot of its full width, reseat it, and look at the BIOS setting of that slot.",
            )


def _near(gpu: Gpu, p: PortFacts) -> bool:
    return gpu.pcie_switch is not None and gpu.pcie_switch == p.pcie_switch


def gpu_far_nic(facts: Facts) -> Iterator[Finding]:
    """A GPU without a NIC below its switch, where that is no rule of the house; or without one on its NUMA node."""
    for node in facts.nodes:
        placed = [p for p in node.ports if p.numa_node is not None or p.pcie_switch is not None]
        house = any(_near(g, p) for g in node.gpus for p in placed)
        for gpu in node.gpus if placed else ():
            if any(_near(gpu, p) for p in placed):
                continue
            if gpu.numa_node is not None and all(p.numa_node not in (None, gpu.numa_node) for p in placed):
                yield _far(node, gpu, Severity.WARNING, f"no NIC is on its NUMA node {gpu.numa_node}")
            elif house and gpu.pcie_switch is not None:
                yield _far(node, gpu, Severity.INFO, f"no NIC is below its PCIe switch {gpu.pcie_switch}")


def _far(node: NodeFacts, gpu: Gpu, severity: Severity, evidence: str) -> Finding:
    return Finding(
        "gpu-far-nic",
        severity,
        node.at(f"gpu{gpu.index}"),
        evidence,
        "Move a NIC beside this GPU, or let engines on it use the NIC of a GPU that has one.",
    )


def gpu_pair_far(facts: Facts) -> Iterator[Finding]:
    for node, p in _each(facts):
        gpu = next((g for g in node.gpus if g.index == p.expected_gpu), None)
        if gpu is None or gpu.numa_node is None or p.numa_node is None or gpu.numa_node == p.numa_node:
            continue
        yield Finding(
            "gpu-pair-far",
            Severity.WARNING,
            node.at(p.name),
            f"the fabric file pairs it with GPU {gpu.index}, which is on NUMA node {gpu.numa_node}; the NIC is on {p.numa_node}",
            "Correct gpu: of this NIC in the fabric file, or move the card.",
        )
