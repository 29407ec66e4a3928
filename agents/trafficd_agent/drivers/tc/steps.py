"""The order of changes to an htb tree; the controller shows plans from the same table."""

from __future__ import annotations

from trafficd_topology.qos.steps import TC_STEPS as STEPS

__all__ = ["STEPS"]
