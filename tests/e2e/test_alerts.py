"""Alerts: about series that exist, each tested and explained, and one that goes all the way to a webhook."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from certlab import controller_thread
from prometheus_client.metrics_core import Metric

from trafficd.config import Address, ControllerConfig, parse_listen
from trafficd.core.state import ControlState
from trafficd.metrics import View, controller_metrics
from trafficd_agent.metrics.table import METRICS
from trafficd_topology.status import Generation

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboards"
GROUPS: Any = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
RULES = [r for g in GROUPS for r in g["rules"]]
ALERTS = [r for r in RULES if "alert" in r]
RECORDS = [r for r in RULES if "record" in r]
TESTS: Any = yaml.safe_load((FOLDER / "rules_test.yaml").read_text())["tests"]
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
DEADLINE_S = 30.0


def names(families: Iterator[Metric]) -> set[str]:
    return {f.name + suffix for f in families for suffix in SUFFIXES.get(f.type, ("",))}


def served() -> set[str]:
    """Every series of the product, and what the rules record."""
    metrics = controller_metrics(lambda: View(ControlState("uuid", Generation(1, 1))))
    agents = {f"trafficd_{m.name}" for m in METRICS}
    return names(metrics.registry.collect()) | agents | {r["record"] for r in RECORDS}


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.get("alert") or r["record"])
def test_a_rule_names_series_that_exist(rule: Any) -> None:
    used = set(re.findall(r"\btrafficd_\w+", rule["expr"]))
    assert used
    assert used <= served()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda r: r["alert"])
def test_an_alert_is_explained_and_tested_both_ways(rule: Any) -> None:
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in [h.lower() for h in headings]
    wanted = [
        bool(case["exp_alerts"])
        for t in TESTS
        for case in t.get("alert_rule_test", ())
        if case["alertname"] == rule["alert"]
    ]
    assert sorted(wanted) == [False, True]


def test_the_runbook_has_no_section_too_many() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert headings == [r["alert"] for r in ALERTS]


def test_recordings_are_tested() -> None:
    asked = {case["expr"] for t in TESTS for case in t.get("promql_expr_test", ())}
    assert asked == {r["record"] for r in RECORDS}


def checked(*command: str) -> str:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.prometheus
def test_promtool_and_amtool_agree(tmp_path: Path) -> None:
    assert checked("promtool", "test", "rules", "rules_test.yaml") == ""
    assert checked("promtool", "check", "config", "prometheus.yml") == ""
    assert checked("amtool", "check-config", "alertmanager.yml") == ""
    # A case that is wrong is found.
    wrong = (FOLDER / "rules_test.yaml").read_text().replace("eval_time: 10m", "eval_time: 0m")
    (tmp_path / "rules_test.yaml").write_text(wrong)
    (tmp_path / "rules.yaml").write_bytes((FOLDER / "rules.yaml").read_bytes())
    assert "FAILED" in checked("promtool", "test", "rules", str(tmp_path / "rules_test.yaml"))


# To a webhook.


@dataclass(slots=True)
class Webhook:
    """What Alertmanager sent: (alert, status, file)."""

    url: str = ""
    got: list[tuple[str, str, str]] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.got += [
                (a["labels"]["alertname"], a["status"], a["labels"].get("file", "")) for a in body["alerts"]
            ]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def program(log: Path, *command: str) -> Iterator[None]:
    with log.open("w") as out:
        started = subprocess.Popen(command, stdout=out, stderr=out, cwd=log.parent)
        try:
            yield
        finally:
            started.kill()
            started.wait()


def wait_for(what: str, true: Any, hint: Path | None = None) -> None:
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"{what}{': ' + hint.read_text()[-2000:] if hint else ''}"
        time.sleep(0.1)


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def sped_up(folder: Path, controller: int, manager: int, hook: str) -> None:
    """The shipped files, with the test's addresses, and seconds in place of minutes."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = [j for j in config["scrape_configs"] if j["job_name"] == "trafficd-controller"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{controller}"]}]
    config["scrape_configs"] = [job]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    rules = re.sub(r"^( +for: )[0-9]+m$", r"\g<1>1s", (FOLDER / "rules.yaml").read_text(), flags=re.MULTILINE)
    (folder / "rules.yaml").write_text(rules)
    routes = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    routes["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    routes["receivers"][0]["webhook_configs"][0]["url"] = hook
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(routes))


@pytest.mark.prometheus
def test_a_mistake_in_the_policy_file_reaches_the_webhook_and_so_does_its_end(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\npolicies: []\n")
    config = ControllerConfig(
        listen=(parse_listen("127.0.0.1:0"),),
        http=Address("127.0.0.1", 0),
        state=tmp_path / "state.db",
        policy=policy,
    )
    manager, asked = free_port(), free_port()
    with ExitStack() as stack:
        hook = stack.enter_context(webhook())
        controller = stack.enter_context(controller_thread(config))
        sped_up(tmp_path, controller.http_port, manager, hook.url)
        stack.enter_context(
            program(
                tmp_path / "alertmanager.log",
                "prometheus-alertmanager",
                "--config.file=alertmanager.yml",
                f"--storage.path={tmp_path}/am",
                f"--web.listen-address=127.0.0.1:{manager}",
                "--cluster.listen-address=",
            )
        )
        stack.enter_context(
            program(
                tmp_path / "prometheus.log",
                "prometheus",
                "--config.file=prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/tsdb",
                f"--web.listen-address=127.0.0.1:{asked}",
            )
        )
        wait_for(
            "Prometheus", lambda: ready(f"http://127.0.0.1:{asked}/-/ready"), tmp_path / "prometheus.log"
        )
        policy.write_text("version: 1\npolicies: [{name: p, mode: loud}]\n")
        refused = ("TrafficdConfigRefused", "firing", str(policy))
        wait_for("the alert", lambda: refused in hook.got, tmp_path / "alertmanager.log")
        policy.write_text("version: 1\npolicies: []\n")
        over = ("TrafficdConfigRefused", "resolved", str(policy))
        wait_for("its end", lambda: over in hook.got, tmp_path / "alertmanager.log")
        # There is no fabric here, and the controller says so.
        assert "TrafficdProgrammingWithheld" in {name for name, _, _ in hook.got}
