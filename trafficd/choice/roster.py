"""Inference engines as they report themselves: they come, go, and say how busy they are."""

from __future__ import annotations

from collections.abc import Iterable

from trafficd.choice.request import INVALID_ARGUMENT, EngineRef, EngineReport, ItemProblem
from trafficd.choice.snapshot import Engine, Role


class Known:
    """An engine as the choice knows it, and what was given to it since it last reported."""

    __slots__ = (
        "assigned",
        "assigned_bytes",
        "bytes_per_token",
        "engine",
        "given",
        "heard_at",
        "live",
        "ref",
    )

    def __init__(self, engine: Engine, heard_at: float = 0.0) -> None:
        self.ref = EngineRef(engine.node, engine.rank)
        self.engine = engine
        self.heard_at = heard_at
        self.bytes_per_token = 0
        self.assigned = 0
        self.assigned_bytes = 0
        self.live = 0
        """Leases under way that were made for it."""
        self.given = 0.0
        """Bytes of all reads that were ever reserved for it."""


class Roster:
    """Engines by reference and by node. Names of nodes are not checked here."""

    def __init__(self) -> None:
        self.known: dict[EngineRef, Known] = {}
        self.by_node: dict[str, dict[int, Known]] = {}
        self.announced: set[str] = set()
        """Nodes whose engines have ever reported: there, an engine that never did does not exist."""
        self.queue_at: dict[str, float] = {}
        """When a node's read queue was last reported."""
        self._queues: dict[str, int] = {}

    def report(self, report: EngineReport, now: float) -> bool:
        """Take one report; True when somebody came, went or changed role."""
        ref = report.engine
        self.announced.add(ref.node)
        old = self.known.get(ref)
        if report.gone:
            return old is not None and self.drop(ref)
        engine = _merged(report, None if old is None else old.engine)
        size = report.queue_bytes
        if size is not None:
            self.queue_at[ref.node] = now
            self._queues[ref.node] = size
        if old is None:
            self._add(Known(engine, now), report)
            return True
        changed = old.engine.role is not engine.role
        old.engine, old.heard_at = engine, now
        _note(old, report)
        return changed

    def replace(self, engines: Iterable[Engine], now: float) -> None:
        """Take somebody else's whole picture."""
        self.known.clear()
        self.by_node.clear()
        self.announced.clear()
        self.queue_at.clear()
        self._queues.clear()
        for engine in engines:
            self._add(Known(engine, now), None)
            self.announced.add(engine.node)
            if engine.read_queue_bytes is not None:
                self.queue_at[engine.node] = now
                self._queues[engine.node] = engine.read_queue_bytes

    def queue_of(self, node: str) -> int | None:
        """A node's read queue as last reported, bytes; None when it never was."""
        return self._queues.get(node)

    def drop(self, ref: EngineRef) -> bool:
        """Forget an engine; with the last of a node goes the node's queue."""
        self.known.pop(ref, None)
        members = self.by_node.get(ref.node, {})
        members.pop(ref.rank, None)
        if not members:
            self.by_node.pop(ref.node, None)
            self.queue_at.pop(ref.node, None)
            self._queues.pop(ref.node, None)
        return True

    def _add(self, known: Known, report: EngineReport | None) -> None:
        self.known[known.ref] = known
        self.by_node.setdefault(known.ref.node, {})[known.ref.rank] = known
        if report is not None:
            _note(known, report)


def _note(known: Known, report: EngineReport) -> None:
    if report.bytes_per_token:
        known.bytes_per_token = report.bytes_per_token
    if report.unfinished_tokens is not None:
        known.assigned = known.assigned_bytes = 0


def _merged(report: EngineReport, old: Engine | None) -> Engine:
    """What was said now, and what was said before where nothing was said now."""
    before = old or Engine(report.engine.node, report.engine.rank)
    return Engine(
        before.node,
        before.rank,
        role=_role(report.role) or before.role,
        gpu=before.gpu if report.gpu is None else report.gpu,
        read_queue_bytes=before.read_queue_bytes if report.queue_bytes is None else report.queue_bytes,
        unfinished_tokens=_or(report.unfinished_tokens, before.unfinished_tokens),
        unfinished_sequences=_or(report.unfinished_sequences, before.unfinished_sequences),
        free_hbm_bytes=_or(report.free_hbm_bytes, before.free_hbm_bytes),
        free_dram_bytes=_or(report.free_dram_bytes, before.free_dram_bytes),
        tokens_per_s=_or(report.tokens_per_s, before.tokens_per_s),
    )


def _or(value: int | None, before: int | None) -> int | None:
    return before if value is None else value


def _role(number: int) -> Role:
    """A role this version does not know is no statement."""
    return Role(number) if number in Role.__members__.values() else Role.UNSPECIFIED


def problem_of(position: int, report: EngineReport) -> ItemProblem | None:
    """What of a report cannot be used."""
    ref = report.engine
    if report.read_queue_tokens is not None and report.queue_bytes is None:
        reason = "read_queue_tokens needs bytes_per_token, or give read_queue_bytes"
        return ItemProblem(f"engines[{position}] {ref.node}/{ref.rank}", INVALID_ARGUMENT, reason)
    return None
