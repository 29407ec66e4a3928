"""A device in memory that holds any element, and misbehaves on request.

For trying a policy without a device, for demonstrations of what the agent does when a device fails, and for
tests. What it holds can be kept in a file (``device``), so that it survives the agent; how it misbehaves is
read from a file (``control``) before every operation, so that it can be switched while an agent runs:

    scopes:
      - match: "c*"            # scopes by name pattern
        refuse: ["class/*"]    # writes to elements of these name patterns are refused
        ignore: ["leaf/*"]     # accepted and not carried out
        alter: ["filter/*"]    # carried out with another value
        half: ["class/*"]      # only the first half of the fields is written, then an error
        lie: ["qdisc"]         # read back with another value than is held
        drop: ["leaf/10"]      # gone at the next read: drift
        unreadable: [qdisc.rate_bps]
        foreign: ["a root qdisc of somebody else's"]
        fail_after: 3          # every write after so many, counted from the first ever, fails
        error: busy            # ... in this way: busy, gone, permission, refused or fault
        hang: write            # read or write does not return while this stands here
        absent: false          # the device is not there
        read_only: false       # the agent may read it and not write
        identity: "2"          # changes when the device is re-created
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from trafficd_agent.driver import (
    BusyError,
    Capability,
    DriverError,
    GoneError,
    Observation,
    PermissionMissingError,
    RefusedError,
    no_batch,
)
from trafficd_agent.plain import from_plain, to_plain
from trafficd_topology.diff import Change, Disruption, Element, Op, State, Step, Steps, state
from trafficd_topology.model import LinkLayer, PortInventory, Problem, ScopeKind
from trafficd_topology.parsers.tree import Mapping, load
from trafficd_topology.qos.dcb import DcbFeatures
from trafficd_topology.qos.kinds import DCB_KINDS, KINDS
from trafficd_topology.qos.steps import DCB_STEPS

HANG_POLL_S = 0.02


class Error(StrEnum):
    BUSY = "busy"
    GONE = "gone"
    PERMISSION = "permission"
    REFUSED = "refused"
    FAULT = "fault"


class Hang(StrEnum):
    NEVER = "never"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a scope misbehaves; see the module. The default is a device that does as told."""

    refuse: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    alter: tuple[str, ...] = ()
    half: tuple[str, ...] = ()
    lie: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    fail_after: int | None = None
    error: Error = Error.BUSY
    hang: Hang = Hang.NEVER
    absent: bool = False
    read_only: bool = False
    identity: str = "1"


@dataclass(frozen=True, slots=True)
class FakeOptions:
    """``ports``: names offered as ports of the node, each of ``rate_bps``. ``disruptive``: kinds whose change flaps a link.
    ``dcb``: the ports are RoCE ports, with every kind of DCB element and what each costs on a real NIC.
    """

    control: str = ""
    device: str = ""
    ports: tuple[str, ...] = ()
    rate_bps: int = 100_000_000
    disruptive: tuple[str, ...] = ()
    scope_kind: ScopeKind = ScopeKind.PORT
    dcb: bool = False


ROCE_PORT = DcbFeatures(tuple(k for k in DCB_KINDS if k != "app"), 8, 8, 2 * 2**20, 128, "fake")


def steps_of(disruptive: tuple[str, ...]) -> dict[tuple[Op, str], Step]:
    """Add in the order of the table of kinds, change, then remove in reverse."""
    table: dict[tuple[Op, str], Step] = {}
    for i, kind in enumerate(KINDS):
        cost = Disruption.LINK_FLAP if kind in disruptive else Disruption.HITLESS
        for op, order in ((Op.ADD, i), (Op.CHANGE, 100 + i), (Op.REMOVE, 300 - i)):
            table[op, kind] = Step(order, cost, "in memory")
    return table


def _words(m: Mapping, key: str) -> tuple[str, ...]:
    found = []
    for path, item in m.items(key):
        if isinstance(item, str):
            found.append(item)
        else:
            m.problems.append(Problem(path, str(item), "must be a word"))
    return tuple(found)


def _behaviour(m: Mapping) -> Behaviour:
    lists = {
        n: _words(m, n) for n in ("refuse", "ignore", "alter", "half", "lie", "drop", "unreadable", "foreign")
    }
    return Behaviour(
        **lists,
        fail_after=m.whole("fail_after", None),
        error=m.choice("error", Error, Error.BUSY),
        hang=m.choice("hang", Hang, Hang.NEVER),
        absent=m.flag("absent", default=False),
        read_only=m.flag("read_only", default=False),
        identity=m.text("identity", "1"),
    )


def parse_control(text: str | bytes) -> tuple[tuple[tuple[str, Behaviour], ...], tuple[Problem, ...]]:
    """Rows of (name pattern, behaviour), the first match counts; and every problem at once."""
    tree, found = load(text)
    if found:
        return (), found
    top = Mapping(tree, "", problems := list[Problem]())
    rows = []
    for m in top.mappings("scopes"):
        rows.append((m.text("match", "*"), _behaviour(m)))
        m.done()
    top.done()
    return (() if problems else tuple(rows)), tuple(problems)


def altered(value: Any) -> Any:
    """The same value with its first field made another."""
    name = fields(value)[0].name
    return replace(value, **{name: _other(getattr(value, name))})


def _other(was: Any) -> Any:
    if isinstance(was, bool):
        return not was
    if isinstance(was, tuple):
        return (*was, _other(was[-1]) if was else 0)
    return was + 1 if isinstance(was, int) else was + "x"


def halved(old: Any, new: Any) -> Any:
    """``old`` with the first half of the fields that differ taken from ``new``."""
    names = [f.name for f in fields(new) if getattr(new, f.name) != getattr(old, f.name)]
    return replace(old, **{n: getattr(new, n) for n in names[: (len(names) + 1) // 2]})


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, p) or name.partition("/")[0] == p for p in patterns)


ERRORS: dict[Error, Callable[[str], Exception]] = {
    Error.BUSY: BusyError,
    Error.GONE: GoneError,
    Error.PERMISSION: PermissionMissingError,
    Error.REFUSED: RefusedError,
    Error.FAULT: RuntimeError,
}


def _read_only(scope: str) -> str:
    return f"{scope} may only be read: give the agent leave to write it"


def _version(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


class FakeDevice:
    """What the scopes hold, and how many writes each has seen; in memory, or in a file that outlives the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._held: dict[str, State] = {}
        self._writes: dict[str, int] = {}
        self._version = (0, 0)
        self._plain: dict[str, tuple[State, Any]] = {}

    def _load(self) -> None:
        """What another process may have put there; every store makes a new file."""
        if self._path is None or not self._path.exists() or self._version == (now := _version(self._path)):
            return
        document = json.loads(self._path.read_bytes())
        self._held = {s: from_plain(rows) for s, rows in document["held"].items()}
        self._writes = dict(document["writes"])
        self._version = now

    def _store(self) -> None:
        if self._path is None:
            return
        document = {"held": {s: self._rows(s) for s in self._held}, "writes": self._writes}
        temporary = self._path.with_name(f".{self._path.name}.new")
        temporary.write_text(json.dumps(document, sort_keys=True))
        temporary.replace(self._path)
        self._version = _version(self._path)

    def _rows(self, scope: str) -> Any:
        """What a scope holds as the file has it; made anew only where that changed."""
        held = self._held[scope]
        known = self._plain.get(scope)
        if known is None or known[0] is not held:
            known = self._plain[scope] = held, to_plain(held)
        return known[1]

    def holds(self, scope: str) -> State:
        with self._lock:
            self._load()
            return self._held.get(scope, ())

    def writes(self, scope: str) -> int:
        """Writes that reached the scope, carried out or not."""
        with self._lock:
            self._load()
            return self._writes.get(scope, 0)

    def hold(self, scope: str, elements: State) -> None:
        """Put a state there from outside, as another writer would."""
        with self._lock:
            self._load()
            self._held[scope] = state(elements)
            self._store()

    def count(self, scope: str) -> int:
        with self._lock:
            self._load()
            self._writes[scope] = self._writes.get(scope, 0) + 1
            self._store()
            return self._writes[scope]

    def put(self, scope: str, name: str, element: Element | None) -> None:
        with self._lock:
            self._load()
            rest = [e for e in self._held.get(scope, ()) if e.name != name]
            self._held[scope] = state(rest if element is None else [*rest, element])
            self._store()


class FakeDriver:
    """See the module. ``behaviour`` may be replaced while it runs, when there is no control file."""

    name = "fake"

    def __init__(self, options: FakeOptions = FakeOptions()) -> None:
        self.options = options
        self.scope_kind = options.scope_kind
        self.steps: Steps = steps_of(options.disruptive) | (DCB_STEPS if options.dcb else {})
        self.device = FakeDevice(Path(options.device) if options.device else None)
        self.behaviour = Behaviour()

    def ports(self) -> Iterator[PortInventory]:
        """The ports that exist because this driver says so."""
        for name in self.options.ports:
            yield PortInventory(
                name, LinkLayer.ETHERNET, rate_bps=self.options.rate_bps, up=True, tx_queues=1
            )

    def _now(self, scope: str) -> Behaviour:
        if not self.options.control:
            return self.behaviour
        try:
            text = Path(self.options.control).read_bytes()
        except FileNotFoundError:
            return Behaviour()
        rows, problems = parse_control(text)
        if problems:
            raise DriverError(f"{self.options.control}: {problems[0]}")
        return next((b for match, b in rows if fnmatchcase(scope, match)), Behaviour())

    def _behave(self, scope: str, at: Hang) -> Behaviour:
        """The behaviour now, once it does not hang here any more."""
        while (now := self._now(scope)).hang is at:
            time.sleep(HANG_POLL_S)
        if now.absent:
            raise GoneError(f"{scope} is not there: plug it in")
        return now

    def probe(self, scope: str) -> Capability:
        try:
            now = self._now(scope)
        except DriverError as e:
            return Capability(supported=False, reason=str(e))
        if self.options.ports and scope not in self.options.ports and not now.absent:
            return Capability(supported=False, reason=f"{scope} is no port of the fake device")
        reason = _read_only(scope) if now.read_only else ""
        dcb = ROCE_PORT if self.options.dcb else None
        return Capability(supported=True, reason=reason, writable=not now.read_only, dcb=dcb)

    def read(self, scope: str) -> Observation:
        now = self._behave(scope, Hang.READ)
        for e in self.device.holds(scope):
            if _matches(e.name, now.drop):
                self.device.put(scope, e.name, None)
        held = self.device.holds(scope)
        seen = [replace(e, value=altered(e.value)) if _matches(e.name, now.lie) else e for e in held]
        return Observation(state(seen), now.foreign, frozenset(now.unreadable), now.identity)

    def write(self, scope: str, change: Change) -> None:
        now = self._behave(scope, Hang.WRITE)
        if now.read_only:
            raise PermissionMissingError(_read_only(scope))
        count = self.device.count(scope)
        if now.fail_after is not None and count > now.fail_after:
            raise ERRORS[now.error](f"{scope}: write {count} failed as asked ({now.error})")
        if _matches(change.name, now.refuse):
            raise RefusedError(f"{scope}: {change.name} is refused: choose another value")
        if _matches(change.name, now.ignore):
            return
        if change.op is Op.REMOVE:
            self.device.put(scope, change.name, None)
            return
        self._put(scope, change, now)

    def _put(self, scope: str, change: Change, now: Behaviour) -> None:
        value = altered(change.new) if _matches(change.name, now.alter) else change.new
        half = _matches(change.name, now.half)
        if half and change.op is Op.CHANGE:
            value = halved(change.old, change.new)
        if not (half and change.op is Op.ADD):
            self.device.put(scope, change.name, Element(change.kind, change.key, value))
        if half:
            raise BusyError(f"{scope}: {change.name} was written in part")

    def batch(self, scope: str) -> AbstractContextManager[None]:  # noqa: ARG002 - the seam names the scope
        return no_batch()
