"""What a RoCE port holds already, as the policy that says the same. Pure: elements in, a policy file out.

A traffic class that packets reach becomes a lane, its code points a class's markings. What a policy cannot say, or says
otherwise, is named, a sentence each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from trafficd_topology.diff import State
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.dcb import DSCPS, PRIORITIES, DcbEts, Tsa
from trafficd_topology.qos.roce import CNP_DSCP, whole_percents

STRICT_LIMIT = 0.1
"""The ceiling that a strict traffic class without one gets: without, it could take the whole port."""


@dataclass(frozen=True, slots=True)
class AdoptedPort:
    """``text``: a policy file, empty when nothing can be said; ``left``: a sentence for each thing it does not say."""

    text: str
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Port:
    """What the elements say; ``dscp`` by code point, ``slow`` the priorities with ECN at either end (None: not shown)."""

    ets: DcbEts
    dscp: tuple[int, ...]
    pfc: tuple[int, ...]
    maxrate: tuple[int, ...]
    slow: tuple[int, ...] | None
    cnp_dscp: int
    cable_m: int | None


@dataclass(frozen=True, slots=True)
class _Lane:
    """A traffic class that packets reach."""

    tc: int
    name: str
    use: str
    priority: int
    dscps: tuple[int, ...]
    strict: bool
    percent: int
    limit: float


def adopt_dcb(node: str, port: str, elements: State, rate_bps: int) -> AdoptedPort:
    """The policy for this port of ``rate_bps`` bits per second; never raises on what a device may hold."""
    held = {e.name: e.value for e in elements}
    if "ets" not in held:
        return AdoptedPort("", (f"{port} shows no ETS: there is nothing that a policy could say",))
    left = list(_unsaid(elements))
    seen = _port(held, left)
    lanes = _lanes(seen, rate_bps, left)
    policy: dict[str, Any] = {
        "name": f"adopted-{port}",
        "mode": "observe",
        "selectors": [{"nodes": [node], "ports": [port]}],
        "preset": "none",
        "lanes": [_plain(x, i) for i, x in enumerate(_ordered(lanes))],
        "classes": list(_classes(lanes)),
        "roce": _roce(seen, lanes, left),
    }
    text = yaml.safe_dump({"version": 1, "policies": [policy]}, sort_keys=False, width=110)
    _, problems = parse_policies(text)
    return AdoptedPort(text, (*left, *(f"correct by hand: {p}" for p in problems)))


def _unsaid(elements: State) -> Iterator[str]:
    for e in elements:
        if e.kind == "app":
            yield f"entry {e.key} of the APP table (priority {e.value.priorities[0]}): a policy marks by DSCP alone"
        if e.kind == "dscp" and len(e.value.priorities) > 1:
            yield f"DSCP {e.key} has priorities {', '.join(map(str, e.value.priorities))}: the policy takes the largest"
        if e.kind == "buffer":
            yield "its receive buffers: a policy sizes them from cable and rate"
    if not any(e.kind == "dcbx" for e in elements):
        yield "firmware or an LLDP agent owns its DCBX: under the policy the host does"


def _port(held: dict[str, Any], left: list[str]) -> _Port:
    ets: DcbEts = held["ets"]
    given = {d: max(held[f"dscp/{d}"].priorities) for d in range(DSCPS) if f"dscp/{d}" in held}
    trusts = held["trust"].selectors if "trust" in held else ("dscp",) if given else ("pcp",)
    if "dscp" not in trusts:
        left.append("it trusts PCP: the policy marks by DSCP, each priority by its class selector (DSCP / 8)")
        given = {d: d >> 3 for d in range(DSCPS)}
    slow = [
        int(n.partition("/")[2]) for n, v in held.items() if n.startswith("ecn/") and (v.notify or v.react)
    ]
    return _Port(
        ets,
        tuple(given.get(d, 0) for d in range(DSCPS)),
        held["pfc"].priorities if "pfc" in held else (),
        held["maxrate"].rate_bps if "maxrate" in held else (0,) * PRIORITIES,
        tuple(slow) if any(n.startswith("ecn/") for n in held) else None,
        held["cnp"].dscp if "cnp" in held else CNP_DSCP,
        held["cable"].length_m if "cable" in held else None,
    )


def _lanes(seen: _Port, rate_bps: int, left: list[str]) -> list[_Lane]:
    """One a traffic class, by number."""
    tcs: dict[int, list[int]] = {}
    for dscp, priority in enumerate(seen.dscp):
        tcs.setdefault(seen.ets.prio_tc[priority], []).append(dscp)
    lanes = [_lane(tc, dscps, seen, rate_bps, left) for tc, dscps in sorted(tcs.items())]
    return _weighed(lanes, seen.ets)


def _weighed(lanes: Sequence[_Lane], ets: DcbEts) -> list[_Lane]:
    """Percents that sum to 100: as ETS has them, equal ones for what is scheduled otherwise, never 0 for vital lanes."""
    weighted = [x for x in lanes if not x.strict]
    equal = 1 / max(1, len(weighted))
    parts = [equal if ets.tsa[x.tc] != Tsa.ETS else max(x.percent, x.use != "class") / 100 for x in weighted]
    percents = {x.tc: n for x, n in zip(weighted, whole_percents(parts), strict=True)}
    return [replace(x, percent=percents.get(x.tc, 0)) for x in lanes]


def _lane(tc: int, dscps: list[int], seen: _Port, rate_bps: int, left: list[str]) -> _Lane:
    priorities = sorted({seen.dscp[d] for d in dscps})
    lossless = [p for p in priorities if p in seen.pfc]
    default = 0 in dscps
    control = not default and not lossless and seen.cnp_dscp in dscps
    name = "default" if default else "control" if control else f"tc-{tc}"
    if len(priorities) > 1:
        shown = ", ".join(map(str, priorities))
        left.append(f"priorities {shown} share traffic class {tc}: lane {name} has one")
    priority = lossless[0] if lossless and not default else seen.dscp[0] if default else priorities[0]
    tsa, ceiling = seen.ets.tsa[tc], seen.maxrate[tc]
    if tsa in (Tsa.CBS, Tsa.VENDOR):
        left.append(f"traffic class {tc} is scheduled by {tsa}: lane {name} gets an equal share")
    strict, limit = tsa == Tsa.STRICT, min(1.0, ceiling / rate_bps) if ceiling else 1.0
    if strict and limit == 1:
        left.append(
            f"traffic class {tc} is strict without a ceiling: lane {name} is held to {STRICT_LIMIT:.0%}"
        )
        limit = STRICT_LIMIT
    use = name if name in ("default", "control") else "class"
    return _Lane(tc, name, use, priority, tuple(dscps), strict, seen.ets.percent[tc], limit)


def _ordered(lanes: Sequence[_Lane]) -> list[_Lane]:
    """Strict ones first, the largest number first; a policy's priorities follow."""
    return sorted(lanes, key=lambda x: (not x.strict, -x.tc if x.strict else x.tc))


def _plain(x: _Lane, order: int) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": x.name, "use": x.use, "priority": order}
    if x.strict:
        plain["strict"] = True
    else:
        plain["share"] = f"{x.percent}%"
        if not x.percent:
            plain["may_starve"] = True
    if x.limit < 1:
        plain["limit"] = f"{round(x.limit * 100, 6):g}%"
    return plain


def _classes(lanes: Sequence[_Lane]) -> Iterator[dict[str, Any]]:
    """A class a lane; control traffic rides with unmarked traffic where no lane is its own."""
    for x in lanes:
        # Unclaimed code points go to the default lane by themselves.
        marks = [0] if x.use == "default" else list(x.dscps)
        yield {"name": x.name, "lane": x.name, "markings": {"dscp": marks}}
    if not any(x.use == "control" for x in lanes):
        yield {"name": "control", "lane": "default"}


def _roce(seen: _Port, lanes: Sequence[_Lane], left: list[str]) -> dict[str, Any]:
    lossless = [x.name for x in lanes if x.priority in seen.pfc and x.use == "class"]
    left += [
        f"priority {x.priority} is lossless and lane {x.name} carries unmarked or control traffic: the policy makes it lossy"
        for x in lanes
        if x.priority in seen.pfc and x.use != "class"
    ]
    unused = sorted(set(seen.pfc) - {x.priority for x in lanes})
    if unused:
        left.append(
            f"priorities {', '.join(map(str, unused))} are lossless and no code point leads there: the policy makes them lossy"
        )
    roce: dict[str, Any] = {"lossless": lossless, "priorities": {x.name: x.priority for x in lanes}}
    if seen.slow is not None:
        roce["ecn"] = [x.name for x in lanes if x.priority in seen.slow]
        if set(lossless) - set(roce["ecn"]):
            left.append(
                "lossless lanes have no ECN: the policy says pfc_without_ecn, and should not for long"
            )
            roce["pfc_without_ecn"] = True
    if seen.cnp_dscp != CNP_DSCP:
        roce["cnp_dscp"] = seen.cnp_dscp
    if seen.cable_m:
        roce["cable_length"] = seen.cable_m
    return roce
