"""Readers together: isolation, precedence, and times."""

from itertools import count

from trafficd_agent.readers import Collector
from trafficd_topology.counters import Column, Direction, Values

TX, RX = Direction.TRANSMIT, Direction.RECEIVE


class Shelf:
    """A reader of fixed columns that fails on request."""

    def __init__(self, name: str, columns: tuple[Column, ...], values: Values) -> None:
        self.name = name
        self.offered = columns
        self.values = values
        self.error: Exception | None = None

    def columns(self) -> tuple[Column, ...]:
        self._fail()
        return self.offered

    def read(self) -> Values:
        self._fail()
        return self.values

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def collector(*shelves: Shelf) -> Collector:
    """With clocks that advance 1 ms a look."""
    monotonic, unix = count(10**9, 10**6), count(10**18, 10**6)
    return Collector(shelves, lambda: next(monotonic), lambda: next(unix))


def bytes_of(port: str, *, lane: int | None = None) -> Column:
    return Column(port, "bytes", TX, lane_id=lane)


def test_the_earlier_reader_has_a_count_that_two_offer() -> None:
    lanes = Shelf("tc", (bytes_of("eth0", lane=0), bytes_of("eth0", lane=1)), (1, 2))
    wire = Shelf("ethtool", (bytes_of("eth0"),), (30,))
    kernel_columns = (bytes_of("eth0"), Column("eth0", "packets", TX), Column("eth0", "packets", RX))
    kernel = Shelf("net", (*kernel_columns, bytes_of("eth1")), (4, 5, 6, 7))
    c = collector(lanes, wire, kernel)
    assert c.refresh()
    rest = (Column("eth0", "packets", RX), bytes_of("eth1"))
    assert c.columns == (bytes_of("eth0", lane=0), bytes_of("eth0", lane=1), bytes_of("eth0"), *rest)
    assert c.collect().sample.values == (1, 2, 30, 6, 7)
    assert not c.refresh()


def test_a_reader_that_fails_says_so_and_spoils_nothing() -> None:
    good, bad = Shelf("good", (bytes_of("a"),), (1,)), Shelf("bad", (bytes_of("b"),), (2,))
    c = collector(bad, good)
    c.refresh()
    bad.error = ValueError("no such register")
    collected = c.collect()
    assert collected.sample.values == (None, 1)
    sentence = "reader bad failed and its counters are missing: ValueError: no such register"
    assert [(o.reader, o.success, o.error, o.missing) for o in collected.outcomes] == [
        ("bad", False, sentence, 1),
        ("good", True, "", 0),
    ]
    bad.error = None
    assert c.collect().sample.values == (2, 1)


def test_a_reader_that_cannot_list_its_columns_has_none_until_it_can() -> None:
    bad = Shelf("bad", (bytes_of("b"),), (2,))
    bad.error = PermissionError(13, "Permission denied")
    c = collector(bad, Shelf("good", (bytes_of("a"),), (1,)))
    c.refresh()
    collected = c.collect()
    assert c.columns == (bytes_of("a"),)
    assert collected.sample.values == (1,)
    assert [o.success for o in collected.outcomes] == [False, True]
    bad.error = None
    assert c.refresh()
    assert c.collect().sample.values == (2, 1)


def test_values_that_do_not_fit_the_columns_are_not_believed() -> None:
    shelf = Shelf("torn", (bytes_of("a"), bytes_of("b")), (1,))
    c = collector(shelf)
    c.refresh()
    collected = c.collect()
    assert collected.sample.values == (None, None)
    assert collected.outcomes[0].error.startswith("reader torn returned 1 values for 2 columns")


def test_a_sample_is_dated_in_the_middle_of_its_reading() -> None:
    c = collector(Shelf("a", (), ()), Shelf("b", (), ()))
    c.refresh()
    collected = c.collect()
    # Looks at the monotonic clock: start, two per reader, end: 5 ms later.
    assert collected.sample.measured_monotonic_ns == 10**9 + 2_500_000
    assert collected.sample.measured_unix_ns == 10**18 + 2_500_000
    assert [o.seconds for o in collected.outcomes] == [0.001, 0.001]
