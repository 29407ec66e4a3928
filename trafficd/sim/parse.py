"""The scenario file: YAML to a Scenario, or every problem at once, each with its path, value and reason.

The form is described in docs/simulator.md. Files that a scenario names are read by whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trafficd.sim.parse_parts import (
    read_compute,
    read_conditions,
    read_contenders,
    read_fault,
    read_load,
    read_settings,
    read_telemetry,
    unit,
)
from trafficd.sim.plan import Cases, Shape, Work, fabric_of
from trafficd.sim.scenario import FaultKind
from trafficd.sim.workload import TABLE, parse_trace
from trafficd_topology.model import FabricSpec, LinkLayer, Problem, Role
from trafficd_topology.parsers import units
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies, read_policies
from trafficd_topology.parsers.tree import Mapping, load, note
from trafficd_topology.qos.policy import Policy, Preset

MAX_AGENTS, MAX_TURNS, MAX_SEEDS = 200_000, 10_000_000, 1_000
Read = Callable[[str], bytes]
"""The bytes of a file that a scenario names; OSError when it cannot be read."""


def parse_scenario(text: str | bytes, read: Read) -> tuple[Cases | None, tuple[Problem, ...]]:
    """(scenario, ()) or (None, every problem); never raises."""
    tree, problems = load(text)
    if problems:
        return None, problems
    found: list[Problem] = []
    top = Mapping(tree, "", found)
    if not top.ok:
        return None, tuple(found)
    if (version := top.raw("version")) != 1 or isinstance(version, bool):
        top.problem("version", version, "must be 1, the only version of this format")
    cases = _cases(top, read)
    top.done()
    if cases is not None and not found:
        _cross(cases, top)
    return (None if found else cases), tuple(found)


def _cases(top: Mapping, read: Read) -> Cases | None:
    name = top.text("name", "scenario")
    fabric = _fabric(top, read)
    policy = _lanes(top, read)
    work = _work(top, read)
    seeds = top.whole("seeds", 5, low=1, high=MAX_SEEDS)
    made = (
        read_compute(top.mapping("compute")),
        read_telemetry(top),
        tuple(read_load(m) for m in top.mappings("loads")),
        tuple(f for m in top.mappings("faults") if (f := read_fault(m))),
        read_conditions(top.mapping("conditions")),
    )
    limit = top.number("seconds", None, low=0.001)
    contenders = read_contenders(top)
    settings = read_settings(top.mapping("paths"))
    window = top.number("window", 1.0, low=0.001)
    goodput = top.number("goodput", 1.0, low=0.01, high=1.0)
    if fabric is None or work is None:
        return None
    return Cases(name, fabric, policy, work, seeds, *made, contenders, goodput, limit, window, settings)


def _fabric(top: Mapping, read: Read) -> FabricSpec | None:
    path, cluster = top.text("fabric", None), top.mapping("cluster")
    if (path is None) == (cluster is None):
        if not top.has("cluster") or path is not None:
            top.problem("fabric", None, "give either fabric, the name of a fabric file, or cluster")
        return None
    if cluster is not None:
        shape = _shape(cluster)
        return fabric_of(shape) if shape else None
    spec: FabricSpec | None = _read_file(top, "fabric", path, read, parse_fabric)
    return spec


def _read_file(top: Mapping, key: str, path: str, read: Read, parse: Callable[[bytes], Any]) -> Any:
    """What a named file holds; its problems are given with its name."""
    try:
        data = read(path)
    except OSError as e:
        top.problem(key, path, f"cannot be read: {e.strerror}")
        return None
    found, problems = parse(data)
    for problem in problems:
        where = f"{path}: {problem.path}" if problem.path else path
        note(top.problems, Problem(where, problem.value, problem.reason))
    return None if problems else found


def _shape(m: Mapping) -> Shape | None:
    before = len(m.problems)

    def rate(key: str, default: str) -> int:
        return int(unit(m, key, units.rate(default) or 0, units.rate, units.RATE_RULE))

    shape = Shape(
        prefill=m.whole("prefill", 2, low=1, high=1_000),
        decode=m.whole("decode", 4, low=1, high=1_000),
        gpus=m.whole("gpus", 8, low=1, high=64),
        compute_bps=rate("compute", "400G"),
        storage_bps=rate("storage", "400G"),
        memory=unit(m, "memory", 500 * 10**9, units.bandwidth, units.BANDWIDTH_RULE),
        servers=m.whole("servers", 2, low=1, high=1_000),
        server_nics=m.whole("server_nics", 4, low=1, high=64),
        server_bps=rate("server", "400G"),
        link_layer=m.choice("link_layer", LinkLayer, LinkLayer.INFINIBAND),
        leaves=m.whole("leaves", 1, low=1, high=64),
        spines=m.whole("spines", 0, low=0, high=64),
        oversubscription=m.number("oversubscription", 1.0, low=0.01, high=100.0),
        slow=tuple(
            (s.text("nic"), unit(s, "rate", 0, units.rate, units.RATE_RULE)) for s in _done(m, "nics")
        ),
    )
    if shape.leaves and shape.leaves > 1 and not shape.spines:
        m.problem("spines", shape.spines, "must be above 0: nothing else joins the leaves")
    m.done()
    return shape if len(m.problems) == before else None


def _done(m: Mapping, key: str) -> list[Mapping]:
    """Items of two keys that the caller reads: nic and rate."""
    found = list(m.mappings(key))
    for item in found:
        item.raw("nic")
        item.raw("rate")
        item.done()
    return found


def _lanes(top: Mapping, read: Read) -> Policy | None:
    """The policy whose lanes all ports have; None for no lanes at all."""
    value = top.raw("lanes")
    if value is None or value == "off":
        return None
    m = top.mapping("lanes")
    if m is None:
        return None
    path, share = m.text("policy", None), m.number("kv_share", None, low=0.0, high=1.0)
    preset = m.choice("preset", Preset, Preset.DUALPATH)
    m.done()
    if path is not None:
        made = _read_file(m, "policy", path, read, parse_policies)
    else:
        made, problems = read_policies({"version": 1, "policies": [_preset_entry(preset, share)]})
        for problem in problems:
            note(m.problems, replace(problem, path=m.at("kv_share" if share is not None else "preset")))
    if made is None or not made.policies:
        return None
    policy: Policy = made.policies[0]
    return policy


def _preset_entry(preset: Preset, share: float | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": "simulated", "preset": str(preset)}
    if share is not None:
        # The model's lane pays for what KV is given.
        entry["lanes"] = [
            {"name": "kv", "share": f"{share * 100:.6g}%"},
            {"name": "model", "share": f"{(0.88 - share) * 100:.6g}%"},
        ]
    return entry


def _work(top: Mapping, read: Read) -> Work | None:
    m = top.mapping("work")
    if m is None:
        if not top.has("work"):
            top.problem("work", None, "is missing: say which trace, and how many agents")
        return None
    before = len(m.problems)
    path = m.text("requests", None)
    table = m.text("trace", "64K")
    if table not in TABLE:
        m.problem("trace", table, f"must be one of {', '.join(TABLE)}")
    work = Work(
        table,
        agents=m.whole("agents", None, low=1, high=MAX_AGENTS),
        turns=m.whole("turns", None, low=1, high=MAX_TURNS),
        agents_per_s=m.number("agents_per_s", None, low=1e-6, high=1e6),
        turns_per_s=m.number("turns_per_s", None, low=1e-6, high=1e6),
        seconds=m.number("seconds", None, low=0.001),
        in_flight=m.whole("in_flight", None, low=1),
        time_scale=m.number("time_scale", 1.0, low=1e-6),
        most=m.whole("most", None, low=1),
        slots=m.whole("slots", None, low=1, high=MAX_AGENTS),
        tokens=m.whole("tokens", 1, low=1, high=10**9),
        each=m.whole("each", 1_000, low=1, high=MAX_TURNS),
    )
    m.done()
    kinds = [work.agents, work.turns, work.agents_per_s, work.turns_per_s, work.slots, path]
    if sum(k is not None for k in kinds) != 1:
        m.problem(
            "", None, "give exactly one of agents, turns, agents_per_s, turns_per_s, slots and requests"
        )
    if (work.agents_per_s or work.turns_per_s) and work.seconds is None:
        m.problem("seconds", None, "is missing: agents arrive for so long")
    if path is not None:
        rows = _read_file(
            m, "requests", path, read, lambda data: parse_trace(data.decode("utf-8", "replace"))
        )
        work = replace(work, rows=rows or ())
    return work if len(m.problems) == before else None


@dataclass(frozen=True, slots=True)
class _Known:
    """Names that loads and faults may use."""

    nics: frozenset[str]
    cables: frozenset[str]
    servers: frozenset[str]
    hosts: frozenset[str]


def _cross(cases: Cases, top: Mapping) -> None:
    """Names in loads and faults against the fabric's."""
    known = _names(cases.fabric)
    for i, one in enumerate(cases.loads):
        for name in one.nics:
            if name not in known.nics:
                note(
                    top.problems, Problem(f"loads[{i}].nics", name, "is no NIC of the fabric: write node/nic")
                )
    wanted = {
        FaultKind.NIC_DOWN: (known.nics, "is no NIC of the fabric: write node/nic"),
        FaultKind.NIC_RATE: (known.nics, "is no NIC of the fabric: write node/nic"),
        FaultKind.LINK_DOWN: (known.cables, "is no cable of the fabric: write link:switch/port-switch/port"),
        FaultKind.SERVER_RATE: (known.servers, "is no storage host of the fabric"),
        FaultKind.TELEMETRY_STOPS: (known.hosts | {"*"}, "is no host of the fabric: name one, or * for all"),
    }
    for i, fault in enumerate(cases.faults):
        names, reason = wanted.get(fault.kind, (frozenset({fault.target}), ""))
        if fault.target not in names:
            note(top.problems, Problem(f"faults[{i}].target", fault.target, reason))
    for role in (Role.PREFILL, Role.DECODE):
        if not any(h.nics for h in cases.fabric.hosts if h.role is role):
            note(
                top.problems,
                Problem("fabric", "", f"has no host of role {role} with a NIC: nobody could compute"),
            )
    if not any(h.pool for h in cases.fabric.hosts):
        note(
            top.problems,
            Problem("fabric", "", "has no storage host with a pool: reads need somewhere to come from"),
        )


def _names(spec: FabricSpec) -> _Known:
    nics = frozenset(f"{h.name}/{n.name}" for h in spec.hosts for n in h.nics)
    cables = frozenset("link:{}-{}".format(*sorted((k.a, k.b))) for k in spec.links)
    servers = frozenset(h.name for h in spec.hosts if h.pool)
    return _Known(nics, cables, servers, frozenset(h.name for h in spec.hosts))
