"""A SONiC switch's CONFIG_DB, as exported to JSON, to how each of its ports treats packets.

Sources: sonic-swss doc/swss-schema.md and sonic-buildimage src/sonic-yang-models (sonic-port-qos-map, sonic-dscp-tc-map,
sonic-tc-queue-map, sonic-tc-priority-group-map, sonic-scheduler, sonic-queue, sonic-wred-profile, sonic-pfcwd). Two
styles occur: nested (``{"QUEUE": {"Ethernet0|3": ...}}``, as config_db.json has it) and flat (``{"QUEUE|Ethernet0|3":
...}``, as a dump of the database); and references to another table ``name`` or, in older ones, ``[TABLE|name]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trafficd_topology.model import Problem
from trafficd_topology.qos.dcb import DSCPS, PRIORITIES
from trafficd_topology.qos.switch import SwitchPort, SwitchQueue

MAX_BYTES = 64 * 2**20
MAX_PORTS = 4096
_VERSION = re.compile(r"version_(?:[1-9]_\d{1,2}_\d{1,2}|20\d{4}_\d{1,2})")
"""Before 2024 ``version_4_0_1``, since ``version_202405_01`` (sonic-utilities scripts/db_migrator.py)."""
_OTHER = {
    "COUNTERS": "COUNTERS_DB",
    "PORT_TABLE": "APPL_DB",
    "ASIC_STATE": "ASIC_DB",
    "FLEX_COUNTER_DB": "FLEX_COUNTER_DB",
}
_EXPORT = "export CONFIG_DB (/etc/sonic/config_db.json, or sonic-db-dump -n CONFIG_DB)"
Rows = Mapping[str, Mapping[str, Any]]
Tables = dict[str, dict[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class SonicConfig:
    """``ports`` are those with a PORT_QOS_MAP of their own, by name. ``version``: empty where the export does not say."""

    version: str
    hostname: str
    ports: tuple[SwitchPort, ...]

    def port(self, name: str) -> SwitchPort | None:
        """By name (Ethernet0) or alias (etp1)."""
        return next((p for p in self.ports if name in (p.name, p.alias)), None)


def parse_sonic(text: str | bytes) -> tuple[SonicConfig | None, tuple[Problem, ...]]:
    """(configuration, ()) or (None, every problem of the whole); never raises. What is wrong with one port stands there."""
    tree, problem = _load(text)
    if problem is not None:
        return None, (problem,)
    tables = _tables(tree)
    if problems := tuple(_misfits(tables)):
        return None, problems
    names = sorted(_ports(tables))[:MAX_PORTS]
    aliases = {n: str(row.get("alias", "")) for n, row in tables.get("PORT", {}).items()}
    queues = _queues(tables)
    ports = tuple(_port(n, aliases.get(n, ""), tables, queues.get(n, {})) for n in names)
    host = str(tables.get("DEVICE_METADATA", {}).get("localhost", {}).get("hostname", ""))
    return SonicConfig(_version(tables), host, ports), ()


def _load(text: str | bytes) -> tuple[Any, Problem | None]:
    if len(text) > MAX_BYTES:
        return None, Problem("", f"{len(text)} bytes", f"larger than {MAX_BYTES} bytes: {_EXPORT}")
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        tree = json.loads(decoded)
    except UnicodeDecodeError as e:
        return None, Problem("", "", f"not a text file: byte {e.start} is not UTF-8")
    except json.JSONDecodeError as e:
        rest = decoded[e.pos :].strip()
        cut = not rest or e.msg.startswith("Unterminated")
        reason = "the export is cut off: take it again" if cut else f"not JSON: {e.msg}"
        return None, Problem(f"line {e.lineno}, column {e.colno}", "", reason)
    except (RecursionError, ValueError):
        return None, Problem("", "", "not JSON of a switch: nested too deep, or a number too long")
    if not isinstance(tree, dict):
        return None, Problem("", type(tree).__name__, f"not a configuration: {_EXPORT}")
    return tree, None


def _tables(tree: Mapping[str, Any]) -> Tables:
    """Both styles to table -> key -> row; what is neither is left out."""
    out: Tables = {}
    for name, value in tree.items():
        if not isinstance(value, dict):
            continue
        table, bar, key = name.partition("|")
        rows = {key: value} if bar else {k: v for k, v in value.items() if isinstance(v, dict)}
        out.setdefault(table, {}).update(rows)
    return out


def _version(tables: Tables) -> str:
    return str(tables.get("VERSIONS", {}).get("DATABASE", {}).get("VERSION", ""))


def _misfits(tables: Tables) -> Iterator[Problem]:
    """Why this is not the configuration of a switch's QoS, or not one that we can read."""
    for table in tables:
        other = _OTHER.get(table.partition(":")[0].partition("_NAME_MAP")[0])
        if other and "PORT_QOS_MAP" not in tables:
            yield Problem("", table, f"a dump of {other}, which is not what the switch was told: {_EXPORT}")
            return
    version = _version(tables)
    if version and not _VERSION.fullmatch(version):
        reason = (
            "a version of CONFIG_DB that this program does not know: attest the agreement by hand, or update"
        )
        yield Problem("VERSIONS|DATABASE.VERSION", version, reason)
    if not tables.get("PORT_QOS_MAP"):
        reason = f"holds no PORT_QOS_MAP: QoS is not configured on this switch (config qos reload), or the export is incomplete: {_EXPORT}"
        yield Problem("PORT_QOS_MAP", "", reason)


def _ports(tables: Tables) -> Iterator[str]:
    """A key may name several ports."""
    for key in tables["PORT_QOS_MAP"]:
        yield from (n for n in key.split(",") if n and n != "global")


def _row(rows: Rows, port: str) -> Mapping[str, Any]:
    own = next((row for key, row in rows.items() if port in key.split(",")), {})
    return {**rows.get("global", {}), **own}


def _name(value: Any) -> str:
    """``AZURE`` of ``AZURE`` and of ``[DSCP_TO_TC_MAP|AZURE]``."""
    return str(value).strip("[]").rpartition("|")[2]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a map of a port is looked up, and how its numbers are bounded."""

    field: str
    tables: tuple[str, ...]
    keys: int


_MAPS = {
    "dscp_tc": _Place("dscp_to_tc_map", ("DSCP_TO_TC_MAP",), DSCPS),
    "tc_queue": _Place("tc_to_queue_map", ("TC_TO_QUEUE_MAP",), PRIORITIES),
    "tc_group": _Place("tc_to_pg_map", ("TC_TO_PRIORITY_GROUP_MAP",), PRIORITIES),
    "pfc_queue": _Place(
        "pfc_to_queue_map", ("MAP_PFC_PRIORITY_TO_QUEUE", "PFC_PRIORITY_TO_QUEUE_MAP"), PRIORITIES
    ),
}


def _port(name: str, alias: str, tables: Tables, queues: Mapping[int, SwitchQueue]) -> SwitchPort:
    row = _row(tables["PORT_QOS_MAP"], name)
    problems: list[str] = []
    maps = {key: _map(row, place, tables, problems) for key, place in _MAPS.items()}
    watched = _list(row.get("pfcwd_sw_enable"), "pfcwd_sw_enable", problems)
    pfc = _list(row.get("pfc_enable"), "pfc_enable", problems)
    if name in tables.get("PFC_WD", {}) and not watched:
        watched = pfc  # older releases: the watchdog guards whatever has PFC
    return SwitchPort(
        name, alias, maps["dscp_tc"], maps["tc_queue"], maps["tc_group"],
        maps["pfc_queue"] or tuple(range(PRIORITIES)), pfc, watched or (),
        tuple(queues.get(q, SwitchQueue()) for q in range(PRIORITIES)), tuple(problems),
    )  # fmt: skip


def _map(
    row: Mapping[str, Any], place: _Place, tables: Tables, problems: list[str]
) -> tuple[int, ...] | None:
    """The whole map, 0 where it names no value; None where the port has none."""
    if (reference := row.get(place.field)) is None:
        return None
    name = _name(reference)
    given = next((tables[t][name] for t in place.tables if name in tables.get(t, {})), None)
    if given is None:
        problems.append(f"its {place.field} {name} is not in {place.tables[0]}: the export is incomplete")
        return None
    try:
        numbers = {int(k): int(v) for k, v in given.items() if str(k).isdecimal()}
    except (TypeError, ValueError):
        numbers = {-1: -1}
    if any(not (0 <= k < place.keys and 0 <= v < PRIORITIES) for k, v in numbers.items()):
        problems.append(f"{place.tables[0]} {name} holds a number out of range: the export is damaged")
        return None
    return tuple(numbers.get(k, 0) for k in range(place.keys))


def _list(value: Any, field: str, problems: list[str]) -> tuple[int, ...] | None:
    """``3,4``; None where there is no such field."""
    if value is None:
        return None
    words = [w.strip() for w in str(value).split(",") if w.strip()]
    if any(not w.isdecimal() or int(w) >= PRIORITIES for w in words):
        problems.append(f"its {field} is {value!r}, no list of priorities: the export is damaged")
        return None
    return tuple(sorted({int(w) for w in words}))


def _queues(tables: Tables) -> dict[str, dict[int, SwitchQueue]]:
    """Port -> queue -> what it is; a key is ``Ethernet0|3``, ``Ethernet0,Ethernet4|0-2`` or ``host|asic|Ethernet0|3``."""
    out: dict[str, dict[int, SwitchQueue]] = {}
    for key, row in tables.get("QUEUE", {}).items():
        where, _, numbers = key.rpartition("|")
        queue = _queue(row, tables)
        for port in where.rpartition("|")[2].split(","):
            for number in _range(numbers):
                out.setdefault(port, {})[number] = queue
    return out


def _range(text: str) -> Iterator[int]:
    first, dash, last = text.partition("-")
    if first.isdecimal() and (not dash or last.isdecimal()):
        yield from (n for n in range(int(first), int(last if dash else first) + 1) if n < PRIORITIES)


def _queue(row: Mapping[str, Any], tables: Tables) -> SwitchQueue:
    scheduler = tables.get("SCHEDULER", {}).get(_name(row.get("scheduler", "")), {})
    profile = tables.get("WRED_PROFILE", {}).get(_name(row.get("wred_profile", "")), {})
    ecn = str(profile.get("ecn", "ecn_none")) != "ecn_none"
    kind, weight = str(scheduler.get("type", "")).upper(), str(scheduler.get("weight", "1"))
    if kind == "STRICT":
        return SwitchQueue(strict=True, weight=0, ecn=ecn)
    if kind in ("DWRR", "WRR") and weight.isdecimal():
        return SwitchQueue(strict=False, weight=int(weight), ecn=ecn)
    return SwitchQueue(ecn=ecn)
