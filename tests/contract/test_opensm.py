"""The OpenSM driver on a simulated fabric keeps the contract of all drivers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract.suite import Bench, DriverContract
from lab.ibbench import ib_bench

pytestmark = pytest.mark.ib


class TestOpensm(DriverContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with ib_bench() as made:
            yield made
