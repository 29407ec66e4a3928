"""How evenly the NICs are used."""

from dataclasses import replace

from parts import (
    BAD,
    BYTES_PER_S,
    MOST_ROWS,
    PERCENT,
    WARN,
    About,
    Look,
    Page,
    Query,
    Row,
    grid,
    lines,
    nic_kinds,
    nodes,
    number,
    spread,
    with_steps,
)

PEAK = Look("none", ((1.18, WARN), (1.53, BAD)), low=1, none="idle", decimals=2)
"""What DualPath reports for its storage NICs: 1.53 with round robin, 1.18 with its scheduler."""
JAIN = Look("none", ((0.8, WARN), (0.95, "green")), BAD, low=0, high=1, none="idle", decimals=2)
USE = with_steps(replace(PERCENT, decimals=0), (0.7, WARN), (0.9, BAD))
NIC = "{{node}} {{device}}:{{port}}"
PAPER = "DualPath reports 1.53 for its storage NICs with round robin and 1.18 with its scheduler (arXiv 2602.21548, section 7.5)"
IDLE = "Nothing is shown while nothing moves."


def busy(kind: str) -> str:
    """The busier direction of every NIC of a kind, as a part of the link's rate."""
    return (
        "max by (node, device, port) (rate(trafficd_port_bytes_total"
        '{node=~"$node", direction=~"transmit|receive"}[$__rate_interval]) / on (node, device, port) '
        f'group_left () trafficd_link_capacity_bytes_per_second{{node=~"$node", kind{kind}}})'
    )


def _figures(kind: str) -> tuple[object, object]:
    name = kind.capitalize()
    peak = About(
        f"{name} NICs: Max/Avg",
        f"Busiest {kind} NIC of the inference nodes over their average load, both directions together. 1 is even; n "
        f"when one of n NICs carries everything. {PAPER}: the colours change there. {IDLE}",
    )
    jain = About(
        f"{name} NICs: Jain's index",
        f"Jain's fairness index of the loads of the {kind} NICs: 1 is even, 1/n when one of n NICs carries everything. "
        f"{IDLE}",
    )
    return (
        number(peak, PEAK, Query(f'trafficd_nic_imbalance_ratio{{kind="{kind}"}}', "{{kind}}")),
        number(jain, JAIN, Query(f'trafficd_nic_balance_jain_ratio{{kind="{kind}"}}', "{{kind}}")),
    )


def _heat(kind: str) -> tuple[object, object]:
    query = Query(busy(f'="{kind}"'), NIC)
    many = About(
        f"How many {kind} NICs are how busy",
        f"The darker a field, the more {kind} NICs are that busy at that time, by their busier direction. One band is "
        "balance; a few fields far above the others are the NICs that everybody waits for.",
    )
    rows = About(
        f"Heat map of {kind} NICs",
        f"A row for each {kind} NIC, coloured by its busier direction as a part of the link's rate. Rows of unlike colour "
        f"are imbalance. At most the {MOST_ROWS} busiest at each moment; a port whose rate is unknown has no row.",
    )
    shown = Query(f"topk({MOST_ROWS}, {query.expr})", NIC)
    return spread(many, replace(USE, high=None), query), grid(rows, USE, shown, graded=True)


_STORAGE, _COMPUTE = _heat("storage"), _heat("compute")

PAGE = Page(
    "balance",
    "trafficd-nic-balance",
    "trafficd / Balance",
    "How evenly storage and compute NICs are used, over all of them and by what their hosts do.",
    (nodes, nic_kinds),
    (
        Row(
            "Balance",
            (
                *_figures("storage"),
                *_figures("compute"),
                lines(
                    About(
                        "Max/Avg over time",
                        f"Busiest NIC of a kind over the average load of that kind. {PAPER}.",
                    ),
                    PEAK,
                    Query('trafficd_nic_imbalance_ratio{kind=~"$kind"}', "{{kind}}"),
                ),
                lines(
                    About(
                        "Jain's index over time",
                        "Jain's fairness index of the loads of the NICs of a kind: 1 is even.",
                    ),
                    JAIN,
                    Query('trafficd_nic_balance_jain_ratio{kind=~"$kind"}', "{{kind}}"),
                ),
            ),
        ),
        Row(
            "By role",
            (
                lines(
                    About(
                        "Load of a NIC by role",
                        "What a NIC carries on average on the hosts of a role, both directions together. Prefill far above "
                        "decode on storage NICs is the imbalance that reading on the decode side takes away.",
                    ),
                    BYTES_PER_S,
                    Query('trafficd_role_nic_load_bytes_per_second{kind=~"$kind"}', "{{kind}} {{role}}"),
                    width=8,
                ),
                lines(
                    About(
                        "Max/Avg by role",
                        "Busiest NIC of a kind over the average load of that kind, among the hosts of one role.",
                    ),
                    PEAK,
                    Query('trafficd_role_nic_imbalance_ratio{kind=~"$kind"}', "{{kind}} {{role}}"),
                    width=8,
                ),
                lines(
                    About(
                        "Jain's index by role",
                        "Jain's fairness index of the NICs of a kind, among the hosts of one role: 1 is even.",
                    ),
                    JAIN,
                    Query('trafficd_role_nic_balance_jain_ratio{kind=~"$kind"}', "{{kind}} {{role}}"),
                    width=8,
                ),
            ),
        ),
        Row("NICs", (_STORAGE[0], _COMPUTE[0], _STORAGE[1], _COMPUTE[1])),
        Row(
            "NICs over time",
            (
                lines(
                    About("Utilisation over time", "Rate of a NIC's direction as a part of the link's rate."),
                    replace(USE, high=None),
                    Query(
                        'rate(trafficd_port_bytes_total{node=~"$node", direction=~"transmit|receive"}[$__rate_interval]) '
                        "/ on (node, device, port) group_left () "
                        'trafficd_link_capacity_bytes_per_second{node=~"$node", kind=~"$kind"}',
                        f"{NIC} {{{{direction}}}}",
                    ),
                ),
                lines(
                    About(
                        "Throughput per NIC",
                        "Bytes per second on the port's wire; on an interface without hardware statistics, what the "
                        "kernel's own stack carried.",
                    ),
                    BYTES_PER_S,
                    Query(
                        "sum by (node, device, port, direction) "
                        '(rate(trafficd_port_bytes_total{node=~"$node"}[$__rate_interval]))',
                        f"{NIC} {{{{direction}}}}",
                    ),
                ),
            ),
        ),
    ),
)
