"""Which port of an agent's inventory is which port of the fabric file.

A NIC is known by its GUID where both sides give one, else by its PCI address where both do, else by its name (or
that of its RDMA device). Two ports of one PCI address are told apart by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trafficd.core.targets import Target
from trafficd_topology.model import FabricSpec, Nic, NodeInventory, PortInventory, PortKey


@dataclass(frozen=True, slots=True)
class Placement:
    """``ports``: fabric port -> what its agent found. ``notes``: what could not be placed, a sentence each.

    ``doubled``: fabric ports whose agent's port is already another's; a note says so.
    """

    ports: Mapping[PortKey, PortInventory]
    doubled: frozenset[PortKey] = frozenset()
    notes: tuple[str, ...] = ()


def _named(port: PortInventory, name: str) -> bool:
    return name in (port.name, port.rdma_device)


def find(nic: Nic, ports: Iterable[PortInventory]) -> PortInventory | None:
    """The inventory's port that this NIC is; None when it was not found."""
    found = [p for p in ports if _is(nic, p)]
    return next((p for p in found if _named(p, nic.name)), found[0] if found else None)


def _is(nic: Nic, port: PortInventory) -> bool:
    if nic.guid and port.guid:
        return nic.guid == port.guid
    if nic.pci and port.pci:
        return nic.pci == port.pci
    return _named(port, nic.name)


def _find(target: Target, ports: tuple[PortInventory, ...]) -> PortInventory | None:
    if target.nic is None or target.switch:
        return next((p for p in ports if p.name == target.port.port), None)
    return find(target.nic, ports)


def place(fabric: FabricSpec, among: tuple[Target, ...], inventories: tuple[NodeInventory, ...]) -> Placement:
    """Match every inventory to the fabric; deterministic, by name."""
    by_node: dict[str, list[Target]] = {}
    for target in among:
        by_node.setdefault(target.port.node, []).append(target)
    known = {h.name for h in fabric.hosts} | {s.name for s in fabric.switches}
    ports: dict[PortKey, PortInventory] = {}
    doubled: set[PortKey] = set()
    notes: list[str] = []
    for inventory in sorted(inventories, key=lambda i: i.node):
        if inventory.node not in known:
            notes.append(
                f"node {inventory.node} has an agent but is not in the fabric file: nothing is programmed there"
            )
            continue
        mine = _place_node(by_node.get(inventory.node, []), inventory)
        ports.update(mine.ports)
        doubled |= mine.doubled
        notes += mine.notes
    return Placement(ports, frozenset(doubled), tuple(notes))


def _place_node(among: list[Target], inventory: NodeInventory) -> Placement:
    placed: dict[PortKey, PortInventory] = {}
    owner: dict[str, PortKey] = {}
    doubled: dict[PortKey, str] = {}
    for target in among:
        port = _find(target, inventory.ports)
        if port is None:
            continue
        if port.name in owner:
            doubled[target.port] = (
                f"{owner[port.name]} and {target.port} are both port {port.name} of its agent: correct the fabric file"
            )
            continue
        owner[port.name] = target.port
        placed[target.port] = port
    members = {m for t in among if t.nic and not t.switch for m in t.nic.members}
    loose = sorted(p.name for p in inventory.ports if p.name not in owner and p.name not in members)
    unnamed = f"node {inventory.node} has ports that the fabric file does not name: {', '.join(loose)}"
    return Placement(placed, frozenset(doubled), (*doubled.values(), *([unnamed] if loose else ())))
