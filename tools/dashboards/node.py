"""Everything of one node."""

from dataclasses import replace

from lanes import PAUSED, TICKS_PER_S, per_second, shares
from parts import (
    BAD,
    BYTES,
    BYTES_PER_S,
    COUNT,
    EVENTS_PER_S,
    PACKETS_PER_S,
    PERCENT,
    SECONDS,
    WARN,
    About,
    Column,
    Look,
    Page,
    Query,
    Row,
    classes,
    grid,
    lines,
    number,
    one_node,
    sheet,
    with_steps,
)

AT = '{node=~"$node"}'
OF = '{node=~"$node", class=~"$class"}'
NIC = "{{device}}:{{port}}"
WAY = f"{NIC} {{{{direction}}}}"
SCOPE = "{{device}}{{fabric}}"
AGE = with_steps(SECONDS, (5, WARN), (30, BAD))
YES = Look("bool_yes_no", ((1, "green"),), BAD, low=0, high=1)
ANY_IS_BAD = with_steps(COUNT, (1, BAD))
ANY_IS_NEWS = with_steps(COUNT, (1, WARN))
USE = with_steps(replace(PERCENT, high=None, decimals=0), (0.7, WARN), (0.9, BAD))


def rates(series: str, legend: str, by: str, chosen: str = AT) -> Query:
    return Query(per_second(series, f"device, port, {by}" if by else "device, port", chosen), legend)


def third(title: str, text: str, look: Look, *queries: Query) -> object:
    return lines(About(title, text), look, *queries, width=8)


PAGE = Page(
    "node",
    "trafficd-node",
    "trafficd / Node",
    "One node: its agent, its ports, its lanes, and all that they count.",
    (one_node, classes),
    (
        Row(
            "Agent",
            (
                number(
                    About("Controller", "Whether the agent's streams to its controller are open."),
                    YES,
                    Query(f"min(trafficd_agent_controller_connected{AT})", "connected"),
                    width=4,
                ),
                number(
                    About("In sync", "Part of the node's scopes whose device holds what the policy wants."),
                    with_steps(replace(PERCENT, start=BAD), (0.9, WARN), (1, "green")),
                    Query(f"avg(trafficd_qos_in_sync{AT})", "in sync"),
                    width=4,
                ),
                number(
                    About(
                        "Drifted",
                        "Scopes of the node that somebody else changed and that are not repaired yet.",
                    ),
                    ANY_IS_BAD,
                    Query(f"sum(trafficd_scopes_drifted{AT})", "drifted"),
                    width=4,
                ),
                number(
                    About("Generation", "The oldest desired state that a scope of the node holds to."),
                    COUNT,
                    Query(f"min(trafficd_policy_generation{AT})", "generation"),
                    width=4,
                ),
                number(
                    About("Paused", "1 while writes are stopped, by the controller or on the node itself."),
                    ANY_IS_NEWS,
                    Query(f"max by (by) (trafficd_agent_paused{AT})", "{{by}}"),
                    width=4,
                ),
                number(
                    About("Age of the counters", "Time since the agent read the counters that it exports."),
                    AGE,
                    Query(f"max(time() - trafficd_agent_sample_timestamp_seconds{AT})", "age"),
                    width=4,
                ),
                sheet(
                    About("Hardware", "Where each port sits."),
                    Look("none"),
                    (
                        Column("device", "Device"),
                        Column("port", "Port"),
                        Column("kind", "Kind"),
                        Column("link_layer", "Link layer"),
                        Column("pci", "PCI"),
                        Column("numa_node", "NUMA"),
                        Column("gpu", "GPU"),
                        Column("Value #A", "Known"),
                        Column("Value #B", "Up"),
                        Column("Value #C", "Rate", "Bps"),
                    ),
                    Query(
                        f"max by (device, port, kind, link_layer, pci, numa_node, gpu) (trafficd_port_info{AT})",
                        "known",
                    ),
                    Query(f"max by (device, port) (trafficd_link_up{AT})", "up"),
                    Query(f"max by (device, port) (trafficd_link_capacity_bytes_per_second{AT})", "rate"),
                ),
                sheet(
                    About("Scopes", "Which driver serves a port or fabric, and whether it may write."),
                    Look("none"),
                    (
                        Column("device", "Device"),
                        Column("fabric", "Fabric"),
                        Column("driver", "Driver"),
                        Column("mode", "Mode"),
                        Column("Value #A", "Known"),
                        Column("Value #B", "Differences"),
                        Column("Value #C", "Latched"),
                    ),
                    Query(f"max by (device, fabric, driver, mode) (trafficd_scope_info{AT})", "known"),
                    Query(f"max by (device, fabric) (trafficd_qos_differences{AT})", "differences"),
                    Query(f"max by (device, fabric) (trafficd_qos_latched{AT})", "latched"),
                ),
            ),
        ),
        Row(
            "Ports",
            (
                third(
                    "Utilisation",
                    "Rate of a port's direction as a part of the link's rate.",
                    USE,
                    Query(
                        f'max by (device, port, direction) (rate(trafficd_port_bytes_total{{node=~"$node", '
                        'direction=~"transmit|receive"}[$__rate_interval]) / on (node, device, port) group_left () '
                        f"trafficd_link_capacity_bytes_per_second{AT})",
                        WAY,
                    ),
                ),
                third(
                    "Throughput",
                    "Bytes per second on the port's wire; on an interface without hardware statistics, what the kernel's "
                    "own stack carried.",
                    BYTES_PER_S,
                    rates("trafficd_port_bytes_total", WAY, "direction"),
                ),
                third(
                    "RDMA",
                    "Bytes per second that RDMA alone carried on an Ethernet port.",
                    BYTES_PER_S,
                    rates("trafficd_port_rdma_bytes_total", WAY, "direction"),
                ),
                third(
                    "Drops",
                    "Packets per second that a port dropped, by reason.",
                    with_steps(PACKETS_PER_S, (1, WARN)),
                    rates("trafficd_port_drops_total", f"{NIC} {{{{reason}}}}", "reason"),
                ),
                third(
                    "Errors",
                    "Errors per second that a port counted. A counter that is full has no series.",
                    with_steps(EVENTS_PER_S, (1, BAD)),
                    rates("trafficd_port_errors_total", f"{NIC} {{{{error}}}}", "error"),
                ),
                third(
                    "Link events",
                    "Times that the link went down or recovered, within the interval.",
                    ANY_IS_BAD,
                    Query(
                        f"sum by (device, port, event) (increase(trafficd_port_link_events_total{AT}[$__rate_interval]))",
                        f"{NIC} {{{{event}}}}",
                    ),
                ),
                third(
                    "RDMA transport",
                    "Retransmissions, time-outs and packets out of sequence per second: what loss and congestion cost.",
                    EVENTS_PER_S,
                    Query(
                        "sum by (device, port, event) (rate(trafficd_rdma_events_total"
                        '{node=~"$node", event!~"(read|write|atomic|connect)_request"}[$__rate_interval]))',
                        f"{NIC} {{{{event}}}}",
                    ),
                ),
                third(
                    "PCIe stalls",
                    "Part of the last second in which PCIe stalled the device: transmit its reads of memory, receive its "
                    "writes. High values bind before the network does.",
                    with_steps(PERCENT, (0.1, WARN), (0.3, BAD)),
                    Query(f"max by (device, port, direction) (trafficd_pci_stalled_ratio{AT})", WAY),
                ),
                third(
                    "Wait",
                    "Ticks per second in which a port had data and no credit to send it.",
                    TICKS_PER_S,
                    rates("trafficd_port_transmit_wait_ticks_total", NIC, ""),
                ),
            ),
        ),
        Row(
            "Lanes",
            (
                shares(),
                lines(
                    About(
                        "Throughput per class",
                        "Bytes per second in each lane, named by the traffic classes in it.",
                    ),
                    BYTES_PER_S,
                    rates(
                        "trafficd_class_bytes_total",
                        f"{NIC} {{{{class}}}} {{{{direction}}}}",
                        "class, direction",
                        OF,
                    ),
                ),
                third(
                    "Backlog",
                    "Bytes that wait in a lane now.",
                    BYTES,
                    Query(
                        f"sum by (device, port, class) (trafficd_class_backlog_bytes{OF})",
                        f"{NIC} {{{{class}}}}",
                    ),
                ),
                third(
                    "Drops per class",
                    "Packets per second that a lane dropped because its queue was full.",
                    with_steps(PACKETS_PER_S, (1, WARN)),
                    rates("trafficd_class_drops_total", f"{NIC} {{{{class}}}}", "class", OF),
                ),
                third(
                    "Unclassified",
                    "Bytes per second in the default lane: traffic that no class claimed.",
                    replace(BYTES_PER_S, low=0),
                    rates("trafficd_unclassified_bytes_total", WAY, "direction"),
                ),
                third(
                    "Time paused",
                    "Part of the time that PFC stopped a priority. Received: the peer stopped this port.",
                    PAUSED,
                    rates(
                        "trafficd_pfc_pause_seconds_total",
                        f"{NIC} priority {{{{priority}}}} {{{{direction}}}}",
                        "priority, direction",
                    ),
                ),
                third(
                    "Marked packets",
                    "RDMA packets per second that arrived with a congestion mark.",
                    PACKETS_PER_S,
                    rates("trafficd_ecn_marked_packets_total", NIC, ""),
                ),
                third(
                    "Congestion notifications",
                    "CNPs per second, sent as the receiver of marked data and received as its sender.",
                    PACKETS_PER_S,
                    rates("trafficd_cnp_packets_total", WAY, "direction"),
                ),
            ),
        ),
        Row(
            "Conditions and readers",
            (
                grid(
                    About(
                        "Conditions",
                        "Every condition of every scope over time; nothing while it is unknown. Drifted is the one that "
                        "should be No.",
                    ),
                    Look("bool_yes_no", ((1, "blue"),), "orange", low=0, high=1),
                    Query(f"max by (device, fabric, type) (trafficd_condition{AT})", f"{SCOPE} {{{{type}}}}"),
                ),
                third(
                    "Readers that fail",
                    "1 while a reader's last reading failed: its series are absent, never 0.",
                    ANY_IS_BAD,
                    Query(f"max by (reader) (1 - trafficd_reader_success{AT})", "{{reader}}"),
                ),
                third(
                    "Values that readers miss",
                    "Columns of a reader that had no value in its last reading.",
                    ANY_IS_NEWS,
                    Query(f"max by (reader) (trafficd_reader_missing_values{AT})", "{{reader}}"),
                ),
                third(
                    "Time of a reading",
                    "How long a reader took the last time.",
                    with_steps(SECONDS, (0.5, WARN)),
                    Query(f"max by (reader) (trafficd_reader_duration_seconds{AT})", "{{reader}}"),
                ),
            ),
        ),
    ),
)
