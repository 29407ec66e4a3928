"""A real Prometheus inside a node of the lab, asked from outside through a program beside it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from lab.cluster import wait_for
from lab.netns import Lab

LISTEN = "127.0.0.1:9090"
ASK = """\
import sys, urllib.error, urllib.request
for url in sys.stdin:
    try:
        body = urllib.request.urlopen(url.strip(), timeout=10).read()
    except urllib.error.HTTPError as e:
        body = e.read()
    except OSError as e:
        body = b""
    print(body.hex(), flush=True)
"""
"""Gets one URL a line and prints the body of each as hexadecimal digits, since bodies have lines of their own."""


class PrometheusError(Exception):
    """Prometheus refused a question; the text says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer and its value now."""

    labels: tuple[tuple[str, str], ...]
    value: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value)


@dataclass(slots=True)
class Web:
    """Gets pages inside a node."""

    program: subprocess.Popen[str]

    def get(self, url: str) -> str:
        """The page's body, also of an HTTP error; empty where nobody answers."""
        assert self.program.stdin
        assert self.program.stdout
        self.program.stdin.write(url + "\n")
        self.program.stdin.flush()
        return bytes.fromhex(self.program.stdout.readline().strip()).decode()


@dataclass(frozen=True, slots=True)
class Prometheus:
    web: Web

    def ask(self, expression: str) -> list[Sample]:
        """An instant query; raises PrometheusError for an expression that it does not understand."""
        query = urlencode({"query": expression})
        answer = json.loads(self.web.get(f"http://{LISTEN}/api/v1/query?{query}"))
        if answer["status"] != "success":
            raise PrometheusError(f"{expression}: {answer['error']}")
        return [
            Sample(tuple(sorted(row["metric"].items())), float(row["value"][1]))
            for row in answer["data"]["result"]
        ]

    def targets_up(self) -> int:
        """How many of what it scrapes answered last time."""
        found = json.loads(self.web.get(f"http://{LISTEN}/api/v1/targets"))["data"]["activeTargets"]
        return sum(t["health"] == "up" for t in found)


@contextmanager
def ended(program: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


@contextmanager
def web(lab: Lab, node: str) -> Iterator[Web]:
    """Pages as programs inside ``node`` see them."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ended(lab.start(node, [sys.executable, "-c", ASK], **pipes)) as program:
        yield Web(program)


@contextmanager
def prometheus(lab: Lab, node: str, config: str, directory: Path) -> Iterator[Prometheus]:
    """Run it with that configuration, ready to be asked; its log is ``directory``/prometheus.log."""
    directory.mkdir(exist_ok=True)
    (directory / "prometheus.yml").write_text(config)
    command = [
        "prometheus",
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={LISTEN}",
    ]
    with ExitStack() as stack:
        log = stack.enter_context((directory / "prometheus.log").open("w"))
        pipes = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        stack.enter_context(ended(lab.start(node, command, **pipes)))
        made = Prometheus(stack.enter_context(web(lab, node)))
        wait_for(
            f"Prometheus (see {log.name})", lambda: "Ready" in made.web.get(f"http://{LISTEN}/-/ready"), 30
        )
        yield made
