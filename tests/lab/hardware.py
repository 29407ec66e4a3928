"""A node's NICs as files that the agent's real readers read: what no device of a test machine counts.

RoCE NICs of the driver mlx5_core and one InfiniBand HCA. The names of counters are those of the driver and of the kernel
(Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst, drivers/infiniband/core/sysfs.c,
drivers/infiniband/hw/mlx5/counters.c); ``count`` lets all of them go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trees import plant

PRIORITIES = range(8)
WHOLE = ("bytes_phy", "packets_phy", "discards_phy", "errors_phy", "pause_ctrl_phy", "global_pause_duration")
STORMS = (
    "pause_storm_warning_events",
    "pause_storm_error_events",
    "symbol_err_phy",
    "global_pause_transition",
)
OF_PRIORITY = (
    "bytes", "packets", "discards", "pause", "pause_duration", "pause_transition", "buf_discard", "cong_discard",
    "marked",
)  # fmt: skip
ALONE = ("link_down_events_phy", "outbound_pci_stalled_rd_events", "outbound_pci_stalled_wr_events")
PERCENT = ("outbound_pci_stalled_rd", "outbound_pci_stalled_wr")
ROCE = (
    "np_cnp_sent", "rp_cnp_handled", "rp_cnp_ignored", "np_ecn_marked_roce_packets", "out_of_sequence",
    "packet_seq_err", "local_ack_timeout_err", "roce_adp_retrans", "roce_slow_restart", "rx_read_requests",
)  # fmt: skip
PORT = (
    "port_xmit_data",
    "port_rcv_data",
    "port_xmit_packets",
    "port_rcv_packets",
    "port_xmit_wait",
    "link_downed",
)
SMALL = ("port_xmit_discards", "port_rcv_errors", "symbol_error")
"""16 bits wide: they must not fill while a test runs."""

NIC = """
sys/devices/pci0000:{bus}/0000:{bus}:00.0 {{
  vendor = 0x15b3
  class = 0x020000
  numa_node = 0
  driver -> ../../../bus/pci/drivers/mlx5_core
  net/{net} {{
    type = 1
    operstate = up
    speed = 100000
    uevent = INTERFACE={net}
    device -> ../../../0000:{bus}:00.0
    queues/tx-0 = /
  }}
  infiniband/{rdma} {{
    device -> ../../../0000:{bus}:00.0
    ports/1 {{
      state = 4: ACTIVE
      phys_state = 5: LinkUp
      rate = 100 Gb/sec (4X EDR)
      link_layer = {layer}
      gid_attrs/ndevs/0 = {net}
      counters = /
      hw_counters = /
    }}
  }}
}}
sys/bus/pci/drivers/mlx5_core = /
sys/bus/pci/devices/0000:{bus}:00.0 -> ../../../devices/pci0000:{bus}/0000:{bus}:00.0
sys/class/net/{net} -> ../../devices/pci0000:{bus}/0000:{bus}:00.0/net/{net}
sys/class/infiniband/{rdma} -> ../../devices/pci0000:{bus}/0000:{bus}:00.0/infiniband/{rdma}
"""


def _ethtool(tick: int) -> Iterator[str]:
    """``ethtool -S`` of one NIC."""
    yield "NIC statistics:"
    for way in ("rx", "tx"):
        yield from (f"     {way}_{name}: {1000 * tick}" for name in WHOLE)
        yield from (f"     {way}_{name}: {tick}" for name in STORMS)
        for p in PRIORITIES:
            yield from (f"     {way}_prio{p}_{name}: {(p + 1) * 100 * tick}" for name in OF_PRIORITY)
    yield from (f"     {name}: {tick}" for name in ALONE)
    yield from (f"     {name}: 25" for name in PERCENT)


def _replace(path: Path, text: str) -> None:
    """At once, as a reader sees files of the kernel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)


@dataclass(slots=True)
class Hardware:
    """Below ``root``: ``nets`` are the RoCE NICs' interfaces; the InfiniBand HCA comes after them."""

    root: Path
    nets: tuple[str, ...]
    tick: int = 0

    def make(self) -> Hardware:
        for i, net in enumerate(self.nets):
            text = NIC.format(bus=f"{i + 16:02x}", net=net, rdma=f"mlx5_{i}", layer="Ethernet")
            plant(text, self.root)
        text = NIC.format(bus="f0", net="ib0", rdma="mlx5_ib", layer="InfiniBand")
        plant(text.replace("type = 1\n", "type = 32\n").replace("gid_attrs/ndevs/0 = ib0\n", ""), self.root)
        return self.count()

    @property
    def sysfs(self) -> Path:
        return self.root / "sys"

    def count(self) -> Hardware:
        """Every counter goes on."""
        self.tick += 1
        for i, net in enumerate(self.nets):
            saved = self.root / "sos_commands/networking" / f"ethtool_-S_{net}"
            _replace(saved, "\n".join(_ethtool(self.tick)) + "\n")
            self._port(f"mlx5_{i}")
        self._port("mlx5_ib")
        return self

    def _port(self, rdma: str) -> None:
        port = (self.root / "sys/class/infiniband" / rdma).resolve() / "ports/1"
        for name in PORT:
            _replace(port / "counters" / name, f"{1000 * self.tick}\n")
        for name in SMALL:
            _replace(port / "counters" / name, f"{self.tick}\n")
        for name in ROCE:
            _replace(port / "hw_counters" / name, f"{100 * self.tick}\n")
