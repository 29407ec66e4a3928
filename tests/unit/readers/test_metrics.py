"""The page that Prometheus scrapes, whole; and that every count a reader can make is on it."""

import re
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from trees import DATA, machine, same

from trafficd_agent.metrics.board import CAUSE_LABELS, Board, LaneLabel, PortLabel
from trafficd_agent.metrics.page import page, registry
from trafficd_agent.metrics.table import METRICS
from trafficd_agent.readers import Collector, standard_readers
from trafficd_agent.sysfs.inventory import read_inventory
from trafficd_topology.counters import Column, CounterKind, Direction, Quantity, ReaderOutcome, Sample
from trafficd_topology.diff import FieldDifference
from trafficd_topology.model import ScopeKind
from trafficd_topology.parsers.ethtool import NAMES
from trafficd_topology.parsers.sysfs import COUNTERS, ETHERNET_RDMA, HW_COUNTERS, STATISTICS
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Condition, ConditionStatus, ConditionType, Generation, ScopeStatus

TX, RX, GAUGE = Direction.TRANSMIT, Direction.RECEIVE, CounterKind.GAUGE
LANES = {
    "ens1": (
        LaneLabel(0, "control", share=0.05),
        LaneLabel(1, "model", ("collective", "probe"), share=0.85),
        LaneLabel(2, "bulk", ("kv",), share=0.01),
        LaneLabel(3, "rest", share=0.09, is_default=True),
    ),
}


def lane_columns(port: str, lane: int) -> tuple[Column, ...]:
    return (
        Column(port, Quantity.BYTES, TX, lane_id=lane),
        Column(port, Quantity.PACKETS, TX, lane_id=lane),
        Column(port, Quantity.DROPS, TX, lane_id=lane),
        Column(port, Quantity.BACKLOG_BYTES, TX, GAUGE, lane_id=lane),
        Column(port, Quantity.BACKLOG_PACKETS, TX, GAUGE, lane_id=lane),
    )


def condition(sort: ConditionType, status: ConditionStatus) -> Condition:
    return Condition(sort, status, "Made")


T, F, U = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
GOOD = ScopeStatus(
    ScopeKind.PORT,
    "ens1",
    "tc",
    Mode.ENFORCE,
    Generation(1, 7),
    conditions=(
        condition(ConditionType.APPLIED, T),
        condition(ConditionType.VERIFIED, T),
        condition(ConditionType.DRIFTED, F),
        condition(ConditionType.READY, U),
    ),
    repairs=2,
    drifts=3,
    drift_cause="by netlink port id 4711",
)
WRONG = ScopeStatus(
    ScopeKind.FABRIC,
    "ib-east",
    "opensm",
    Mode.OBSERVE,
    Generation(1, 6),
    differences=(FieldDifference("option/qos.value", "TRUE", "FALSE"),),
    foreign=("somebody's",),
)


def full_board(root: Path) -> Board:
    """A board with the made-up host's counters, lanes on one of its ports, and two scopes."""
    board = Board("n1", "0.1.0")
    board.put_ports(read_inventory(root, "n1").ports)
    board.put_lanes(LANES)
    board.put_said({"ens1": PortLabel(100_000_000_000, "compute"), "eno1": PortLabel(kind="storage")})
    board.put_connected(True)
    collector = Collector(standard_readers(root))
    collector.refresh()
    collected = collector.collect()
    lanes = tuple(c for lane in range(5) for c in lane_columns("ens1", lane))
    columns = (*lanes, *collector.columns)
    outcomes = (
        *(replace(o, seconds=0.001) for o in collected.outcomes),
        ReaderOutcome("tc", 0.5, "reader tc failed", missing=3),
    )
    for second, step in ((1, 0), (2, 100)):
        lane_values = tuple(v for i in range(5) for v in (1000 * i + i * step, 10 * i, i, 77, None))
        values = (*lane_values, *collected.sample.values)
        board.put_sample(columns, Sample(second * 10**9, second * 10**9, values), outcomes)
    board.put_statuses((GOOD, WRONG))
    board.put_statuses((replace(GOOD, drifts=4, drift_cause="removed"), WRONG))
    for seconds in (0.004, 0.3, 0.3, 99):
        board.add_apply(seconds)
    return board


def test_the_whole_page(tmp_path: Path) -> None:
    text = page(full_board(machine("gpu-host", tmp_path))).decode()
    same(DATA / "metrics" / "agent.txt", text)


def test_the_page_is_what_the_library_makes_of_the_board(tmp_path: Path) -> None:
    board = full_board(machine("gpu-host", tmp_path))
    board.put_lanes({"ens1": (LaneLabel(0, 'a"b\\c\nd', share=0.5),)})
    assert page(board) == generate_latest(registry(board))


def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    text = page(full_board(machine("gpu-host", tmp_path)))
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False
    )
    assert (done.stdout + done.stderr).decode() == ""
    assert done.returncode == 0


def test_promtool_knows_every_name() -> None:
    """Also of series that the made-up host does not have."""
    lines: list[str] = []
    for m in METRICS:
        name = f"trafficd_{m.name}"
        lines += [f"# HELP {name} {m.help}", f"# TYPE {name} {m.type}", f"{name} 1"]
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.stdout + done.stderr == ""


def test_names_stand_once_and_helps_are_sentences() -> None:
    names = [m.name for m in METRICS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Z0-9].*\.", m.help) for m in METRICS)


def test_every_quantity_of_every_reader_has_a_series() -> None:
    files = (*COUNTERS.values(), *HW_COUNTERS.values(), *STATISTICS.values())
    known = (
        {f.quantity for f in files}
        | {n.quantity for names in NAMES.values() for n in names}
        | set(ETHERNET_RDMA.values())
    )
    assert known <= {q for m in METRICS for q in m.quantities}


def test_every_quantity_there_is_has_a_series() -> None:
    assert set(Quantity) == {q for m in METRICS for q in m.quantities}


def test_an_empty_board_is_a_page_of_the_agent_alone() -> None:
    text = page(Board("n1", "0.1.0")).decode()
    families = {f.name for f in text_string_to_metric_families(text)}
    assert families == {"trafficd_agent_info", "trafficd_qos_apply_duration_seconds"}


def series(board: Board, name: str) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(page(board).decode()):
        for s in family.samples:
            if s.name == f"trafficd_{name}":
                found[tuple(v for k, v in sorted(s.labels.items()) if k != "node")] = s.value
    return found


def test_a_missing_value_has_no_series_and_a_zero_has_one() -> None:
    board = Board("n1", "0.1.0")
    columns = (Column("a", "bytes", TX), Column("b", "bytes", TX), Column("c", "unheard_of", TX))
    board.put_sample(columns, Sample(1, 1, (None, 0, 5)), ())
    assert series(board, "port_bytes_total") == {("b", "transmit", "1"): 0}


def test_a_port_that_sends_nothing_has_no_observed_shares() -> None:
    board = Board("n1", "0.1.0")
    columns = (Column("a", "bytes", TX, lane_id=0), Column("a", "bytes", TX, lane_id=1))
    board.put_sample(columns, Sample(1, 10**9, (5, 5)), ())
    board.put_sample(columns, Sample(2, 2 * 10**9, (5, 5)), ())
    assert series(board, "class_share_observed_ratio") == {}
    board.put_sample(columns, Sample(3, 3 * 10**9, (8, 6)), ())
    assert series(board, "class_share_observed_ratio") == {
        ("0", "a", "0", "1"): 0.75,
        ("1", "a", "1", "1"): 0.25,
    }
    board.put_sample((*columns, Column("b", "bytes", TX)), Sample(4, 4 * 10**9, (9, 9, 9)), ())
    assert series(board, "class_share_observed_ratio") == {}, "other columns: no interval"


def test_a_32_bit_counter_goes_on_rising_across_its_end() -> None:
    board = Board("n1", "0.1.0")
    columns = (Column("a", "out_of_buffer", RX, CounterKind.WRAP32),)
    for second, value in enumerate((2**32 - 1, 4)):
        board.put_sample(columns, Sample(0, second, (value,)), ())
    assert series(board, "rdma_events_total") == {("a", "receive", "out_of_buffer", "1"): 2**32 + 4}


@pytest.mark.parametrize(
    ("cause", "label"),
    [
        ("removed", "removed"),
        ("changed", "changed"),
        ("recreated", "recreated"),
        ("driver reset", "driver_reset"),
        ("by netlink port id 4711", "by_netlink_port_id"),
        ("", "unknown"),
        ("gremlins", "unknown"),
    ],
)
def test_causes_are_few(cause: str, label: str) -> None:
    board = Board("n1", "0.1.0")
    board.put_statuses((replace(GOOD, drifts=0),))
    board.put_statuses((replace(GOOD, drifts=2, drift_cause=cause),))
    board.put_statuses((replace(GOOD, drifts=2, drift_cause=cause),))
    seen = {labels[0]: count for labels, count in series(board, "qos_drift_total").items()}
    assert seen == dict.fromkeys(CAUSE_LABELS, 0) | {label: 2}, "every cause is there from the start"


@pytest.mark.parametrize(
    ("status", "want"),
    [
        (GOOD, 1),
        (replace(GOOD, conditions=()), 0),
        (replace(GOOD, conditions=(), mode=Mode.OBSERVE), 1),
        (replace(GOOD, differences=WRONG.differences), 0),
        (replace(GOOD, conditions=(*GOOD.conditions[:2], condition(ConditionType.DRIFTED, T))), 0),
    ],
)
def test_in_sync(status: ScopeStatus, want: float) -> None:
    board = Board("n1", "0.1.0")
    board.put_statuses((status,))
    assert series(board, "qos_in_sync") == {("ens1", "", "1"): want}


def test_a_scrape_during_writes_sees_one_picture() -> None:
    board = Board("n1", "0.1.0")
    columns = tuple(Column(f"p{i}", "bytes", TX) for i in range(20))
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            width = 1 + n % 20
            board.put_sample(columns[:width], Sample(n, n, (n,) * width), ())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            assert len(set(series(board, "port_bytes_total").values())) <= 1
    finally:
        stop.set()
        writer.join(10)


def test_a_roce_port_counts_its_lanes_by_priority() -> None:
    board = Board("n1", "0.1.0")
    labels = (
        LaneLabel(0, "default", share=0.09, is_default=True, priority=0),
        LaneLabel(2, "kv", ("kv",), share=0.009, priority=4),
    )
    board.put_lanes({"ens1": labels})
    columns = tuple(Column("ens1", Quantity.BYTES, TX, priority=p) for p in (0, 4, 5))
    for second, values in ((1, (0, 0, 0)), (2, (300, 100, 50))):
        board.put_sample(columns, Sample(second * 10**9, second * 10**9, values), ())
    text = page(board).decode()
    rows = [line for line in text.splitlines() if 'device="ens1"' in line]
    assert {
        'trafficd_class_bytes_total{class="default",device="ens1",direction="transmit",lane="default",node="n1",port="1"} 300.0',
        'trafficd_class_bytes_total{class="kv",device="ens1",direction="transmit",lane="kv",node="n1",port="1"} 100.0',
        'trafficd_priority_bytes_total{device="ens1",direction="transmit",node="n1",port="1",priority="5"} 50.0',
        'trafficd_unclassified_bytes_total{device="ens1",direction="transmit",node="n1",port="1"} 300.0',
        'trafficd_class_share_observed_ratio{class="kv",device="ens1",lane="kv",node="n1",port="1"} 0.25',
    } <= set(rows), "\n".join(rows)
