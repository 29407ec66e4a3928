"""Panels and dashboards in one style, over Grafana's own builders. Widths are columns of 24."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statushistory,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "trafficd"
NODE_UID = "trafficd-node"
ALL = VariableOption(selected=True, text=["All"], value=["$__all"])
MOST_ROWS = 64
"""More rows than this nobody reads: the busiest are shown."""
WARN, BAD = "yellow", "red"
Panel = Any
"""A builder of a panel: the SDK has a class for each sort and none above them."""


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and how its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Look:
    """How values are shown. ``steps`` are (from where on, colour); below the first it is ``start``."""

    unit: str
    steps: tuple[tuple[float, str], ...] = ()
    start: str = "green"
    low: float | None = None
    high: float | None = None
    none: str = ""
    decimals: int | None = None


COUNT = Look("none", low=0, decimals=0)
PERCENT = Look("percentunit", low=0, high=1)
SECONDS = Look("s", low=0)
BYTES = Look("bytes", low=0)
BYTES_PER_S = Look("Bps")
PACKETS_PER_S = Look("pps", low=0)
EVENTS_PER_S = Look("cps", low=0)


def with_steps(look: Look, *steps: tuple[float, str]) -> Look:
    return replace(look, steps=steps)


@dataclass(frozen=True, slots=True)
class About:
    """A panel's title and what it says."""

    title: str
    text: str


def _steps(look: Look) -> dashboard.ThresholdsConfig:
    steps = [Threshold(color=look.start, value=None), *(Threshold(color=c, value=v) for v, c in look.steps)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _targets(queries: Sequence[Query], *, now: bool, as_table: bool = False) -> Iterable[Any]:
    for letter, q in zip("ABCDEFGH", queries, strict=False):
        made = prometheus.Dataquery().expr(q.expr).legend_format(q.legend).ref_id(letter).datasource(SOURCE)
        form = PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES
        yield (made.instant() if now else made.range()).format(form)


def _dressed(panel: Panel, about: About, look: Look, width: int, height: int) -> Panel:
    """What every sort of panel has."""
    panel.title(about.title).description(about.text).datasource(SOURCE).span(width).height(height)
    panel.unit(look.unit).thresholds(_steps(look))
    for value, put in ((look.low, panel.min), (look.high, panel.max), (look.decimals, panel.decimals)):
        if value is not None:
            put(value)
    return panel.no_value(look.none) if look.none else panel


def _color(mode: FieldColorModeId) -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(mode)


def _to_node(label: str) -> dashboard.DashboardLink:
    """From a series or a row to everything of its node."""
    return (
        dashboard.DashboardLink("This node")
        .type(DashboardLinkType.LINK)
        .url(f"/d/{NODE_UID}?var-node=${{{label}}}&var-datasource=${{datasource}}&${{__url_time_range}}")
    )


def number(about: About, look: Look, *queries: Query, width: int = 6) -> Panel:
    """One value, or a few beside each other, as of now."""
    panel = _dressed(stat.Panel(), about, look, width, 5).color_scheme(_color(FieldColorModeId.THRESHOLDS))
    panel.color_mode(kinds.BigValueColorMode.BACKGROUND).graph_mode(kinds.BigValueGraphMode.NONE)
    panel.text_mode(
        kinds.BigValueTextMode.AUTO if len(queries) == 1 else kinds.BigValueTextMode.VALUE_AND_NAME
    )
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    return panel.targets(list(_targets(queries, now=True)))


def lines(about: About, look: Look, *queries: Query, width: int = 12) -> Panel:
    """Values over time. Where a threshold is set it is drawn; series per node lead to it."""
    panel = _dressed(timeseries.Panel(), about, look, width, 8)
    panel.color_scheme(_color(FieldColorModeId.PALETTE_CLASSIC)).line_width(1).fill_opacity(8)
    panel.show_points(kinds.VisibilityMode.NEVER)
    panel.thresholds_style(
        common.GraphThresholdsStyleConfig().mode(
            kinds.GraphThresholdsStyleMode.DASHED if look.steps else kinds.GraphThresholdsStyleMode.OFF
        )
    )
    many = any("{{node}}" in q.legend for q in queries)
    shape = kinds.LegendDisplayMode.TABLE if many else kinds.LegendDisplayMode.LIST
    place = kinds.LegendPlacement.RIGHT if many else kinds.LegendPlacement.BOTTOM
    legend = common.VizLegendOptions().display_mode(shape).placement(place).show_legend(True)
    panel.legend(legend.calcs(["lastNotNull", "max"] if many else []))
    mode, order = kinds.TooltipDisplayMode.MULTI, kinds.SortOrder.DESCENDING
    panel.tooltip(common.VizTooltipOptions().mode(mode).sort(order))
    if many:
        panel.data_links([_to_node("__field.labels.node")])
    return panel.targets(list(_targets(queries, now=False)))


def grid(about: About, look: Look, query: Query, *, graded: bool = False, height: int = 9) -> Panel:
    """A row for each series, coloured over time: by its thresholds, or graded from the least to the most."""
    panel = _dressed(statushistory.Panel(), about, look, 24, height)
    mode = FieldColorModeId.CONTINUOUS_GR_YL_RD if graded else FieldColorModeId.THRESHOLDS
    panel.color_scheme(_color(mode)).line_width(0).fill_opacity(85).row_height(0.9).col_width(0.95)
    panel.show_value(kinds.VisibilityMode.NEVER)
    panel.legend(common.VizLegendOptions().show_legend(False).calcs([]))
    panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.SINGLE).sort(kinds.SortOrder.NONE))
    if "{{node}}" in query.legend:
        panel.data_links([_to_node("__field.labels.node")])
    return panel.targets(list(_targets([query], now=False)))


def spread(about: About, look: Look, query: Query, *, buckets: bool = False, width: int = 12) -> Panel:
    """How many series have which value over time; of a histogram's ``buckets``, how often each value came."""
    panel = _dressed(heatmap.Panel(), about, look, width, 8)
    panel.color(
        heatmap.HeatmapColorOptions()
        .mode(HeatmapColorMode.SCHEME)
        .scheme("Oranges")
        .exponent(0.5)
        .fill("dark-orange")
        .steps(64)
    )
    axis = heatmap.YAxisConfig().unit(look.unit)
    if not buckets:
        by = kinds.HeatmapCalculationMode
        tenths = common.HeatmapCalculationBucketConfig().mode(by.SIZE).value("0.1")
        panel.calculate(True).calculation(common.HeatmapCalculationOptions().y_buckets(tenths))
    panel.y_axis(axis).cell_gap(1).mode(kinds.TooltipDisplayMode.SINGLE)
    return panel.targets([t.format(_heat(buckets)) for t in _targets([query], now=False)])


def _heat(buckets: bool) -> PromQueryFormat:
    return PromQueryFormat.HEATMAP if buckets else PromQueryFormat.TIME_SERIES


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the label or ``Value #A`` it shows, its heading, and its unit where it has another."""

    source: str
    heading: str
    unit: str = ""
    gauge: bool = False


def sheet(about: About, look: Look, columns: Sequence[Column], *queries: Query, width: int = 12) -> Panel:
    """A row for each combination of labels, a column for each query."""
    panel = _dressed(table.Panel(), about, look, width, 9).color_scheme(_color(FieldColorModeId.THRESHOLDS))
    panel.filterable(True).show_header(True).cell_height(kinds.TableCellHeight.SM)
    names = {c.source: c.heading for c in columns}
    order = {c.source: i for i, c in enumerate(columns)}
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}
    panel.with_transformation(DataTransformerConfig(id_val="organize", options=organize))
    for column in columns:
        if column.gauge:
            cell = DynamicConfigValue("custom.cellOptions", {"type": "gauge", "mode": "basic"})
            limits = [DynamicConfigValue("min", 0), DynamicConfigValue("max", 1)]
            panel.override_by_name(column.heading, [cell, *limits])
        if column.unit:
            panel.override_by_name(column.heading, [DynamicConfigValue("unit", column.unit)])
    if "Node" in names.values():
        panel.data_links([_to_node("__data.fields.Node")])
    return panel.targets(list(_targets(queries, now=True, as_table=True)))


# Variables.


def _source() -> Any:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _asked(name: str, label: str, definition: str) -> Any:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"qryType": 1, "query": definition, "refId": f"variable-{name}"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _all(variable: Any) -> Any:
    return variable.multi(True).include_all(True).all_value(".*").current(ALL)


def nodes() -> Any:
    return _all(_asked("node", "Node", "label_values(trafficd_agent_info, node)"))


def one_node() -> Any:
    return _asked("node", "Node", "label_values(trafficd_agent_info, node)").multi(False).include_all(False)


def classes() -> Any:
    definition = 'label_values(trafficd_class_bytes_total{node=~"$node"}, class)'
    return _all(_asked("class", "Traffic class", definition))


def nic_kinds() -> Any:
    made = dashboard.CustomVariable("kind").label("NIC kind").values("storage,compute")
    options = [VariableOption(selected=False, text=k, value=k) for k in ("storage", "compute")]
    first = VariableOption(selected=True, text="All", value="$__all")
    return _all(made).options([first, *options])


# Dashboards.


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard; ``name`` is its file's."""

    name: str
    uid: str
    title: str
    text: str
    variables: tuple[Callable[[], Any], ...]
    rows: tuple[Row, ...]

    def build(self) -> Dashboard:
        made = dashboard.Dashboard(self.title).uid(self.uid).description(self.text).tags([TAG])
        made.editable().tooltip(DashboardCursorSync.CROSSHAIR).refresh("10s").time("now-30m", "now")
        made.timezone("browser").link(_others())
        for variable in (_source, *self.variables):
            made.with_variable(variable())
        for row in self.rows:
            made.with_row(dashboard.Row(row.title))
            for panel in row.panels:
                made.with_panel(panel)
        built = made.build()
        for i, panel in enumerate(built.panels or (), 1):
            panel.id_val = i
        return built


def _others() -> dashboard.DashboardLink:
    """The other dashboards, with what is chosen here."""
    return (
        dashboard.DashboardLink("trafficd")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .keep_time(True)
        .include_vars(True)
    )
