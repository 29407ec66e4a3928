"""What schedulers ask for, what they are told, and what came of it."""

from dataclasses import replace

from parts import (
    BAD,
    BYTES,
    COUNT,
    PERCENT,
    SECONDS,
    WARN,
    About,
    Look,
    Page,
    Query,
    Row,
    lines,
    nodes,
    number,
    spread,
    with_steps,
)

RATE = Look("reqps", low=0)
ANSWER = with_steps(SECONDS, (0.001, WARN), (0.01, BAD))
AGE = with_steps(SECONDS, (2, WARN), (5, BAD))
PART = with_steps(PERCENT, (0.01, WARN), (0.1, BAD))


def quantiles(series: str, *levels: str) -> tuple[Query, ...]:
    over = f"sum by (le) (rate({series}_bucket[$__rate_interval]))"
    return tuple(Query(f"histogram_quantile({q}, {over})", f"p{float(q) * 100:g}") for q in levels)


def mean(total: str, count: str) -> str:
    return f"sum(rate({total}[$__rate_interval])) / sum(rate({count}[$__rate_interval]))"


_FALLBACKS = (
    '(sum(rate(trafficd_recommendation_requests_total{result="fallback"}[$__rate_interval])) or vector(0)) '
    "/ sum(rate(trafficd_recommendation_requests_total[$__rate_interval]))"
)
_SAVED = (
    '1 - sum(rate(trafficd_shadow_predicted_seconds_total{choice="trafficd"}[$__rate_interval])) '
    '/ sum(rate(trafficd_shadow_predicted_seconds_total{choice="own"}[$__rate_interval]))'
)
_RATIO = mean("trafficd_reads_observed_seconds_total", "trafficd_reads_predicted_seconds_total")

PAGE = Page(
    "recommendations",
    "trafficd-recommendations",
    "trafficd / Recommendations",
    "How often schedulers ask, how fast and how well founded the answers are, and what the reads took.",
    (nodes,),
    (
        Row(
            "Answers",
            (
                lines(
                    About(
                        "Answers per second",
                        "Recommendations by result: ok rests on fresh counters, fallback does not; everything else is a "
                        "status code.",
                    ),
                    RATE,
                    Query(
                        "sum by (result) (rate(trafficd_recommendation_requests_total[$__rate_interval]))",
                        "{{result}}",
                    ),
                    width=8,
                ),
                lines(
                    About(
                        "Time to answer",
                        "Time to choose and answer within the controller, without the network.",
                    ),
                    ANSWER,
                    *quantiles("trafficd_recommendation_duration_seconds", "0.5", "0.99"),
                    width=8,
                ),
                lines(
                    About("Age of the data", "Age of the oldest counter that an answer rests on."),
                    AGE,
                    *quantiles("trafficd_recommendation_data_age_seconds", "0.5", "0.99"),
                    width=8,
                ),
                spread(
                    About(
                        "Times to answer",
                        "The darker a field, the more answers took that long at that time, within the controller.",
                    ),
                    SECONDS,
                    Query(
                        "sum by (le) (increase(trafficd_recommendation_duration_seconds_bucket[$__rate_interval]))",
                        "{{le}}",
                    ),
                    buckets=True,
                ),
                lines(
                    About(
                        "Age of the nodes' reports",
                        "Time since the controller received a node's last counters: what answers about its NICs rest on.",
                    ),
                    with_steps(SECONDS, (5, WARN), (30, BAD)),
                    Query('time() - trafficd_agent_last_report_timestamp_seconds{node=~"$node"}', "{{node}}"),
                ),
            ),
        ),
        Row(
            "Fallbacks",
            (
                lines(
                    About(
                        "Fallback",
                        "Part of the answers that are not the full one: counters or queues were missing.",
                    ),
                    PART,
                    Query(_FALLBACKS, "fallback"),
                ),
                lines(
                    About(
                        "Fallbacks by reason",
                        "no_telemetry: a NIC that the choice depends on has no counters. stale_telemetry: they are too old. "
                        "no_queue: no engine of a side reported its queue.",
                    ),
                    RATE,
                    Query(
                        "sum by (reason) (rate(trafficd_recommendation_fallbacks_total[$__rate_interval]))",
                        "{{reason}}",
                    ),
                ),
            ),
        ),
        Row(
            "Predicted and observed",
            (
                lines(
                    About(
                        "Mean time of a read",
                        "Of reads under a lease that ended: what they were predicted to take, and what they took. Callers "
                        "that hold leases for longer than bytes move make reads look longer.",
                    ),
                    SECONDS,
                    Query(
                        mean("trafficd_reads_predicted_seconds_total", "trafficd_reads_ended_total"),
                        "predicted",
                    ),
                    Query(
                        mean("trafficd_reads_observed_seconds_total", "trafficd_reads_ended_total"),
                        "observed",
                    ),
                    width=8,
                ),
                lines(
                    About(
                        "Observed over predicted",
                        "1 where reads take what was predicted. Above: NICs are slower than they claim, or leases outlive "
                        "their bytes.",
                    ),
                    Look("none", ((1.5, WARN), (3, BAD)), low=0, decimals=2),
                    Query(_RATIO, "observed / predicted"),
                    width=8,
                ),
                lines(
                    About("Reads that ended", "Reads under a lease that ended, per second."),
                    RATE,
                    Query("sum(rate(trafficd_reads_ended_total[$__rate_interval]))", "ended"),
                    width=8,
                ),
                number(
                    About("Leases", "Reservations that are held now."),
                    COUNT,
                    Query("sum(trafficd_leases)", "leases"),
                    width=8,
                ),
                number(
                    About("Reserved", "Bytes that are reckoned to be still to come, on all NICs together."),
                    BYTES,
                    Query("sum(trafficd_reserved_bytes)", "reserved"),
                    width=8,
                ),
                number(
                    About(
                        "Slow NICs",
                        "NICs that reads showed to be clearly slower than they claim; answers reckon with what was learned.",
                    ),
                    with_steps(COUNT, (1, WARN)),
                    Query("sum(trafficd_nics_slowed)", "slow"),
                    width=8,
                ),
            ),
        ),
        Row(
            "Shadow",
            (
                lines(
                    About(
                        "Predicted saving",
                        "For schedulers that choose by themselves and report it: the part of their reads' predicted time "
                        "that trafficd's choices would save. Below 0 their own choices are reckoned to be sooner.",
                    ),
                    replace(PERCENT, low=None),
                    Query(_SAVED, "saved"),
                ),
                lines(
                    About(
                        "Own choices reported",
                        "Choices of schedulers per second: reckoned, or unknown where they name no NIC that the fabric has.",
                    ),
                    RATE,
                    Query(
                        "sum by (result) (rate(trafficd_shadow_choices_total[$__rate_interval]))",
                        "{{result}}",
                    ),
                ),
            ),
        ),
    ),
)
