"""The log of schedulers' own choices."""

import logging

import pytest

from trafficd.choice.evidence import Shadow
from trafficd.server.shadows import ShadowLog


def test_one_line_a_minute_with_what_would_have_been_saved(caplog: pytest.LogCaptureFixture) -> None:
    shadows = ShadowLog()
    with caplog.at_level(logging.INFO, "trafficd.shadow"):
        for second in range(0, 130, 10):
            shadows.add(Shadow(2.0, 1.5), float(second))
        shadows.add(Shadow(0.0, 1.0, "names no NIC"), 130.0)
    assert [r.message for r in caplog.records] == [
        "7 choices that schedulers made by themselves in 60 s: predicted 14.000 s of reading, 10.500 s by ours, 25.0% less",
        "6 choices that schedulers made by themselves in 60 s: predicted 12.000 s of reading, 9.000 s by ours, 25.0% less",
    ]
    assert shadows.told(10.0).endswith("1 could not be reckoned")
