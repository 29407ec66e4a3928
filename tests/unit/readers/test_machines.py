"""Whole machines: what an inventory says and what every column reads, as text."""

from pathlib import Path

import pytest
from trees import DATA, machine, plant, same

from trafficd_agent.readers import Collector, standard_readers
from trafficd_agent.sysfs import pci
from trafficd_agent.sysfs.inventory import read_inventory
from trafficd_topology.counters import Column
from trafficd_topology.model import NodeInventory

MACHINES = ("gpu-host", "namespace")


def inventory_text(found: NodeInventory) -> str:
    lines = [f"node {found.node} memory_bytes={found.memory_bytes}"]
    lines += [f"gpu {g.index} numa_node={g.numa_node} pcie_switch={g.pcie_switch}" for g in found.gpus]
    for p in found.ports:
        lines.append(
            f"port {p.name} {p.link_layer} rate_bps={p.rate_bps} up={p.up} pci={p.pci} guid={p.guid} "
            f"rdma_device={p.rdma_device} numa_node={p.numa_node} pcie_switch={p.pcie_switch} gpu={p.gpu} "
            f"tx_queues={p.tx_queues}"
        )
    return "\n".join(lines) + "\n"


def column_text(column: Column, value: int | None) -> str:
    of = "" if column.priority is None else f" priority {column.priority}"
    return f"{column.port} {column.quantity} {column.direction or '-'}{of} {column.kind} = {value}\n"


@pytest.mark.parametrize("name", MACHINES)
def test_inventory(name: str, tmp_path: Path) -> None:
    found = read_inventory(machine(name, tmp_path), name)
    same(DATA / "machines" / f"{name}.inventory", inventory_text(found))


@pytest.mark.parametrize("name", MACHINES)
def test_every_column(name: str, tmp_path: Path) -> None:
    collector = Collector(standard_readers(machine(name, tmp_path)))
    assert collector.refresh()
    collected = collector.collect()
    lines = map(column_text, collector.columns, collected.sample.values)
    same(DATA / "machines" / f"{name}.sample", "".join(lines))
    assert [(o.reader, o.error) for o in collected.outcomes] == [
        ("infiniband", ""),
        ("ethtool", ""),
        ("net", ""),
    ]


def test_nothing_there_is_not_a_failure(tmp_path: Path) -> None:
    collector = Collector(standard_readers(tmp_path))
    assert not collector.refresh()
    assert collector.columns == ()
    assert all(o.success for o in collector.collect().outcomes)
    assert read_inventory(tmp_path, "empty") == NodeInventory("empty")


def test_a_link_whose_netdev_goes_away_leaves_unknown_values(tmp_path: Path) -> None:
    collector = Collector(standard_readers(machine("namespace", tmp_path)))
    collector.refresh()
    (tmp_path / "sys/class/net/veth1").unlink()
    assert collector.collect().sample.values == (None, None)
    assert collector.refresh()
    assert [c.port for c in collector.columns] == ["s1p1"]


def test_a_virtual_function_counts_where_its_physical_function_is_not(tmp_path: Path) -> None:
    root = machine("gpu-host", tmp_path)
    (root / "sys/class/net/ens1").unlink()
    (root / "sys/class/net/ens1r0").unlink()
    pf = root / "sys/devices/pci0000:10/0000:10:01.0/0000:11:00.0/0000:12:01.0/0000:14:00.0/net"
    (pf / "ens1").rename(tmp_path / "elsewhere")
    (pf / "ens1r0").rename(tmp_path / "elsewhere-too")
    assert "ens1v0" in [p.name for p in read_inventory(root, "pod").ports]


def test_a_loop_of_links_is_an_unknown_place(tmp_path: Path) -> None:
    plant("sys/class/net/eth0/type = 1\nsys/class/net/eth0/device -> device2", tmp_path)
    plant("sys/class/net/eth0/device2 -> device", tmp_path)
    assert [(p.name, p.pci) for p in read_inventory(tmp_path, "n").ports] == [("eth0", None)]


def dev(*chain: str) -> pci.Device:
    return pci.Device(chain[-1], chain)


def test_gpus_pair_below_their_switch_and_take_turns() -> None:
    gpus = (dev("r0", "u0", "d0", "g.0"), dev("r0", "u0", "d1", "h.0"), dev("r1", "u1", "d2", "i.0"))
    nics = (
        dev("r0", "u0", "d3", "a.0"),
        dev("r0", "u0", "d3", "a.1"),
        dev("r0", "u0", "d4", "b.0"),
        dev("r1", "u1", "d5", "u2", "d6", "c.0"),
        dev("r2", "u3", "d7", "d.0"),
        dev("r1", "e.0"),
    )
    assert pci.pair_gpus(nics, gpus) == {"a.0": 0, "a.1": 0, "b.0": 1, "c.0": 2}


def test_stacked_switches_pair_with_the_nearest_gpu() -> None:
    gpus = (dev("r", "u", "d1", "u1", "x1", "g.0"), dev("r", "u", "d2", "u2", "x2", "h.0"))
    nics = (dev("r", "u", "d2", "u2", "y2", "a.0"), dev("r", "u", "d1", "u1", "y1", "b.0"))
    assert pci.pair_gpus(nics, gpus) == {"a.0": 1, "b.0": 0}
    assert {pci.switch(d.chain) for d in (*gpus, *nics)} == {"u"}
