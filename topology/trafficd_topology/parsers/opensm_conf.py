"""opensm.conf: text in, options out; options in, text out, with every line we do not manage byte for byte as it was.

The format is OpenSM's own (``osm_subn_parse_conf_file`` in opensm/osm_subnet.c, version 3.3): one ``key value`` a
line, separated by blanks; a line whose first character is ``#`` is a comment; the last of two lines of one key
counts; blanks around a value and one pair of quotes are dropped; ``(null)`` means unset; of a line no more than
1,022 bytes are read. OpenSM takes nonsense silently, so values are checked here before they are written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from trafficd_topology.model import Problem
from trafficd_topology.qos.ib import PORT_TYPES, canonical
from trafficd_topology.qos.vlarb import MAX_WEIGHT, parse_arb

MANAGED = (
    "max_op_vls",
    "qos",
    "qos_max_vls",
    "qos_high_limit",
    "qos_vlarb_high",
    "qos_vlarb_low",
    "qos_sl2vl",
)
"""The keys that lanes are made of; all others belong to the operator."""

MANAGED_BY_TYPE = tuple(
    f"qos_{t}_{k.removeprefix('qos_')}" for t in PORT_TYPES for k in MANAGED if k.startswith("qos_")
)
"""The same for one type of port: ``qos_ca_vlarb_high`` overrides ``qos_vlarb_high`` on adapters. A desired state names
those that differ; any other that is set would override ours."""

INFORMING = (
    "routing_engine",
    "ar_sl_mask",
    "sharp_enabled",
    "aggregation_sl",
    "head_of_queue_lifetime",
    "leaf_head_of_queue_lifetime",
    "packet_life_time",
    "subnet_timeout",
    "sm_sl",
    "qos_policy_file",
    "partition_config_file",
    "max_op_vls",
)
"""Lines that are read and never written: what lanes have to fit (``model.FabricSetting``). Those that the file does not
give are left out."""

MAX_LINE_BYTES = 1022
_NUMBERS = {"max_op_vls": (1, 5), "qos_max_vls": (1, 15), "qos_high_limit": (0, 255)}


def is_unset(key: str, value: str) -> bool:
    """Whether OpenSM takes this value as "use the default"."""
    return (
        value == "(null)"
        or (key.endswith("_max_vls") and value == "0")
        or (key.endswith("_high_limit") and value == "-1")
    )


def overrides(options: Mapping[str, str]) -> tuple[str, ...]:
    """Keys of one port type that are set and would win over ours there."""
    return tuple(k for k in MANAGED_BY_TYPE if k in options and not is_unset(k, options[k]))


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _split(line: str) -> tuple[str, str]:
    """(key, value) of a line; an empty key for comments and blank lines."""
    words = line[:MAX_LINE_BYTES].strip().split(None, 1)
    if not words or line.startswith("#"):
        return "", ""
    value = words[1].strip() if len(words) == 2 else ""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return words[0], value


def parse_conf(text: str) -> dict[str, str]:
    """Every key and its value as OpenSM would take them; the last of two lines counts. Never raises."""
    return {key: value for key, value in map(_split, _lines(text)) if key and value}


@dataclass(frozen=True, slots=True)
class ConfLine:
    """One option as a line gives it. ``cut``: the line is longer than OpenSM reads, and the rest is lost."""

    key: str
    value: str
    cut: bool = False


def conf_lines(text: str) -> tuple[ConfLine, ...]:
    """Every line that gives an option, in order; of two lines of one key the last counts. Never raises."""
    found = (
        (_split(line), len(line.rstrip("\r\n").encode("utf-8", "replace")) > MAX_LINE_BYTES)
        for line in _lines(text)
    )
    return tuple(ConfLine(key, value, cut) for (key, value), cut in found if key and value)


def edit_conf(text: str, values: Mapping[str, str | None]) -> str:
    """``text`` with these keys set (or, for None, their lines removed); all else stays byte for byte.

    A key keeps the place of its last line, which is the one that counts; a new key goes to the end.
    """
    lines = _lines(text)
    place = {key: i for i, line in enumerate(lines) if (key := _split(line)[0])}
    out: list[str] = []
    for i, line in enumerate(lines):
        key = _split(line)[0]
        if key not in values:
            out.append(line)
            continue
        value = values[key]
        if value is not None and place[key] != i:
            out.append(line)
        elif value is not None:
            out.append(line if _split(line)[1] == value else f"{key} {value}{_ending(line)}")
    fresh = [f"{k} {v}\n" for k, v in values.items() if v is not None and k not in place]
    # A carriage return alone ends no line for OpenSM.
    if fresh and out and not out[-1].endswith("\n"):
        out[-1] += "\n"
    return "".join(out + fresh)


def _ending(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def vlarb_text(entries: tuple[int, ...]) -> str:
    """``(0, 192, 2, 64)`` -> ``0:192,2:64``; an empty table is one entry of no weight."""
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return ",".join(f"{vl}:{weight}" for vl, weight in pairs) or "0:0"


def sl2vl_text(entries: tuple[int, ...]) -> str:
    """16 VLs -> the text of ``qos_sl2vl``."""
    return ",".join(map(str, entries))


def _numbers(text: str) -> tuple[int, ...] | None:
    words = text.split(",")
    fits = all(w.isascii() and w.isdigit() and len(w) <= 3 for w in words)
    return tuple(map(int, words)) if fits else None


def parse_vlarb(text: str) -> tuple[int, ...] | None:
    """``0:192,2:64`` -> ``(0, 192, 2, 64)``; None when it is not such a list."""
    table = parse_arb(text)
    return None if table is None else canonical(tuple(n for e in table for n in (e.vl, e.weight)))


def parse_sl2vl(text: str) -> tuple[int, ...] | None:
    """The text of ``qos_sl2vl`` -> 16 VLs; None when it is not such a list."""
    values = _numbers(text)
    return values if values is not None and len(values) == 16 else None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the narrowest port can hold: number of data VLs, and entries of either arbitration table."""

    vls: int
    high_entries: int
    low_entries: int


def check_options(options: Mapping[str, str], limits: Limits) -> tuple[Problem, ...]:
    """Everything wrong with these values of managed keys, which OpenSM itself would take without a word."""
    problems: list[Problem] = []
    for key, value in options.items():
        if is_unset(key, value):
            continue
        reason = _wrong(key, value, limits)
        if len(f"{key} {value}") > MAX_LINE_BYTES:
            reason = f"OpenSM reads no more than {MAX_LINE_BYTES} bytes of a line"
        if reason:
            problems.append(Problem(key, value[:80], reason))
    return tuple(problems)


def _wrong(key: str, value: str, limits: Limits) -> str:
    if key == "qos":
        return "" if value in {"TRUE", "FALSE"} else "must be TRUE or FALSE"
    if key in _NUMBERS:
        low, high = _NUMBERS[key]
        number = _numbers(value)
        fits = number is not None and len(number) == 1 and low <= number[0] <= high
        return "" if fits else f"must be a whole number from {low} to {high}"
    if key == "qos_sl2vl":
        return _wrong_sl2vl(value, limits.vls)
    if key in {"qos_vlarb_high", "qos_vlarb_low"}:
        room = limits.high_entries if key.endswith("high") else limits.low_entries
        return _wrong_vlarb(value, limits.vls, room)
    return f"is not a key of lanes; these are {', '.join(MANAGED)}"


def _wrong_sl2vl(text: str, vls: int) -> str:
    table = parse_sl2vl(text)
    if table is None:
        return "must be 16 VLs separated by commas, one for each SL"
    if 15 in table:
        return f"SL {table.index(15)} goes to VL 15, which drops its packets: choose a data VL"
    worst = max(table)
    if worst >= vls:
        return f"SL {table.index(worst)} goes to VL {worst}, but ports run VL 0 to {vls - 1} and OpenSM would fold it onto another"
    return ""


def _wrong_vlarb(text: str, vls: int, room: int) -> str:
    table = parse_vlarb(text)
    if table is None:
        return "must be VL:weight pairs separated by commas"
    named, weights = table[::2], table[1::2]
    if any(w > MAX_WEIGHT for w in weights):
        return f"weight {max(weights)} is above {MAX_WEIGHT}, and OpenSM would cut it to {max(weights) % 256}"
    if any(v >= vls for v in named):
        return (
            f"VL {max(named)} is named, but ports run VL 0 to {vls - 1} and OpenSM would fold it onto another"
        )
    if text.count(",") + 1 > room:
        return f"{text.count(',') + 1} entries, but a port holds {room}: OpenSM would drop the rest"
    return ""
