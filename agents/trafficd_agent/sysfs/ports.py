"""Which ports a machine has.

An InfiniBand port is named as its RDMA device (``mlx5_0``; further ports of one device ``mlx5_0:2``). An
Ethernet port is named as its network interface, and an RDMA device of Ethernet link layer belongs to the port of
its interface.

Which network interfaces are ports: Ethernet ones (ARPHRD_ETHER) that have a device of their own, except
switchdev representors and the virtual functions whose physical function is here as well. IP over InfiniBand is
no port: its RDMA device is. A machine without any such interface is a container or a network namespace; there
every Ethernet interface counts that is the lower end of something (a veth), so not bridges, bonds, VLANs, tunnels
and what the kernel makes by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.sysfs.files import names, real, text
from trafficd_topology.model import LinkLayer
from trafficd_topology.parsers import sysfs as parse

ARPHRD_ETHER = 1
_REPRESENTOR = re.compile(r"(c\d+)?pf\d+(vf|sf)\d+")
_NOT_VETH = re.compile(r"(ifb|dummy|gretap|erspan|ip6gretap|tap|tun|nlmon|teql)\d*|lo")
_UPPER = ("bridge", "bonding", "tun_flags")


@dataclass(frozen=True, slots=True)
class Netdev:
    """A network interface that is a port. ``driver`` is empty where it has no device.

    ``members``: the wires of a bond, which is one port; its driver is that of the first.
    """

    name: str
    driver: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RdmaPort:
    """A port of an RDMA device. ``port`` is the name it is known by, see the module's text."""

    device: str
    number: int
    link_layer: LinkLayer
    netdev: str | None = None

    @property
    def port(self) -> str:
        if self.netdev is not None:
            return self.netdev
        return self.device if self.number == 1 else f"{self.device}:{self.number}"


def net_path(root: Path, name: str) -> Path:
    return root / "sys/class/net" / name


def rdma_path(root: Path, port: RdmaPort) -> Path:
    return root / "sys/class/infiniband" / port.device / "ports" / str(port.number)


def _has_device(root: Path, name: str) -> bool:
    return (net_path(root, name) / "device").exists()


def _is_ethernet(root: Path, name: str) -> bool:
    return parse.whole(text(net_path(root, name) / "type")) == ARPHRD_ETHER


def _is_wire(root: Path, name: str) -> bool:
    """It has a device, and no other interface here is the wire below it."""
    if not _has_device(root, name):
        return False
    representor = _REPRESENTOR.fullmatch(text(net_path(root, name) / "phys_port_name").strip())
    return representor is None and not names(net_path(root, name) / "device/physfn/net")


def _is_lower_end(root: Path, name: str) -> bool:
    path = net_path(root, name)
    if _NOT_VETH.fullmatch(name) or _has_device(root, name) or any((path / u).exists() for u in _UPPER):
        return False
    return parse.uevent(text(path / "uevent"), "DEVTYPE") is None


def netdevs(root: Path) -> tuple[Netdev, ...]:
    """The network interfaces that are ports, by name. Raises OSError when ``/sys/class/net`` cannot be listed."""
    ethernet = [n for n in names(root / "sys/class/net") if _is_ethernet(root, n)]
    wires = [n for n in ethernet if _is_wire(root, n)]
    bonds: dict[str, list[str]] = {}
    for wire in wires:
        bonds.setdefault(_served_as(root, wire), []).append(wire)
    found = (_netdev(root, name, below) for name, below in sorted(bonds.items()))
    return tuple(found) or tuple(Netdev(n, _driver(root, n)) for n in ethernet if _is_lower_end(root, n))


def _netdev(root: Path, name: str, below: list[str]) -> Netdev:
    members = () if below == [name] else tuple(below)
    return Netdev(name, _driver(root, below[0]), members)


def _served_as(root: Path, name: str) -> str:
    """The bond that an interface is a member of, or the interface itself."""
    master = net_path(root, name) / "master"
    bond = Path(real(master)).name if master.exists() else ""
    return bond if bond and (net_path(root, bond) / "bonding").exists() else name


def _driver(root: Path, name: str) -> str:
    link = net_path(root, name) / "device/driver"
    return Path(real(link)).name if link.exists() else ""


def _netdev_of(root: Path, device: str, number: int) -> str | None:
    """The interface of an RDMA port: what its GID table says, else the one beside it on the same PCI function."""
    base = root / "sys/class/infiniband" / device
    named = text(base / "ports" / str(number) / "gid_attrs/ndevs/0").strip()
    if named:
        return named
    beside = names(base / "device/net")
    if len(beside) == 1:
        return beside[0]
    by_number = (n for n in beside if parse.whole(text(base / "device/net" / n / "dev_port")) == number - 1)
    return next(by_number, None)


def _rdma_port(root: Path, device: str, number: int) -> RdmaPort:
    path = root / "sys/class/infiniband" / device / "ports" / str(number)
    layer = parse.link_layer(text(path / "link_layer")) or LinkLayer.ETHERNET
    netdev = _netdev_of(root, device, number) if layer is LinkLayer.ETHERNET else None
    return RdmaPort(device, number, layer, _served_as(root, netdev) if netdev else None)


def rdma_ports(root: Path) -> tuple[RdmaPort, ...]:
    """Every port of every RDMA device, by name. A link layer that the kernel calls unspecified (EFA) is taken for
    Ethernet. Raises OSError when ``/sys/class/infiniband`` cannot be listed; none when there is none.
    """
    base = root / "sys/class/infiniband"
    found = ((d, parse.whole(n)) for d in names(base) for n in names(base / d / "ports"))
    return tuple(_rdma_port(root, device, number) for device, number in found if number)
