"""Every series of the agent, once: name, type, help, labels, and where its values come from.

``device`` and ``port`` are as node_exporter has them, so that series join: the network interface or RDMA device,
and the number of its physical port. ``direction`` is seen from the port. ``class`` names the traffic classes in
a lane, ``lane`` the lane. Scopes that are fabrics have ``fabric`` and no ``device``. A value that is not known
has no series; it is never 0.
"""

from __future__ import annotations

from trafficd_agent.metrics.counts import COUNTS
from trafficd_agent.metrics.rows import (
    PORT,
    SCOPE,
    Metric,
    MetricType,
    capacity,
    certificate_ends,
    conditions,
    connected,
    drifts,
    in_sync,
    info,
    measured,
    of_ports,
    of_readers,
    of_scopes,
    paused,
    port_info,
    scope_info,
)

COUNTER, GAUGE = MetricType.COUNTER, MetricType.GAUGE

METRICS: tuple[Metric, ...] = (
    *COUNTS,
    Metric(
        "link_capacity_bytes_per_second",
        GAUGE,
        "Rate of the link, in each direction: what the fabric file allows, else what the port runs at.",
        (*PORT, "kind"),
        capacity,
    ),
    Metric(
        "link_up",
        GAUGE,
        "1 when the port is up.",
        PORT,
        of_ports(lambda p: None if p.up is None else float(p.up)),
    ),
    Metric(
        "port_info",
        GAUGE,
        "Where the port sits.",
        (*PORT, "link_layer", "pci", "guid", "rdma_device", "numa_node", "pcie_switch", "gpu", "kind"),
        port_info,
    ),
    Metric(
        "scope_info",
        GAUGE,
        "Which driver serves a scope and whether it may write.",
        (*SCOPE, "driver", "mode"),
        scope_info,
    ),
    Metric(
        "qos_in_sync",
        GAUGE,
        "1 when what the device holds is what the policy wants.",
        SCOPE,
        of_scopes(lambda s: float(in_sync(s))),
    ),
    Metric(
        "qos_differences",
        GAUGE,
        "Fields of the scope that are not as desired.",
        SCOPE,
        of_scopes(lambda s: len(s.differences)),
    ),
    Metric(
        "qos_foreign_objects",
        GAUGE,
        "Things of somebody else's that an apply would have to displace.",
        SCOPE,
        of_scopes(lambda s: len(s.foreign)),
    ),
    Metric(
        "qos_drift_total",
        COUNTER,
        "Changes of the device that nobody asked for, by cause.",
        (*SCOPE, "cause"),
        drifts,
    ),
    Metric(
        "qos_repairs_total",
        COUNTER,
        "Drifts that the agent put right by itself.",
        SCOPE,
        of_scopes(lambda s: s.repairs),
    ),
    Metric(
        "condition",
        GAUGE,
        "1 when a condition of the scope is true, 0 when false; no series while unknown.",
        (*SCOPE, "type"),
        conditions,
    ),
    Metric(
        "policy_generation",
        GAUGE,
        "Generation of the desired state that the scope has observed.",
        SCOPE,
        of_scopes(lambda s: s.observed.number),
    ),
    Metric(
        "policy_epoch",
        GAUGE,
        "Epoch of the desired state that the scope has observed.",
        SCOPE,
        of_scopes(lambda s: s.observed.epoch),
    ),
    Metric("agent_info", GAUGE, "The agent's version.", ("version",), info),
    Metric(
        "agent_controller_connected",
        GAUGE,
        "1 while the agent's streams to its controller are open.",
        (),
        connected,
    ),
    Metric(
        "agent_certificate_expiry_timestamp_seconds",
        GAUGE,
        "When the node's certificate ends, since the Unix epoch.",
        (),
        certificate_ends,
    ),
    Metric(
        "agent_paused",
        GAUGE,
        "1 while writes are stopped, by the controller or on the node itself.",
        ("by",),
        paused,
    ),
    Metric(
        "qos_waiting",
        GAUGE,
        "1 while steps of the scope that disrupt traffic wait for leave.",
        SCOPE,
        of_scopes(lambda s: float(s.waiting_for is not None)),
    ),
    Metric(
        "qos_latched",
        GAUGE,
        "1 while the scope is not tried again by itself.",
        SCOPE,
        of_scopes(lambda s: float(s.latched)),
    ),
    Metric(
        "agent_sample_timestamp_seconds", GAUGE, "When the counters of this page were read.", (), measured
    ),
    Metric(
        "reader_success",
        GAUGE,
        "1 when the reader's last reading succeeded.",
        ("reader",),
        of_readers(lambda o: float(o.success)),
    ),
    Metric(
        "reader_duration_seconds",
        GAUGE,
        "How long the reader's last reading took.",
        ("reader",),
        of_readers(lambda o: o.seconds),
    ),
    Metric(
        "reader_missing_values",
        GAUGE,
        "Columns of the reader that had no value in its last reading.",
        ("reader",),
        of_readers(lambda o: o.missing),
    ),
)
"""Names come after ``trafficd_``."""
