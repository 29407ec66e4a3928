"""What operators ordered, as it stands in the state file: JSON and rows <-> values of the core."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from trafficd.core.losses import Losses
from trafficd.core.records import Leave, LogRecord, Origin, Pause, Slot
from trafficd.core.rollout import Phase, Rollout
from trafficd.core.state import HistoryEntry, Override, Owner, Saved, SavedPolicy
from trafficd_topology.diff import Disruption
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.policy import RolloutSettings
from trafficd_topology.status import Generation

Row = tuple[Any, ...]


def log_row(record: LogRecord, now_ns: int) -> Row:
    """``now_ns`` dates what the controller did by itself."""
    r, number = record, record.generation
    at_ns = r.origin.at_ns or now_ns
    return at_ns, r.origin.who, r.what, r.subject, r.before, r.after, number.epoch, number.number


def log_of(row: Row) -> LogRecord:
    at_ns, who, what, subject, before, after, epoch, number = row
    return LogRecord(Origin(who, at_ns), what, subject, before, after, Generation(epoch, number))


def history_row(position: int, entry: HistoryEntry) -> Row:
    g, o = entry.generation, entry.origin
    return position, g.epoch, g.number, o.who, o.at_ns, entry.cause, json.dumps(_sources(entry.sources))


def history_of(row: Row) -> HistoryEntry:
    epoch, number, who, at_ns, cause, sources = row
    texts = tuple(_source(s) for s in json.loads(sources))
    return HistoryEntry(Generation(epoch, number), Origin(who, at_ns), cause, texts)


def _sources(sources: tuple[SavedPolicy, ...]) -> list[dict[str, Any]]:
    return [asdict(s) for s in sources]


def _source(tree: Mapping[str, Any]) -> SavedPolicy:
    return SavedPolicy(
        Owner(tree["owner"]), tree["source"], tree["digest"], tree["text"], tuple(tree["names"])
    )


def operations(saved: Saved) -> tuple[tuple[str, str], ...]:
    """(name, JSON) of each order that stands."""
    values = {
        "pause": None if saved.pause is None else asdict(saved.pause),
        "override": None if saved.override is None else asdict(saved.override),
        "rollout": None if saved.rollout is None else _rollout_tree(saved.rollout, saved.before),
        "leave": None if saved.leave is None else asdict(saved.leave),
    }
    return tuple((name, json.dumps(value)) for name, value in values.items() if value is not None)


def put_operations(saved: Saved, rows: Mapping[str, str]) -> Saved:
    """The rest of what is saved with the orders of these rows."""
    trees = {name: json.loads(value) for name, value in rows.items()}
    rollout = trees.get("rollout")
    return replace(
        saved,
        pause=_pause(trees["pause"]) if "pause" in trees else None,
        override=_override(trees["override"]) if "override" in trees else None,
        rollout=_rollout(rollout) if rollout else None,
        before=tuple(_source(s) for s in rollout["before"]) if rollout else (),
        leave=_leave(trees["leave"]) if "leave" in trees else None,
    )


def _origin(tree: Mapping[str, Any]) -> Origin:
    return Origin(tree["who"], tree["at_ns"])


def _generation(tree: Mapping[str, Any]) -> Generation:
    return Generation(tree["epoch"], tree["number"])


def _pause(tree: Mapping[str, Any]) -> Pause:
    return Pause(tree["reason"], _origin(tree["origin"]))


def _override(tree: Mapping[str, Any]) -> Override:
    return Override(tree["source"], tree["digest"], _generation(tree["restored"]))


def _leave(tree: Mapping[str, Any]) -> Leave:
    slots = tuple(Slot(s["node"], ScopeKind(s["kind"]), s["name"]) for s in tree["slots"])
    return Leave(Disruption(tree["disruption"]), _generation(tree["generation"]), tree["max_nodes"], slots)


def _rollout_tree(rollout: Rollout, before: tuple[SavedPolicy, ...]) -> dict[str, Any]:
    sets = {name: sorted(getattr(rollout, name)) for name in ("admitted", "excused", "down")}
    return {
        "settings": asdict(rollout.settings),
        "waves": rollout.waves,
        "phase": rollout.phase,
        "wave": rollout.wave,
        "reason": rollout.reason,
        "before": _sources(before),
        "baseline": {name: (b.discards, b.retransmits) for name, b in sorted(rollout.baseline.items())},
        **sets,
    }


def _rollout(tree: Mapping[str, Any]) -> Rollout:
    settings = dict(tree["settings"])
    nodes = tuple(settings.pop("canary_nodes"))
    return Rollout(
        RolloutSettings(canary_nodes=nodes, **settings),
        tuple(tuple(wave) for wave in tree["waves"]),
        Phase(tree["phase"]),
        tree["wave"],
        frozenset(tree["admitted"]),
        frozenset(tree["excused"]),
        frozenset(tree["down"]),
        tree["reason"],
        baseline={name: Losses(*b) for name, b in tree.get("baseline", {}).items()},
    )
