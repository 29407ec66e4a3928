"""From what ports hold to a state and back: agreement, deviations, limits, and how a drifted table is sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from trafficd_agent.drivers.opensm.survey import Port, Survey
from trafficd_topology.diff import Change, Element
from trafficd_topology.parsers.opensm_conf import (
    Limits,
    parse_sl2vl,
    parse_vlarb,
    sl2vl_text,
    vlarb_text,
)
from trafficd_topology.qos.ib import IbTable, canonical
from trafficd_topology.qos.vlarb import OPERATIONAL_VLS

OPTION_OF = {"vlarb_high": "qos_vlarb_high", "vlarb_low": "qos_vlarb_low", "sl2vl": "qos_sl2vl"}
"""Kind of table -> the option that OpenSM makes it from."""

_VLS = {code: vls for vls, code in OPERATIONAL_VLS.items()}

EVERY = "*"
HIGH_LIMIT = "high_limit"
HIGH_LIMIT_OPTION = "qos_high_limit"

Tables = Mapping[str, tuple[int, ...]]


def table_elements(survey: Survey) -> Iterator[Element]:
    """Per kind what most ports hold, and each port that holds something else."""
    for kind in OPTION_OF:
        tables = [t for t in survey.tables if t.kind == kind]
        if not tables:
            continue
        counts = Counter(t.entries for t in tables)
        common = min(counts, key=lambda entries: (-counts[entries], entries))
        yield Element(kind, EVERY, IbTable(common))
        yield from (Element(kind, t.place, IbTable(t.entries)) for t in tables if t.entries != common)


def high_limit_hidden(survey: Survey, options: Mapping[str, str]) -> bool:
    """Whether ports say 0 throughout though the file says otherwise: such devices do not tell their limit."""
    text = options.get(HIGH_LIMIT_OPTION, "0")
    return text.isdigit() and int(text) > 0 and not any(p.high_limit for p in survey.ports)


def high_limit_elements(survey: Survey, options: Mapping[str, str]) -> Iterator[Element]:
    """Each port whose VLHighLimit is not what the file says."""
    text = options.get(HIGH_LIMIT_OPTION, "")
    if not text.isdigit() or high_limit_hidden(survey, options):
        return
    for port in survey.ports:
        if port.vl_cap > 1 and port.high_limit != int(text):
            yield Element(HIGH_LIMIT, port.name, IbTable((port.high_limit,)))


def limits(ports: tuple[Port, ...], max_op_vls: str | None) -> Limits:
    """What the narrowest port can hold; with ``max_op_vls`` (a code), as it will be once that is in force."""
    cap = int(max_op_vls) if max_op_vls is not None and max_op_vls.isdigit() else None
    codes = [p.op_vls if cap is None else min(p.vl_cap, cap) for p in ports]
    return Limits(
        min((_VLS.get(c, 1) for c in codes), default=1),
        min((p.high_entries for p in ports), default=0),
        min((p.low_entries for p in ports), default=0),
    )


def parse_table(kind: str, text: str) -> tuple[int, ...] | None:
    """An option's text as the table it becomes; None when it is unset or no such text."""
    return parse_sl2vl(text) if kind == "sl2vl" else parse_vlarb(text)


def table_text(kind: str, entries: tuple[int, ...]) -> str:
    """The option's text that becomes this table."""
    return sl2vl_text(entries) if kind == "sl2vl" else vlarb_text(entries)


def wanted_tables(changes: tuple[Change, ...], options: Mapping[str, str]) -> Tables:
    """What every port must hold after these changes: as asked, else as the options say."""
    wanted: dict[str, tuple[int, ...]] = {}
    for kind, key in OPTION_OF.items():
        if not any(c.kind == kind for c in changes):
            continue
        asked = next((c.new for c in changes if c.kind == kind and c.key == EVERY), None)
        if isinstance(asked, IbTable):
            wanted[kind] = asked.entries if kind == "sl2vl" else canonical(asked.entries)
        elif (entries := parse_table(kind, options.get(key, ""))) is not None:
            wanted[kind] = entries
    return wanted


def differing(survey: Survey, wanted: Tables) -> dict[str, str]:
    """Kind of table -> one port that holds another one than wanted."""
    found: dict[str, str] = {}
    for t in survey.tables:
        if t.kind in wanted and t.entries != wanted[t.kind]:
            found.setdefault(t.kind, t.place)
    return found


def detour(kind: str, entries: tuple[int, ...], vls: int) -> tuple[int, ...]:
    """A harmless table that differs: OpenSM sends a table again only when its own copy changes.

    An arbitration weight moves by one unit of 64 bytes; of SL2VL the last SL moves to the next VL.
    """
    changed = list(entries)
    if kind == "sl2vl":
        changed[15] = (changed[15] + 1) % max(vls, 2)
        return tuple(changed)
    place = next((i for i in range(1, len(changed), 2) if changed[i]), None)
    if place is None:
        return (0, 1, *changed[2:])
    changed[place] += -1 if changed[place] > 1 else 1
    return tuple(changed)


def detours(kinds: Mapping[str, str], wanted: Tables, vls: int) -> dict[str, str]:
    """Option -> text of the harmless tables for these kinds."""
    return {OPTION_OF[k]: table_text(k, detour(k, wanted[k], vls)) for k in kinds}
