"""What the agent keeps on disk, so that it can serve without a controller and finish what a kill interrupted.

    accepted.json            the last accepted desired state
    asfound/<scope>.json     what a scope held before our first write to it
    journal/<scope>.json     open: a write is under way, and what was there before; else what was verified there
    trials/<scope>.json      what was there before a change that may have cut the node off from its controller
    latches/<scope>.json     that a scope is not to be written before a new generation, and why

Every file is written whole (to a temporary name, fsync, rename, fsync of the directory), says its version and
carries a checksum. One that cannot be trusted is moved aside and named in ``problems``; it is never guessed at.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from trafficd_agent.apply import SaveError
from trafficd_agent.conditions import Row, Verdict
from trafficd_agent.desired import Desired, DesiredScope, ScopeId, ScopeLane
from trafficd_agent.plain import from_plain, to_plain
from trafficd_agent.scope import Latch, Stage
from trafficd_topology.diff import State
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Generation

VERSION = 1


@dataclass(frozen=True, slots=True)
class AsFound:
    """What a scope held before our first write, and through which driver. ``lost``: it was, but cannot be read."""

    driver: str
    elements: State = ()
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """``open``: a write from ``before`` to ``holds`` is under way. Else the device verifiably held ``holds``."""

    holds: State
    before: State = ()
    open: bool = False


def _checksum(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes) -> None:
    """Either the old file or the whole new one is there, whatever happens. Raises SaveError."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(path)
        _fsync_directory(path.parent)
    except OSError as e:
        raise SaveError(f"cannot save {path}: {e.strerror}; free space or correct its permissions") from e


def save(path: Path, body: Mapping[str, Any]) -> None:
    """Write a document atomically. Raises SaveError."""
    document = {"version": VERSION, "sha256": _checksum(body), "body": body}
    write_atomic(path, json.dumps(document, indent=1, sort_keys=True).encode() + b"\n")


def remove(path: Path) -> None:
    """Remove a document, durably; it may be absent. Raises SaveError."""
    try:
        if path.exists():
            path.unlink()
            _fsync_directory(path.parent)
    except OSError as e:
        raise SaveError(f"cannot remove {path}: {e.strerror}") from e


class LockedError(Exception):
    """The state directory is in use."""


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Nobody else uses the directory meanwhile; the kernel ends it with the process. Raises LockedError, SaveError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("ab")
    except OSError as e:
        raise SaveError(f"cannot use {directory}: {e.strerror}; correct its permissions") from e
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise LockedError(f"an agent runs on {directory}: stop it first") from e
        yield


def parse(text: bytes) -> Any:
    """A document's body. Raises ValueError, a few words, when it cannot be trusted."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise ValueError("it is not JSON") from e
    if not isinstance(document, dict) or not {"version", "sha256", "body"} <= document.keys():
        raise ValueError("it is no state file")
    if document["version"] != VERSION:
        raise ValueError(f"it is of version {document['version']!r}, and this agent writes version {VERSION}")
    if document["sha256"] != _checksum(document["body"]):
        raise ValueError("its checksum is wrong")
    return document["body"]


def aside(path: Path) -> Path:
    """Move a file out of the way under a name that is free."""
    number = 1
    while (target := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    path.replace(target)
    return target


class Files:
    """The state directory. ``problems``: one sentence for each file that could not be trusted."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems: list[str] = []

    def load(self, path: Path, read: Any) -> Any:
        """``read(body)`` of a document; None when it is absent, or could not be trusted and was moved aside."""
        try:
            return read(parse(path.read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as e:
            self._note(f"cannot read {path}: {e.strerror}; correct its permissions")
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            self._distrust(path, e)
        return None

    def _distrust(self, path: Path, error: Exception) -> None:
        why = str(error) if isinstance(error, ValueError) else "a field is missing or of another type"
        try:
            where = f"moved aside to {aside(path).name}"
        except OSError as e:
            where = f"could not be moved aside: {e.strerror}"
        self._note(f"{path} cannot be trusted ({why}) and was {where}")

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def accepted(self) -> Desired | None:
        found: Desired | None = self.load(self.directory / "accepted.json", _desired)
        return found

    def keep_accepted(self, desired: Desired) -> None:
        """Raises SaveError."""
        save(self.directory / "accepted.json", _plain_desired(desired))

    def forget_accepted(self) -> None:
        """Raises SaveError."""
        remove(self.directory / "accepted.json")

    def scope(self, scope: ScopeId) -> ScopeFiles:
        return ScopeFiles(self, scope)

    def touched(self) -> tuple[ScopeId, ...]:
        """Scopes that we wrote to and did not return to what they held before."""
        names = sorted(p.name for p in (self.directory / "asfound").glob("*.json"))
        pairs = [name.removesuffix(".json").split("-", 1) for name in names]
        return tuple(ScopeId(ScopeKind(k), unquote(n)) for k, n in pairs if k in list(ScopeKind))


def peek_accepted(directory: Path) -> tuple[Desired | None, str]:
    """The last accepted state beside a running agent, and one sentence where it cannot be read. Moves nothing."""
    path = directory / "accepted.json"
    try:
        return _desired(parse(path.read_bytes())), ""
    except FileNotFoundError:
        return None, ""
    except OSError as e:
        return None, f"cannot read {path}: {e.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        return None, f"{path} cannot be trusted ({type(e).__name__})"


class ScopeFiles:
    """What is kept about one scope. Used by one thread at a time."""

    def __init__(self, files: Files, scope: ScopeId) -> None:
        name = f"{scope.kind}-{quote(scope.name, safe='')}.json"
        self._files = files
        self._as_found, self._journal, self._latch, self._trial = (
            files.directory / folder / name for folder in ("asfound", "journal", "latches", "trials")
        )

    def as_found(self) -> AsFound | None:
        found: AsFound | None = self._files.load(self._as_found, _as_found)
        lost = found is None and any(self._as_found.parent.glob(f"{self._as_found.name}.corrupt-*"))
        return AsFound("", lost=True) if lost else found

    def record(self) -> Record | None:
        found: Record | None = self._files.load(self._journal, _record)
        return found

    def latch(self) -> Latch | None:
        found: Latch | None = self._files.load(self._latch, _latch)
        return found

    def begin(self, driver: str, before: State, target: State) -> None:
        """Before the first write of a run. Raises SaveError."""
        if self.as_found() is None:
            save(self._as_found, {"driver": driver, "elements": to_plain(before)})
        save(self._journal, {"open": True, "before": to_plain(before), "holds": to_plain(target)})

    def settle(self, holds: State) -> None:
        """The device verifiably holds this. Raises SaveError."""
        save(self._journal, {"open": False, "before": [], "holds": to_plain(holds)})

    def keep_latch(self, latch: Latch) -> None:
        """Raises SaveError."""
        if latch.stage is None or latch.verdict is None:
            remove(self._latch)
            return
        v = latch.verdict
        body = {"stage": latch.stage, "row": v.row, "reason": v.reason, "message": v.message}
        save(self._latch, {**body, "about": latch.about})

    def trial(self) -> AsFound | None:
        """What was there before the change on trial, and through which driver."""
        found: AsFound | None = self._files.load(self._trial, _as_found)
        return found

    def begin_trial(self, driver: str, before: State, *, keep: bool) -> None:
        """Before the first write of a change on trial; ``keep`` what a trial under way began from. Raises SaveError."""
        if not (keep and self.trial() is not None):
            save(self._trial, {"driver": driver, "elements": to_plain(before)})

    def end_trial(self) -> None:
        """Raises SaveError."""
        remove(self._trial)

    def forget(self) -> None:
        """The scope is back as it was found. Raises SaveError."""
        for path in (self._trial, self._journal, self._latch, self._as_found):
            remove(path)


def _as_found(body: Any) -> AsFound:
    return AsFound(body["driver"], from_plain(body["elements"]))


def _record(body: Any) -> Record:
    return Record(from_plain(body["holds"]), from_plain(body["before"]), body["open"] is True)


def _latch(body: Any) -> Latch:
    about = str(body.get("about", ""))
    return Latch(Stage(body["stage"]), Verdict(Row(body["row"]), body["reason"], body["message"]), about)


def _plain_desired(desired: Desired) -> dict[str, Any]:
    return {
        "epoch": desired.generation.epoch,
        "number": desired.generation.number,
        "digest": desired.digest,
        "controller_uuid": desired.controller_uuid,
        "revert_in_s": desired.revert_in_s,
        "scopes": [_plain_scope(s) for s in desired.scopes],
    }


def _plain_scope(s: DesiredScope) -> dict[str, Any]:
    return {
        "kind": s.id.kind,
        "name": s.id.name,
        "driver": s.driver,
        "mode": s.mode,
        "policy": s.policy,
        "elements": to_plain(s.elements),
        "lanes": [_plain_lane(n) for n in s.lanes],
        "refusal": s.refusal,
        "rate_bps": s.rate_bps,
        "nic_kind": s.nic_kind,
    }


def _plain_lane(n: ScopeLane) -> dict[str, Any]:
    return {
        "id": n.id,
        "name": n.name,
        "traffic_classes": list(n.traffic_classes),
        "guaranteed_ratio": n.guaranteed_ratio,
        "unmarked": n.unmarked,
        "priority": n.priority,
    }


def _lane(b: Any) -> ScopeLane:
    """What an earlier agent did not write has its default: an update must not lose what was accepted."""
    lane = ScopeLane(b["id"], b["name"], tuple(b["traffic_classes"]))
    ratio, unmarked = b.get("guaranteed_ratio", 0.0), b.get("unmarked", False)
    priority = b.get("priority")
    lane = replace(lane, guaranteed_ratio=float(ratio), unmarked=unmarked is True)
    return replace(lane, priority=None if priority is None else int(priority))


def _scope(b: Any) -> DesiredScope:
    lanes = tuple(map(_lane, b["lanes"]))
    scope = ScopeId(ScopeKind(b["kind"]), b["name"])
    elements = from_plain(b["elements"])
    rate_bps, kind = b.get("rate_bps"), str(b.get("nic_kind", ""))
    wanted = DesiredScope(scope, b["driver"], Mode(b["mode"]), b["policy"], elements, lanes, b["refusal"])
    return replace(wanted, rate_bps=None if rate_bps is None else int(rate_bps), nic_kind=kind)


def _desired(b: Any) -> Desired:
    generation = Generation(b["epoch"], b["number"])
    scopes = tuple(_scope(s) for s in b["scopes"])
    return Desired(generation, b["digest"], b["controller_uuid"], scopes, float(b.get("revert_in_s", 0.0)))
