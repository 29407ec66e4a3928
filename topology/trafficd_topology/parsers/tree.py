"""YAML text to a checked tree: every problem at once, each with its path, value and reason.

``load`` turns text into plain values and refuses what YAML lets pass silently (duplicate keys, aliases that
multiply, tags, binary, documents too large). ``Mapping`` reads a mapping field by field, notes every problem in a
shared list, and at the end names the keys that nobody asked for. A reader never raises.
"""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Callable, Hashable, Iterator
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import yaml

from trafficd_topology.model import Problem

MAX_TEXT_BYTES = 16 * 2**20
"""Larger files are refused: a fabric of 10,000 NICs takes about 2 MiB."""
MAX_DEPTH = 32
MAX_NODES = 600_000
"""Most values in one file (10,000 NICs with every field take about 300,000): bounds the time and memory of a tree."""
MAX_PROBLEMS = 1_000
"""Longest list of problems; one more says that there are others."""
_HINTS = 100
"""Likely spellings of unknown keys are looked up this often; each costs a comparison with every known key."""
E_ = TypeVar("E_", bound=StrEnum)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # C where PyYAML was built with it
    """Safe loader that refuses duplicate keys and reads plain words by the core schema of YAML 1.2 (10.3.2).

    YAML 1.1 takes the PCI address ``0000:18:00.0`` for a number in base 60 and the name ``on`` for true. Stricter
    than the core schema where a name or a GUID would turn into a number: no ``0x``, ``0o``, leading zeros, and
    no exponent without a point.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    out: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
        if key in out:
            raise yaml.constructor.ConstructorError(
                None, None, f"{key!r} is given twice", key_node.start_mark
            )
        out[key] = loader.construct_object(value_node, deep=True)
    return out


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9_]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def short(value: Any) -> str:
    """A value as it may stand in a message: one line, at most 60 characters."""
    text = "" if value is None else repr(value) if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."


def _pitfall(text: str) -> str:
    """Why this text is not worth building a tree from, judged while scanning it; empty when it is."""
    depth = nodes = 0
    for event in yaml.parse(text, _Loader):
        nodes += isinstance(event, yaml.NodeEvent)
        if nodes > MAX_NODES:
            return f"more than {MAX_NODES} values: split it"
        if isinstance(event, yaml.AliasEvent):
            return "YAML aliases (*name) are not allowed: write the value out"
        if getattr(event, "tag", None) is not None:
            # A tag chooses a constructor for a value it may not fit, and none of them expects that.
            where = _where(event.start_mark)
            return f"{where}: YAML tags (!name) are not allowed: write the value plainly"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return f"nested deeper than {MAX_DEPTH} levels"
    return ""


def load(text: str | bytes) -> tuple[Any, tuple[Problem, ...]]:
    """Parse YAML text. Returns (tree, ()) or (None, problems); never raises.

    Bytes are taken as UTF-8. An empty document is a problem.
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(data) > MAX_TEXT_BYTES:
        return None, (
            Problem("", f"{len(data)} bytes", f"the file is larger than {MAX_TEXT_BYTES} bytes: split it"),
        )
    try:
        decoded = data.decode("utf-8")
    except UnicodeDecodeError as e:
        return None, (Problem("", "", f"not a text file: byte {e.start} is not UTF-8"),)
    try:
        if reason := _pitfall(decoded):
            return None, (Problem("", "", reason),)
        tree = yaml.load(decoded, _Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.YAMLError as e:
        return None, (_yaml_problem(e),)
    except (ValueError, RecursionError, OverflowError) as e:
        return None, (Problem("", "", f"not valid YAML: {short(str(e))}"),)
    if tree is None:
        return None, (Problem("", "", "the file is empty"),)
    return tree, ()


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _yaml_problem(error: yaml.YAMLError) -> Problem:
    where = _where(getattr(error, "problem_mark", None))
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    return Problem(where, "", f"not valid YAML: {what}")


def note(problems: list[Problem], problem: Problem) -> None:
    """Add a problem to the list, which stops growing at MAX_PROBLEMS and then says so."""
    if len(problems) < MAX_PROBLEMS:
        problems.append(problem)
    elif len(problems) == MAX_PROBLEMS:
        problems.append(Problem("", "", f"more than {MAX_PROBLEMS} problems: mend these first"))


class Mapping:
    """A mapping of the tree, read field by field; problems go to the shared list ``problems``."""

    def __init__(self, value: Any, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self._asked: set[str] = set()
        self.ok = isinstance(value, dict)
        self._value: dict[Any, Any] = value if isinstance(value, dict) else {}
        if not self.ok:
            self.problem("", value, "must be a mapping of names to values")

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path and key else self.path or key

    def problem(self, key: str, value: Any, reason: str) -> None:
        note(self.problems, Problem(self.at(key), short(value), reason))

    def has(self, key: str) -> bool:
        self._asked.add(key)
        return self._value.get(key) is not None

    def names(self) -> tuple[str, ...]:
        """Every key, where the keys are names of the operator's; those that are no text are a problem."""
        for key in self._value:
            if not isinstance(key, str):
                self.problem("", key, "must be a name")
        return tuple(key for key in self._value if isinstance(key, str))

    def raw(self, key: str) -> Any:
        self._asked.add(key)
        return self._value.get(key)

    def _typed(self, key: str, default: Any, ok: Callable[[Any], bool], reason: str) -> Any:
        value = self.raw(key)
        if value is None:
            if default is ...:
                self.problem(key, None, "is missing")
            return None if default is ... else default
        if not ok(value):
            self.problem(key, value, reason)
            return None if default is ... else default
        return value

    def text(self, key: str, default: Any = ..., *, reason: str = "must be a word") -> Any:
        """A string that is not empty, one line, at most 253 characters. ``default=...`` means required."""
        fits = lambda v: isinstance(v, str) and 0 < len(v) <= 253 and v.isprintable() and v == v.strip()  # noqa: E731
        return self._typed(key, default, fits, reason)

    def whole(self, key: str, default: Any = ..., *, low: int = 0, high: int = 2**63) -> Any:
        fits = lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high  # noqa: E731
        return self._typed(key, default, fits, f"must be a whole number from {low} to {high}")

    def number(self, key: str, default: Any = ..., *, low: float = 0.0, high: float = math.inf) -> Any:
        most = min(high, sys.float_info.max)  # excludes infinity, NaN, and integers that no float can hold
        fits = lambda v: isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= most  # noqa: E731
        return self._typed(key, default, fits, f"must be a number from {low:g} to {high:g}")

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._typed(key, default, lambda v: isinstance(v, bool), "must be true or false"))

    def choice(self, key: str, kind: type[E_], default: Any = ...) -> Any:
        """One of an enumeration's words."""
        words = [str(w) for w in kind]
        value = self._typed(key, default, lambda v: v in words, f"must be one of {', '.join(words)}")
        return kind(value) if isinstance(value, str) else value

    def items(self, key: str) -> Iterator[tuple[str, Any]]:
        """(path, value) of each item of a list; nothing when the key is absent."""
        value = self._typed(key, [], lambda v: isinstance(v, list), "must be a list")
        for i, item in enumerate(value):
            yield f"{self.at(key)}[{i}]", item

    def mappings(self, key: str) -> Iterator[Mapping]:
        """Each item of a list as a Mapping; an item of another type is a problem and left out."""
        for path, item in self.items(key):
            m = Mapping(item, path, self.problems)
            if m.ok:
                yield m

    def mapping(self, key: str) -> Mapping | None:
        value = self.raw(key)
        if value is None:
            return None
        m = Mapping(value, self.at(key), self.problems)
        return m if m.ok else None

    def done(self) -> None:
        """Name every key that nobody asked for."""
        for key in self._value:
            if key not in self._asked:
                near = self._near(str(key))
                hint = (
                    f"did you mean {near[0]}?" if near else f"known keys are {', '.join(sorted(self._asked))}"
                )
                self.problem(short(str(key)).strip("'"), None, f"unknown key: {hint}")

    def _near(self, key: str) -> list[str]:
        if len(self.problems) > _HINTS or len(key) > 253:
            return []
        return difflib.get_close_matches(key, sorted(self._asked), n=1)
