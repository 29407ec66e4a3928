"""The dashboard: well formed, about series that exist, and every query answered by a real Prometheus in the lab."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from demo.measure import Traffic, repaired_after
from demo.policies import ENFORCE
from demo.story import SCOPES
from lab.cluster import AGENT_HTTP_PORT, AGENTS, COMPUTE, HTTP_PORT, STORAGE, Cluster, cluster, wait_for
from lab.prometheus import Prometheus, Sample, prometheus, web
from prometheus_client.metrics_core import Metric

from trafficd import client
from trafficd.core.state import ControlState
from trafficd.metrics import View, controller_metrics
from trafficd_agent.metrics.board import Board
from trafficd_agent.metrics.page import BoardCollector
from trafficd_agent.metrics.rows import MetricType
from trafficd_agent.metrics.table import METRICS
from trafficd_topology.status import Generation

FOLDER = Path(__file__).parents[2] / "dashboards"
DASHBOARD: Any = json.loads((FOLDER / "balance.json").read_text())
PANELS: list[Any] = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
TRAFFIC_S = 45.0
BRIDGES = {"csw": "10.77.1.100", "ssw": "10.77.2.100"}
SUBSTITUTES = {"$__rate_interval": "10s", "$node": ".*", "$kind": ".*"}
"""What Grafana puts in, with everything chosen."""
EMPTY_LABELS = {"fabric"}
"""Ports have this label with an empty value, which Prometheus leaves out."""


@dataclass(frozen=True, slots=True)
class Query:
    """One target of one panel, as Prometheus gets it."""

    panel: str
    expression: str
    legend: str

    @property
    def legend_labels(self) -> set[str]:
        return set(re.findall(r"{{(\w+)}}", self.legend))

    def __str__(self) -> str:
        return f"{self.panel}: {self.expression}"


def substituted(expression: str) -> str:
    for name, value in SUBSTITUTES.items():
        expression = expression.replace(name, value)
    return expression


QUERIES = [Query(p["title"], substituted(t["expr"]), t["legendFormat"]) for p in PANELS for t in p["targets"]]


def names(families: Iterator[Metric]) -> set[str]:
    return {f.name + suffix for f in families for suffix in SUFFIXES.get(f.type, ("",))}


def controller_names() -> set[str]:
    metrics = controller_metrics(lambda: View(ControlState("uuid", Generation(1, 1))))
    return {n for n in names(metrics.registry.collect()) if n.startswith("trafficd_")}


def agent_names() -> set[str]:
    # Families without a value are not on a page: they come from the table, the one of no table from an empty page.
    table = {f"trafficd_{m.name}" for m in METRICS}
    assert all(m.name.endswith("_total") == (m.type is MetricType.COUNTER) for m in METRICS)
    return table | names(BoardCollector(Board("n", "1")).collect())


# Without a Prometheus.


def test_the_dashboard_as_grafana_imports_it() -> None:
    d = DASHBOARD
    assert (d["title"], d["uid"], d["id"]) == ("NIC balance", "trafficd-nic-balance", None)
    assert [(i["name"], i["pluginId"]) for i in d["__inputs"]] == [("DS_PROMETHEUS", "prometheus")]
    variables = [(v["name"], v["type"]) for v in d["templating"]["list"]]
    assert variables == [("DS_PROMETHEUS", "datasource"), ("node", "query"), ("kind", "custom")]
    ids = [p["id"] for p in d["panels"]]
    assert len(ids) == len(set(ids))
    titles = [p["title"] for p in d["panels"]]
    assert len(titles) == len(set(titles))
    required = {r["id"] for r in d["__requires"] if r["type"] == "panel"}
    assert required == {p["type"] for p in PANELS}


def test_panels_do_not_overlap() -> None:
    cells: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for cell in (
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        ):
            assert cells.setdefault(cell, panel["title"]) == panel["title"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda p: p["title"])
def test_a_panel_says_what_it_shows(panel: Any) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    steps = [s["value"] for s in defaults["thresholds"]["steps"]]
    assert steps[0] is None
    assert steps[1:] == sorted(steps[1:])
    assert panel["targets"]
    assert len({t["refId"] for t in panel["targets"]}) == len(panel["targets"])
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
    for target in panel["targets"]:
        assert target["legendFormat"]
        assert target["instant"] != target["range"]


def test_the_papers_figures_are_the_thresholds_of_max_over_average() -> None:
    shown = [p for p in PANELS if "trafficd_nic_imbalance_ratio" in p["targets"][0]["expr"]]
    found = [[s["value"] for s in p["fieldConfig"]["defaults"]["thresholds"]["steps"]] for p in shown]
    assert found == [[None, 1.18, 1.53]] * 3


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_query_names_series_that_exist(query: Query) -> None:
    used = set(re.findall(r"\btrafficd_\w+", query.expression))
    assert used
    assert used <= controller_names() | agent_names()
    assert "$" not in query.expression


def test_variables_name_series_that_exist() -> None:
    asked = [v["definition"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]
    assert asked == ["label_values(trafficd_agent_info, node)"]
    assert "trafficd_agent_info" in agent_names()


def test_no_series_of_the_controller_has_the_name_of_an_agents() -> None:
    assert controller_names() & agent_names() == set()


@pytest.mark.prometheus
def test_prometheus_takes_the_example() -> None:
    command = ["promtool", "check", "config", str(FOLDER / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# With one.


def agent_address(node: str) -> str:
    return f"{BRIDGES.get(node) or COMPUTE.get(node) or STORAGE[node]}:{AGENT_HTTP_PORT}"


def scrape_config() -> str:
    """The example, every second, with the lab's targets."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    targets = {
        "trafficd-controller": [f"127.0.0.1:{HTTP_PORT}"],
        "trafficd-agent": [agent_address(n) for n in AGENTS],
    }
    config["global"]["scrape_interval"] = "1s"
    del config["alerting"]
    config["rule_files"] = [str(FOLDER / rule) for rule in config["rule_files"]]
    assert [job["job_name"] for job in config["scrape_configs"]] == list(targets)
    for job in config["scrape_configs"]:
        job["static_configs"][0]["targets"] = targets[job["job_name"]]
    return yaml.safe_dump(config)


REQUEST = client.Request(
    id="dashboard",
    bytes=1_000_000,
    prefill=(client.EngineRef("p1", 0),),
    decode=(client.EngineRef("d1", 0),),
    source=client.Source(pool="kv"),
    abilities=client.Abilities(read_on_decode_side=True),
)
ENGINES = {"p1": client.Role.PREFILL, "d1": client.Role.DECODE}


def answered(query: Query, samples: list[Sample]) -> bool:
    """Some series has a value, and every series has the labels that its legend shows."""
    found = [s for s in samples if s.finite]
    return bool(found) and all(query.legend_labels - EMPTY_LABELS <= {k for k, _ in s.labels} for s in found)


def unanswered(asked: Prometheus, scheduler: client.Client, pending: list[Query]) -> list[Query]:
    """Ask for paths, then put the questions that are left."""
    for _ in range(20):
        scheduler.recommend(REQUEST, timeout_s=0.5)
    return [q for q in pending if not answered(q, asked.ask(q.expression))]


def check_queries(up: Cluster, asked: Prometheus) -> None:
    pending = list(QUERIES)

    def all_answered() -> bool:
        pending[:] = unanswered(asked, scheduler, pending)
        return not pending

    with client.connect(up.socket) as scheduler:
        scheduler.report_engines(
            [client.EngineReport(client.EngineRef(n, 0), role=role) for n, role in ENGINES.items()]
        )
        scheduler.wait_ready(5.0)
        try:
            wait_for("every query answered", all_answered, TRAFFIC_S)
        finally:
            assert [str(q) for q in pending] == []


FIGURES = (
    f"count(trafficd_agent_info) == {len(AGENTS)}",
    f"count(trafficd_qos_in_sync == 1) == {SCOPES}",
    "sum(trafficd_qos_drift_total) == sum(trafficd_qos_repairs_total)",
    # One of four storage NICs carries everything: d1 reads for p1.
    'trafficd_nic_imbalance_ratio{kind="storage"} > 1.53',
    'trafficd_nic_balance_jain_ratio{kind="storage"} < 0.8',
)
"""What is known of this lab by other means; an expression that is false has no answer."""


def lint(page: str) -> str:
    """What promtool has to say of a page."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit {done.returncode}")


@pytest.mark.kernel
@pytest.mark.prometheus
def test_every_query_has_an_answer_in_the_lab(tmp_path: Path) -> None:
    with cluster(tmp_path, ENFORCE) as up:
        up.wait_verified(SCOPES)
        traffic = Traffic(up)
        try:
            traffic.start()
            with prometheus(up.lab, "ctl", scrape_config(), tmp_path / "prometheus") as asked:
                wait_for("all scraped", lambda: asked.targets_up() == 1 + len(AGENTS), 30)
                repaired_after(up, "p2", "c0")
                traffic.decode_side_reads("d1", "p1", TRAFFIC_S)
                traffic.model(TRAFFIC_S)
                check_queries(up, asked)
                for figure in FIGURES:
                    wait_for(figure, lambda f=figure: asked.ask(f), 10)
        finally:
            traffic.stop()
        with web(up.lab, "ctl") as pages:
            assert lint(pages.get(f"http://127.0.0.1:{HTTP_PORT}/metrics")) == ""
            assert lint(pages.get(f"http://{agent_address('p1')}/metrics")) == ""
