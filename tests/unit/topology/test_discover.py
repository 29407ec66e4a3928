"""From inventories to a fabric file: what is guessed, what is left out and why, and that the file is valid."""

from trafficd_topology.discover import discover, discovered
from trafficd_topology.model import Gpu, LinkLayer, NodeInventory, PortInventory
from trafficd_topology.parsers.fabric import dump_fabric, parse_fabric

ETH, IB = LinkLayer.ETHERNET, LinkLayer.INFINIBAND
GIGA = 10**9

GPU_NODE = NodeInventory(
    "gpu-1",
    ports=(
        PortInventory(
            "mlx5_0", IB, 400 * GIGA, True, "0000:18:00.0", "506b:4b03:005c:2740", gpu=0, numa_node=0
        ),
        PortInventory(
            "mlx5_1", IB, 400 * GIGA, True, "0000:18:00.0", "0x506B4B03005C2740", gpu=1, pcie_switch="sw 1"
        ),
        PortInventory("eth0", ETH, 100 * GIGA, True, "0000:9A:00.0", numa_node=1),
        PortInventory("eth1", ETH, None, False, "0000:9a:00.1"),
        PortInventory("eth2", ETH, 0, True, "0000:9a:00.2"),
        PortInventory("docker0", ETH, 10 * GIGA, True),
        PortInventory("lo", ETH, 10 * GIGA, True),
    ),
    gpus=(Gpu(0, 0, "sw 0"),),
)
NAMESPACE = NodeInventory("a-ns", ports=(PortInventory("c0", ETH, 10 * GIGA), PortInventory("lo", ETH)))

EXPECTED = """\
# Written from what the agents found. Fill in before use:
#   role    of each host: prefill, decode or storage; hosts that stay 'other' are never chosen for a read.
#   pool    of each storage host, when reads name a pool.
#   memory  of each host, such as 500GB/s (DRAM bandwidth of the node); without it memory never limits.
#   kind    of each NIC: guessed as compute where it is paired with a GPU, as storage elsewhere.
#   Remove NICs that carry neither compute nor storage traffic, such as a management port.
#   switches and links: without any link all NICs of a kind count as attached to one switch that never limits.
#
# Left out:
#   a-ns/lo: loopback
#   gpu-1/docker0: virtual: no PCI address and no GUID
#   gpu-1/eth1: down, its rate is not known
#   gpu-1/eth2: its rate is not known
#   gpu-1/lo: loopback
version: 1
name: found

hosts:
  - name: a-ns
    role: other
    nics:
      - {name: c0, kind: storage, rate: 10G}
  - name: gpu-1
    role: other
    gpus:
      - {index: 0, numa_node: 0, pcie_switch: "sw 0"}
      - {index: 1, pcie_switch: "sw 1"}
    nics:
      - {name: eth0, kind: storage, rate: 100G, pci: "0000:9a:00.0", numa_node: 1}
      - {name: mlx5_0, kind: compute, link_layer: infiniband, rate: 400G, pci: "0000:18:00.0", \
guid: "0x506b4b03005c2740", numa_node: 0, gpu: 0}
      - {name: mlx5_1, kind: compute, link_layer: infiniband, rate: 400G, pcie_switch: "sw 1", gpu: 1}

switches: []

links: []
"""


def test_a_file_for_the_operator_to_complete() -> None:
    found = discover([GPU_NODE, NAMESPACE], "found")
    written = dump_fabric(found.spec, found.comments())
    assert written == EXPECTED
    assert parse_fabric(written) == (found.spec, ())


def test_order_does_not_matter_and_the_later_inventory_counts() -> None:
    old = NodeInventory("gpu-1")
    assert discovered([old, NAMESPACE, GPU_NODE], "found") == discovered([GPU_NODE, NAMESPACE], "found")


def test_nothing_found_is_still_a_file() -> None:
    found = discover([], "none")
    assert parse_fabric(dump_fabric(found.spec, found.comments())) == (found.spec, ())
    assert "Left out:" not in found.comments()
