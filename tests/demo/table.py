"""One table: what was measured, what came out, what is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement. ``met`` says whether ``asked`` is kept; a row that asks for nothing is met."""

    what: str
    seen: str
    asked: str = ""
    met: bool = True


def render(rows: list[Row]) -> str:
    """Columns as wide as their longest cell."""
    cells = [("measured", "seen", "asked for", "")]
    cells += [(r.what, r.seen, r.asked, ("met" if r.met else "NOT MET") if r.asked else "") for r in rows]
    widths = [max(len(c[i]) for c in cells) for i in range(4)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(c, widths, strict=True)).rstrip() for c in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(["", *lines])
