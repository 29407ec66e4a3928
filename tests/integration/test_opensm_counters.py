"""Counters of a simulated subnet's switches, set through the simulator's console."""

from collections.abc import Iterator

import pytest
from lab.ibbench import FOUR_VLS, helper_env
from lab.ibsim import FatTree, IbLab, ib_lab, wait_until

from trafficd_agent.drivers.opensm import OpensmDriver, OpensmOptions
from trafficd_topology.counters import Column, CounterKind, Direction, Quantity, Reader, delta

pytestmark = pytest.mark.ib

LEAF1_TO_SPINE1 = "0x0000000000200000:5"
OUT = Direction.TRANSMIT
WAIT = Column(LEAF1_TO_SPINE1, Quantity.TRANSMIT_WAIT_TICKS, OUT, CounterKind.SATURATE32)
SENT = Column(LEAF1_TO_SPINE1, Quantity.BYTES, OUT)


@pytest.fixture
def lab() -> Iterator[IbLab]:
    with ib_lab(FOUR_VLS) as made:
        yield made


@pytest.fixture
def reader(lab: IbLab) -> Iterator[Reader]:
    driver = OpensmDriver(OpensmOptions("ib", str(lab.conf), helper_env=helper_env(lab, "Hca2")))
    (made,) = driver.readers()
    yield made
    made.close()  # type: ignore[attr-defined]
    driver.close()


def value(reader: Reader, column: Column) -> int | None:
    columns = reader.columns()
    return reader.read()[columns.index(column)]


def set_counter(lab: IbLab, field: str, number: int) -> None:
    lab.console(f'PerformanceSet "Leaf1"[5] {field}={number}')


def test_every_switch_port_has_columns_in_the_widest_form_that_it_counts(reader: Reader) -> None:
    columns = reader.columns()
    tree = FatTree()
    assert len({c.port for c in columns}) == tree.ports - tree.hcas == 16
    assert {(c.quantity, c.direction, c.kind) for c in columns} == {
        *((q, d, CounterKind.WRAP64) for q in (Quantity.BYTES, Quantity.PACKETS) for d in Direction),
        (Quantity.TRANSMIT_WAIT_TICKS, OUT, CounterKind.SATURATE32),
    }
    # The simulator has no 64-bit counters by SL: what a class carries here is not known, and nothing claims it.
    assert not [c for c in columns if c.lane_id is not None or c.priority is not None]
    assert None not in reader.read()


def test_a_counter_that_stuck_is_unknown_and_one_that_wraps_goes_on(lab: IbLab, reader: Reader) -> None:
    set_counter(lab, "PortCounters.PortXmitWait", 12345)
    wait_until("wait is set", lambda: value(reader, WAIT) == 12345)
    set_counter(lab, "PortCounters.PortXmitWait", 2**32 - 1)
    wait_until("wait is full", lambda: value(reader, WAIT) == 2**32 - 1)
    assert delta(WAIT.kind, 12345, value(reader, WAIT)) is None
    last = 2**62 - 25  # words of 4 bytes
    set_counter(lab, "PortCountersExtended.PortXmitData", last)
    wait_until("the data counter wrapped", lambda: (value(reader, SENT) or 0) < 2**32)
    step = delta(SENT.kind, 4 * last, value(reader, SENT))
    assert step is not None
    assert 100 < step < 2**20


def test_a_helper_that_was_killed_costs_one_reading(lab: IbLab, reader: Reader) -> None:
    columns = reader.columns()
    reader._smp.close()  # type: ignore[attr-defined]
    assert set(reader.read()) == {None}
    assert reader.columns() == columns
    assert None not in reader.read()


def test_a_subnet_that_cannot_be_read_is_an_error_in_words(lab: IbLab) -> None:
    driver = OpensmDriver(OpensmOptions("ib", str(lab.conf)))
    (made,) = driver.readers()
    with pytest.raises(OSError, match="has no umad device to send packets through"):
        made.columns()
    made.close()  # type: ignore[attr-defined]
