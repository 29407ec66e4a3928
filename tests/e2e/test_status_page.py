"""The status page in a real Chromium, and ``trafficd top`` in a real terminal, on a controller with counters."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from served import MAIN, trafficd
from statuslab import serving

from trafficd.api.v1 import path_pb2, path_pb2_grpc

pytestmark = pytest.mark.browser
CASES = Path(__file__).parents[1] / "cases" / "fabric"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1500,1400",
)  # fmt: skip
POLICY = "version: 1\npolicies: [{name: main, preset: dualpath, selectors: [{nodes: ['*']}]}]\n"
WAIT_S = 30.0


@contextmanager
def chromium(folder: Path, scheme: str = "light") -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        yield browser
    finally:
        browser.quit()


def until(what: Callable[[], Any]) -> Any:
    """Wait until it returns something true, and return it."""
    ends = time.monotonic() + WAIT_S
    while not (found := what()):
        assert time.monotonic() < ends, "it never came to that"
        time.sleep(0.05)
    return found


def text(browser: webdriver.Chrome, selector: str) -> str:
    return str(
        browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)
    )


def measured(browser: webdriver.Chrome) -> bool:
    """Some cell is filled."""
    script = "return [...document.querySelectorAll('#drawing .fill')].some(f => f.getAttribute('height') > 0)"
    return bool(browser.execute_script(script))


def focused(browser: webdriver.Chrome) -> str:
    return str(browser.execute_script("return document.activeElement.getAttribute('aria-label') ?? ''"))


def luminance(browser: webdriver.Chrome, name: str) -> float:
    """Of a colour of the page, WCAG 2.2 relative luminance."""
    script = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0]).trim()"
    colour = str(browser.execute_script(script, name))
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def write(folder: Path) -> Path:
    (folder / "policy.yaml").write_text(POLICY)
    return folder / "policy.yaml"


def test_lab(tmp_path: Path) -> None:
    """A controller that ends is told of; what was shown stays."""
    fabric, policy = CASES / "demo" / "fabric.yaml", write(tmp_path)
    with chromium(tmp_path) as browser:
        with serving(fabric, policy, tmp_path / "state.db") as (_, http):
            browser.get(f"http://127.0.0.1:{http}/")
            lab(browser, http)
            assert browser.get_log("browser") == []
        until(lambda: "does not answer" in text(browser, "#lost"))
        assert text(browser, "#fabric-name") == "demo"
        gone = trafficd("top", "--http", f"127.0.0.1:{http}", "--once")
        assert (gone.code, gone.out) == (3, "")
        assert gone.err.startswith(f"trafficd: no controller answers HTTP at 127.0.0.1:{http} ")


def lab(browser: webdriver.Chrome, http: int) -> None:
    until(lambda: measured(browser))
    assert text(browser, "#fabric-name") == "demo"
    assert text(browser, "#ready") == "✗ Not ready"
    assert len(browser.find_elements(By.CSS_SELECTOR, ".nic")) == 9
    until(lambda: "limited by nic:" in text(browser, "#recent"))
    before = text(browser, "#clock")
    until(lambda: text(browser, "#clock") != before)
    keyboard(browser)
    themes(browser)
    browser.find_element(By.ID, "filter").send_keys("p1/")
    until(lambda: text(browser, "#nics-note").startswith("2 of 9"))
    terminal(http)


def keyboard(browser: webdriver.Chrome) -> None:
    """The drawing is one stop of the Tab key, and arrows do the rest."""
    stops = browser.execute_script("return document.querySelectorAll('.nic[tabindex=\"0\"]').length")
    assert stops == 1
    body = browser.find_element(By.TAG_NAME, "body")
    for _ in range(10):
        if "/" in focused(browser):
            break
        body = browser.switch_to.active_element
        body.send_keys(Keys.TAB)
    assert focused(browser).startswith("p1/c0, compute, ")
    went = []
    for key in (Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.END, Keys.HOME, Keys.ARROW_RIGHT):
        browser.switch_to.active_element.send_keys(key)
        went.append(focused(browser).split(",")[0])
    assert went == ["p1/s0", "p2/s0", "p2/c0", "st1/s0", "p1/c0", "p2/c0"]
    width = browser.execute_script(
        "return getComputedStyle(document.activeElement.querySelector('.cell')).strokeWidth"
    )
    assert width == "4px"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    until(lambda: text(browser, "#nic").startswith("p2/c0: compute, 100 Mbit/s, up, "))
    assert "cabled to csw" in text(browser, "#nic")
    assert browser.switch_to.active_element.get_attribute("aria-selected") == "true"


def themes(browser: webdriver.Chrome) -> None:
    """Both are readable, and each level of utilisation differs in lightness from the one before, not in hue alone."""
    pages = []
    for theme in ("light", "dark"):
        while text(browser, "#theme") != f"Theme: {theme}":
            browser.find_element(By.ID, "theme").click()
        page = luminance(browser, "--page")
        pages.append(page)
        for name in ("--text", "--quiet", "--bad", "--good", "--focus"):
            least = 3.0 if name == "--focus" else 4.5
            assert contrast(page, luminance(browser, name)) >= least, (theme, name)
        levels = [luminance(browser, f"--l{i}") for i in range(6)]
        assert levels == sorted(levels, reverse=theme == "light")
        assert all(contrast(a, b) >= 1.3 for a, b in pairwise(levels)), levels
    assert pages[0] > 0.8 > 0.1 > pages[1]


def terminal(http: int) -> None:
    """One moment into a pipe; the full screen on a terminal until q."""
    once = trafficd("top", "--http", f"127.0.0.1:{http}", "--once", "--limit", "3")
    assert (once.code, once.err) == (0, "")
    assert once.out.startswith("fabric demo, generation 1.")
    assert once.out.endswith("and 6 more: --limit 0 prints all\n")
    master, slave = pty.openpty()
    command = [*MAIN, "top", "--http", f"127.0.0.1:{http}", "--interval", "0.2"]
    environment = {**os.environ, "TERM": "xterm", "LINES": "30", "COLUMNS": "120"}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        try:
            read_until(master, b"of 9 NICs")
            os.write(master, b"nj")
            os.write(master, b"q")
            assert process.wait(20) == 0
        finally:
            process.kill()
            os.close(master)


def read_until(master: int, wanted: bytes) -> None:
    seen, ends = b"", time.monotonic() + WAIT_S
    while wanted not in seen:
        assert time.monotonic() < ends, seen
        if select.select([master], [], [], 0.2)[0]:
            seen += os.read(master, 65536)


async def answers(port: int, seconds: float) -> list[float]:
    """Milliseconds of every Recommend, one after the other."""
    spent = []
    ends = time.monotonic() + seconds
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = path_pb2_grpc.PathServiceStub(channel)
        while time.monotonic() < ends:
            source = path_pb2.Source(pool="kv")
            request = path_pb2.RecommendRequest(
                bytes=10**9, source=source, prefill=[path_pb2.EngineRef(node="p01")], max_plans=2
            )
            started = time.perf_counter()
            told = await stub.Recommend(request, timeout=10)
            spent.append((time.perf_counter() - started) * 1e3)
            assert told.plans
            await asyncio.sleep(0.005)
    return spent


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def test_paper_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1,440 NICs (1,296 of inference nodes): every one is drawn and kept current, and answers go on beside."""
    policy = write(tmp_path)
    fabric = CASES / "48p96d" / "fabric.yaml"
    with (
        serving(fabric, policy, tmp_path / "state.db") as (port, http),
        chromium(tmp_path, "dark") as browser,
    ):
        alone = asyncio.run(answers(port, 5))
        browser.get(f"http://127.0.0.1:{http}/")
        until(lambda: measured(browser))
        assert len(browser.find_elements(By.CSS_SELECTOR, ".nic")) == 1440
        assert browser.execute_script("return document.documentElement.dataset.theme") == "dark"
        watched = asyncio.run(answers(port, 5))
        script = "return performance.getEntriesByName('update').map(e => e.duration)"
        spent = until(lambda: found if len(found := browser.execute_script(script)) >= 4 else None)
        assert browser.get_log("browser") == []
        drawn = browser.find_element(By.CSS_SELECTOR, "#drawing svg").size
        assert drawn["width"] >= 1400
        with capsys.disabled():
            print(
                f"\nstatus page, 1,440 NICs: update {statistics.median(spent):.0f} ms (most {max(spent):.0f}); "
                f"Recommend p99 {p99(alone):.1f} ms alone, {p99(watched):.1f} ms while the page polls"
            )
