"""Fields that the records of a fabric file share: names, indices, and values read by a function."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from trafficd_topology.parsers.tree import Mapping

MAX_INDEX = 4095
"""Largest index of a GPU, NUMA node or rail."""
NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.ASCII)
PORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}", re.ASCII)
NODE_RULE = "must be a name of letters, digits and . _ - (quote a name made of digits)"
PORT_RULE = "must be a port's name of letters, digits and . _ : @ / - (quote a name made of digits)"


def named(m: Mapping, key: str, pattern: re.Pattern[str], rule: str) -> str:
    """A name that is required; the empty name, which no check looks at, where it is not one."""
    value = m.raw(key)
    if value is None:
        m.problem(key, None, "is missing")
    elif isinstance(value, str) and pattern.fullmatch(value):
        return value
    else:
        m.problem(key, value, rule)
    return ""


def read(m: Mapping, key: str, reader: Callable[[Any], Any], rule: str) -> Any:
    """``reader``'s value of a key that may be absent; None where it is absent or, with a problem, wrong."""
    if not m.has(key):
        return None
    value = m.raw(key)
    if (found := reader(value)) is None:
        m.problem(key, value, rule)
    return found


def index(m: Mapping, key: str) -> int | None:
    found: int | None = m.whole(key, None, high=MAX_INDEX)
    return found
