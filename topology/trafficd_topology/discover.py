"""From what agents found on their nodes to a fabric file for the operator to complete.

A port is left out of the file by one of these rules, and each port left out is named in the file's comments:

1. ``lo`` never leaves its host.
2. A port whose rate the machine does not say: a fabric file needs one (a link that is down says none).
3. A port with neither a PCI address nor a GUID on a node that has ports with one is virtual (bridge, veth, tunnel).
   Where no port has one (a network namespace, some virtual machines), all count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from trafficd_topology.model import FabricSpec, Gpu, Host, Nic, NicKind, NodeInventory, PortInventory, PortKey
from trafficd_topology.parsers import units


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A port that is not in the file, and by which rule."""

    port: PortKey
    reason: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """A fabric without links, every host of role ``other``; and the ports left out of it."""

    spec: FabricSpec
    left_out: tuple[LeftOut, ...]

    def comments(self) -> tuple[str, ...]:
        """What the operator has to fill in, for the head of the file (``dump_fabric``)."""
        left = tuple(f"  {found.port}: {found.reason}" for found in self.left_out)
        return (*_TO_DO, *(("", "Left out:", *left) if left else ()))


_TO_DO = (
    "Written from what the agents found. Fill in before use:",
    "  role    of each host: prefill, decode or storage; hosts that stay 'other' are never chosen for a read.",
    "  pool    of each storage host, when reads name a pool.",
    "  memory  of each host, such as 500GB/s (DRAM bandwidth of the node); without it memory never limits.",
    "  kind    of each NIC: guessed as compute where it is paired with a GPU, as storage elsewhere.",
    "  Remove NICs that carry neither compute nor storage traffic, such as a management port.",
    "  switches and links: without any link all NICs of a kind count as attached to one switch that never limits.",
)


def discovered(inventories: Iterable[NodeInventory], name: str) -> FabricSpec:
    """The fabric that these inventories describe; ``discover`` also says what was left out."""
    return discover(inventories, name).spec


def discover(inventories: Iterable[NodeInventory], name: str) -> Discovery:
    """Hosts and NICs from inventories, sorted by name; of two inventories of one node the later counts.

    Addresses are unique as the fabric file asks: a PCI address or GUID that stood before is left off the later
    NIC (two ports of one PCI function), and so is one that is none.
    """
    nodes = {inventory.node: inventory for inventory in inventories}
    guids: set[str] = set()
    hosts: list[Host] = []
    left: list[LeftOut] = []
    for node in sorted(nodes):
        kept, dropped = _sorted_out(nodes[node])
        hosts.append(_host(nodes[node], kept, guids))
        left += dropped
    return Discovery(FabricSpec(name, tuple(hosts)), tuple(left))


def _sorted_out(inventory: NodeInventory) -> tuple[list[PortInventory], list[LeftOut]]:
    ports = sorted({p.name: p for p in inventory.ports}.values(), key=lambda p: p.name)
    hardware = any(p.pci or p.guid for p in ports)
    reasons = {p.name: _reason(p, hardware=hardware) for p in ports}
    left = [LeftOut(PortKey(inventory.node, name), reason) for name, reason in reasons.items() if reason]
    return [p for p in ports if not reasons[p.name]], left


def _reason(port: PortInventory, *, hardware: bool) -> str:
    """Why a port is left out; empty when it is not."""
    if port.name == "lo":
        return "loopback"
    if port.rate_bps is None or not 0 < port.rate_bps <= units.MAX_RATE_BPS:
        return "down, its rate is not known" if port.up is False else "its rate is not known"
    return "virtual: no PCI address and no GUID" if hardware and not (port.pci or port.guid) else ""


def _host(inventory: NodeInventory, ports: Iterable[PortInventory], guids: set[str]) -> Host:
    pcis: set[str] = set()
    nics = tuple(
        replace(_nic(p), pci=_once(p.pci, units.pci, pcis), guid=_once(p.guid, units.guid, guids))
        for p in ports
    )
    paired = (Gpu(n.gpu, n.numa_node, n.pcie_switch) for n in nics if n.gpu is not None)
    gpus = {g.index: g for g in (*paired, *inventory.gpus)}
    return Host(inventory.node, nics=nics, gpus=tuple(gpus[index] for index in sorted(gpus)))


def _once(text: str | None, canonical: Callable[[str | None], str | None], seen: set[str]) -> str | None:
    address = canonical(text)
    if address is None or address in seen:
        return None
    seen.add(address)
    return address


def _nic(port: PortInventory) -> Nic:
    return Nic(
        name=port.name,
        kind=NicKind.STORAGE if port.gpu is None else NicKind.COMPUTE,
        link_layer=port.link_layer,
        rate_bps=port.rate_bps or 0,
        numa_node=port.numa_node,
        pcie_switch=port.pcie_switch,
        gpu=port.gpu,
    )
