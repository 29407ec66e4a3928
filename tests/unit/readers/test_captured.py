"""Captured files of real machines, where they are: read without an exception, with counts made independently."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from trees import CAPTURED

from trafficd_agent.readers import Collector, standard_readers
from trafficd_agent.sysfs.inventory import read_inventory
from trafficd_topology.model import NodeInventory, PortInventory
from trafficd_topology.parsers.ethtool import statistic, statistics_text
from trafficd_topology.parsers.sysfs import COUNTERS, HW_COUNTERS

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not CAPTURED.is_dir(), reason=f"no captured files at {CAPTURED}"),
]
LINKS = ("device", "subsystem", "physfn", "driver")


def restored(captured: Path, root: Path) -> Path:
    """A copy of a captured tree with its symbolic links, which lie in it as files that hold their targets."""
    shutil.copytree(captured, root, dirs_exist_ok=True)
    for path in list(root.rglob("*")):
        if path.is_file() and (path.name in LINKS or path.parent.name == "infiniband"):
            target = path.read_text().strip()
            if target.startswith("../"):
                path.unlink()
                path.symlink_to(target)
    return root


def with_classes(root: Path) -> Path:
    """Adds the class directories that the kernel makes over /sys/bus/pci/devices."""
    for kind in ("infiniband", "net"):
        for entry in list(root.glob(f"sys/bus/pci/devices/*/{kind}/*")):
            link = root / "sys/class" / kind / entry.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(entry)
            (entry / "device").symlink_to(entry.parent.parent)
    return root


def port(found: NodeInventory, name: str) -> PortInventory:
    return next(p for p in found.ports if p.name == name)


def columns_of(root: Path) -> tuple[Counter[str], dict[tuple[str, str, str], int | None]]:
    """How many columns a port has, and every whole-port value."""
    collector = Collector(standard_readers(root))
    collector.refresh()
    collected = collector.collect()
    assert all(o.success for o in collected.outcomes)
    values = zip(collector.columns, collected.sample.values, strict=True)
    by_name = {(c.port, str(c.quantity), str(c.direction)): v for c, v in values if c.priority is None}
    return Counter(c.port for c in collector.columns), by_name


def test_three_generations_of_adapters(tmp_path: Path) -> None:
    root = restored(CAPTURED / "sysfs/procfs-mlx4-mlx5-hfi1", tmp_path)
    found = read_inventory(root, "n")
    rates = {p.name: p.rate_bps for p in found.ports if p.rdma_device}
    gbps = 10**9
    assert rates == {"hfi1_0": 100 * gbps, "mlx4_0": 40 * gbps, "mlx4_0:2": 40 * gbps, "mlx5_0": 25 * gbps}
    counts, values = columns_of(root)
    # 21 counters and 25 hw_counters, of which lifespan is a setting; the others have no hw_counters.
    assert counts["mlx5_0"] == 21 + 24
    assert values["mlx5_0", "bytes", "receive"] == 4 * 18126345378
    assert values["mlx5_0", "bytes", "transmit"] == 4 * 2880761508848
    assert values["mlx4_0:2", "bytes", "transmit"] == 4 * 26540356890
    assert values["mlx4_0:2", "bytes", "receive"] == 4 * 2460436784


@pytest.mark.parametrize(
    ("tree", "down"), [("gcm-a100-good", set()), ("gcm-a100-stuck_ib_intf", {"mlx5_6", "mlx5_8"})]
)
def test_eight_infiniband_adapters(tree: str, down: set[str], tmp_path: Path) -> None:
    found = read_inventory(with_classes(restored(CAPTURED / "sysfs" / tree, tmp_path)), "n")
    assert len(found.ports) == 8, "IP over InfiniBand interfaces are no ports of their own"
    assert {p.rate_bps for p in found.ports} == {200 * 10**9}
    assert {p.guid for p in found.ports} == {None}, "their GUIDs were redacted to words"
    assert len({p.pci for p in found.ports}) == 8
    assert {p.name for p in found.ports if not p.up} == down


@pytest.mark.parametrize(
    ("tree", "ports"),
    [
        ("basic", {"mlx5_0": "infiniband", "mlx5_0:2": "ethernet"}),
        ("symlink", {"mlx5_0": "infiniband", "mlx5_0:2": "ethernet"}),
        ("efa", {"rdmap0s0": "infiniband"}),
        ("vf", {"mlx5_0": "infiniband", "mlx5_4": "infiniband"}),
        ("guest_vf", {"mlx5_0": "ethernet"}),
    ],
)
def test_small_trees(tree: str, ports: dict[str, str], tmp_path: Path) -> None:
    source = CAPTURED / "sysfs/rdma_exporter-synthetic" / tree
    restored(source, tmp_path / "sys")
    found = read_inventory(tmp_path, "n")
    assert {p.name: str(p.link_layer) for p in found.ports} == ports
    columns_of(tmp_path)


STATISTICS = {
    "mlx4-connectx2-ens5.txt": 149,
    "pollara-ethtool_S_enp132s0.txt": 607,
    "mfd-ethtool-0.txt": 83,
    "mfd-dcb-ice-pfc-excerpt.txt": 36,
    "node_exporter-eth0.txt": 16,
    "hotsos-kubernetes-lo.txt": 0,
    "hotsos-kubernetes-ens3.txt": 13,
    "insights-FAILED_ETHTOOL_S_THREE.txt": 0,
    "insights-TEST_ETHTOOL_S_DOCS.txt": 13,
}


@pytest.mark.parametrize(("name", "count"), STATISTICS.items())
def test_ethtool_dumps(name: str, count: int) -> None:
    assert len(statistics_text((CAPTURED / "ethtool-S" / name).read_text())) == count


def test_every_dump_there_is_counted_here() -> None:
    assert {p.name for p in (CAPTURED / "ethtool-S").iterdir()} == set(STATISTICS)


@pytest.mark.parametrize(
    ("name", "driver", "quantity", "directions"),
    [
        ("mlx4-connectx2-ens5.txt", "mlx4_en", "bytes", 2),
        ("pollara-ethtool_S_enp132s0.txt", "ionic", "pause_microseconds", 2),
        ("pollara-ethtool_S_enp132s0.txt", "ionic", "packets", 2),
        ("mfd-dcb-ice-pfc-excerpt.txt", "ice", "pause_frames", 2),
    ],
)
def test_every_priority_is_found(name: str, driver: str, quantity: str, directions: int) -> None:
    text = (CAPTURED / "ethtool-S" / name).read_text()
    known = [statistic(driver, n) for n in statistics_text(text)]
    found = [s for s in known if s and s.quantity == quantity and s.priority is not None]
    assert len(found) == 8 * directions
    assert len({(s.direction, s.priority) for s in found}) == 8 * directions


def test_bytes_of_a_pollara_port_are_those_on_the_wire() -> None:
    stats = statistics_text((CAPTURED / "ethtool-S/pollara-ethtool_S_enp132s0.txt").read_text())
    wire = {
        (str(s.quantity), str(s.direction)): v
        for n, v in stats.items()
        if (s := statistic("ionic", n)) and s.priority is None
    }
    assert wire["bytes", "receive"] == 75542062581996
    assert wire["bytes", "transmit"] == 103623222172110
    assert wire["packets", "transmit"] == 95668494684


def test_counters_that_rdma_statistic_shows_are_known() -> None:
    shown = json.loads((CAPTURED / "rdma/spiderpool-rdma-statistic-j-mlx5.json").read_text())[0]
    names = set(shown) - {"ifname", "port"}
    assert len(names) == 31
    assert names <= set(HW_COUNTERS)


def test_files_that_no_table_knows_are_settings(tmp_path: Path) -> None:
    root = CAPTURED / "sysfs/procfs-mlx4-mlx5-hfi1"
    counters = {p.name for p in root.glob("sys/class/infiniband/*/ports/*/counters/*")}
    hw_counters = {p.name for p in root.glob("sys/class/infiniband/*/ports/*/hw_counters/*")}
    assert counters == set(COUNTERS)
    assert hw_counters - set(HW_COUNTERS) == {"lifespan"}
