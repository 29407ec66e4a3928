"""Series and where their values come from: functions of a view. What is not known yields nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from trafficd_agent.metrics.board import CAUSE_LABELS, UNSAID, View
from trafficd_topology.counters import Column, Direction, Quantity, ReaderOutcome
from trafficd_topology.model import PortInventory, ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import ConditionStatus, ConditionType, ScopeStatus

Q = Quantity
Labels = tuple[str, ...]
Row = tuple[Labels, float]
Values = Callable[[View], Iterable[Row]]


class MetricType(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One series family; ``labels`` come after ``node``, which every series has.

    ``quantities`` are those of ``Quantity`` whose columns it shows.
    """

    name: str
    type: MetricType
    help: str
    labels: Labels
    values: Values
    quantities: tuple[Quantity, ...] = ()


def device_port(port: str) -> tuple[str, str]:
    """A port's name as labels ``device`` and ``port``: ``mlx5_0:2`` is port 2 of mlx5_0, others are port 1."""
    device, _, number = port.partition(":")
    return device, number or "1"


def _text(value: object) -> str:
    return "" if value is None else str(value)


# Columns -> rows. A column is of a lane, of a priority, or of the whole port.


class Of(StrEnum):
    PORT = "port"
    LANE = "lane"
    PRIORITY = "priority"


def _of(column: Column) -> Of:
    if column.lane_id is not None:
        return Of.LANE
    return Of.PORT if column.priority is None else Of.PRIORITY


def _port_labels(_: View, column: Column) -> Labels:
    return (*device_port(column.port), _text(column.direction))


def _lane_labels(view: View, column: Column) -> Labels:
    lane = view.lane(column.port, column.lane_id or 0)
    return (*device_port(column.port), lane.class_label, lane.name, _text(column.direction))


def _vl_labels(_: View, column: Column) -> Labels:
    return (*device_port(column.port), str(column.lane_id))


def _priority_labels(_: View, column: Column) -> Labels:
    return (*device_port(column.port), str(column.priority), _text(column.direction))


PORT: Labels = ("device", "port")
DIRECTED: Labels = (*PORT, "direction")
LANE: Labels = (*PORT, "class", "lane", "direction")
PRIORITY: Labels = (*PORT, "priority", "direction")
SCOPE: Labels = (*PORT, "fabric")

_LABELS: dict[Labels, tuple[Of, Callable[[View, Column], Labels]]] = {
    DIRECTED: (Of.PORT, _port_labels),
    LANE: (Of.LANE, _lane_labels),
    (*PORT, "vl"): (Of.LANE, _vl_labels),
    PRIORITY: (Of.PRIORITY, _priority_labels),
}


def _columns(labels: Labels, words: dict[Quantity, str], divisor: float) -> Values:
    of, label = _LABELS[labels]

    def rows(view: View) -> Iterator[Row]:
        for given, value in zip(view.columns, view.values, strict=True):
            # By far most columns are of other quantities, and asking for a lane takes longest.
            if given.quantity not in words or value is None:
                continue
            column = view.of_lane(given) if labels == LANE else given
            if column is None or _of(column) is not of:
                continue
            word = words[Quantity(column.quantity)]
            yield (*label(view, column), *((word,) if word else ())), value / divisor

    return rows


def counter(name: str, quantity: Quantity, labels: Labels, help_: str, divisor: float = 1.0) -> Metric:
    values = _columns(labels, {quantity: ""}, divisor)
    return Metric(name, MetricType.COUNTER, help_, labels, values, (quantity,))


def gauge(name: str, quantity: Quantity, labels: Labels, help_: str, divisor: float = 1.0) -> Metric:
    values = _columns(labels, {quantity: ""}, divisor)
    return Metric(name, MetricType.GAUGE, help_, labels, values, (quantity,))


def kinds(name: str, label: str, words: dict[Quantity, str], labels: Labels, help_: str) -> Metric:
    """A counter family whose last label tells several quantities apart."""
    return Metric(
        name, MetricType.COUNTER, help_, (*labels, label), _columns(labels, words, 1.0), tuple(words)
    )


# Lanes beyond their columns.


def unclassified(view: View) -> Iterator[Row]:
    for given, value in zip(view.columns, view.values, strict=True):
        if given.quantity != Q.BYTES or value is None or (column := view.of_lane(given)) is None:
            continue
        if view.lane(column.port, column.lane_id or 0).is_default:
            yield _port_labels(view, column), value


def desired_shares(view: View) -> Iterator[Row]:
    for port, lanes in sorted(view.lanes.items()):
        for lane in lanes:
            if lane.share is not None:
                yield (*device_port(port), lane.class_label, lane.name), lane.share


def _lane_rates(view: View) -> Iterator[tuple[Column, float]]:
    """Bytes per second that each lane transmitted over the last interval."""
    for given, value in zip(view.columns, view.rates.values if view.rates else (), strict=False):
        transmitted = given.quantity == Q.BYTES and given.direction is Direction.TRANSMIT
        if transmitted and value is not None and (column := view.of_lane(given)) is not None:
            yield column, value


def observed_shares(view: View) -> Iterator[Row]:
    """Nothing for a port that transmitted nothing: a share of nothing is not known."""
    totals: dict[str, float] = {}
    for column, value in _lane_rates(view):
        totals[column.port] = totals.get(column.port, 0.0) + value
    for column, value in _lane_rates(view):
        if totals[column.port] > 0:
            yield _lane_labels(view, column)[:-1], value / totals[column.port]


# Ports and scopes.


def of_ports(value: Callable[[PortInventory], float | None]) -> Values:
    def rows(view: View) -> Iterator[Row]:
        for port in view.ports:
            if (known := value(port)) is not None:
                yield device_port(port.name), known

    return rows


def capacity(view: View) -> Iterator[Row]:
    """What the fabric file allows, else what the port runs at."""
    for port in view.ports:
        said = view.said.get(port.name, UNSAID)
        rate = said.rate_bps or port.rate_bps
        if rate:
            yield (*device_port(port.name), said.kind), rate / 8


def port_info(view: View) -> Iterator[Row]:
    for p in view.ports:
        where = (p.pci, p.guid, p.rdma_device, p.numa_node, p.pcie_switch, p.gpu)
        kind = view.said.get(p.name, UNSAID).kind
        yield (*device_port(p.name), p.link_layer, *map(_text, where), kind), 1


def _scope_labels(kind: ScopeKind, name: str) -> Labels:
    return (*device_port(name), "") if kind is ScopeKind.PORT else ("", "", name)


def of_scopes(value: Callable[[ScopeStatus], float]) -> Values:
    def rows(view: View) -> Iterator[Row]:
        for s in view.statuses:
            yield _scope_labels(s.kind, s.name), value(s)

    return rows


def in_sync(status: ScopeStatus) -> bool:
    """Nothing differs, nothing drifted, and what is enforced has been read back."""
    if status.differences or status.is_true(ConditionType.DRIFTED):
        return False
    return status.mode is Mode.OBSERVE or status.is_true(ConditionType.VERIFIED)


def scope_info(view: View) -> Iterator[Row]:
    for s in view.statuses:
        yield (*_scope_labels(s.kind, s.name), s.driver, s.mode), 1


def conditions(view: View) -> Iterator[Row]:
    for s in view.statuses:
        for c in s.conditions:
            if c.status is not ConditionStatus.UNKNOWN:
                yield (*_scope_labels(s.kind, s.name), c.type), float(c.status is ConditionStatus.TRUE)


def drifts(view: View) -> Iterator[Row]:
    """Every cause of every scope from the start, so that the first drift is an increase."""
    counts = {(s.kind, s.name, cause): 0 for s in view.statuses for cause in CAUSE_LABELS}
    counts |= {(d.kind, d.name, d.cause): d.count for d in view.drifts}
    for (kind, name, cause), count in counts.items():
        yield (*_scope_labels(kind, name), cause), count


# The agent itself.


def info(view: View) -> Iterator[Row]:
    yield (view.version,), 1


def connected(view: View) -> Iterator[Row]:
    if view.connected is not None:
        yield (), float(view.connected)


def certificate_ends(view: View) -> Iterator[Row]:
    if view.certificate_ends is not None:
        yield (), view.certificate_ends


def paused(view: View) -> Iterator[Row]:
    for by, stopped in view.paused.items():
        yield (by,), float(stopped)


def measured(view: View) -> Iterator[Row]:
    if view.sample is not None:
        yield (), view.sample.measured_unix_ns / 1e9


def of_readers(value: Callable[[ReaderOutcome], float]) -> Values:
    def rows(view: View) -> Iterator[Row]:
        for outcome in view.outcomes:
            yield (outcome.reader,), value(outcome)

    return rows
