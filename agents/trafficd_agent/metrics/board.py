"""What the agent knows now, for whoever asks: written by the loops, read by a scrape, safe between threads.

Writers replace; readers take one ``View``, which never changes. A scrape therefore neither waits for a device nor
stops a loop.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from trafficd_topology.counters import Column, Rates, ReaderOutcome, Sample, Unfolded, Values, rates
from trafficd_topology.model import PortInventory, ScopeKind
from trafficd_topology.status import ScopeStatus

APPLY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram of apply durations, seconds; tc takes milliseconds, a subnet manager seconds."""
CAUSES = ("removed", "changed", "recreated", "driver reset", "by netlink port id")
"""What drift causes begin with; a process id behind one is not kept, so that causes stay few."""


@dataclass(frozen=True, slots=True)
class LaneLabel:
    """How a lane of a port is called. ``share`` is its guaranteed fraction of the port, 0..1, when every lane is
    backlogged; None when the port is only observed. ``priority``: the 802.1p priority that is this lane, on a RoCE port.
    """

    id: int
    name: str
    classes: tuple[str, ...] = ()
    share: float | None = None
    is_default: bool = False
    priority: int | None = None

    @property
    def class_label(self) -> str:
        """The traffic classes in the lane, by name with commas; the lane's own name when no class is."""
        return ",".join(self.classes) or self.name


@dataclass(frozen=True, slots=True)
class Drift:
    """How often a scope drifted for one cause since the agent started."""

    kind: ScopeKind
    name: str
    cause: str
    count: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket of ``APPLY_BOUNDS`` (the last one beyond them) and the sum of all, seconds."""

    counts: tuple[int, ...] = (0,) * (len(APPLY_BOUNDS) + 1)
    total: float = 0.0

    def add(self, value: float) -> Histogram:
        at = bisect_left(APPLY_BOUNDS, value)
        counts = (*self.counts[:at], self.counts[at] + 1, *self.counts[at + 1 :])
        return Histogram(counts, self.total + value)


@dataclass(frozen=True, slots=True)
class PortLabel:
    """What the fabric file says of a port: its rate, None where it gives none, and compute, storage or nothing."""

    rate_bps: int | None = None
    kind: str = ""


UNSAID = PortLabel()


@dataclass(frozen=True, slots=True)
class View:
    """One consistent picture. ``values`` are totals as ``Unfolded`` gives them, in the order of ``columns``."""

    node: str
    version: str
    connected: bool | None = None
    paused: Mapping[str, bool] = field(default_factory=dict)
    ports: tuple[PortInventory, ...] = ()
    lanes: Mapping[str, tuple[LaneLabel, ...]] = field(default_factory=dict)
    said: Mapping[str, PortLabel] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    values: Values = ()
    sample: Sample | None = None
    rates: Rates | None = None
    outcomes: tuple[ReaderOutcome, ...] = ()
    statuses: tuple[ScopeStatus, ...] = ()
    drifts: tuple[Drift, ...] = ()
    applies: Histogram = Histogram()
    certificate_ends: float | None = None
    """Seconds since the Unix epoch; None without a certificate."""

    def lane(self, port: str, lane_id: int) -> LaneLabel:
        """The lane's label; its number where no policy names it."""
        named = (lane for lane in self.lanes.get(port, ()) if lane.id == lane_id)
        return next(named, LaneLabel(lane_id, str(lane_id)))

    def of_lane(self, column: Column) -> Column | None:
        """The column, with its lane: its own, or that of its priority. None where it is of no lane."""
        if column.lane_id is not None or column.priority is None:
            return column if column.lane_id is not None else None
        lanes = self.lanes.get(column.port, ())
        found = next((lane for lane in lanes if lane.priority == column.priority), None)
        return None if found is None else replace(column, lane_id=found.id)


def cause_label(cause: str) -> str:
    """A drift's cause as a label: one of ``CAUSES`` or ``unknown``, with underscores."""
    known = next((c for c in CAUSES if cause.startswith(c)), UNKNOWN)
    return known.replace(" ", "_")


UNKNOWN = "unknown"
CAUSE_LABELS = tuple(c.replace(" ", "_") for c in (*CAUSES, UNKNOWN))


def _drifted(
    before: Iterable[Drift], old: Iterable[ScopeStatus], new: Iterable[ScopeStatus]
) -> tuple[Drift, ...]:
    """Drifts by cause, with those that the new statuses add to the old ones."""
    counts = {(d.kind, d.name, d.cause): d.count for d in before}
    known = {(s.kind, s.name): s.drifts for s in old}
    for s in new:
        more = s.drifts - known.get((s.kind, s.name), 0)
        if more > 0:
            key = (s.kind, s.name, cause_label(s.drift_cause))
            counts[key] = counts.get(key, 0) + more
    return tuple(Drift(*key, count) for key, count in sorted(counts.items()))


class Board:
    """Holds the current ``View``. Every method may be called from any thread and returns at once."""

    def __init__(self, node: str, version: str) -> None:
        self._lock = threading.Lock()
        self._view = View(node, version)
        self._unfolded = Unfolded()

    @property
    def view(self) -> View:
        return self._view

    def put_ports(self, ports: tuple[PortInventory, ...]) -> None:
        """What the inventory found."""
        with self._lock:
            self._view = replace(self._view, ports=ports)

    def put_lanes(self, lanes: Mapping[str, tuple[LaneLabel, ...]]) -> None:
        """Port name -> its lanes, for every port that a policy selects; what is not named loses its names."""
        with self._lock:
            self._view = replace(self._view, lanes=dict(lanes))

    def put_said(self, said: Mapping[str, PortLabel]) -> None:
        """Port name -> what the fabric file says of it, for every port that a policy selects."""
        with self._lock:
            self._view = replace(self._view, said=dict(said))

    def put_sample(
        self, columns: tuple[Column, ...], sample: Sample, outcomes: tuple[ReaderOutcome, ...]
    ) -> None:
        """A new reading of every column. Rates are over the time since the one before it."""
        with self._lock:
            last = self._view
            same = last.sample is not None and last.columns == columns
            self._view = replace(
                last,
                columns=columns,
                sample=sample,
                outcomes=outcomes,
                values=tuple(self._unfolded.add(c, v) for c, v in zip(columns, sample.values, strict=True)),
                rates=rates(columns, last.sample, sample) if last.sample is not None and same else None,
            )

    def put_statuses(self, statuses: tuple[ScopeStatus, ...]) -> None:
        """How every scope stands; drifts that are new in it are counted by their cause."""
        with self._lock:
            last = self._view
            drifts = _drifted(last.drifts, last.statuses, statuses)
            self._view = replace(last, statuses=statuses, drifts=drifts)

    def add_apply(self, seconds: float) -> None:
        """One apply ended: from reception of the desired state to the end of verification."""
        with self._lock:
            self._view = replace(self._view, applies=self._view.applies.add(seconds))

    def put_pauses(self, controller: bool, node: bool) -> None:
        """Who stopped this agent's writes."""
        with self._lock:
            self._view = replace(self._view, paused={"controller": controller, "node": node})

    def put_certificate(self, ends: float | None) -> None:
        """When the node's certificate ends, seconds since the Unix epoch."""
        with self._lock:
            self._view = replace(self._view, certificate_ends=ends)

    def put_connected(self, connected: bool) -> None:
        """Whether the controller's streams are open."""
        with self._lock:
            self._view = replace(self._view, connected=connected)
