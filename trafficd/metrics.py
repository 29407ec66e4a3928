"""The controller's Prometheus series: about nodes, policies and answers, never per (NIC, class); agents have those.

Everything but the answers is computed when it is scraped, from the immutable state of that moment and on the
scraper's thread. Names and units: see docs/operations.md. No family has the name of one of the agents': one sum
would count both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from trafficd.choice.request import FallbackReason
from trafficd.core.balance import KindBalance
from trafficd.core.overview import overview
from trafficd.core.rollout import Phase
from trafficd.core.settle import withheld
from trafficd.core.snapshot import RoleUse
from trafficd.core.state import ControlState
from trafficd_topology.status import ConditionStatus, ConditionType

ANSWER_BUCKETS_S = (20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 50e-3, 0.25, 1.0)
ROLE_LABELS = ("node", "role", "pool")
CONTROLLERS_REASONS = (
    FallbackReason.NO_TELEMETRY,
    FallbackReason.STALE_TELEMETRY,
    FallbackReason.NO_QUEUE,
)
"""The others are a client's own, which chooses without us."""
AGE_BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Reads:
    """Reads that schedulers took leases for: how many ended, their seconds as predicted (at claimed rates) and as they
    took, and what is under way: leases, their bytes, and NICs that reads showed to be slower than they claim.
    """

    ended: int = 0
    predicted_s: float = 0.0
    observed_s: float = 0.0
    leases: int = 0
    outstanding_bytes: int = 0
    slowed_nics: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """What is scraped, all of one moment.

    ``files`` are the watched files and whether the last content of each was taken; ``reports`` are (node, when its
    last telemetry sample arrived, seconds since the Unix epoch).
    """

    state: ControlState
    balances: tuple[KindBalance, ...] = ()
    reports: tuple[tuple[str, float], ...] = ()
    files: tuple[str, ...] = ()
    certificates: tuple[tuple[str, float], ...] = ()
    """(file, when its first certificate ends, seconds since the Unix epoch)."""
    roles: tuple[RoleUse, ...] = ()
    reads: Reads = Reads()


def _gauge(
    name: str, text: str, labels: Iterable[str], rows: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = GaugeMetricFamily(f"trafficd_{name}", text, labels=tuple(labels))
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _count(
    name: str, text: str, labels: Iterable[str], rows: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = CounterMetricFamily(f"trafficd_{name}", text, labels=tuple(labels))
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _policies(state: ControlState) -> Iterator[Metric]:
    owners = {p.name: s.owner.value for s in state.policies for p in s.policies}
    rows = [((p.name, owners[p.name], p.mode.value, p.digest), 1.0) for p in state.in_force]
    yield _gauge("policy_info", "Policies in force.", ("policy", "owner", "mode", "digest"), rows)
    yield _gauge("generation", "Number of the newest generation.", (), [((), state.generation.number)])
    yield _gauge("epoch", "Epoch of the newest generation.", (), [((), state.generation.epoch)])
    yield _gauge(
        "programming_withheld",
        "1 while nothing is sent to agents (no fabric or policy yet, or agents are ahead of this controller).",
        (),
        [((), float(bool(withheld(state))))],
    )
    gap = 0 if state.gap is None else state.gap.theirs.number - state.gap.ours.number
    yield _gauge("generation_gap", "Generations that agents are ahead of this controller.", (), [((), gap)])
    yield _gauge(
        "state_save_failed",
        "1 while the last change waits because the state file could not be written.",
        (),
        [((), float(bool(state.trouble)))],
    )


def _orders(state: ControlState) -> Iterator[Metric]:
    paused = float(state.pause is not None)
    yield _gauge("paused", "1 while the controller has stopped every write.", (), [((), paused)])
    scopes = sum(s.paused for n in state.nodes.values() for s in n.scopes)
    yield _gauge("scopes_paused", "Scopes whose agents say that they write nothing.", (), [((), scopes)])
    phase = "" if state.rollout is None else state.rollout.phase.value
    yield _gauge(
        "rollout_phase",
        "1 for the phase that a rollout is in; 0 everywhere while none is under way.",
        ("phase",),
        [((p.value,), float(p.value == phase)) for p in Phase],
    )


def _nodes(state: ControlState) -> Iterator[Metric]:
    connected = sum(n.session is not None for n in state.nodes.values())
    refused = len({r.node for r in state.refusals})
    rows = [
        (("connected",), connected),
        (("disconnected",), len(state.nodes) - connected),
        (("refused",), refused),
    ]
    yield _gauge("nodes", "Nodes by the state of their agent's session.", ("state",), rows)
    seen = overview(state)
    yield _gauge(
        "node_in_sync",
        "1 when every planned scope of the node is ready on the newest generation.",
        ("node",),
        [((name,), float(ok)) for name, ok in seen.in_sync],
    )
    statuses = [(c.type.value, c.status) for c in seen.conditions]
    yield _gauge(
        "overall_condition",
        "1 for the status each overall condition has.",
        ("type", "status"),
        [((kind, s.value), float(s is status)) for kind, status in statuses for s in ConditionStatus],
    )


def _drift(state: ControlState) -> Iterator[Metric]:
    nodes = [state.nodes[n] for n in sorted(state.nodes)]
    drifted = [((n.name,), float(sum(s.is_true(ConditionType.DRIFTED) for s in n.scopes))) for n in nodes]
    yield _gauge(
        "scopes_drifted", "Scopes of the node that differ from what was verified.", ("node",), drifted
    )
    drifts = [((n.name,), float(sum(s.drifts for s in n.scopes))) for n in nodes]
    yield _count("drifts", "Drifts found since the node's agent started.", ("node",), drifts)
    repairs = [((n.name,), float(sum(s.repairs for s in n.scopes))) for n in nodes]
    yield _count("repairs", "Drifts repaired since the node's agent started.", ("node",), repairs)


def _balances(balances: tuple[KindBalance, ...]) -> Iterator[Metric]:
    """Idle NICs have no balance: their series are absent."""
    peak = [((b.kind.value,), v) for b in balances if (v := b.balance.max_over_average) is not None]
    yield _gauge("nic_imbalance_ratio", "Busiest NIC of a kind over their average load.", ("kind",), peak)
    jain = [((b.kind.value,), v) for b in balances if (v := b.balance.jain) is not None]
    yield _gauge("nic_balance_jain_ratio", "Jain's fairness index of the NICs of a kind.", ("kind",), jain)


def _roles(state: ControlState, roles: tuple[RoleUse, ...]) -> Iterator[Metric]:
    hosts = () if state.spec is None else state.spec.hosts
    rows = [((h.name, h.role.value, h.pool or ""), 1.0) for h in hosts]
    yield _gauge(
        "node_info",
        "Hosts of the fabric, by what they do; of storage hosts, the pool they serve.",
        ROLE_LABELS,
        rows,
    )
    mean = [((u.kind.value, u.role.value), u.mean_bytes_per_s) for u in roles]
    yield _gauge(
        "role_nic_load_bytes_per_second",
        "What a NIC of a kind carries on average on the hosts of a role, both directions together.",
        ("kind", "role"),
        mean,
    )
    known = [(u, u.balance) for u in roles]
    peak = [((u.kind.value, u.role.value), v) for u, b in known if (v := b.max_over_average) is not None]
    yield _gauge(
        "role_nic_imbalance_ratio",
        "Busiest NIC of a kind over their average load, among the hosts of a role.",
        ("kind", "role"),
        peak,
    )
    jain = [((u.kind.value, u.role.value), v) for u, b in known if (v := b.jain) is not None]
    yield _gauge(
        "role_nic_balance_jain_ratio",
        "Jain's fairness index of the NICs of a kind, among the hosts of a role.",
        ("kind", "role"),
        jain,
    )


def _reads(reads: Reads) -> Iterator[Metric]:
    yield _count("reads_ended", "Reads under a lease that ended.", (), [((), reads.ended)])
    yield _count(
        "reads_predicted_seconds",
        "Seconds that reads which ended were predicted to take.",
        (),
        [((), reads.predicted_s)],
    )
    yield _count("reads_observed_seconds", "Seconds that they took.", (), [((), reads.observed_s)])
    yield _gauge("leases", "Leases that are held now.", (), [((), reads.leases)])
    yield _gauge(
        "reserved_bytes",
        "Bytes that are reckoned to be still to come, on all NICs together.",
        (),
        [((), reads.outstanding_bytes)],
    )
    yield _gauge(
        "nics_slowed",
        "NICs that reads showed to be clearly slower than they claim.",
        (),
        [((), reads.slowed_nics)],
    )


def families(view: View) -> Iterator[Metric]:
    """Every family that is computed at the scrape."""
    yield from _policies(view.state)
    yield from _orders(view.state)
    yield from _nodes(view.state)
    yield from _drift(view.state)
    yield from _balances(view.balances)
    yield from _roles(view.state, view.roles)
    yield from _reads(view.reads)
    yield _gauge(
        "certificate_expiry_timestamp_seconds",
        "When the first certificate of a file ends, since the Unix epoch.",
        ("file",),
        [((file,), at) for file, at in view.certificates],
    )
    bad = {r.source for r in view.state.rejected}
    yield _gauge(
        "config_load_error",
        "1 while the file's newest content was refused and the one before is in force.",
        ("file",),
        [((f,), float(f in bad)) for f in view.files],
    )
    yield _gauge(
        "agent_last_report_timestamp_seconds",
        "When the node's last telemetry sample arrived, since the Unix epoch.",
        ("node",),
        [((node,), at) for node, at in view.reports],
    )


class _StateCollector(Collector):
    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        return families(self._view())


class Answers(Protocol):
    """What the path service reports about its answers."""

    def answered(self, result: str, seconds: float, data_age_s: float | None) -> None: ...

    def fell_back(self, reason: FallbackReason) -> None: ...

    def shadowed(self, own_seconds: float, our_seconds: float, problem: str) -> None: ...


class RecommendationMetrics:
    """Counts answers. ``result`` is ok, fallback, or the status code's name in lower case."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "trafficd_recommendation_requests", "Recommendations asked for.", ("result",), registry=registry
        )
        self._seconds = Histogram(
            "trafficd_recommendation_duration_seconds",
            "Time to choose and answer, within the controller.",
            buckets=ANSWER_BUCKETS_S,
            registry=registry,
        )
        self._age = Histogram(
            "trafficd_recommendation_data_age_seconds",
            "Age of the oldest telemetry that an answer rests on.",
            buckets=AGE_BUCKETS_S,
            registry=registry,
        )

        self._fallbacks = Counter(
            "trafficd_recommendation_fallbacks",
            "Answers that are not the full one, by reason.",
            ("reason",),
            registry=registry,
        )
        for reason in CONTROLLERS_REASONS:
            self._fallbacks.labels(reason.name.lower())
        self._shadows = Counter(
            "trafficd_shadow_choices",
            "Choices that schedulers made by themselves and reported, by whether they could be reckoned.",
            ("result",),
            registry=registry,
        )
        self._shadow_seconds = Counter(
            "trafficd_shadow_predicted_seconds",
            "Predicted seconds of reads that schedulers placed themselves, by whose choice is reckoned.",
            ("choice",),
            registry=registry,
        )

    def fell_back(self, reason: FallbackReason) -> None:
        self._fallbacks.labels(reason.name.lower()).inc()

    def shadowed(self, own_seconds: float, our_seconds: float, problem: str) -> None:
        self._shadows.labels("unknown" if problem else "reckoned").inc()
        if not problem:
            self._shadow_seconds.labels("own").inc(own_seconds)
            self._shadow_seconds.labels("trafficd").inc(our_seconds)

    def answered(self, result: str, seconds: float, data_age_s: float | None) -> None:
        self._requests.labels(result).inc()
        self._seconds.observe(seconds)
        if data_age_s is not None:
            self._age.observe(data_age_s)


@dataclass(frozen=True, slots=True)
class ControllerMetrics:
    registry: CollectorRegistry
    answers: RecommendationMetrics


def controller_metrics(view: Callable[[], View]) -> ControllerMetrics:
    """A registry of its own with everything the controller exports; ``view`` is called at every scrape."""
    registry = CollectorRegistry()
    registry.register(_StateCollector(view))
    ProcessCollector(registry=registry)
    return ControllerMetrics(registry, RecommendationMetrics(registry))
