"""Which two samples of a node an audit compares: a minute or two apart, and never across a new hello."""

from trafficd.core.telemetry import TelemetryStore
from trafficd_topology.counters import Column, Sample

COLUMNS = (Column("e0", "drops"),)


def at(second: float) -> Sample:
    return Sample(1, int(second * 1e9), (int(second),))


def test_the_interval_grows_to_a_minute_and_stays_below_two() -> None:
    store, spans = TelemetryStore(), []
    assert store.readings("n") is None
    store.hello("n", COLUMNS)
    assert store.readings("n") is None
    for second in range(1, 401):
        store.sample("n", at(second), float(second))
        found = store.readings("n")
        assert found is not None
        assert found.last == at(second)
        spans.append((found.last.measured_monotonic_ns - found.first.measured_monotonic_ns) / 1e9)
    assert spans[:60] == [float(i) for i in range(60)]
    assert all(60 <= span < 120 for span in spans[61:])
    store.hello("n", (*COLUMNS, Column("e1", "drops")))
    assert store.readings("n") is None
