"""The fabric driver beside OpenSM."""

from trafficd_agent.drivers.opensm.driver import STEPS, FabricPorts, OpensmDriver
from trafficd_agent.drivers.opensm.options import OpensmOptions

__all__ = ["STEPS", "FabricPorts", "OpensmDriver", "OpensmOptions"]
