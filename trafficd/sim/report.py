"""A comparison as a table, JSON or CSV. Equal comparisons give equal bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from trafficd.sim.compare import METRICS, Comparison, Estimate

_COLUMNS = (
    ("completion s", "completion_s", "{:.3f}"),
    ("turns/s", "turns_per_s", "{:.1f}"),
    ("TTFT p50 s", "ttft_p50_s", "{:.3f}"),
    ("p99 s", "ttft_p99_s", "{:.3f}"),
    ("TPOT ms", "tpot_mean_s", "{:.1f}"),
    ("Max/Avg", "storage_balance", "{:.3f}"),
    ("storage use", "storage_use", "{:.2f}"),
    ("foretold +-", "prediction_error", "{:.2f}"),
)
_RATIOS = ("completion_s", "ttft_p50_s", "ttft_p99_s")


def as_table(found: Comparison, against: str) -> str:
    """Means over the seeds, then ratios to one contender, each with its 95 % interval, then the bounds."""
    lines = [f"{found.name}: {len(found.seeds)} seeds"]
    head = ("strategy", "caller", *(title for title, _, _ in _COLUMNS))
    rows = [
        (row.contender.name, str(row.contender.caller), *(_cell(row.mean(m), m, f) for _, m, f in _COLUMNS))
        for row in found.rows
    ]
    lines += _aligned([head, *rows])
    lines += ["", f"ratio to {against}, 95 % interval over seeds"]
    head = ("strategy", "completion", "TTFT p50", "TTFT p99")
    rows = [
        (row.contender.name, *(_ratio(found.ratio(row.contender.name, against, m)) for m in _RATIOS))
        for row in found.rows
    ]
    lines += [*_aligned([head, *rows]), "", *_fullest(found), "", *_bounds(found)]
    return "\n".join(lines)


def _cell(value: float | None, metric: str, form: str) -> str:
    if value is None:
        return "-"
    return form.format(value * 1e3 if metric == "tpot_mean_s" else value)


def _ratio(value: Estimate | None) -> str:
    if value is None:
        return "-"
    return f"{value.mean:.3f}" if value.half is None else f"{value.mean:.3f} +- {value.half:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _fullest(found: Comparison) -> list[str]:
    """What each strategy used most; all of it is in the JSON."""
    width = max(len(row.contender.name) for row in found.rows)
    lines = ["fullest resources, part used"]
    for row in found.rows:
        fullest = sorted(row.used().items(), key=lambda item: -item[1])[:3]
        text = ", ".join(f"{name} {use:.2f}" for name, use in fullest)
        lines.append(f"{row.contender.name.ljust(width)}  {text}")
    return lines


def _bounds(found: Comparison) -> list[str]:
    if not found.bounds:
        return []
    ingress = sum(b.ingress_s for b in found.bounds) / len(found.bounds)
    prefill = sum(b.prefill_s for b in found.bounds) / len(found.bounds)
    lines = [
        f"no choice completes before {ingress:.3f} s (bytes over usable storage ingress) or {prefill:.3f} s (prefill)"
    ]
    network = [b.network_s for b in found.bounds if b.network_s is not None]
    if network:
        lines.append(
            f"nor before {sum(network) / len(network):.3f} s (largest concurrent flow through the network)"
        )
    return lines


def as_dict(found: Comparison, against: str) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "name": found.name,
        "seeds": list(found.seeds),
        "against": against,
        "bounds": [{**asdict(b), "seconds": b.seconds} for b in found.bounds],
        "strategies": [
            {
                "name": row.contender.name,
                "strategy": row.contender.strategy,
                "engines": row.contender.engines,
                "pick": str(row.contender.pick),
                "caller": str(row.contender.caller),
                "mean": {m: row.mean(m) for m in METRICS},
                "seeds": [{m: getattr(o, m) for m in METRICS} for o in row.outcomes],
                "used": row.used(),
                "ratio": {m: _pair(found.ratio(row.contender.name, against, m)) for m in METRICS},
                "difference": {m: _pair(found.difference(row.contender.name, against, m)) for m in METRICS},
            }
            for row in found.rows
        ],
    }


def _pair(value: Estimate | None) -> dict[str, float | None] | None:
    return None if value is None else {"mean": value.mean, "half_width": value.half}


def as_json(found: Comparison, against: str) -> str:
    return json.dumps(as_dict(found, against), indent=2, sort_keys=True) + "\n"


def as_csv(found: Comparison) -> str:
    """One line per strategy and seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("strategy", "caller", "seed", *METRICS))
    for row in found.rows:
        for seed, outcome in zip(found.seeds, row.outcomes, strict=True):
            values = (getattr(outcome, m) for m in METRICS)
            cells = ["" if v is None else repr(v) for v in values]
            writer.writerow((row.contender.name, str(row.contender.caller), seed, *cells))
    return out.getvalue()
