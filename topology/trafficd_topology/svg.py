"""A drawing as an SVG document that stands alone: both themes, no script, nothing fetched. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from trafficd_topology.drawing import LETTER, PAD, Box, Drawing, DrawnHost, DrawnNic, DrawnSwitch, Line
from trafficd_topology.parsers.units import rate_text

LEVELS = (0.01, 0.25, 0.5, 0.75, 0.9)
"""A NIC's level is how many of these its utilisation reaches: 0 is idle, 5 is full."""
_LIGHT = ("#ffffff", "#cfe1f2", "#93c4de", "#4a97c9", "#1764ab", "#08264f")
_DARK = ("#10161d", "#2c3e66", "#2f6b8e", "#25a186", "#7ad151", "#fde725")
_STYLE = """
text{font:11px system-ui,"DejaVu Sans",sans-serif;fill:#1c2733}
.page{fill:#fbfcfd}.host{fill:#f0f3f6;stroke:#8695a4}.switch{fill:#e3e8ee;stroke:#52616f}
.line{stroke:#8695a4;stroke-width:1}.trunk{opacity:.3}.nic{fill:#fff;stroke:#52616f}
.storage{stroke-dasharray:none;rx:5px}.unknown{stroke-dasharray:2 2}.cross{stroke:#b3261e;stroke-width:2}
"""
_NIGHT = """
text{fill:#dde5ec}.page{fill:#10161d}.host{fill:#1a232d;stroke:#61707f}.switch{fill:#263340;stroke:#93a4b4}
.line{stroke:#61707f}.nic{fill:#10161d;stroke:#93a4b4}.cross{stroke:#ff8a80}
"""


def level(utilisation: float | None) -> int:
    """0 to 5; 0 for what is not known."""
    return 0 if utilisation is None else sum(utilisation >= least for least in LEVELS)


def printable(text: str) -> str:
    """Without what no document and no terminal should be given: control, format, surrogate and private characters."""
    return "".join("\ufffd" if unicodedata.category(c)[0] == "C" else c for c in text)


def svg(
    drawing: Drawing, utilisations: Sequence[float | None] | None = None, down: frozenset[int] = frozenset()
) -> str:
    """The document. ``utilisations`` (0 to 1, None unknown) are parallel to ``drawing.nics``; None: nothing is measured.

    ``down`` are indexes of NICs without a carrier.
    """
    return "".join(f"{line}\n" for line in _lines(drawing, utilisations, down))


def _lines(
    drawing: Drawing, utilisations: Sequence[float | None] | None, down: frozenset[int]
) -> Iterator[str]:
    width, height = drawing.width, drawing.height
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title desc">'
    )
    yield f'<title id="title">{_text(f"Fabric {drawing.name}")}</title>'
    yield f'<desc id="desc">{_text(summary(drawing))}</desc>'
    fills = "".join(f".l{i}{{fill:{c}}}" for i, c in enumerate(_LIGHT))
    night = "".join(f".l{i}{{fill:{c}}}" for i, c in enumerate(_DARK))
    yield f"<style>{_STYLE}{fills}\n@media (prefers-color-scheme:dark){{{_NIGHT}{night}}}</style>"
    yield f'<rect class="page" width="{width}" height="{height}"/>'
    yield from map(_line, drawing.lines)
    yield from map(_switch, drawing.switches)
    yield from map(_host, drawing.hosts)
    yield from (f'<text x="{t.x}" y="{t.y}">{_text(t.text)}</text>' for t in drawing.labels)
    for i, nic in enumerate(drawing.nics):
        yield _nic(nic, utilisations[i] if utilisations else None, i in down, utilisations is not None)
    yield "</svg>"


def summary(drawing: Drawing) -> str:
    """What is drawn and what is not, one sentence."""
    said = f"{len(drawing.hosts)} hosts, {len(drawing.nics)} NICs, {len(drawing.switches)} switches"
    return f"{said}; not drawn: {drawing.left_out}" if drawing.left_out else said


def _text(text: str) -> str:
    return escape(printable(text))


def _rect(box: Box, css: str) -> str:
    return f'<rect class="{css}" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="3"/>'


def _line(line: Line) -> str:
    css = "line trunk" if line.trunk else "line"
    return f'<line class="{css}" x1="{line.x1}" y1="{line.y1}" x2="{line.x2}" y2="{line.y2}"/>'


def _titled(name: str, box: Box) -> str:
    """The name, cut where the box ends."""
    room = max(1, (box.width - PAD) // LETTER)
    return _text(name if len(name) <= room else f"{name[: room - 1]}…")


def _switch(switch: DrawnSwitch) -> str:
    box = switch.box
    return (
        f"<g><title>{_text(f'switch {switch.name}')}</title>{_rect(box, 'switch')}"
        f'<text x="{box.middle}" y="{box.y + 16}" text-anchor="middle">{_titled(switch.name, box)}</text></g>'
    )


def _host(host: DrawnHost) -> str:
    box = host.box
    return (
        f"<g><title>{_text(f'{host.role.value} host {host.name}')}</title>{_rect(box, 'host')}"
        f'<text x="{box.x + PAD}" y="{box.y + 13}">{_titled(host.name, box)}</text></g>'
    )


def _nic(nic: DrawnNic, used: float | None, down: bool, measured: bool) -> str:
    box, told = nic.box, f"{nic.key}, {nic.kind.value}, {rate_text(nic.rate_bps)}"
    if measured:
        told += ": no carrier" if down else ": not measured" if used is None else f": {used:.0%} used"
    unknown = " unknown" if measured and used is None else ""
    drawn = _rect(box, f"nic {nic.kind.value}{unknown}")
    if down:
        drawn += _cross(box)
    elif used is not None and used > 0:
        part = max(1, round(box.height * min(used, 1.0)))
        filled = Box(box.x, box.y + box.height - part, box.width, part)
        drawn += _rect(filled, f"l{level(used)}")
    return f"<g><title>{_text(told)}</title>{drawn}</g>"


def _cross(box: Box) -> str:
    right, bottom = box.x + box.width, box.y + box.height
    return (
        f'<line class="cross" x1="{box.x}" y1="{box.y}" x2="{right}" y2="{bottom}"/>'
        f'<line class="cross" x1="{right}" y1="{box.y}" x2="{box.x}" y2="{bottom}"/>'
    )
