"""What a machine has: ports, GPUs, and where they sit. Reads; changes nothing.

Which interfaces are ports is said in ``ports``. The rate of an Ethernet port is ``speed``; of an InfiniBand port
``rate``. A GPU is a PCI display controller, 3D controller or processing accelerator of NVIDIA or AMD, numbered
in PCI order (as with CUDA_DEVICE_ORDER=PCI_BUS_ID). A port's GPU is the one below the same PCIe switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.sysfs import pci
from trafficd_agent.sysfs.files import names, real, text
from trafficd_agent.sysfs.ports import Netdev, RdmaPort, net_path, netdevs, rdma_path, rdma_ports
from trafficd_topology.model import Gpu, LinkLayer, NodeInventory, PortInventory
from trafficd_topology.parsers import sysfs as parse

GPU_VENDORS = ("0x10de", "0x1002")
GPU_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")
"""PCI base class and subclass: VGA, 3D, other display, processing accelerator (PCI Code and ID Assignment)."""
MEMINFO_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Found:
    """A port and the PCI function it is on, if any."""

    port: PortInventory
    device: pci.Device | None


def _device(path: Path) -> pci.Device | None:
    """The PCI function a ``device`` link leads to (through virtio and such), with its chain."""
    if not path.exists():
        return None
    chain = parse.pci_chain(real(path))
    numa = parse.signed(text(path / "numa_node"))
    if not chain:
        return None
    return pci.Device(chain[-1], chain, numa if numa is not None and numa >= 0 else None)


def _pci_device(root: Path, address: str) -> pci.Device:
    device = _device(root / "sys/bus/pci/devices" / address)
    return device or pci.Device(address, (address,))


def _is_gpu(root: Path, address: str) -> bool:
    path = root / "sys/bus/pci/devices" / address
    vendor, sort = text(path / "vendor").strip().lower(), text(path / "class").strip().lower()
    return vendor in GPU_VENDORS and sort[:6] in GPU_CLASSES


def gpu_devices(root: Path) -> tuple[pci.Device, ...]:
    """The GPUs' PCI functions in PCI order; a GPU's index is its place here."""
    addresses = (a for a in names(root / "sys/bus/pci/devices") if _is_gpu(root, a))
    return tuple(sorted((_pci_device(root, a) for a in addresses), key=lambda d: _order(d.address)))


def _order(address: str) -> tuple[int, str]:
    """PCI order: by domain as a number, then by bus, device and function."""
    domain, _, rest = address.partition(":")
    return int(domain, 16) if parse.pci_chain(address) else 0, rest


def _is_up(path: Path) -> bool | None:
    """Operational state; where the driver does not say (veth, tun) whether there is a carrier."""
    state = parse.operstate(text(path / "operstate"))
    if state is not None:
        return state
    carrier = parse.whole(text(path / "carrier"))
    return None if carrier is None else carrier == 1


def _transmit_queues(path: Path) -> int | None:
    return sum(n.startswith("tx-") for n in names(path / "queues")) or None


def _ethernet(root: Path, netdev: Netdev, rdma: RdmaPort | None) -> Found:
    path = net_path(root, netdev.name)
    port = PortInventory(
        netdev.name,
        LinkLayer.ETHERNET,
        rate_bps=parse.speed_bps(text(path / "speed")),
        up=_is_up(path),
        rdma_device=rdma.device if rdma else None,
        tx_queues=_transmit_queues(path),
    )
    wire = netdev.members[0] if netdev.members else netdev.name
    return Found(port, _device(net_path(root, wire) / "device"))


def _rdma_guid(root: Path, rdma: RdmaPort) -> str | None:
    """The port's GUID, else (no GID table) its device's."""
    if rdma.link_layer is not LinkLayer.INFINIBAND:
        return None
    node = parse.guid(text(root / "sys/class/infiniband" / rdma.device / "node_guid"))
    return parse.gid_guid(text(rdma_path(root, rdma) / "gids/0")) or node


def _rdma(root: Path, rdma: RdmaPort) -> Found:
    path = rdma_path(root, rdma)
    state = parse.port_state(text(path / "state"))
    port = PortInventory(
        rdma.port,
        rdma.link_layer,
        rate_bps=parse.rate_bps(text(path / "rate")),
        up=None if state is None else state == "ACTIVE",
        guid=_rdma_guid(root, rdma),
        rdma_device=rdma.device,
    )
    return Found(port, _device(root / "sys/class/infiniband" / rdma.device / "device"))


def _ports(root: Path) -> tuple[Found, ...]:
    """Every port once: an RDMA port of Ethernet link layer is its interface's when that is here."""
    rdma, nets = rdma_ports(root), netdevs(root)
    by_netdev = {r.netdev: r for r in rdma if r.netdev is not None}
    here = {n.name for n in nets}
    ethernet = (_ethernet(root, n, by_netdev.get(n.name)) for n in nets)
    others = (_rdma(root, r) for r in rdma if r.netdev not in here)
    return tuple(sorted((*ethernet, *others), key=lambda f: f.port.name))


def _placed(found: Found, gpus: dict[str, int]) -> PortInventory:
    """The port with what its PCI function adds."""
    p, d = found.port, found.device
    if d is None:
        return p
    return PortInventory(
        p.name,
        p.link_layer,
        rate_bps=p.rate_bps,
        up=p.up,
        pci=d.address,
        guid=p.guid,
        rdma_device=p.rdma_device,
        numa_node=d.numa_node,
        pcie_switch=pci.switch(d.chain),
        gpu=gpus.get(d.address),
        tx_queues=p.tx_queues,
    )


def read_inventory(root: Path, node: str) -> NodeInventory:
    """The ports, GPUs and memory of the machine below ``root``. Offers of drivers are for the caller to add.

    Raises OSError when a directory cannot be listed; a file that cannot be read is a None in the result.
    """
    found, gpus = _ports(root), gpu_devices(root)
    nics = tuple(f.device for f in found if f.device is not None)
    paired = pci.pair_gpus(nics, gpus)
    return NodeInventory(
        node,
        ports=tuple(_placed(f, paired) for f in found),
        gpus=tuple(Gpu(i, g.numa_node, pci.switch(g.chain)) for i, g in enumerate(gpus)),
        memory_bytes=parse.memory_bytes(text(root / "proc/meminfo", MEMINFO_BYTES)),
    )
