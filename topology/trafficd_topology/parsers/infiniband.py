"""The ``infiniband`` section of a policy: arbitration tables, by type of port too, paths and partitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from trafficd_topology.model import NicKind, Problem, Role
from trafficd_topology.parsers.lane_rules import ib_tables
from trafficd_topology.parsers.lanes import Placed, read_words
from trafficd_topology.parsers.presets import PresetTree
from trafficd_topology.parsers.tree import Mapping
from trafficd_topology.qos.ib import PORT_TYPES
from trafficd_topology.qos.ib_files import DEFAULT_PKEY
from trafficd_topology.qos.ib_options import (
    COMMON_RC_TIMEOUT,
    PLAIN,
    IbOptions,
    PartitionWish,
    PathWish,
    PortGroup,
)
from trafficd_topology.qos.lanes import Lane, TrafficClass
from trafficd_topology.qos.vlarb import (
    MAX_ENTRIES,
    MAX_WEIGHT,
    OPERATIONAL_VLS,
    UNLIMITED,
    IbTables,
    VlArb,
    parse_arb,
)

E_ = TypeVar("E_", bound=StrEnum)


class Unmarked(StrEnum):
    """Which lane packets ride in that nobody marked."""

    DEFAULT = "default"
    LOW = "low"


TABLE_KEYS = ("max_vls", "high_limit", "vlarb_high", "vlarb_low")
MAX_SERVICE_ID = 2**64 - 1
_PARTITION = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}|[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class InfinibandPart:
    """``tables`` is None where they are to be derived from the lanes."""

    path: str
    tables: Placed[IbTables] | None = None
    of_types: tuple[Placed[tuple[str, IbTables]], ...] = ()
    options: IbOptions = PLAIN


def _table(m: Mapping, key: str, max_vls: int) -> VlArb:
    text = m.text(key, reason="must be VL:weight pairs, such as 0:192,1:64")
    if text is None:
        return ()
    table = parse_arb(text)
    if table is None:
        m.problem(key, text, "must be VL:weight pairs, such as 0:192,1:64")
        return ()
    if len(table) > MAX_ENTRIES:
        m.problem(key, len(table), f"has more than {MAX_ENTRIES} entries")
    for e in table:
        if e.weight > MAX_WEIGHT:
            m.problem(key, f"{e.vl}:{e.weight}", f"a weight is at most {MAX_WEIGHT} (units of 64 bytes)")
        if e.vl >= max_vls:
            reason = f"with max_vls {max_vls} the VLs are 0 to {max_vls - 1}; a port would take this one for another"
            m.problem(key, f"{e.vl}:{e.weight}", reason)
    return table


def read_infiniband(m: Mapping, preset: PresetTree, lanes_given: bool) -> InfinibandPart:
    """The section with the preset's tables below it.

    A preset's tables belong to its lanes: a policy that changes lanes and gives no tables has them derived.
    """
    given = m.mapping("infiniband")
    if given is None:
        base = {} if lanes_given else preset.infiniband
        if not base:
            return InfinibandPart(m.at("infiniband"))
        tree = Mapping(base, m.at("infiniband"), m.problems)
        return InfinibandPart(tree.path, Placed(tree.path, _tables(tree)))
    raw = m.raw("infiniband")
    explicit = any(key in raw for key in TABLE_KEYS)
    if preset.infiniband and (explicit or not lanes_given):
        given = Mapping({**preset.infiniband, **raw}, given.path, m.problems)
        explicit = True
    tables = Placed(given.path, _tables_of(given)) if explicit else None
    of_types = tuple(_of_types(given, tables))
    options = _options(given, of_types)
    given.done()
    return InfinibandPart(given.path, tables, of_types, options)


def _tables(m: Mapping) -> IbTables:
    tables = _tables_of(m)
    m.done()
    return tables


def _tables_of(m: Mapping) -> IbTables:
    max_vls = m.whole("max_vls", 15, low=1, high=15)
    if max_vls not in OPERATIONAL_VLS:
        m.problem("max_vls", max_vls, f"must be one of {', '.join(map(str, OPERATIONAL_VLS))}")
    return IbTables(
        max_vls,
        m.whole("high_limit", high=UNLIMITED) or 0,
        _table(m, "vlarb_high", max_vls),
        _table(m, "vlarb_low", max_vls),
    )


def _of_types(m: Mapping, general: Placed[IbTables] | None) -> Iterator[Placed[tuple[str, IbTables]]]:
    """Tables of one type of port: what is left out is as in the general ones. ``max_vls`` is everybody's."""
    types = m.mapping("port_types")
    if types is None:
        return
    for port_type in PORT_TYPES:
        one = types.mapping(port_type)
        if one is None:
            continue
        if general is None:
            types.problem(port_type, None, "give the general high_limit, vlarb_high and vlarb_low, too")
            continue
        base = general.value
        tables = IbTables(
            base.max_vls,
            one.whole("high_limit", base.high_limit, high=UNLIMITED),
            _table(one, "vlarb_high", base.max_vls) if one.has("vlarb_high") else base.vlarb_high,
            _table(one, "vlarb_low", base.max_vls) if one.has("vlarb_low") else base.vlarb_low,
        )
        one.done()
        yield Placed(one.path, (port_type, tables))
    types.done()


def _options(m: Mapping, of_types: Sequence[Placed[tuple[str, IbTables]]]) -> IbOptions:
    return IbOptions(
        tuple(x.value for x in of_types),
        m.whole("rc_timeout", COMMON_RC_TIMEOUT, low=1, high=31),
        m.whole("aggregation_sl", None, high=15),
        m.text("ipoib", "") or "",
        tuple(_path(x) for x in m.mappings("paths")),
        tuple(_partition(x) for x in m.mappings("partitions")),
        m.choice("unmarked", Unmarked, Unmarked.DEFAULT) is Unmarked.LOW,
    )


def _path(m: Mapping) -> PathWish:
    wish = PathWish(
        m.text("class") or "",
        _pkey(m) if m.has("pkey") else None,
        _service_ids(m) if m.has("service_id") else None,
        _group(m.mapping("to")),
    )
    given = [key for key in ("pkey", "service_id", "to") if m.has(key)]
    if len(given) != 1:
        m.problem(
            "class", wish.traffic_class, "give one of pkey, service_id and to: who gets the SL of this class"
        )
    m.done()
    return wish


def _partition(m: Mapping) -> PartitionWish:
    name = m.text("name") or ""
    if name and not _PARTITION.fullmatch(name):
        m.problem("name", name, "must be a word of letters, digits, _ and - that begins with a letter")
    wish = PartitionWish(
        name,
        _pkey(m) or 0,
        m.text("class") or "",
        m.flag("ipoib", default=False),
        _group(m.mapping("members")),
    )
    m.done()
    return wish


def _group(m: Mapping | None) -> PortGroup | None:
    if m is None:
        return None
    group = PortGroup(read_words(m, "nodes"), _choices(m, "roles", Role), _choices(m, "kinds", NicKind))
    m.done()
    return group


def _choices(m: Mapping, key: str, kind: type[E_]) -> tuple[E_, ...]:
    words = [str(w) for w in kind]
    found = []
    for path, item in m.items(key):
        if item in words:
            found.append(kind(item))
        else:
            m.problem(path.removeprefix(f"{m.path}."), item, f"must be one of {', '.join(words)}")
    return tuple(found)


def _whole(value: object) -> int | None:
    """YAML 1.2 reads 0x... as a number; in quotes it is text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value, 0) if isinstance(value, str) and _HEX.fullmatch(value) else None


def _pkey(m: Mapping) -> int | None:
    """15 bits: the membership bit is the member's, not the partition's."""
    value = _whole(m.raw("pkey"))
    if value is None or not 1 <= value < DEFAULT_PKEY:
        m.problem(
            "pkey",
            m.raw("pkey"),
            "must be a P_Key from 0x0001 to 0x7ffe: the default partition stays as it is",
        )
        return None
    return value


def _service_ids(m: Mapping) -> tuple[int, int] | None:
    raw = m.raw("service_id")
    ends = [_whole(x.strip()) for x in raw.split("-")] if isinstance(raw, str) else [_whole(raw)]
    low, high = ends[0], ends[-1]
    if len(ends) > 2 or low is None or high is None or not 0 <= low <= high <= MAX_SERVICE_ID:
        m.problem("service_id", raw, "must be a service id such as 0x1060005, or two with a dash between")
        return None
    return low, high


def judge_infiniband(
    part: InfinibandPart, lanes: Sequence[Placed[Lane]], classes: Sequence[Placed[TrafficClass]]
) -> Iterator[Problem]:
    """What the section says against the lanes and classes of its policy."""
    for one in part.of_types:
        yield from ib_tables(lanes, classes, Placed(one.path, one.value[1]))
    by_name = {c.value.name: c.value for c in classes}
    wishes = [(f"{part.path}.paths[{i}].class", w.traffic_class) for i, w in enumerate(part.options.paths)]
    wishes += [
        (f"{part.path}.partitions[{i}].class", w.traffic_class) for i, w in enumerate(part.options.partitions)
    ]
    wishes += [(f"{part.path}.ipoib", part.options.ipoib)] if part.options.ipoib else []
    for path, name in wishes:
        if name and name not in by_name:
            yield Problem(path, name, f"no such class: the policy has {', '.join(by_name)}")
        elif name and not by_name[name].marking.sl:
            yield Problem(path, name, "this class has no SL: give it one in its markings")
    yield from _pkeys(part)


def _pkeys(part: InfinibandPart) -> Iterator[Problem]:
    seen: dict[int, str] = {}
    for i, partition in enumerate(part.options.partitions):
        path = f"{part.path}.partitions[{i}].pkey"
        if partition.pkey and partition.pkey in seen:
            yield Problem(
                path, f"0x{partition.pkey:04x}", f"this P_Key is already taken at {seen[partition.pkey]}"
            )
        seen.setdefault(partition.pkey, path)
