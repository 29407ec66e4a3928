"""What survives a restart, in one SQLite file.

Every save is one transaction with a rollback journal and ``synchronous=EXTRA`` (sqlite.org/pragma.html), so that
after a power cut the file holds the old state or the new one. One process owns the file: a lock file beside it
names the holder. Everything that can go wrong here is a ``StoreError`` with one sentence for the operator.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from trafficd.convert.stored import history_of, history_row, log_of, log_row, operations, put_operations
from trafficd.core.records import LogRecord
from trafficd.core.state import Owner, RoleOverride, Saved, SavedFabric, SavedPolicy
from trafficd_topology.model import Role
from trafficd_topology.status import Generation

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE identity (one INTEGER PRIMARY KEY CHECK (one = 1), uuid TEXT NOT NULL,
           epoch INTEGER NOT NULL, generation INTEGER NOT NULL) STRICT""",
        """CREATE TABLE policy (position INTEGER PRIMARY KEY, owner TEXT NOT NULL, source TEXT NOT NULL,
           digest TEXT NOT NULL, text TEXT NOT NULL, names TEXT NOT NULL) STRICT""",
        "CREATE TABLE fabric (one INTEGER PRIMARY KEY CHECK (one = 1), digest TEXT NOT NULL, text TEXT NOT NULL) STRICT",
        "CREATE TABLE role (host TEXT PRIMARY KEY, role TEXT NOT NULL, base TEXT NOT NULL) STRICT",
        "CREATE TABLE digest (node TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT",
    ),
    ("CREATE TABLE writer (subnet TEXT PRIMARY KEY, node TEXT NOT NULL) STRICT",),
    (
        "CREATE TABLE operation (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
        """CREATE TABLE history (position INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, number INTEGER NOT NULL,
           who TEXT NOT NULL, at_ns INTEGER NOT NULL, cause TEXT NOT NULL, sources TEXT NOT NULL) STRICT""",
        """CREATE TABLE log (number INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, who TEXT NOT NULL,
           what TEXT NOT NULL, subject TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
           epoch INTEGER NOT NULL, generation INTEGER NOT NULL) STRICT""",
        """CREATE TRIGGER log_stays_whole BEFORE DELETE ON log
           BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END""",
        """CREATE TRIGGER log_stays_true BEFORE UPDATE ON log
           BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END""",
    ),
)
"""Statements that lead from schema version i to i + 1; the version is PRAGMA user_version."""
APPLICATION_ID = 0x74726466
"""PRAGMA application_id of our files ('trdf'), so that another program's database is not taken over."""


class StoreError(Exception):
    """The state file cannot be used. The text is one sentence: what is wrong, where, and what to do."""


class Store:
    """An open state file. Not safe for use by two threads at once; any one thread may call it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int) -> None:
        self._path = path
        self._db = connection
        self._lock = lock
        self._last: Saved | None = None

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open or create the file, take its lock, and bring its schema up to date. Raises StoreError."""
        lock = _lock(path)
        try:
            with _translated(path):
                connection = sqlite3.connect(path, isolation_level=None, timeout=2.0, check_same_thread=False)
                _prepare(connection, path)
            return cls(path, connection, lock)
        except BaseException:
            os.close(lock)
            raise

    def load(self) -> Saved:
        """What was saved last; a new file gets a new controller uuid, epoch 1 and generation 0."""
        with _translated(self._path):
            row = self._db.execute("SELECT uuid, epoch, generation FROM identity").fetchone()
            if row is None:
                fresh = Saved(str(uuid.uuid4()), Generation(1, 0))
                self.save(fresh)
                return fresh
            self._last = _load(self._db, row)
            return self._last

    def save(self, saved: Saved, records: Sequence[LogRecord] = ()) -> None:
        """Commit durably, and add to the log; on StoreError the file still holds what it held before."""
        with _translated(self._path), _transaction(self._db):
            _write(self._db, self._last, saved)
            self._db.executemany(
                "INSERT INTO log (at_ns, who, what, subject, before, after, epoch, generation) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [log_row(r, time.time_ns()) for r in records],
            )
        self._last = saved

    def close(self) -> None:
        self._db.close()
        os.close(self._lock)


def read_log(path: Path, limit: int) -> tuple[tuple[int, LogRecord], ...]:
    """The newest lines of the log with their numbers, the newest first. Raises StoreError.

    By a connection of its own, so that any thread may ask while the file is in use.
    """
    with _translated(path):
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
        try:
            rows = db.execute(
                "SELECT number, at_ns, who, what, subject, before, after, epoch, generation FROM log "
                "ORDER BY number DESC LIMIT ?",
                (limit,),
            ).fetchall()
        finally:
            db.close()
    return tuple((row[0], log_of(row[1:])) for row in rows)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's exceptions end here, as one sentence each."""
    try:
        yield
    except sqlite3.DatabaseError as e:
        raise StoreError(_sentence(path, e)) from e
    except (KeyError, TypeError, ValueError) as e:
        raise StoreError(f"the state file {path} holds a value this version does not know ({e})") from e


def _sentence(path: Path, error: sqlite3.DatabaseError) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    where = path.parent
    told = (
        (
            "SQLITE_FULL",
            f"no room left for the state file {path}: free space on its disk, nothing was changed",
        ),
        (
            "SQLITE_BUSY",
            f"the state file {path} is locked by another program: end that program and try again",
        ),
        (
            "SQLITE_READONLY",
            f"the state file {path} cannot be written: make it and {where} writable for this user",
        ),
        ("SQLITE_CANTOPEN", f"the state file {path} cannot be opened: make {where} readable and writable"),
        (
            "SQLITE_CORRUPT",
            f"the state file {path} is damaged: put back a copy, or move it away to begin anew",
        ),
        (
            "SQLITE_NOTADB",
            f"{path} is not a state file of trafficd: put back a copy, or move it away to begin anew",
        ),
        ("SQLITE_IOERR", f"the disk under the state file {path} failed ({error}): nothing was changed"),
    )
    sentence = next((text for code, text in told if name.startswith(code)), "")
    return sentence or f"the state file {path} cannot be used: {error}"


def _lock(path: Path) -> int:
    """Take the lock file beside the state file, or name who holds it."""
    beside = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as e:
        raise StoreError(
            f"cannot make the lock file {beside}: {e.strerror}; choose a writable directory"
        ) from e
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
        os.close(descriptor)
        raise StoreError(
            f"the state file {path} is in use by {holder}: two controllers may not share it"
        ) from e
    with suppress(OSError):  # the lock holds without the name, which a full disk has no room for
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return descriptor


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Set how commits work, refuse files that are not ours, and migrate."""
    ours = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and ours != APPLICATION_ID:
        raise StoreError(f"{path} is another program's database: give trafficd a file of its own")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the state file {path} was written by a newer trafficd (schema {version}, this one knows "
            f"{len(MIGRATIONS)}): use that version, or put back the copy from before the upgrade"
        )
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA synchronous = EXTRA")
    if (damage := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise StoreError(
            f"the state file {path} is damaged ({' '.join(damage.split())}): put back a copy, or move it away to begin anew"
        )
    if version < len(MIGRATIONS):
        # Nothing is written otherwise: what was saved can be served from a full or read-only disk, too.
        _migrate(db, version)


def _migrate(db: sqlite3.Connection, version: int) -> None:
    with _transaction(db):
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _load(db: sqlite3.Connection, identity: tuple[str, int, int]) -> Saved:
    policies = db.execute("SELECT owner, source, digest, text, names FROM policy ORDER BY position")
    fabric = db.execute("SELECT digest, text FROM fabric").fetchone()
    roles = db.execute("SELECT host, role, base FROM role ORDER BY host")
    history = db.execute(
        "SELECT epoch, number, who, at_ns, cause, sources FROM history ORDER BY position"
    ).fetchall()
    saved = Saved(
        identity[0],
        Generation(identity[1], identity[2]),
        tuple(SavedPolicy(Owner(o), s, d, t, tuple(json.loads(n))) for o, s, d, t, n in policies),
        None if fabric is None else SavedFabric(*fabric),
        tuple(RoleOverride(host, Role(role), Role(base)) for host, role, base in roles),
        tuple(db.execute("SELECT node, digest FROM digest ORDER BY node")),
        tuple(db.execute("SELECT subnet, node FROM writer ORDER BY subnet")),
        history=tuple(history_of(row) for row in history),
    )
    return put_operations(saved, dict(db.execute("SELECT name, value FROM operation")))


def _write(db: sqlite3.Connection, before: Saved | None, after: Saved) -> None:
    """Write the parts that differ; the transaction is the caller's."""
    db.execute(
        "INSERT OR REPLACE INTO identity VALUES (1, ?, ?, ?)",
        (after.uuid, after.generation.epoch, after.generation.number),
    )
    if before is None or before.policies != after.policies:
        rows = [
            (i, p.owner.value, p.source, p.digest, p.text, json.dumps(p.names))
            for i, p in enumerate(after.policies)
        ]
        _replace(db, "policy", rows)
    if before is None or before.fabric != after.fabric:
        _replace(db, "fabric", [] if after.fabric is None else [(1, after.fabric.digest, after.fabric.text)])
    if before is None or before.roles != after.roles:
        _replace(db, "role", [(r.host, r.role.value, r.base.value) for r in after.roles])
    if before is None or before.digests != after.digests:
        _replace(db, "digest", list(after.digests))
    if before is None or before.writers != after.writers:
        _replace(db, "writer", list(after.writers))
    if before is None or before.history != after.history:
        _replace(db, "history", [history_row(i, e) for i, e in enumerate(after.history)])
    if before is None or operations(before) != operations(after):
        _replace(db, "operation", operations(after))


def _replace(db: sqlite3.Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """All rows of a table; ``table`` is a word of this module."""
    db.execute(f"DELETE FROM {table}")  # noqa: S608 - a name from this module, never input
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - as above
