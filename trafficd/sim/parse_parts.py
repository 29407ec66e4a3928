"""Sections of a scenario file that stand by themselves: compute, telemetry, loads, faults, conditions, strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from trafficd.choice.registry import engine_rule_names, strategy_names
from trafficd.choice.settings import PathSettings
from trafficd.sim.chooser import ORACLE
from trafficd.sim.scenario import (
    Caller,
    Compute,
    Conditions,
    Contender,
    Fault,
    FaultKind,
    Load,
    Pick,
    Telemetry,
    Where,
)
from trafficd_topology.parsers import units
from trafficd_topology.parsers.tree import Mapping


def unit(m: Mapping, key: str, default: Any, reads: Callable[[Any], Any], rule: str) -> Any:
    value = m.raw(key)
    if value is None:
        return default
    found = reads(value)
    if found is None:
        m.problem(key, value, rule)
    return found


def read_compute(m: Mapping | None) -> Compute:
    if m is None:
        return Compute()
    base = Compute()
    made = Compute(
        kv_bytes_per_token=m.whole("kv_bytes_per_token", base.kv_bytes_per_token, low=1, high=10**9),
        prefill_tokens_per_s=m.number("prefill_tokens_per_s", base.prefill_tokens_per_s, low=1e-3),
        attention_tokens=m.number("attention_tokens", base.attention_tokens, low=1e-3),
        decode_base_s=m.number("decode_base_s", base.decode_base_s, low=1e-9),
        decode_each_s=m.number("decode_each_s", base.decode_each_s),
        layerwise=m.flag("layerwise", default=True),
        write_back=m.flag("write_back", default=True),
        decode=m.flag("decode", default=True),
        streamed=m.flag("streamed", default=False),
        scale=m.number("scale", 1.0, low=1e-6),
    )
    m.done()
    return made


def read_telemetry(top: Mapping) -> Telemetry:
    if top.raw("telemetry") == "off":
        return Telemetry(interval_s=None)
    m = top.mapping("telemetry")
    if m is None:
        return Telemetry()
    made = Telemetry(
        interval_s=m.number("interval", 1.0, low=0.01),
        delay_s=m.number("delay", 0.0),
        valid_s=m.number("valid", 3.0, low=0.01),
    )
    m.done()
    return made


def read_load(m: Mapping) -> Load:
    made = Load(
        where=m.choice("on", Where) or Where.COMPUTE,
        mean=m.number("mean", low=0.0, high=1.0) or 0.0,
        spread=m.number("spread", 0.0, low=0.0, high=1.0),
        hold_s=m.number("hold", 5.0, low=0.01),
        streams=m.whole("streams", 8, low=1, high=10_000),
        nics=tuple(str(item) for _, item in m.items("nics")),
    )
    m.done()
    return made


def read_fault(m: Mapping) -> Fault | None:
    before = len(m.problems)
    kind = m.choice("kind", FaultKind)
    made = Fault(
        kind=kind or FaultKind.NIC_DOWN,
        target=m.text("target", "*"),
        at_s=m.number("at", 0.0),
        until_s=m.number("until", None),
        factor=m.number("factor", 0.0, low=0.0, high=1.0),
        known=m.flag("known", default=True),
    )
    if made.until_s is not None and made.until_s <= made.at_s:
        m.problem("until", made.until_s, "must be later than at")
    m.done()
    return made if len(m.problems) == before else None


def read_conditions(m: Mapping | None) -> Conditions:
    if m is None:
        return Conditions()
    made = Conditions(
        through=m.number("through", 1.0, low=0.0, high=1.0),
        byte_error=m.number("byte_error", 0.0, low=0.0, high=0.99),
        read_cap_bytes_per_s=unit(m, "read_cap", None, units.bandwidth, units.BANDWIDTH_RULE),
        setup_s=m.number("setup", 0.0),
        lost=m.number("lost", 0.0, low=0.0, high=1.0),
        lease_s=m.number("lease", 60.0, low=0.001, high=600.0),
        schedulers=m.whole("schedulers", 1, low=1, high=64),
        detect_s=m.number("detect", 1.0, low=0.001),
        by_node=m.flag("by_node", default=False),
    )
    m.done()
    return made


def read_contenders(top: Mapping) -> tuple[Contender, ...]:
    found: list[Contender] = []
    for path, item in top.items("strategies"):
        m = Mapping({"strategy": item} if isinstance(item, str) else item, path, top.problems)
        if m.ok:
            found.append(_contender(m))
    names = [c.name for c in found]
    for name in dict.fromkeys(n for n in names if names.count(n) > 1):
        top.problem("strategies", name, "stands there twice: give one of them a name of its own")
    return tuple(found) or DEFAULT_CONTENDERS


DEFAULT_CONTENDERS = (
    Contender("prefill-only", "prefill-only", Caller.PREFILL),
    Contender("round-robin", "round-robin"),
    Contender("dualpath", "dualpath"),
    Contender("weighted", "weighted"),
    Contender("balanced", "balanced"),
)


def _contender(m: Mapping) -> Contender:
    strategy, engines = m.text("strategy"), m.text("engines", "")
    for key, value, known in (
        ("strategy", strategy, (*strategy_names(), ORACLE)),
        ("engines", engines, engine_rule_names()),
    ):
        if value and value not in known:
            m.problem(key, value, f"must be one of {', '.join(known)}")
    made = Contender(
        m.text("name", strategy or "?"),
        strategy or "",
        m.choice("caller", Caller, Caller.EITHER),
        engines,
        m.choice("pick", Pick, Pick.SERVICE),
    )
    m.done()
    return made


def read_settings(m: Mapping | None) -> tuple[tuple[str, float | bool | str], ...]:
    """Fields of ``PathSettings`` by name; their types are those of the defaults."""
    if m is None:
        return ()
    found: list[tuple[str, float | bool | str]] = []
    base = PathSettings()
    for field in fields(PathSettings):
        default = getattr(base, field.name)
        if not m.has(field.name):
            continue
        if isinstance(default, bool):
            found.append((field.name, m.flag(field.name, default=default)))
        elif isinstance(default, int):
            found.append((field.name, m.whole(field.name, default)))
        elif isinstance(default, float):
            found.append((field.name, m.number(field.name, default)))
        else:
            found.append((field.name, m.text(field.name, default)))
    m.done()
    return tuple(found)
