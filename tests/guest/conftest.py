"""Tests of this folder run in a guest (``lab.guest``): one boot for all that were selected, and each has its own result.

On the host a test is not run but asked for: the first one boots the guest, which runs them all and hands out pytest's own
reports. In the guest they are tests like any others.
"""

from __future__ import annotations

import json
import os
import shlex
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from lab import guest

HERE = Path(__file__).parent
IN_GUEST = "TRAFFICD_IN_GUEST"
PASSED = ("TRAFFICD_DCB_", "TRAFFICD_RDMA_", "HYPOTHESIS_")
"""Settings that tests in the guest read."""
DEADLINE_S = 1200.0
Reports = dict[str, list[Any]]
REPORTS = pytest.StashKey[Reports]()


def in_guest() -> bool:
    return IN_GUEST in os.environ


def _mine(items: list[pytest.Item]) -> list[pytest.Item]:
    return [i for i in items if HERE in i.path.parents]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in _mine(items):
        item.add_marker("guest")


@pytest.fixture(autouse=True, scope="session")
def _only_in_a_guest() -> None:
    assert in_guest(), "these tests change the machine they run on"


def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """On the host: hand out what the guest reported. pytest asks for every test there is, not for those of this folder alone."""
    if in_guest() or HERE not in item.path.parents:
        return None
    reports = item.config.stash.get(REPORTS, None)
    if reports is None:
        reports = item.config.stash[REPORTS] = _boot(item)
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in reports[item.nodeid]:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _boot(item: pytest.Item) -> Reports:
    """Run everything that was selected; a test that the guest said nothing of failed, and how the guest ended is why."""
    config, wanted = item.config, [i.nodeid for i in _mine(item.session.items)]
    shared = config._tmp_path_factory.mktemp("guest")  # type: ignore[attr-defined]
    (shared / "tests").write_text("\n".join(wanted))
    arguments = [
        "-q",
        "--durations=12",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(guest.ROOT),
        f"@{guest.SHARED}/tests",
    ]
    passed = "".join(f"export {k}={shlex.quote(v)}\n" for k, v in os.environ.items() if k.startswith(PASSED))
    script = f"{passed}export {IN_GUEST}={guest.SHARED}\n{guest.python('-m', 'pytest', *map(shlex.quote, arguments))}"
    try:
        ended = guest.run(script, shared, DEADLINE_S)
        why = f"the guest ended with {ended.status}:\n{ended.output[-4000:]}"
    except guest.GuestError as e:
        why = str(e)
    found: Reports = defaultdict(list)
    lines = (shared / "reports").read_text().splitlines() if (shared / "reports").exists() else []
    for line in lines:
        report = config.hook.pytest_report_from_serializable(config=config, data=json.loads(line))
        found[report.nodeid].append(report)
    for nodeid in wanted:
        if not any(r.when == "teardown" for r in found[nodeid]):
            found[nodeid].append(pytest.TestReport(nodeid, ("", None, ""), {}, "failed", why, "call"))
    return found


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In the guest: on paper at once, so that what was found outlives it."""
    if in_guest() and Path(report.nodeid.partition("::")[0]).parent.name == HERE.name:
        data = CONFIG[0].hook.pytest_report_to_serializable(config=CONFIG[0], report=report)
        with (Path(os.environ[IN_GUEST]) / "reports").open("a") as f:
            f.write(json.dumps(data) + "\n")


CONFIG: list[pytest.Config] = []


def pytest_configure(config: pytest.Config) -> None:
    CONFIG.append(config)
