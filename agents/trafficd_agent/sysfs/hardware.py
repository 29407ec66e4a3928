"""What an audit asks of a port beyond the inventory: make, lanes of the link, PCIe link, global traffic classes.

``tc/<n>/traffic_class`` is of MLNX_OFED (a ToS byte that the kernel forces on every connection);
``rdma_cm/<dev>/ports/<n>/default_roce_tos`` is configfs and is there only once somebody made the folder.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trafficd_agent.sysfs.files import text
from trafficd_agent.sysfs.ports import RdmaPort, rdma_path, rdma_ports
from trafficd_topology.audit.facts import PortFacts
from trafficd_topology.audit.gather import port_facts
from trafficd_topology.audit.tree import global_class, model, pcie_link, state_words, width
from trafficd_topology.model import NodeInventory, PortInventory
from trafficd_topology.parsers.sysfs import whole

CONFIGFS = "sys/kernel/config/rdma_cm"


def ports(root: Path, found: NodeInventory) -> tuple[PortFacts, ...]:
    """Every port of the inventory with what its files say. Raises OSError when RDMA devices cannot be listed."""
    rdma = {r.port: r for r in rdma_ports(root)}
    return tuple(_port(root, port, rdma.get(port.name)) for port in found.ports)


def _port(root: Path, port: PortInventory, rdma: RdmaPort | None) -> PortFacts:
    facts = port_facts(port)
    if port.pci:
        facts = replace(
            facts, pcie=pcie_link(lambda a: text(root / "sys/bus/pci/devices" / str(port.pci) / a))
        )
    return facts if rdma is None else _rdma(root, facts, rdma)


def _rdma(root: Path, facts: PortFacts, rdma: RdmaPort) -> PortFacts:
    device, port = root / "sys/class/infiniband" / rdma.device, rdma_path(root, rdma)
    state, physical = state_words(lambda a: text(port / a))
    tos = text(root / CONFIGFS / rdma.device / "ports" / str(rdma.number) / "default_roce_tos")
    return replace(
        facts,
        state=state,
        physical=physical,
        width=width(text(port / "rate")),
        model=model(lambda a: text(device / a)),
        traffic_class=global_class(text(device / "tc" / str(rdma.number) / "traffic_class")),
        cma_tos=whole(tos),
    )
