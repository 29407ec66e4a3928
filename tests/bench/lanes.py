"""The demo's figures as medians of five runs, each on a cluster of its own."""

from __future__ import annotations

import dataclasses
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from demo import story
from lab.cluster import cluster

RUNS = 5


def once() -> story.Figures:
    with (
        tempfile.TemporaryDirectory(prefix="trafficd-bench-") as folder,
        cluster(Path(folder), story.FIRST_POLICY) as up,
    ):
        return story.measure(up, lambda _: None)


def median(runs: list[story.Figures]) -> story.Figures:
    """Field by field."""
    names = [f.name for f in dataclasses.fields(story.Figures)]
    return story.Figures(**{n: statistics.median(getattr(r, n) for r in runs) for n in names})


def lanes() -> Iterator[str]:
    """Medians, and beside each figure whether it keeps what is asked for."""
    runs = [once() for _ in range(RUNS)]
    yield f"medians of {RUNS} runs"
    for row in story.rows_of(median(runs)):
        verdict = f" ({row.asked}: {'met' if row.met else 'NOT MET'})" if row.asked else ""
        yield f"{row.what}: {row.seen}{verdict}"
