"""What is wrong with a cluster before anything is written: pure rules over facts.

``audit(facts)`` holds every rule of ``rules.RULES`` against what an agent, a controller or a reader of files
gathered. Nothing here reads or writes anything.
"""

from trafficd_topology.audit.facts import Facts
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.audit.rules import audit

__all__ = ["Facts", "Finding", "Severity", "audit"]
