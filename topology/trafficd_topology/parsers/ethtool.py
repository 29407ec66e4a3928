"""Statistics of Ethernet drivers: every driver has its own names; this table gives them one meaning.

``NAMES`` maps a driver (the name of its module under ``/sys/class/net/<if>/device/driver``) to patterns of its
counters' names. A pattern's group ``way`` is rx or tx and becomes the direction, its group ``priority`` the
802.1p priority. Names that no pattern knows are left out. All ethtool statistics are 64 bits wide.

Sources: Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst and the ``*_ethtool.c`` files
of the drivers under ``drivers/net/ethernet``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from trafficd_topology.counters import CounterKind, Direction, Quantity
from trafficd_topology.parsers.sysfs import whole

Q = Quantity
MAX_STATISTICS = 65_536
"""A driver with one counter per queue and type has a few thousand; more is not believed."""
MAX_LINE = 256
_LINE = re.compile(r"\s*(?P<name>\S(?:.*?\S)?):\s+(?P<value>[0-9]+)(?:\s.*)?")
"""A name may hold a colon itself (``[0]: rx_ucast_packets``)."""
WAYS = {"rx": Direction.RECEIVE, "tx": Direction.TRANSMIT, "wr": Direction.RECEIVE, "rd": Direction.TRANSMIT}
"""PCIe stalls are told apart by wr (writes to memory, what was received) and rd (reads, what is sent)."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """What one name of a driver counts."""

    quantity: Quantity
    direction: Direction | None
    priority: int | None = None
    kind: CounterKind = CounterKind.WRAP64


@dataclass(frozen=True, slots=True)
class Name:
    """A pattern over a driver's names and what they count; ``way`` is for names without one in them."""

    pattern: re.Pattern[str]
    quantity: Quantity
    way: str = ""
    kind: CounterKind = CounterKind.WRAP64

    def match(self, name: str) -> Statistic | None:
        found = self.pattern.fullmatch(name)
        if found is None:
            return None
        groups = found.groupdict()
        priority = groups.get("priority")
        way = groups.get("way") or self.way
        return Statistic(self.quantity, WAYS.get(way), None if priority is None else int(priority), self.kind)


def _names(prefix: str, *rows: tuple[str, Quantity]) -> tuple[Name, ...]:
    """Rows of (text, quantity); in the text ``{way}`` stands for rx or tx and ``{p}`` for a priority."""
    return tuple(Name(re.compile(prefix + _expand(text)), quantity) for text, quantity in rows)


def _expand(text: str) -> str:
    escaped = text.replace(".", r"\.")
    return escaped.replace("{way}", "(?P<way>rx|tx)").replace("{p}", "(?P<priority>[0-7])")


_MLX5 = (
    *_names(
        "",
        ("{way}_bytes_phy", Q.BYTES),
        ("{way}_packets_phy", Q.PACKETS),
        ("{way}_discards_phy", Q.DROPS),
        ("{way}_errors_phy", Q.ERRORS),
        ("{way}_prio{p}_bytes", Q.BYTES),
        ("{way}_prio{p}_packets", Q.PACKETS),
        ("{way}_prio{p}_discards", Q.DROPS),
        ("{way}_prio{p}_pause", Q.PAUSE_FRAMES),
        ("{way}_prio{p}_pause_duration", Q.PAUSE_MICROSECONDS),
        ("{way}_prio{p}_pause_transition", Q.PAUSE_TRANSITIONS),
        ("{way}_prio{p}_buf_discard", Q.BUFFER_DROPS),
        ("{way}_prio{p}_cong_discard", Q.CONGESTION_DROPS),
        ("{way}_prio{p}_marked", Q.ECN_MARKED_PACKETS),
        ("{way}_pause_ctrl_phy", Q.PAUSE_FRAMES),
        ("{way}_global_pause_duration", Q.PAUSE_MICROSECONDS),
        ("{way}_global_pause_transition", Q.PAUSE_TRANSITIONS),
        ("{way}_pause_storm_warning_events", Q.PAUSE_STORM_WARNINGS),
        ("{way}_pause_storm_error_events", Q.PAUSE_STORM_ERRORS),
        ("{way}_vport_rdma_unicast_bytes", Q.RDMA_BYTES),
        ("{way}_vport_rdma_unicast_packets", Q.RDMA_PACKETS),
        ("{way}_symbol_err_phy", Q.SYMBOL_ERRORS),
        ("link_down_events_phy", Q.LINK_DOWNS),
    ),
    Name(re.compile(r"outbound_pci_stalled_(?P<way>rd|wr)"), Q.PCI_STALLED_PERCENT, kind=CounterKind.GAUGE),
    Name(re.compile(r"outbound_pci_stalled_(?P<way>rd|wr)_events"), Q.PCI_STALL_EVENTS),
)
_MLX4 = _names(
    "",
    ("{way}_prio_{p}_bytes", Q.BYTES),
    ("{way}_prio_{p}_packets", Q.PACKETS),
    ("{way}_pause_prio_{p}", Q.PAUSE_FRAMES),
    ("{way}_pause_duration_prio_{p}", Q.PAUSE_MICROSECONDS),
    ("{way}_pause_transition_prio_{p}", Q.PAUSE_TRANSITIONS),
)
_BNXT = _names(
    "",
    ("{way}_bytes", Q.BYTES),
    ("{way}_total_discard_pkts", Q.DROPS),
    ("{way}_bytes_pri{p}", Q.BYTES),
    ("{way}_packets_pri{p}", Q.PACKETS),
    ("{way}_pause_frames", Q.PAUSE_FRAMES),
    ("{way}_pfc_frames", Q.PFC_FRAMES),
    ("{way}_pfc_ena_frames_pri{p}", Q.PAUSE_FRAMES),
    ("pfc_pri{p}_{way}_duration_us", Q.PAUSE_MICROSECONDS),
    ("pfc_pri{p}_{way}_transitions", Q.PAUSE_TRANSITIONS),
)
_ICE = _names(
    "",
    ("{way}_bytes.nic", Q.BYTES),
    ("{way}_dropped.nic", Q.DROPS),
    ("{way}_priority_{p}_xoff.nic", Q.PAUSE_FRAMES),
    ("link_xoff_{way}.nic", Q.PAUSE_FRAMES),
)
_I40E = _names(
    r"port\.",
    ("{way}_bytes", Q.BYTES),
    ("{way}_dropped", Q.DROPS),
    ("{way}_priority_{p}_xoff", Q.PAUSE_FRAMES),
    ("rx_priority_{p}_xoff_{way}", Q.PAUSE_FRAMES),
    ("tx_priority_{p}_xoff_{way}", Q.PAUSE_FRAMES),
    ("link_xoff_{way}", Q.PAUSE_FRAMES),
)
_IXGBE = _names(
    "",
    ("{way}_bytes_nic", Q.BYTES),
    ("{way}_pkts_nic", Q.PACKETS),
    ("{way}_pb_{p}_pxoff", Q.PAUSE_FRAMES),
    ("{way}_flow_control_xoff", Q.PAUSE_FRAMES),
)
_IONIC = _names(
    "",
    ("octets_{way}_ok", Q.BYTES),
    ("frames_{way}_ok", Q.PACKETS),
    ("frames_{way}_dropped", Q.DROPS),
    ("frames_{way}_bad", Q.ERRORS),
    ("frames_{way}_bad_all", Q.ERRORS),
    ("frames_{way}_pause", Q.PAUSE_FRAMES),
    ("frames_{way}_pripause", Q.PFC_FRAMES),
    ("frames_{way}_pri_{p}", Q.PACKETS),
    ("{way}_pripause_{p}_1us_count", Q.PAUSE_MICROSECONDS),
    ("{way}_pause_1us_count", Q.PAUSE_MICROSECONDS),
)
_MLXSW = _names(
    "",
    ("{way}_octets_prio_{p}", Q.BYTES),
    ("{way}_frames_prio_{p}", Q.PACKETS),
    ("{way}_pause_prio_{p}", Q.PAUSE_FRAMES),
    ("{way}_pause_duration_prio_{p}", Q.PAUSE_MICROSECONDS),
)

NAMES: dict[str, tuple[Name, ...]] = {
    "mlx5_core": _MLX5,
    "mlx4_en": _MLX4,
    "mlx4_core": _MLX4,
    "bnxt_en": _BNXT,
    "ice": _ICE,
    "i40e": _I40E,
    "ixgbe": _IXGBE,
    "ionic": _IONIC,
    "mlxsw_spectrum": _MLXSW,
}


def statistic(driver: str, name: str) -> Statistic | None:
    """What a name of a driver counts; None when the driver or the name is not in the table."""
    matches = (n.match(name) for n in NAMES.get(driver, ()))
    return next((found for found in matches if found is not None), None)


def statistics_text(text: str) -> dict[str, int]:
    """What ``ethtool -S`` prints: ``name: value`` lines. A remark after the value, comments, headings and lines
    without a number are passed over; of a name that stands twice the first counts. Never raises.
    """
    out: dict[str, int] = {}
    for line in islice(text.splitlines(), MAX_STATISTICS):
        found = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
        value = whole(found["value"]) if found else None
        if found and value is not None:
            out.setdefault(found["name"], value)
    return out
