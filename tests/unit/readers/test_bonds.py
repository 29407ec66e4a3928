"""A bond of two NICs is one port: named as the bond, placed as its first member, its counters those of both."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from trees import plant

from trafficd_agent.ethtool import BondStatistics
from trafficd_agent.readers import _drivers, _members
from trafficd_agent.sysfs.inventory import read_inventory

MACHINE = """
sys/class/net/bond0 {
type = 1
speed = 400000
operstate = up
bonding/slaves = eth0 eth1
}
sys/class/net/eth0 {
type = 1
device -> ../../../devices/pci0000:00/0000:05:00.0
master -> ../bond0
}
sys/class/net/eth1 {
type = 1
device -> ../../../devices/pci0000:00/0000:05:00.1
master -> ../bond0
}
sys/class/net/eth2 {
type = 1
speed = 100000
device -> ../../../devices/pci0000:00/0000:06:00.0
}
sys/devices/pci0000:00/0000:05:00.0/driver -> ../../../bus/pci/drivers/mlx5_core
sys/devices/pci0000:00/0000:05:00.1/driver -> ../../../bus/pci/drivers/mlx5_core
sys/devices/pci0000:00/0000:06:00.0/driver -> ../../../bus/pci/drivers/mlx5_core
sys/bus/pci/drivers/mlx5_core/module = x
sys/class/infiniband/mlx5_bond_0/ports/1/link_layer = Ethernet
sys/class/infiniband/mlx5_bond_0/ports/1/gid_attrs/ndevs/0 = eth0
"""


def test_a_bond_is_one_port_with_what_its_members_are(tmp_path: Path) -> None:
    root = plant(MACHINE, tmp_path)
    ports = {p.name: p for p in read_inventory(root, "n1").ports}
    assert sorted(ports) == ["bond0", "eth2"]
    bond = ports["bond0"]
    assert (bond.rate_bps, bond.pci, bond.rdma_device) == (400_000_000_000, "0000:05:00.0", "mlx5_bond_0")
    assert _drivers(root) == (("bond0", "mlx5_core"), ("eth2", "mlx5_core"))
    assert _members(root, "bond0") == ("eth0", "eth1")
    assert _members(root, "eth2") == ()


class Wires:
    """Statistics of three interfaces."""

    HELD: ClassVar = {
        "eth0": {"tx_prio3_bytes": 10, "rx_prio3_pause": 1},
        "eth1": {"tx_prio3_bytes": 5},
        "eth2": {"tx_prio3_bytes": 7},
    }

    def read(self, netdev: str) -> dict[str, int]:
        return self.HELD[netdev]


def test_counters_of_a_bond_are_sums_and_what_a_member_lacks_is_unknown() -> None:
    reader = BondStatistics(Wires(), lambda n: ("eth0", "eth1") if n == "bond0" else ())
    assert reader.read("bond0") == {"tx_prio3_bytes": 15}
    assert reader.read("eth2") == {"tx_prio3_bytes": 7}
