"""What a port's htb tree or an opensm.conf holds already, as the policy that says the same. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import yaml

from trafficd_topology.parsers.opensm_conf import parse_conf, parse_sl2vl
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.vlarb import parse_arb

V4_DSCP, V4_TOS, V6_DSCP = 0x00FC_0000, 0x00FF_0000, 0x0FC0_0000
"""Masks of the first word of a header: the DSCP of IPv4, its whole ToS byte, the DSCP of IPv6."""
LANES = 8
ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD


@dataclass(slots=True)
class Lane:
    """A lane in the making. ``marks`` are DSCPs or SLs; ``share`` and ``limit`` are fractions of the port."""

    name: str
    share: float
    priority: int = 0
    limit: float = 1.0
    id: int | None = None
    use: str = "class"
    marks: list[int] = field(default_factory=list)


class Qdisc(Protocol):
    """A queueing discipline; ``default_minor`` is htb's."""

    @property
    def handle(self) -> int: ...
    @property
    def parent(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def default_minor(self) -> int | None: ...
    @property
    def is_root(self) -> bool: ...


class Class(Protocol):
    """An htb class; rates in bits per second."""

    @property
    def handle(self) -> int: ...
    @property
    def parent(self) -> int: ...
    @property
    def rate_bps(self) -> int: ...
    @property
    def ceil_bps(self) -> int: ...
    @property
    def prio(self) -> int: ...


class Filter(Protocol):
    """A filter; ``keys`` are (mask, value, offset from the network header), None for what is no plain u32 match."""

    @property
    def kind(self) -> str: ...
    @property
    def pref(self) -> int: ...
    @property
    def protocol(self) -> int: ...
    @property
    def target(self) -> int | None: ...
    @property
    def keys(self) -> tuple[tuple[int, int, int], ...] | None: ...


@dataclass(frozen=True, slots=True)
class Held:
    """What one port holds; handles are 32 bits, the major number in the upper half (linux/pkt_sched.h)."""

    root: Qdisc
    qdiscs: Sequence[Qdisc]
    classes: Sequence[Class]
    filters: Sequence[Filter]


def shown(number: int) -> str:
    """A handle as tc(8) writes it, such as ``1:10``."""
    return f"{number >> 16:x}:{number & 0xFFFF:x}" if number & 0xFFFF else f"{number >> 16:x}:"


@dataclass(frozen=True, slots=True)
class Adopted:
    """``text``: a policy file, empty when nothing can be said; ``left``: a sentence for each thing it does not say."""

    text: str
    left: tuple[str, ...] = ()


def adopt_tc(node: str, port: str, held: Held | None) -> Adopted:
    """Raises nothing; what is no htb tree of one level says so."""
    if held is None:
        return Adopted("", (f"{port} has no htb root: there is nothing that a policy could say",))
    inner = {c.parent for c in held.classes}
    leaves = [c for c in held.classes if c.handle not in inner]
    if not 0 < len(leaves) <= LANES:
        return Adopted("", (f"{port} has {len(leaves)} leaf classes: a policy has 1 to {LANES} lanes",))
    roots = [c for c in held.classes if c.handle in inner]
    total = max((c.ceil_bps for c in roots), default=max(c.ceil_bps for c in leaves))
    lanes = {c.handle: _lane(c, total, held.root) for c in leaves}
    left = [*_deep(held, inner), *_marks(held, lanes), *_queues(held)]
    selector = {"nodes": [node], "ports": [port]}
    return _checked(f"adopted-{port}", selector, list(lanes.values()), "dscp", {}, left)


def _lane(c: Class, total: int, root: Qdisc) -> Lane:
    minor = c.handle & 0xFFFF
    default = minor == root.default_minor
    lane = Lane(f"class-{minor:x}", c.rate_bps / total, c.prio, min(1.0, c.ceil_bps / total))
    if default:
        lane.name, lane.use = "default", "default"
    return lane


def _deep(held: Held, inner: set[int]) -> list[str]:
    """A policy has one level of lanes below one rate."""
    parents = [c for c in held.classes if c.handle in inner]
    return [
        f"class {shown(c.handle)} hangs below {shown(c.parent)}: its lanes become lanes of the port"
        for c in parents
        if c.parent in {p.handle for p in parents}
    ]


def _marks(held: Held, lanes: dict[int, Lane]) -> list[str]:
    left = []
    for f in held.filters:
        lane = lanes.get(f.target or 0)
        mark = _dscp(f)
        if lane is None or mark is None:
            left += [] if _told_otherwise(f, lane) else [_strange(f)]
            continue
        if mark not in lane.marks:
            lane.marks.append(mark)
        if f.keys and f.keys[0][0] == V4_TOS:
            left.append(f"DSCP {mark} was recognised only without ECN: a policy looks at the DSCP alone")
    return left


def _told_otherwise(f: Filter, lane: Lane | None) -> bool:
    """ARP goes to the control lane by itself."""
    if f.protocol != ETH_P_ARP or lane is None:
        return False
    if lane.use == "class":
        lane.name, lane.use = "control", "control"
    return True


def _strange(f: Filter) -> str:
    target = f" to {shown(f.target)}" if f.target is not None else ""
    return f"{f.kind} filter of preference {f.pref}{target}: what it matches is no DSCP"


def _dscp(f: Filter) -> int | None:
    if f.keys is None or len(f.keys) != 1:
        return None
    mask, value, offset = f.keys[0]
    if offset == 0 and f.protocol == ETH_P_IP and mask in (V4_DSCP, V4_TOS) and not value & 0x0003_0000:
        return value >> 18
    if offset == 0 and f.protocol == ETH_P_IPV6 and mask == V6_DSCP:
        return value >> 22
    return None


def _queues(held: Held) -> list[str]:
    return [
        f"{q.kind} {shown(q.handle)} below class {shown(q.parent)} becomes a plain fifo"
        for q in held.qdiscs
        if not q.is_root and q.kind not in ("pfifo", "bfifo")
    ]


def adopt_opensm(fabric: str, text: str) -> Adopted:
    """The lanes an opensm.conf makes."""
    options = parse_conf(text)
    low, high = (parse_arb(options.get(f"qos_vlarb_{n}", "")) for n in ("low", "high"))
    vl_of = parse_sl2vl(options.get("qos_sl2vl", ""))
    if options.get("qos", "FALSE").upper() != "TRUE" or low is None or high is None or vl_of is None:
        return Adopted(
            "", (f"{fabric}: its opensm.conf sets no complete qos tables: there is nothing to adopt",)
        )
    weights = dict.fromkeys(sorted(set(vl_of) - {15}), 0)
    for vl, weight in ((e.vl, e.weight) for e in (*high, *low)):
        weights[vl] = weights.get(vl, 0) + weight
    used = {vl: w for vl, w in weights.items() if vl in vl_of}
    total = sum(used.values()) or 1
    lanes = [Lane("default" if vl == vl_of[0] else f"vl-{vl}", w / total, id=vl) for vl, w in used.items()]
    for lane in lanes:
        lane.use = "default" if lane.id == vl_of[0] else "class"
        lane.marks = [sl for sl, vl in enumerate(vl_of) if vl == lane.id]
    left = [
        f"SL {sl} is dropped (VL 15): a policy sends it to the default lane"
        for sl, vl in enumerate(vl_of)
        if vl == 15
    ]
    tables = {
        "max_vls": int(options.get("qos_max_vls", "15")),
        "high_limit": int(options.get("qos_high_limit", "0")),
        "vlarb_high": options["qos_vlarb_high"],
        "vlarb_low": options["qos_vlarb_low"],
    }
    return _checked(f"adopted-{fabric}", {"link_layers": ["infiniband"]}, lanes, "sl", tables, left)


def _checked(
    name: str, selector: dict[str, Any], lanes: list[Lane], mark: str, tables: dict[str, Any], left: list[str]
) -> Adopted:
    """The file, and what its own parser says against it."""
    policy: dict[str, Any] = {"name": name, "mode": "observe", "selectors": [selector], "preset": "none"}
    policy |= {"lanes": [_plain_lane(n) for n in lanes], "classes": _classes(lanes, mark)}
    if tables:
        policy["infiniband"] = tables
    text = yaml.safe_dump({"version": 1, "policies": [policy]}, sort_keys=False, width=110)
    _, problems = parse_policies(text)
    return Adopted(text, (*left, *(f"correct by hand: {p}" for p in problems)))


def _percent(part: float) -> str:
    return f"{int(part * 10_000) / 100:g}%"


def _plain_lane(n: Lane) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": n.name, "use": n.use, "priority": n.priority, "share": _percent(n.share)}
    if n.id is not None:
        plain["id"] = n.id
    if int(n.share * 10_000) == 0:
        # That is what it has there; whoever adopts it sees the word and judges.
        plain["may_starve"] = True
    if n.limit < 1:
        plain["limit"] = _percent(n.limit)
    return plain


def _classes(lanes: list[Lane], mark: str) -> list[dict[str, Any]]:
    """A class for each lane; control traffic rides with unmarked traffic where no lane is its own."""
    rows = [{"name": n.name, "lane": n.name, "markings": {mark: _set(n)}} for n in lanes]
    if not any(n.use == "control" for n in lanes):
        rows.append(
            {"name": "control", "lane": next((n.name for n in lanes if n.use == "default"), "default")}
        )
    return rows


def _set(n: Lane) -> list[int]:
    return sorted({0, *n.marks}) if n.use == "default" else n.marks


def document(found: Sequence[Adopted]) -> str:
    """One policy file of all; what it does not say follows as comments."""
    policies = [p for a in found if a.text for p in yaml.safe_load(a.text)["policies"]]
    text = yaml.safe_dump({"version": 1, "policies": policies}, sort_keys=False, width=110)
    return text + "".join(f"# not said: {' '.join(s.split())}\n" for a in found for s in a.left)
