"""What all tests share: assertions in shared suites explain themselves."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("contract.suite", "lab.veth")

# The same examples at every run, so that a red test is about the change at hand. HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

REPORTED: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    REPORTED.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that was collected and never ran must not pass for one that passed."""
    silent = {item.nodeid for item in session.items} - REPORTED if session.items else set()
    stopped = session.shouldstop or session.shouldfail or session.config.option.collectonly
    if silent and not stopped and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        session.config.get_terminal_writer().line(
            f"\n{len(silent)} tests were collected and not run: {min(silent)}"
        )
