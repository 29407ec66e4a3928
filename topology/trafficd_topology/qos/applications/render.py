"""The table for one class, one link layer and one role: what to set, with values. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from trafficd_topology.model import LinkLayer, Role
from trafficd_topology.qos.applications.words import Application, Covers, Flow, Form, Setting, Takes
from trafficd_topology.qos.lanes import LaneSet, TrafficClass

POOL_QUEUE_PAIRS = 4
"""Queue pairs of one pool in the TENT fragment: the operator's to change, alike on both peers."""


@dataclass(frozen=True, slots=True)
class Line:
    """A setting with its value, as text; ``value`` is empty where the form is ``unset``."""

    form: Form
    name: str
    value: str
    place: str
    covers: Covers
    source: str


def _meant(intents: tuple[str, ...], traffic_class: TrafficClass) -> bool:
    return not intents or any(i in traffic_class.intents for i in intents)


def flows_of(application: Application, traffic_class: TrafficClass) -> tuple[Flow, ...]:
    """The flows that run in this class; all of them where no intent of the class tells."""
    meant = tuple(f for f in application.flows if _meant(f.intents, traffic_class))
    return meant or application.flows


def settings_of(application: Application, traffic_class: TrafficClass) -> tuple[Setting, ...]:
    """The settings that concern this class; all of them where no intent of the class tells."""
    meant = tuple(s for s in application.settings if _meant(s.intents, traffic_class))
    return tuple(
        s for s in meant or application.settings if not (s.unless and _meant(s.unless, traffic_class))
    )


def lines(
    settings: Iterable[Setting], lanes: LaneSet, traffic_class: TrafficClass, layer: LinkLayer, role: Role
) -> tuple[Line, ...]:
    """What to set on a host of this role for NICs of this link layer. Empty where the class has no marking there."""
    value = sl_of(traffic_class) if layer is LinkLayer.INFINIBAND else tos_of(traffic_class)
    if value is None:
        return ()
    return tuple(
        Line(s.form, s.name, _value(s, lanes, traffic_class, layer), s.place, s.covers, s.source)
        for s in settings
        if layer in s.layers and role in s.at
    )


def sl_of(traffic_class: TrafficClass) -> int | None:
    """The service level to set; None when the class has none."""
    return next(iter(traffic_class.marking.sl), None)


def tos_of(traffic_class: TrafficClass) -> int | None:
    """The ToS or traffic class byte to set; None when the class has no DSCP."""
    dscp = next(iter(traffic_class.marking.dscp), None)
    return None if dscp is None else dscp << 2


def _value(setting: Setting, lanes: LaneSet, traffic_class: TrafficClass, layer: LinkLayer) -> str:
    match setting.takes:
        case Takes.SL:
            return str(sl_of(traffic_class))
        case Takes.TOS:
            return str(tos_of(traffic_class))
        case Takes.TRUE:
            return "true"
        case Takes.NOTHING:
            return ""
        case Takes.POOLS:
            return _tent(lanes, traffic_class, layer)


_TENT_INTENTS = (
    "foreground_get",
    "background_prefetch",
    "migration",
    "checkpoint",
    "weight_loading",
    "staging_internal",
)
"""Mooncake tent/src/runtime/transport_selector.cpp, kIntentTypeNameMap; ours are spelt with hyphens."""


def _tent(lanes: LaneSet, traffic_class: TrafficClass, layer: LinkLayer) -> str:
    """The TENT configuration: a pool for each class in use, and every policy naming one, the catch-all last.

    Pools stand in the order of the policy's classes, so that peers under one policy have one layout.
    """
    by_intent = {i: c for i in _TENT_INTENTS if (c := lanes.class_for(i.replace("_", "-")))}
    used = {c.name for c in (*by_intent.values(), traffic_class)}
    key, mark = ("service_level", sl_of) if layer is LinkLayer.INFINIBAND else ("traffic_class", tos_of)
    pools: list[dict[str, object]] = [
        {"name": c.name, "num_qp": POOL_QUEUE_PAIRS, key: mark(c)}
        for c in lanes.classes
        if c.name in used and mark(c) is not None
    ]
    named = {p["name"] for p in pools}
    rules = [_rule(i, c.name, i) for i, c in by_intent.items() if c.name in named]
    policy = [*rules, _rule("other", traffic_class.name)]
    opening = f'{{"rdma": {{"endpoint": {{"{key}": {mark(traffic_class)}, "qp_pools": ['
    return f'{{\n"policy": [\n{_rows(policy)}\n],\n"transports": {opening}\n{_rows(pools)}\n]}}}}}}\n}}'


def _rows(items: Iterable[dict[str, object]]) -> str:
    return ",\n".join(f"  {json.dumps(item)}" for item in items)


def _rule(name: str, pool: str, intent: str = "") -> dict[str, object]:
    matched = {"intent_type": intent} if intent else {}
    return {"name": name, "segment_type": "memory", **matched, "transports": ["rdma"], "qp_pool": pool}
