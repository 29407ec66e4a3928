"""A comparison drawn: ratios with their intervals, and balance over use. Needs matplotlib (the extra ``plots``)."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from trafficd.sim.compare import Comparison

_BARS = (("completion_s", "completion"), ("ttft_p50_s", "TTFT p50"), ("ttft_p99_s", "TTFT p99"))


def draw(found: Comparison, folder: Path) -> tuple[Path, ...]:
    """Writes SVG files to a folder, made where it is missing; OSError when that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    return _ratios(found, folder / "ratios.svg"), _balance(found, folder / "balance.svg")


def _save(figure: Figure, path: Path) -> Path:
    # Without a date and with fixed ids, equal comparisons give equal files.
    with rc_context({"svg.hashsalt": "trafficd"}):
        FigureCanvasSVG(figure)
        figure.savefig(path, metadata={"Date": None})
    return path


def _ratios(found: Comparison, path: Path) -> Path:
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, len(_BARS), sharey=True)
    base = found.rows[0].contender.name
    names = [row.contender.name for row in found.rows]
    for axis, (metric, title) in zip(axes, _BARS, strict=True):
        ratios = [found.ratio(name, base, metric) for name in names]
        axis.barh(
            names,
            [r.mean if r else 0.0 for r in ratios],
            xerr=[(r.half or 0.0) if r else 0.0 for r in ratios],
        )
        axis.axvline(1.0, linewidth=1, color="black")
        axis.set_title(f"{title}, to {base}")
    axes[0].invert_yaxis()
    return _save(figure, path)


def _balance(found: Comparison, path: Path) -> Path:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for row in found.rows:
        use, ratio = row.mean("storage_use"), row.mean("storage_balance")
        if use is not None and ratio is not None:
            axis.plot([use], [ratio], "o", label=row.contender.name)
    axis.set_xlabel("storage NICs used")
    axis.set_ylabel("Max/Avg over windows")
    axis.legend()
    return _save(figure, path)
