"""What each traffic class gets on the wire, what it waits for, and what tells it to stop."""

from dataclasses import replace

from parts import (
    BAD,
    BYTES,
    BYTES_PER_S,
    COUNT,
    EVENTS_PER_S,
    PACKETS_PER_S,
    PERCENT,
    WARN,
    About,
    Column,
    Look,
    Page,
    Panel,
    Query,
    Row,
    classes,
    lines,
    nodes,
    number,
    sheet,
    with_steps,
)

PORT = "{{node}} {{device}}:{{port}}"
TC = "tc counts what the kernel's own stack sends; RDMA bypasses it."
OF = '{node=~"$node", class=~"$class"}'
AT = '{node=~"$node"}'
LANE = "node, device, port, class"
_LACKING = (
    f"sum by ({LANE}) (trafficd_class_share_observed_ratio{OF}) < 0.9 * sum by ({LANE}) "
    f"(trafficd_class_share_desired_ratio{OF}) and sum by ({LANE}) (trafficd_class_backlog_bytes{OF}) > 0"
)
PAUSED = with_steps(replace(PERCENT, high=None), (0.01, WARN), (0.1, BAD))
TICKS_PER_S = Look("short", low=0)


def per_second(series: str, by: str, chosen: str = AT) -> str:
    return f"sum by ({by}) (rate({series}{chosen}[$__rate_interval]))"


def by_class(series: str, suffix: str = "") -> Query:
    """Of every port and class."""
    return Query(per_second(series, f"{LANE}, direction", OF), f"{PORT} {{{{class}}}}{suffix}")


def shares() -> Panel:
    """Guaranteed, had and waiting; a new panel at each call."""
    return sheet(
        About(
            "Share of every port by class",
            "What the policy guarantees a class when every lane has more to send than it may, beside the part of the port's "
            "transmitted bytes that it had between the last two samples. Less than guaranteed is a fault only where the class "
            "also has a backlog. A port that sent nothing has no share.",
        ),
        Look("percentunit", decimals=1),
        (
            Column("node", "Node"),
            Column("device", "Device"),
            Column("port", "Port"),
            Column("class", "Class"),
            Column("Value #A", "Guaranteed", gauge=True),
            Column("Value #B", "Had", gauge=True),
            Column("Value #C", "Backlog", "bytes"),
        ),
        Query(f"max by ({LANE}) (trafficd_class_share_desired_ratio{OF})", "guaranteed"),
        Query(f"max by ({LANE}) (trafficd_class_share_observed_ratio{OF})", "had"),
        Query(f"sum by ({LANE}) (trafficd_class_backlog_bytes{OF})", "backlog"),
    )


PAGE = Page(
    "lanes",
    "trafficd-lanes",
    "trafficd / Lanes",
    "What traffic classes are guaranteed and get, where they wait, and what pauses and marks them.",
    (nodes, classes),
    (
        Row(
            "Shares",
            (
                shares(),
                lines(
                    About(
                        "Shares over time",
                        "Average over the chosen nodes' ports that carried anything: what each class had, and what it is "
                        "guaranteed when every lane is backlogged.",
                    ),
                    PERCENT,
                    Query(f"avg by (class) (trafficd_class_share_observed_ratio{OF})", "{{class}} had"),
                    Query(f"avg by (class) (trafficd_class_share_desired_ratio{OF})", "{{class}} guaranteed"),
                ),
                number(
                    About(
                        "Lanes below their guarantee",
                        "Lanes that had less than nine tenths of their guarantee between the last two samples although "
                        "packets wait in them.",
                    ),
                    with_steps(COUNT, (1, BAD)),
                    Query(f"count({_LACKING}) or vector(0)", "below"),
                    width=12,
                ),
                number(
                    About(
                        "Bytes that wait",
                        "Backlog of the chosen classes on all chosen nodes together.",
                    ),
                    BYTES,
                    Query(f"sum(trafficd_class_backlog_bytes{OF})", "backlog"),
                    width=12,
                ),
            ),
        ),
        Row(
            "Traffic",
            (
                lines(
                    About(
                        "Throughput per class",
                        f"Bytes per second of a class on all chosen nodes together. {TC}",
                    ),
                    BYTES_PER_S,
                    Query(
                        per_second("trafficd_class_bytes_total", "class, direction", OF),
                        "{{class}} {{direction}}",
                    ),
                ),
                lines(
                    About(
                        "Throughput per class and NIC",
                        f"Bytes per second in each lane, named by the traffic classes in it. {TC}",
                    ),
                    BYTES_PER_S,
                    by_class("trafficd_class_bytes_total", " {{direction}}"),
                ),
                lines(
                    About(
                        "Unclassified traffic",
                        "Bytes per second in the default lane: traffic that no class claimed. KV that nobody marked shows "
                        "here.",
                    ),
                    replace(BYTES_PER_S, low=0),
                    Query(
                        per_second("trafficd_unclassified_bytes_total", "node, device, port, direction"),
                        f"{PORT} {{{{direction}}}}",
                    ),
                ),
                lines(
                    About(
                        "Packets beside the lanes",
                        "Packets per second that passed htb's lanes by. Anything but 0 is a queue without a lane.",
                    ),
                    with_steps(PACKETS_PER_S, (1, WARN)),
                    Query(per_second("trafficd_port_direct_packets_total", "node, device, port"), PORT),
                ),
            ),
        ),
        Row(
            "Waiting",
            (
                lines(
                    About(
                        "Backlog per class",
                        "Bytes that wait in a lane now. A low lane may wait while a higher one is busy; a high lane that "
                        "waits has met the link's rate.",
                    ),
                    BYTES,
                    Query(f"sum by ({LANE}) (trafficd_class_backlog_bytes{OF})", f"{PORT} {{{{class}}}}"),
                ),
                lines(
                    About(
                        "Drops per class",
                        "Packets per second that a lane dropped because its queue was full.",
                    ),
                    with_steps(PACKETS_PER_S, (1, WARN)),
                    by_class("trafficd_class_drops_total"),
                ),
                lines(
                    About(
                        "Waits for a lane's rate",
                        "Times per second that a lane had to wait for its rate: with a backlog the limit is the lane's.",
                    ),
                    EVENTS_PER_S,
                    by_class("trafficd_class_overlimits_total"),
                ),
                lines(
                    About(
                        "Wait of a port",
                        "Ticks per second in which a port had data and no credit to send it (PortXmitWait). A tick's length "
                        "depends on the device: compare a port with itself. A port whose counter is full has no series.",
                    ),
                    TICKS_PER_S,
                    Query(per_second("trafficd_port_transmit_wait_ticks_total", "node, device, port"), PORT),
                ),
            ),
        ),
        Row(
            "Pause",
            (
                lines(
                    About(
                        "Time paused by priority",
                        "Part of the time that PFC (802.1Qbb) stopped a priority. Received: the peer stopped this port; "
                        "transmit: this port stopped its peer. Above a tenth a lossless class stands still.",
                    ),
                    PAUSED,
                    Query(
                        per_second(
                            "trafficd_pfc_pause_seconds_total", "node, device, port, priority, direction"
                        ),
                        f"{PORT} priority {{{{priority}}}} {{{{direction}}}}",
                    ),
                ),
                lines(
                    About("PFC frames by priority", "802.1Qbb pause frames of a priority, per second."),
                    EVENTS_PER_S,
                    Query(
                        per_second(
                            "trafficd_pfc_pause_frames_total", "node, device, port, priority, direction"
                        ),
                        f"{PORT} priority {{{{priority}}}} {{{{direction}}}}",
                    ),
                ),
                lines(
                    About(
                        "Time paused as a whole",
                        "Part of the time that 802.3x frames stopped a port. On a lossless network PFC should do that.",
                    ),
                    PAUSED,
                    Query(
                        per_second("trafficd_port_pause_seconds_total", "node, device, port, direction"),
                        f"{PORT} {{{{direction}}}}",
                    ),
                ),
                lines(
                    About(
                        "Pause storms",
                        "Times that a device found itself paused for too long, within the interval. Any is an incident.",
                    ),
                    with_steps(COUNT, (1, BAD)),
                    Query(
                        "sum by (node, device, port, severity) "
                        f"(increase(trafficd_port_pause_storms_total{AT}[$__rate_interval]))",
                        f"{PORT} {{{{severity}}}}",
                    ),
                ),
            ),
        ),
        Row(
            "Marks",
            (
                lines(
                    About(
                        "Packets marked by ECN",
                        "RDMA packets per second that arrived with a congestion mark: some queue on their way was long.",
                    ),
                    PACKETS_PER_S,
                    Query(per_second("trafficd_ecn_marked_packets_total", "node, device, port"), PORT),
                ),
                lines(
                    About(
                        "Congestion notifications",
                        "CNPs per second: transmit as the receiver of marked data, received by its sender, which slows down.",
                    ),
                    PACKETS_PER_S,
                    Query(
                        per_second("trafficd_cnp_packets_total", "node, device, port, direction"),
                        f"{PORT} {{{{direction}}}}",
                    ),
                ),
                lines(
                    About("Throughput by priority", "Bytes per second of an 802.1p priority, RDMA included."),
                    BYTES_PER_S,
                    Query(
                        per_second(
                            "trafficd_priority_bytes_total", "node, device, port, priority, direction"
                        ),
                        f"{PORT} priority {{{{priority}}}} {{{{direction}}}}",
                    ),
                ),
                lines(
                    About(
                        "Drops by priority",
                        "Packets per second that a device dropped, by priority and reason. A lossless priority loses none.",
                    ),
                    with_steps(PACKETS_PER_S, (1, BAD)),
                    Query(
                        per_second("trafficd_priority_drops_total", "node, device, port, priority, reason"),
                        f"{PORT} priority {{{{priority}}}} {{{{reason}}}}",
                    ),
                ),
            ),
        ),
    ),
)
