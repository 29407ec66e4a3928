"""The page that Prometheus scrapes, from what the board shows at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from trafficd_agent.metrics.board import APPLY_BOUNDS, Board, Histogram, View
from trafficd_agent.metrics.rows import Metric, MetricType
from trafficd_agent.metrics.table import METRICS

PREFIX = "trafficd_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
APPLY_HELP = "From reception of a desired state to the end of its verification."


def _family(metric: Metric, view: View) -> Family:
    sort = CounterMetricFamily if metric.type is MetricType.COUNTER else GaugeMetricFamily
    family = sort(PREFIX + metric.name, metric.help, labels=("node", *metric.labels))
    for labels, value in metric.values(view):
        family.add_metric([view.node, *labels], value)
    return family


def _apply_family(node: str, applies: Histogram) -> Family:
    family = HistogramMetricFamily(PREFIX + "qos_apply_duration_seconds", APPLY_HELP, labels=("node",))
    bounds = [*map(str, APPLY_BOUNDS), "+Inf"]
    family.add_metric([node], list(zip(bounds, accumulate(applies.counts), strict=True)), applies.total)
    return family


class BoardCollector(Collector):
    """Shows a board to a Prometheus registry. Families without a value are left out."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Family]:
        view = self._board.view
        yield from (family for metric in METRICS if (family := _family(metric, view)).samples)
        yield _apply_family(view.node, view.applies)

    def describe(self) -> Iterator[Family]:
        """Nothing is known at registration."""
        return iter(())


def registry(board: Board) -> CollectorRegistry:
    """A registry of its own, with the board's series alone."""
    own = CollectorRegistry(auto_describe=False)
    own.register(BoardCollector(board))
    return own


def page(board: Board) -> bytes:
    """The page, in the text format of ``CONTENT_TYPE``."""
    return generate_latest(registry(board))
