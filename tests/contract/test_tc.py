"""The tc driver on a real kernel keeps the contract of all drivers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract.suite import Bench, DriverContract
from lab.tcbench import tc_bench

pytestmark = pytest.mark.kernel


class TestTc(DriverContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with tc_bench() as made:
            yield made
