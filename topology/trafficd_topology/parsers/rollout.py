"""The ``rollout`` section of a policy file: how a change of it reaches the nodes."""

from __future__ import annotations

from trafficd_topology.parsers.lanes import read_words
from trafficd_topology.parsers.tree import Mapping
from trafficd_topology.qos.policy import RolloutSettings

DAY_S = 86_400
MOST_PER_S = 1e9


def read_rollout(m: Mapping | None) -> RolloutSettings | None:
    """The settings, with what is wrong noted; None where there is no such section."""
    if m is None:
        return None
    defaults = RolloutSettings()
    discards, retransmits = _halt_on(m.mapping("halt_on"), defaults)
    nodes, count = _canary(m.mapping("canary"), defaults)
    settings = RolloutSettings(
        canary_nodes=nodes,
        canary_count=count,
        wave_percent=_number(m, "wave_percent", defaults.wave_percent, (1, 100)),
        max_unavailable=m.whole("max_unavailable", defaults.max_unavailable, low=0, high=100_000),
        soak_s=_number(m, "soak_seconds", defaults.soak_s, (0, DAY_S)),
        revert_in_s=_number(m, "revert_in_seconds", defaults.revert_in_s, (0, DAY_S)),
        deadline_s=_number(m, "deadline_seconds", defaults.deadline_s, (1, DAY_S)),
        discards_per_s=discards,
        retransmits_per_s=retransmits,
    )
    m.done()
    return settings


def _canary(m: Mapping | None, defaults: RolloutSettings) -> tuple[tuple[str, ...], int]:
    if m is None:
        return defaults.canary_nodes, defaults.canary_count
    nodes = read_words(m, "nodes")
    count = m.whole("count", defaults.canary_count, low=0, high=100_000)
    if m.has("nodes") and m.has("count"):
        m.problem("count", m.raw("count"), "give either nodes or count")
    m.done()
    return nodes, count


def _halt_on(m: Mapping | None, defaults: RolloutSettings) -> tuple[float, float]:
    if m is None:
        return defaults.discards_per_s, defaults.retransmits_per_s
    found = (
        _number(m, "discards_per_second", defaults.discards_per_s, (0, MOST_PER_S)),
        _number(m, "retransmits_per_second", defaults.retransmits_per_s, (0, MOST_PER_S)),
    )
    m.done()
    return found


def _number(m: Mapping, key: str, default: float, between: tuple[float, float]) -> float:
    return float(m.number(key, default, low=between[0], high=between[1]))
