"""From what ports hold to a state and back: agreement, deviations, limits, and how a drifted table is sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from trafficd_agent.drivers.opensm.survey import PORT_TYPE, SWITCH, Port, Survey, Table
from trafficd_topology.diff import Change, Element
from trafficd_topology.model import FabricPortType, Problem
from trafficd_topology.parsers.opensm_conf import (
    MANAGED,
    Limits,
    check_options,
    is_unset,
    parse_sl2vl,
    parse_vlarb,
    sl2vl_text,
    vlarb_text,
)
from trafficd_topology.qos.ib import EVERY_PORT, IbTable, canonical
from trafficd_topology.qos.vlarb import OPERATIONAL_VLS

KINDS = ("vlarb_high", "vlarb_low", "sl2vl")
"""Tables that OpenSM makes from options."""
_VLS = {code: vls for vls, code in OPERATIONAL_VLS.items()}
_MTU_BYTES = {1: 256, 2: 512, 3: 1024, 4: 2048, 5: 4096}

HIGH_LIMIT = "high_limit"
OP_VLS = "op_vls"
_TYPES = tuple(PORT_TYPE.values())

Tables = Mapping[tuple[str, str], tuple[int, ...]]
"""(kind, type of port) -> entries."""


def option_key(kind: str, port_type: str = EVERY_PORT) -> str:
    """The option that OpenSM makes this table from."""
    return f"qos_{kind}" if port_type == EVERY_PORT else f"qos_{port_type}_{kind}"


def option_in_force(options: Mapping[str, str], name: str, port_type: str) -> tuple[str, str]:
    """Which option counts for ports of a type, and its text: their own, or that of all ports.

    ``name`` is what follows ``qos_``.
    """
    own = f"qos_{port_type}_{name}"
    key = own if own in options and not is_unset(own, options[own]) else f"qos_{name}"
    return key, options.get(key, "")


def table_elements(survey: Survey) -> Iterator[Element]:
    """Per kind what most ports of a type hold, and each port that holds something else.

    ``*`` is what switch ports hold (without switches: all ports); another type stands there only where it differs.
    """
    types = {(p.guid, p.number): p.type for p in survey.ports}
    for kind in KINDS:
        by_type: dict[int, list[Table]] = {}
        for t in survey.tables:
            if t.kind == kind:
                by_type.setdefault(types[t.guid, t.port], []).append(t)
        yield from _of_kind(kind, by_type)


def _of_kind(kind: str, by_type: Mapping[int, list[Table]]) -> Iterator[Element]:
    every = _most(by_type.get(SWITCH) or [t for found in by_type.values() for t in found])
    if every is None:
        return
    yield Element(kind, EVERY_PORT, IbTable(every))
    for node_type, found in by_type.items():
        most = _most(found)
        if most is not None and most != every:
            yield Element(kind, PORT_TYPE[node_type], IbTable(most))
        odd = (t for t in found if t.entries != most)
        yield from (Element(kind, place, IbTable(t.entries)) for t in odd for place in t.places)


def _most(found: Iterable[Table]) -> tuple[int, ...] | None:
    """The entries that most of them hold; of two that are as many the smaller."""
    counts: Counter[tuple[int, ...]] = Counter()
    for t in found:
        counts[t.entries] += len(t.places)
    return min(counts, key=lambda entries: (-counts[entries], entries), default=None)


def high_limit_hidden(survey: Survey, options: Mapping[str, str]) -> bool:
    """Whether ports say 0 throughout though the file says otherwise: such devices do not tell their limit."""
    told = (_limit(options, t) for t in _TYPES)
    return any(limit for limit in told) and not any(p.high_limit for p in survey.ports)


def _limit(options: Mapping[str, str], port_type: str) -> int | None:
    text = option_in_force(options, HIGH_LIMIT, port_type)[1]
    return int(text) if text.isdigit() else None


def high_limit_elements(survey: Survey, options: Mapping[str, str]) -> Iterator[Element]:
    """Each port whose VLHighLimit is not what the file says."""
    if high_limit_hidden(survey, options):
        return
    wanted = {t: _limit(options, name) for t, name in PORT_TYPE.items()}
    for port in survey.ports:
        if port.vl_cap > 1 and wanted[port.type] not in {None, port.high_limit}:
            yield Element(HIGH_LIMIT, port.name, IbTable((port.high_limit,)))


def op_vls_elements(survey: Survey, options: Mapping[str, str]) -> Iterator[Element]:
    """Each port that runs fewer VLs than ``max_op_vls`` says."""
    text = options.get("max_op_vls", "")
    if text.isdigit():
        low = (p for p in survey.ports if p.op_vls < int(text))
        yield from (Element(OP_VLS, p.name, IbTable((p.op_vls,))) for p in low)


def port_types(survey: Survey) -> Iterator[FabricPortType]:
    """What the ports of each type can hold."""
    for node_type, name in PORT_TYPE.items():
        ports = [p for p in survey.ports if p.type == node_type]
        if ports:
            yield FabricPortType(
                type=name,
                ports=len(ports),
                vls=min(_VLS.get(p.vl_cap, 1) for p in ports),
                operational_vls=min(_VLS.get(p.op_vls, 1) for p in ports),
                high_entries=min(p.high_entries for p in ports),
                low_entries=min(p.low_entries for p in ports),
                mtu_bytes=min(_MTU_BYTES.get(p.mtu, 0) for p in ports),
            )


def limits(ports: Iterable[Port], max_op_vls: str | None) -> Limits:
    """What the narrowest port can hold; with ``max_op_vls`` (a code), as it will be once that is in force."""
    cap = int(max_op_vls) if max_op_vls is not None and max_op_vls.isdigit() else None
    among = tuple(ports)
    codes = [p.op_vls if cap is None else min(p.vl_cap, cap) for p in among]
    return Limits(
        min((_VLS.get(c, 1) for c in codes), default=1),
        min((p.high_entries for p in among), default=0),
        min((p.low_entries for p in among), default=0),
    )


def parse_table(kind: str, text: str) -> tuple[int, ...] | None:
    """An option's text as the table it becomes; None when it is unset or no such text."""
    return parse_sl2vl(text) if kind == "sl2vl" else parse_vlarb(text)


def table_text(kind: str, entries: tuple[int, ...]) -> str:
    """The option's text that becomes this table."""
    return sl2vl_text(entries) if kind == "sl2vl" else vlarb_text(entries)


def wanted_tables(changes: tuple[Change, ...], options: Mapping[str, str]) -> Tables:
    """What every port must hold after these changes, of the kinds that change: as asked, else as the options say.

    Where operational VLs change these are all: OpenSM folds tables to the VLs that a port ran when the sweep began.
    """
    vls = any(c.kind == OP_VLS or (c.kind, c.key) == ("option", "max_op_vls") for c in changes)
    wanted: dict[tuple[str, str], tuple[int, ...]] = {}
    for kind in KINDS:
        asked = {c.key: c.new for c in changes if c.kind == kind}
        for port_type in _TYPES if asked or vls else ():
            key, text = option_in_force(options, kind, port_type)
            said = asked.get(port_type if key == option_key(kind, port_type) else EVERY_PORT)
            if isinstance(said, IbTable):
                wanted[kind, port_type] = said.entries if kind == "sl2vl" else canonical(said.entries)
            elif (entries := parse_table(kind, text)) is not None:
                wanted[kind, port_type] = entries
    return wanted


def differing(survey: Survey, wanted: Tables) -> dict[tuple[str, str], str]:
    """(kind, type of port) -> one port that holds another table than wanted."""
    types = {(p.guid, p.number): PORT_TYPE[p.type] for p in survey.ports}
    found: dict[tuple[str, str], str] = {}
    for t in survey.tables:
        key = (t.kind, types[t.guid, t.port])
        if key in wanted and t.entries != wanted[key]:
            found.setdefault(key, t.places[0])
    return found


def problems(
    ports: tuple[Port, ...], tested: Mapping[str, str], max_op_vls: str | None
) -> tuple[Problem, ...]:
    """What is wrong with these options on the ports that they are for; ``max_op_vls`` as for ``limits``."""
    found: list[Problem] = []
    for port_type in (EVERY_PORT, *_TYPES):
        own = option_key("", port_type)
        # An option of one type of port is as that of all ports, on fewer of them.
        mine = {f"qos_{k.removeprefix(own)}": v for k, v in tested.items() if k.startswith(own)}
        if port_type == EVERY_PORT:
            mine = {k: v for k, v in tested.items() if k in MANAGED}
        among = [p for p in ports if port_type in {EVERY_PORT, PORT_TYPE[p.type]}]
        if mine and among:
            wrong = check_options(mine, limits(among, max_op_vls))
            found += wrong if port_type == EVERY_PORT else (_renamed(p, own) for p in wrong)
    return tuple(found)


def _renamed(problem: Problem, prefix: str) -> Problem:
    return replace(problem, path=prefix + problem.path.removeprefix("qos_"))


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


def switch_pairs(changes: Iterable[Change]) -> bool:
    """Whether SL2VL of switches may change, which only a reading of every pair proves."""
    options = {"qos", "max_op_vls", "qos_max_vls", "qos_sl2vl", "qos_swe_sl2vl", "qos_swe_max_vls"}
    return any(
        c.key in options
        if c.kind == "option"
        else c.kind == OP_VLS or (c.kind == "sl2vl" and c.key not in {"ca", "rtr"})
        for c in changes
    )
