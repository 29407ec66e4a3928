"""RDMA traffic in the lanes of a compiled policy: a short slice of ``make bench``'s figures."""

from __future__ import annotations

import os

from lab import rdma

SECONDS = float(os.environ.get("TRAFFICD_RDMA_SECONDS", "5"))


def test_rdma_keeps_to_its_lanes_and_data_carries_the_senders_marking() -> None:
    with rdma.fabric():
        for line in rdma.figures(SECONDS):
            print(line)
