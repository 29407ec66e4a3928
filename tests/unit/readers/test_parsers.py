"""Text of sysfs and ethtool to values; whatever the text, never an exception."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficd_topology.counters import Direction, Quantity
from trafficd_topology.model import LinkLayer
from trafficd_topology.parsers import ethtool, sysfs
from trafficd_topology.parsers.ethtool import NAMES, Statistic, statistic, statistics_text

TX, RX = Direction.TRANSMIT, Direction.RECEIVE
Q = Quantity


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("0\n", 0),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", None),
        ("N/A (no PMA)", None),
        ("", None),
        ("-1", None),
        ("1_000", None),
        ("+5", None),
        ("٣", None),
        ("0x10", None),
        ("9" * 5000, None),
    ],
)
def test_whole(text: str, want: int | None) -> None:
    assert sysfs.whole(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("400 Gb/sec (4X NDR)\n", 400_000_000_000),
        ("2.5 Gb/sec (1X SDR)", 2_500_000_000),
        ("25 Gb/sec (1X EDR)", 25_000_000_000),
        ("0 Gb/sec", None),
        ("rate", None),
        ("400 Gb/second", None),
    ],
)
def test_rate(text: str, want: int | None) -> None:
    assert sysfs.rate_bps(text) == want


@pytest.mark.parametrize(
    ("text", "want"), [("25000", 25 * 10**9), ("-1", None), ("0", None), ("4294967295", None)]
)
def test_speed(text: str, want: int | None) -> None:
    assert sysfs.speed_bps(text) == want


def test_words() -> None:
    assert sysfs.port_state("4: ACTIVE\n") == "ACTIVE"
    assert sysfs.port_state("ACTIVE") is None
    assert sysfs.link_layer("InfiniBand\n") is LinkLayer.INFINIBAND
    assert sysfs.link_layer("Unspecified") is None
    assert sysfs.guid("0C42:A103:0033:4400\n") == "0x0c42a10300334400"
    assert sysfs.guid("0000:0000:0000:0000") is None
    assert sysfs.guid("node_guid") is None
    assert sysfs.gid_guid("fe80:0000:0000:0000:0c42:a103:0033:4401") == "0x0c42a10300334401"
    assert sysfs.gid_guid("fe80::1") is None
    assert (sysfs.operstate("up"), sysfs.operstate("lowerlayerdown"), sysfs.operstate("unknown\n")) == (
        True,
        False,
        None,
    )
    assert sysfs.uevent("A=b\nDEVTYPE=vlan\n", "DEVTYPE") == "vlan"
    assert sysfs.memory_bytes("MemFree: 1 kB\nMemTotal:   16 kB\n") == 16384
    chain = ("0000:16:00.0", "10000:e1:00.0")
    assert sysfs.pci_chain("/sys/devices/pci0000:15/0000:16:00.0/pci10000:e0/10000:E1:00.0/net/eth0") == chain


def test_words_of_four_bytes_wrap_at_64_bits() -> None:
    data = sysfs.COUNTERS["port_xmit_data"]
    assert data.value("250") == 1000
    assert data.value(str(2**62)) == 0
    assert data.value(str(2**62 + 3)) == 12


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("symbol_error", 65535),
        ("link_downed", 255),
        ("local_link_integrity_errors", 15),
        ("port_xmit_wait", 2**32 - 1),
        ("port_rcv_data", 2**32 - 1),
    ],
)
def test_a_counter_stuck_at_its_maximum_is_unknown(name: str, most: int) -> None:
    file = sysfs.COUNTERS[name]
    assert file.value(str(most)) is None
    assert file.value(str(most - 1)) == (most - 1) * file.unit


def test_a_counter_that_wraps_may_pass_through_its_maximum() -> None:
    assert sysfs.HW_COUNTERS["out_of_buffer"].value(str(2**32 - 1)) == 2**32 - 1
    assert sysfs.HW_COUNTERS["np_cnp_sent"].value(str(2**40)) == 2**40


@pytest.mark.parametrize(
    ("driver", "name", "want"),
    [
        ("mlx5_core", "rx_prio3_pause", Statistic(Q.PAUSE_FRAMES, RX, 3)),
        ("mlx5_core", "tx_prio7_pause_duration", Statistic(Q.PAUSE_MICROSECONDS, TX, 7)),
        ("mlx5_core", "rx_prio8_pause", None),
        ("mlx5_core", "rx_prio3_pause_x", None),
        ("mlx5_core", "tx_bytes_phy", Statistic(Q.BYTES, TX)),
        ("mlx5_core", "tx_bytes", None),
        ("mlx5_core", "link_down_events_phy", Statistic(Q.LINK_DOWNS, None)),
        ("mlx4_en", "rx_prio_3_packets", Statistic(Q.PACKETS, RX, 3)),
        ("mlx4_en", "tx_pause_duration_prio_0", Statistic(Q.PAUSE_MICROSECONDS, TX, 0)),
        ("bnxt_en", "rx_pfc_ena_frames_pri0", Statistic(Q.PAUSE_FRAMES, RX, 0)),
        ("bnxt_en", "pfc_pri3_tx_duration_us", Statistic(Q.PAUSE_MICROSECONDS, TX, 3)),
        ("ice", "tx_priority_3_xoff.nic", Statistic(Q.PAUSE_FRAMES, TX, 3)),
        ("ice", "tx_priority_3_xoff_nic", None),
        ("ice", "tx_priority_3_xon.nic", None),
        ("i40e", "port.rx_priority_1_xoff_rx", Statistic(Q.PAUSE_FRAMES, RX, 1)),
        ("i40e", "port.tx_priority_1_xoff", Statistic(Q.PAUSE_FRAMES, TX, 1)),
        ("ixgbe", "tx_pb_3_pxoff", Statistic(Q.PAUSE_FRAMES, TX, 3)),
        ("ionic", "frames_rx_pri_3", Statistic(Q.PACKETS, RX, 3)),
        ("ionic", "tx_pripause_3_1us_count", Statistic(Q.PAUSE_MICROSECONDS, TX, 3)),
        ("mlxsw_spectrum", "tx_octets_prio_5", Statistic(Q.BYTES, TX, 5)),
        ("e1000e", "tx_bytes", None),
    ],
)
def test_names_of_drivers(driver: str, name: str, want: Statistic | None) -> None:
    assert statistic(driver, name) == want


def test_what_ethtool_prints() -> None:
    text = (
        "# ethtool -S eth0\nNIC statistics:\n     rx: 1\n     rx: 2\n     [0]: rx_ucast_packets: 5\n"
        "     rx_errors: 1  <--- error: look\n     duplicate metric: 3\n     bad: x\nNothing to see here\n     neg: -1\n"
    )
    assert statistics_text(text) == {
        "rx": 1,
        "[0]: rx_ucast_packets": 5,
        "rx_errors": 1,
        "duplicate metric": 3,
    }
    assert statistics_text("no stats available\n") == {}
    assert statistics_text("a" * 300 + ": 1") == {}


PARSERS = (
    sysfs.whole,
    sysfs.signed,
    sysfs.rate_bps,
    sysfs.speed_bps,
    sysfs.port_state,
    sysfs.link_layer,
    sysfs.guid,
    sysfs.gid_guid,
    sysfs.operstate,
    sysfs.pci_chain,
    sysfs.memory_bytes,
    lambda text: sysfs.uevent(text, "DEVTYPE"),
    ethtool.statistics_text,
    *(file.value for file in (*sysfs.COUNTERS.values(), *sysfs.HW_COUNTERS.values())),
)


@given(text=st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    for parse in PARSERS:
        parse(text)
    for driver in NAMES:
        statistic(driver, text)


SEEDS = (
    "400 Gb/sec (4X NDR)",
    "4: ACTIVE",
    "fe80:0000:0000:0000:0c42:a103:0033:4401",
    "18446744073709551615",
    "     rx_prio3_pause: 55",
    "N/A (no PMA)",
    "MemTotal: 10 kB",
    "-1",
)


def mutated(rng: random.Random) -> str:
    """A valid text with a few characters changed, cut, doubled or replaced by odd ones."""
    text = list(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(text) + 1)
        odd = rng.choice(["\0", "\n", ":", "-", ".", "9" * 30, "\u0664", "\ud800", " ", "0x", "é", ""])
        text[at : at + rng.randint(0, 3)] = list(odd)
    return "".join(text)


def test_mutated_text_is_answered() -> None:
    rng = random.Random(7)
    for _ in range(2000):
        text = mutated(rng)
        for parse in PARSERS:
            parse(text)


def test_every_pattern_matches_something_and_no_two_disagree() -> None:
    """Names made from the patterns themselves: the table has no dead and no ambiguous row."""
    for driver, rows in NAMES.items():
        for row in rows:
            pattern = row.pattern.pattern.replace("\\.", ".")
            for way in ("rx", "wr"):
                name = (
                    pattern.replace("(?P<way>rx|tx)", way)
                    .replace("(?P<way>rd|wr)", way)
                    .replace("(?P<priority>[0-7])", "5")
                )
                matches = {m for r in rows if (m := r.match(name)) is not None}
                assert len(matches) <= 1, (driver, name, matches)
            assert any(
                row.match(
                    pattern.replace("(?P<way>rx|tx)", w)
                    .replace("(?P<way>rd|wr)", w)
                    .replace("(?P<priority>[0-7])", "5")
                )
                for w in ("rx", "wr")
            )
