"""What ``mlnx_qos -i IF`` prints. Text in, a record out; never raises.

Of several outputs in one text (a session) the last word on each thing counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TRUST = re.compile(r"Priority trust state:\s*(dscp|pcp|both)\b")
_DCBX = re.compile(r"DCBX mode:\s*(OS|Firmware) controlled", re.IGNORECASE)
_PFC = re.compile(r"^[ \t]*enabled[ \t]+((?:[01][ \t]+){7}[01])[ \t]*\r?$", re.MULTILINE)
_TC = re.compile(r"^[ \t]*tc: ?([0-7]) .{0,80}?tsa: ?(\w{1,16})(?:, ?bw: ?(\d{1,3})%)?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MlnxQos:
    """``pfc``: priorities with priority flow control, None when not shown. ``tsa``: (algorithm, ETS percent) by
    traffic class.
    """

    trust: str = ""
    pfc: tuple[int, ...] | None = None
    tsa: tuple[tuple[str, int | None], ...] = ()
    host_controlled: bool | None = None


def parse_mlnx_qos(text: str) -> MlnxQos | None:
    """None when there is nothing of it in the text."""
    trust, dcbx = _TRUST.findall(text), _DCBX.findall(text)
    pfc = [row.split() for row in _PFC.findall(text)]
    classes = {int(tc): (tsa.lower(), int(bw) if bw else None) for tc, tsa, bw in _TC.findall(text)}
    if not (trust or pfc or classes):
        return None
    return MlnxQos(
        trust[-1] if trust else "",
        tuple(p for p, on in enumerate(pfc[-1]) if on == "1") if pfc else None,
        tuple(classes[tc] for tc in sorted(classes)),
        dcbx[-1].lower() == "os" if dcbx else None,
    )
