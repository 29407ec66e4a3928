"""The ethtool reader over statistics that change, vanish and refuse."""

import pytest

from trafficd_agent.ethtool import EthtoolReader
from trafficd_topology.counters import Column, Direction, Quantity

RX = Direction.RECEIVE
PAUSE = Column("a", Quantity.PAUSE_FRAMES, RX, priority=3)
BYTES = Column("a", Quantity.BYTES, RX)


class Bench:
    """Statistics by interface; None refuses."""

    def __init__(self) -> None:
        self.now: dict[str, dict[str, int] | None] = {}

    def read(self, netdev: str) -> dict[str, int]:
        found = self.now[netdev]
        if found is None:
            raise PermissionError(1, "Operation not permitted", netdev)
        return found


def reader(bench: Bench, driver: str = "mlx5_core") -> EthtoolReader:
    return EthtoolReader(bench, lambda: [(netdev, driver) for netdev in bench.now])


def test_pause_counters_vanish_with_pfc_and_come_back() -> None:
    bench = Bench()
    bench.now["a"] = {"rx_bytes_phy": 1, "rx_prio3_pause": 2, "rx0_bytes": 3}
    r = reader(bench)
    assert r.columns() == (BYTES, PAUSE)
    assert r.read() == (1, 2)
    bench.now["a"] = {"rx_bytes_phy": 5}
    assert r.read() == (5, None)
    bench.now["a"] = {"rx_prio3_pause": 0, "rx_bytes_phy": 6}
    assert r.read() == (6, 0)


def test_two_names_of_one_count_are_one_column() -> None:
    bench = Bench()
    bench.now["a"] = {"port.rx_priority_3_xoff": 1, "port.rx_priority_3_xoff_rx": 1}
    r = reader(bench, "i40e")
    assert r.columns() == (PAUSE,)
    assert r.read() == (1,)


def test_one_interface_that_refuses_leaves_the_others() -> None:
    bench = Bench()
    bench.now = {"a": {"rx_bytes_phy": 1}, "b": {"rx_bytes_phy": 2}}
    r = reader(bench)
    r.columns()
    bench.now["a"] = None
    assert r.read() == (None, 2)


def test_when_all_refuse_the_reader_fails() -> None:
    bench = Bench()
    bench.now = {"a": None}
    r = reader(bench)
    with pytest.raises(PermissionError):
        r.columns()
    bench.now = {"a": {"rx_bytes_phy": 1}}
    r.columns()
    bench.now = {"a": None}
    with pytest.raises(PermissionError):
        r.read()


def test_drivers_without_a_table_are_not_asked() -> None:
    bench = Bench()
    bench.now = {"a": None}
    assert reader(bench, "virtio_net").columns() == ()
