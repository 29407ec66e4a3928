"""The policy file: YAML to policies, or every problem at once, each with its path, value and reason.

The form is described in docs/policy.md. Nothing here raises, whatever the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from trafficd_topology.model import LinkLayer, NicKind, Problem, Role
from trafficd_topology.parsers.infiniband import judge_infiniband, read_infiniband
from trafficd_topology.parsers.lane_rules import judge, names
from trafficd_topology.parsers.lanes import read_classes, read_lanes, read_ratio, read_words
from trafficd_topology.parsers.paths import read_paths
from trafficd_topology.parsers.presets import preset_tree
from trafficd_topology.parsers.roce import judge_roce, read_roce
from trafficd_topology.parsers.rollout import read_rollout
from trafficd_topology.parsers.tree import Mapping, load, note
from trafficd_topology.qos.lanes import LaneSet, Mode
from trafficd_topology.qos.policy import Policy, PolicySet, Preset, Selector, TcOptions
from trafficd_topology.qos.unmarked import judge_unmarked_low

VERSION = 1
MAX_POLICIES = 1_000
E_ = TypeVar("E_", bound=StrEnum)


def parse_policies(text: str | bytes) -> tuple[PolicySet | None, tuple[Problem, ...]]:
    """Returns (policies, ()) or (None, every problem); never raises."""
    tree, problems = load(text)
    if problems:
        return None, problems
    return read_policies(tree)


def read_policies(tree: Any) -> tuple[PolicySet | None, tuple[Problem, ...]]:
    """As ``parse_policies``, of a tree."""
    problems: list[Problem] = []
    top = Mapping(tree, "", problems)
    if not top.ok:
        return None, tuple(problems)
    if top.raw("version") != VERSION or isinstance(top.raw("version"), bool):
        top.problem("version", top.raw("version"), f"must be {VERSION}")
    if top.raw("policies") is None:
        top.problem("policies", None, "is missing: give a list of policies, which may be empty")
    entries = list(top.mappings("policies"))
    if len(entries) > MAX_POLICIES:
        top.problem("policies", len(entries), f"more than {MAX_POLICIES} policies")
        return None, tuple(problems)
    policies = [_policy(m) for m in entries]
    rollout, paths = read_rollout(top.mapping("rollout")), read_paths(top.mapping("paths"))
    top.done()
    _unique(policies, entries, problems)
    if problems:
        return None, tuple(problems)
    return PolicySet(tuple(p for p in policies if p), rollout, paths), ()


def _unique(policies: Sequence[Policy | None], entries: Sequence[Mapping], problems: list[Problem]) -> None:
    first: dict[str, str] = {}
    for policy, m in zip(policies, entries, strict=True):
        name = m.raw("name") if policy is None else policy.name
        if not isinstance(name, str):
            continue
        if name in first:
            reason = f"this policy name is already taken at {first[name]}"
            note(problems, Problem(m.at("name"), name, reason))
        first.setdefault(name, m.at("name"))


def _policy(m: Mapping) -> Policy | None:
    """One policy, or None once its problems are noted."""
    before = len(m.problems)
    name, mode, preset = m.text("name"), m.choice("mode", Mode, Mode.OBSERVE), _preset(m)
    selectors, tc = _selectors(m), _tc(m.mapping("tc"))
    base = preset_tree(preset)
    at_lanes = len(m.problems)
    lanes, classes = read_lanes(m, base, preset), read_classes(m, base, preset)
    ib, roce = read_infiniband(m, base, m.has("lanes")), read_roce(m, base)
    whole = len(m.problems) == at_lanes
    for problem in judge(lanes, classes, ib.tables, m.path) if whole else names(lanes, classes, m.path):
        note(m.problems, problem)
    for problem in judge_infiniband(ib, lanes, classes) if whole else ():
        note(m.problems, problem)
    m.done()
    lane_set = LaneSet(tuple(x.value for x in lanes), tuple(x.value for x in classes))
    if ib.options.unmarked_low and len(m.problems) == before:
        tables = ib.tables.value if ib.tables else None
        for problem in judge_unmarked_low(lane_set, tables, f"{ib.path}.unmarked"):
            note(m.problems, problem)
    if roce and len(m.problems) == before:
        for problem in judge_roce(lane_set, roce):
            note(m.problems, problem)
    if len(m.problems) > before:
        return None
    return Policy(
        name, lane_set, mode, selectors, preset, tc, ib.tables.value if ib.tables else None,
        roce.value if roce else None, ib.options,
    )  # fmt: skip


def _preset(m: Mapping) -> Preset:
    default = Preset.NONE if m.has("lanes") else Preset.DUALPATH
    found = m.choice("preset", Preset, default)
    return found if isinstance(found, Preset) else default


def _tc(m: Mapping | None) -> TcOptions:
    defaults = TcOptions()
    if m is None:
        return defaults
    headroom = read_ratio(m, "headroom", defaults.headroom)
    if not 0.001 <= headroom <= 0.5:
        reason = "must be from 0.1% to 50%: the root has to stay below the wire's rate"
        m.problem("headroom", m.raw("headroom"), reason)
    options = TcOptions(
        headroom,
        m.whole("leaf_limit", defaults.leaf_limit_packets, low=2, high=1_000_000),
        m.whole("mtu", defaults.mtu_bytes, low=576, high=65_535),
    )
    m.done()
    return options


def _selectors(m: Mapping) -> tuple[Selector, ...]:
    if m.raw("selectors") is None:
        return (Selector(),)
    return tuple(_selector(entry) for entry in m.mappings("selectors"))


def _selector(m: Mapping) -> Selector:
    selector = Selector(
        nodes=read_words(m, "nodes"),
        roles=_choices(m, "roles", Role),
        kinds=_choices(m, "kinds", NicKind),
        link_layers=_choices(m, "link_layers", LinkLayer),
        ports=read_words(m, "ports"),
        switches=m.flag("switches", default=False) if m.has("switches") else None,
    )
    m.done()
    return selector


def _choices(m: Mapping, key: str, kind: type[E_]) -> tuple[E_, ...]:
    words = [str(w) for w in kind]
    found = []
    for path, item in m.items(key):
        if item in words:
            found.append(kind(item))
        else:
            m.problem(path.removeprefix(f"{m.path}."), item, f"must be one of {', '.join(words)}")
    return tuple(found)
