"""The page that Prometheus scrapes, from what the board shows at that moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from trafficd_agent.metrics.board import APPLY_BOUNDS, Board, Histogram, View
from trafficd_agent.metrics.rows import Metric, MetricType
from trafficd_agent.metrics.table import METRICS

PREFIX = "trafficd_"
_number: Callable[[float], str] = floatToGoString
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


class _Applies(Collector):
    def __init__(self, view: View) -> None:
        self._view = view

    def collect(self) -> Iterator[Family]:
        yield _apply_family(self._view.node, self._view.applies)


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


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _lines(metric: Metric, view: View) -> Iterator[str]:
    """A family as text, labels by name as the library has them; nothing where nothing is known."""
    labels = ("node", *metric.labels)
    order = sorted(range(len(labels)), key=labels.__getitem__)
    name = PREFIX + metric.name
    head = f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type}\n"
    for values, number in metric.values(view):
        cells = (view.node, *values)
        body = ",".join([f'{labels[i]}="{_escaped(cells[i])}"' for i in order])
        yield f"{head}{name}{{{body}}} {_number(number)}\n"
        head = ""


def page(board: Board) -> bytes:
    """The page, in the text format of ``CONTENT_TYPE``.

    The same bytes as ``generate_latest(registry(board))``, which takes several times as long: it looks at every
    name of every label of every line.
    """
    view = board.view
    text = "".join(line for metric in METRICS for line in _lines(metric, view))
    rest = CollectorRegistry(auto_describe=False)
    rest.register(_Applies(view))
    return text.encode() + generate_latest(rest)
