"""The dashboards: current, well formed, about series that exist, and every query answered by a real Prometheus.

It scrapes the lab: a real controller, real agents with lanes and traffic, and one agent more whose NICs are files with the
names of real drivers' counters (lab.hardware). ``CAPTURED`` says which series only that one has.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from demo.measure import Traffic, repaired_after
from demo.policies import ENFORCE
from demo.story import SCOPES
from lab.cluster import (
    AGENT_HTTP_PORT,
    AGENTS,
    COMPUTE,
    GRPC_PORT,
    HTTP_PORT,
    STORAGE,
    Cluster,
    cluster,
    wait_for,
)
from lab.hardware import Hardware
from lab.prometheus import Prometheus, Sample, prometheus, web
from prometheus_client.metrics_core import Metric

from trafficd import client
from trafficd.api.v1 import path_pb2, path_pb2_grpc
from trafficd.core.state import ControlState
from trafficd.metrics import View, controller_metrics
from trafficd_agent.metrics.board import Board
from trafficd_agent.metrics.page import BoardCollector
from trafficd_agent.metrics.rows import MetricType
from trafficd_agent.metrics.table import METRICS
from trafficd_topology.status import Generation

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboards"
PAGES: dict[str, Any] = {p.stem: json.loads(p.read_text()) for p in sorted(FOLDER.glob("*.json"))}
ROWS = [(name, p) for name, page in PAGES.items() for p in page["panels"] if p["type"] == "row"]
PANELS = [(name, p) for name, page in PAGES.items() for p in page["panels"] if p["type"] != "row"]
IDS = [f"{name}: {p['title']}" for name, p in PANELS]
VARIABLES = {
    "balance": ["datasource", "node", "kind"],
    "lanes": ["datasource", "node", "class"],
    "node": ["datasource", "node", "class"],
    "recommendations": ["datasource", "node"],
    "rollout": ["datasource", "node"],
}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
TRAFFIC_S = 45.0
BRIDGES = {"csw": "10.77.1.100", "ssw": "10.77.2.100"}
HARDWARE, HARDWARE_PORT = "gpu-1", 7603
CAPTURED = {
    "trafficd_cnp_packets_total",
    "trafficd_ecn_marked_packets_total",
    "trafficd_pci_stalled_ratio",
    "trafficd_pfc_pause_frames_total",
    "trafficd_pfc_pause_seconds_total",
    "trafficd_port_link_events_total",
    "trafficd_port_pause_seconds_total",
    "trafficd_port_pause_storms_total",
    "trafficd_port_rdma_bytes_total",
    "trafficd_port_transmit_wait_ticks_total",
    "trafficd_priority_bytes_total",
    "trafficd_priority_drops_total",
    "trafficd_rdma_events_total",
}
"""What no device of the lab counts: it comes from counters in files, through the agent's real readers."""
EMPTY_LABELS = {"fabric"}
"""Ports have this label with an empty value, which Prometheus leaves out."""
SERIES = re.compile(r"\btrafficd_\w+")


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
    """With what Grafana puts in: the lab's nodes chosen, or the one that has the counters, and everything else."""
    captured = set(SERIES.findall(expression)) & CAPTURED
    chosen = HARDWARE if captured else f"({'|'.join(AGENTS)})"
    values = {"$__rate_interval": "10s", "$node": chosen, "$kind": ".*", "$class": ".*"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


QUERIES = [
    Query(f"{name}: {p['title']}", substituted(t["expr"]), t["legendFormat"])
    for name, p in PANELS
    for t in p["targets"]
]


def names(families: Iterator[Metric]) -> set[str]:
    return {f.name + suffix for f in families for suffix in SUFFIXES.get(f.type, ("",))}


@functools.cache
def controller_names() -> set[str]:
    metrics = controller_metrics(lambda: View(ControlState("uuid", Generation(1, 1))))
    return {n for n in names(metrics.registry.collect()) if n.startswith("trafficd_")}


@functools.cache
def agent_names() -> set[str]:
    # Families without a value are not on a page: they come from the table, the one of no table from an empty page.
    table = {f"trafficd_{m.name}" for m in METRICS}
    assert all(m.name.endswith("_total") == (m.type is MetricType.COUNTER) for m in METRICS)
    return table | names(BoardCollector(Board("n", "1")).collect())


# Without a Prometheus.


def test_the_files_are_what_their_source_says() -> None:
    command = [sys.executable, str(ROOT / "tools" / "dashboards"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("name", PAGES)
def test_a_dashboard_as_grafana_takes_it(name: str) -> None:
    d = PAGES[name]
    assert d["title"].startswith("trafficd / ")
    assert d["description"].endswith(".")
    assert d["tags"] == ["trafficd"]
    assert [v["name"] for v in d["templating"]["list"]] == VARIABLES[name]
    ids = [p["id"] for p in d["panels"]]
    assert len(ids) == len(set(ids))
    titles = [p["title"] for p in d["panels"]]
    assert len(titles) == len(set(titles))
    (others,) = d["links"]
    assert (others["type"], others["tags"]) == ("dashboards", ["trafficd"])
    assert others["includeVars"]
    assert others["keepTime"]
    assert len({page["uid"] for page in PAGES.values()}) == len(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_every_variable_is_used(name: str) -> None:
    text = json.dumps(PAGES[name]["panels"])
    assert {v for v in VARIABLES[name] if f"${v}" in text or f"${{{v}}}" in text} == set(VARIABLES[name])


@pytest.mark.parametrize("name", PAGES)
def test_panels_do_not_overlap(name: str) -> None:
    cells: dict[tuple[int, int], str] = {}
    for panel in PAGES[name]["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for cell in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            assert cells.setdefault(cell, panel["title"]) == panel["title"]


def test_rows_have_panels() -> None:
    for name, page in PAGES.items():
        kinds = [p["type"] == "row" for p in page["panels"]]
        assert kinds[0], name
        assert not any(a and b for a, b in itertools.pairwise([*kinds, True])), name


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=IDS)
def test_a_panel_says_what_it_shows(name: str, panel: Any) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    steps = [s["value"] for s in defaults["thresholds"]["steps"]]
    assert steps[0] is None
    assert steps[1:] == sorted(steps[1:])
    assert panel["targets"]
    assert len({t["refId"] for t in panel["targets"]}) == len(panel["targets"])
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        assert target["legendFormat"]
        assert target["instant"] != target["range"]


def test_series_of_nodes_lead_to_their_node() -> None:
    for name, panel in PANELS:
        about_nodes = any("{{node}}" in t["legendFormat"] for t in panel["targets"])
        if about_nodes and panel["type"] in ("timeseries", "status-history"):
            (link,) = panel["fieldConfig"]["defaults"]["links"]
            assert link["url"].startswith(f"/d/{PAGES['node']['uid']}?var-node=${{__field.labels.node}}"), (
                name
            )


def test_the_papers_figures_are_the_thresholds_of_max_over_average() -> None:
    shown = [p for _, p in PANELS if "nic_imbalance_ratio" in p["targets"][0]["expr"]]
    found = [[s["value"] for s in p["fieldConfig"]["defaults"]["thresholds"]["steps"]] for p in shown]
    assert found == [[None, 1.18, 1.53]] * 4


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_query_names_series_that_exist(query: Query) -> None:
    used = set(re.findall(r"\btrafficd_\w+", query.expression))
    assert used
    assert used <= controller_names() | agent_names()
    assert "$" not in query.expression


def test_variables_name_series_that_exist() -> None:
    variables = [v for page in PAGES.values() for v in page["templating"]["list"] if v["type"] == "query"]
    asked = {v["query"]["query"] for v in variables}
    assert asked == {
        "label_values(trafficd_agent_info, node)",
        'label_values(trafficd_class_bytes_total{node=~"$node"}, class)',
    }
    assert {s for q in asked for s in SERIES.findall(q)} <= agent_names()


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
        "trafficd-agent": [*(agent_address(n) for n in AGENTS), f"127.0.0.1:{HARDWARE_PORT}"],
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


OWN = path_pb2.RecommendRequest(
    request_id="own",
    bytes=1_000_000,
    source=path_pb2.Source(pool="kv"),
    prefill=[path_pb2.EngineRef(node="p1")],
    decode=[path_pb2.EngineRef(node="d1")],
    own_choice=path_pb2.PathPlan(
        legs=[path_pb2.PathLeg(side=path_pb2.SIDE_PREFILL, reader="p1", nics=["p1/s0"], bytes=1_000_000)]
    ),
)
"""A scheduler that reads where it always did, and wants to know what it misses."""


def start_hardware(up: Cluster, root: Path) -> Hardware:
    """One agent more, beside the controller, on NICs that are files."""
    made = Hardware(root, ("e0", "e1")).make()
    settings = {
        "node": HARDWARE,
        "controller": f"127.0.0.1:{GRPC_PORT}",
        "state_dir": str(root / "state"),
        "http": f"127.0.0.1:{HARDWARE_PORT}",
        "sysfs": str(made.sysfs),
    }
    file = root / "agent.yaml"
    file.write_text(yaml.safe_dump(settings))
    up._start(HARDWARE, "ctl", [sys.executable, "-m", "trafficd_agent.cli", "run", "--config", str(file)])
    return made


def answered(query: Query, samples: list[Sample]) -> bool:
    """Some series has a value, and every series has the labels that its legend shows."""
    found = [s for s in samples if s.finite]
    return bool(found) and all(query.legend_labels - EMPTY_LABELS <= {k for k, _ in s.labels} for s in found)


@dataclass(slots=True)
class Life:
    """What goes on in the lab while questions are put: reads, choices of a scheduler's own, and counters that count."""

    scheduler: client.Client
    paths: path_pb2_grpc.PathServiceStub
    hardware: Hardware
    turn: int = 0

    def go_on(self) -> None:
        self.turn += 1
        self.hardware.count()
        for i in range(10):
            read = replace(REQUEST, id=f"read-{self.turn}-{i}", reserve_s=10.0)
            answer = self.scheduler.recommend(read, timeout_s=0.5)
            if answer.lease is not None:
                self.scheduler.release(answer.lease.id)
            self.paths.Recommend(OWN, timeout=5)


def check_queries(up: Cluster, asked: Prometheus, hardware: Hardware) -> None:
    pending = list(QUERIES)

    def all_answered() -> bool:
        life.go_on()
        pending[:] = [q for q in pending if not answered(q, asked.ask(q.expression))]
        return not pending

    with client.connect(up.socket) as scheduler, grpc.insecure_channel(up.socket) as channel:
        life = Life(scheduler, path_pb2_grpc.PathServiceStub(channel), hardware)
        scheduler.report_engines(
            [client.EngineReport(client.EngineRef(n, 0), role=role) for n, role in ENGINES.items()]
        )
        scheduler.wait_ready(5.0)
        try:
            wait_for("every query answered", all_answered, TRAFFIC_S, 0.2)
        finally:
            assert [str(q) for q in pending] == []


def check_captured(asked: Prometheus) -> None:
    """The list is right: of these series the lab's own devices have none, and every other query was theirs."""
    for series in sorted(CAPTURED):
        found = {dict(s.labels).get("node") for s in asked.ask(f"count by (node) ({series})")}
        assert found == {HARDWARE}, series


FIGURES = (
    f"count(trafficd_agent_info) == {len(AGENTS) + 1}",
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
            hardware = start_hardware(up, tmp_path / "hardware")
            with prometheus(up.lab, "ctl", scrape_config(), tmp_path / "prometheus") as asked:
                wait_for("all scraped", lambda: asked.targets_up() == 2 + len(AGENTS), 30)
                repaired_after(up, "p2", "c0")
                traffic.decode_side_reads("d1", "p1", TRAFFIC_S)
                traffic.model(TRAFFIC_S)
                check_queries(up, asked, hardware)
                check_captured(asked)
                for figure in FIGURES:
                    wait_for(figure, lambda f=figure: asked.ask(f), 10)
        finally:
            traffic.stop()
        with web(up.lab, "ctl") as pages:
            assert lint(pages.get(f"http://127.0.0.1:{HTTP_PORT}/metrics")) == ""
            assert lint(pages.get(f"http://{agent_address('p1')}/metrics")) == ""
