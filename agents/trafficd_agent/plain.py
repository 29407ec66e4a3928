"""States as plain values and back, for JSON files; the table of element kinds decides what is known."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from trafficd_topology.diff import Element, State, state
from trafficd_topology.qos.kinds import KINDS


def to_plain(elements: State) -> list[dict[str, Any]]:
    return [{"kind": e.kind, "key": e.key, "value": asdict(e.value)} for e in elements]


def _fits(value: Any, wanted: Any) -> Any:
    """``value`` as the annotation asks (lists become tuples); TypeError when it is of another type."""
    origin = typing.get_origin(wanted)
    if origin is tuple and isinstance(value, list):
        (item, _) = typing.get_args(wanted)
        return tuple(_fits(v, item) for v in value)
    allowed = typing.get_args(wanted) if origin in (types.UnionType, typing.Union) else (wanted,)
    if type(value) not in allowed:
        raise TypeError(f"{value!r} is no {wanted}")
    return value


def _element(plain: Any) -> Element:
    kind, key, value = plain["kind"], plain["key"], plain["value"]
    value_type = KINDS[kind][0]
    hints = typing.get_type_hints(value_type)
    given = {f.name: _fits(value[f.name], hints[f.name]) for f in fields(value_type)}
    return Element(_fits(kind, str), _fits(key, str), value_type(**given))


def from_plain(plain: Iterable[Any]) -> State:
    """The State a list of plain values describes.

    Raises ValueError, one sentence, when an element's kind is unknown or a field is missing or of another type.
    """
    try:
        return state(_element(p) for p in plain)
    except (KeyError, TypeError, AttributeError) as e:
        raise ValueError(f"not an element of a known kind: {e}") from e
