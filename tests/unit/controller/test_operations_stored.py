"""Orders, history and log in the state file: what comes back, from an older schema, and that the log only grows."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from trafficd.core.losses import Losses
from trafficd.core.records import Leave, LogRecord, Origin, Pause, Slot
from trafficd.core.rollout import Phase, Rollout
from trafficd.core.state import HistoryEntry, Override, Owner, Saved, SavedPolicy
from trafficd.store import MIGRATIONS, Store, read_log
from trafficd_topology.diff import Disruption
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.policy import RolloutSettings
from trafficd_topology.status import Generation

TEXT = SavedPolicy(Owner.FILE, "/etc/policy.yaml", "d1", "policies: é\n", ("a", "b"))
BY = Origin("operator alice", 7)
FULL = Saved(
    "a-uuid",
    Generation(3, 17),
    (TEXT,),
    pause=Pause("why", BY),
    history=(
        HistoryEntry(Generation(3, 1), BY, "file", (TEXT,)),
        HistoryEntry(Generation(3, 9), BY, "api", ()),
    ),
    override=Override("/etc/policy.yaml", "d0", Generation(3, 1)),
    rollout=Rollout(
        RolloutSettings(("n1",), 0, 12.5, 3, 1.5, 60.0, 9.0),
        (("n1",), ("n2", "n3")),
        Phase.HALTED,
        1,
        frozenset({"n1", "n2"}),
        frozenset({"n1"}),
        frozenset({"n3/s0"}),
        "node n1: it failed",
        baseline={"n1": Losses(1.5, None), "n2": Losses()},
    ),
    before=(replace(TEXT, digest="d2"),),
    leave=Leave(Disruption.FABRIC_FLAP, Generation(3, 9), 4, (Slot("n1", ScopeKind.PORT, "s0"),)),
)
RECORD = LogRecord(BY, "policy", "api", "", "d1", Generation(3, 17))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def test_orders_come_back(path: Path) -> None:
    for saved in (FULL, replace(FULL, pause=None, override=None, rollout=None, before=(), leave=None), FULL):
        store = Store.open(path)
        store.load()
        store.save(saved)
        store.close()
        store = Store.open(path)
        assert store.load() == saved
        store.close()


def test_log_grows_with_the_commit_and_only_grows(path: Path) -> None:
    store = Store.open(path)
    store.load()
    store.save(FULL, (RECORD,))
    store.save(FULL, (replace(RECORD, what="role", origin=Origin("x", 9)),))
    assert [(n, r.what, r.origin.at_ns) for n, r in read_log(path, 10)] == [(2, "role", 9), (1, "policy", 7)]
    assert read_log(path, 1) == read_log(path, 10)[:1]
    store.close()
    db = sqlite3.connect(path)
    for statement in ("DELETE FROM log", "UPDATE log SET who = 'nobody'"):
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            db.execute(statement)
    db.close()


def test_file_of_the_version_before_is_taken_up(path: Path) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in (s for statements in MIGRATIONS[:2] for s in statements):
        db.execute(statement)
    db.execute("PRAGMA application_id = 0x74726466")
    db.execute("PRAGMA user_version = 2")
    db.execute("INSERT INTO identity VALUES (1, 'a-uuid', 2, 5)")
    db.execute("INSERT INTO policy VALUES (0, 'api', 'api', 'd', 'text', '[]')")
    db.close()
    store = Store.open(path)
    old = Saved("a-uuid", Generation(2, 5), (SavedPolicy(Owner.API, "api", "d", "text", ()),))
    assert store.load() == old
    store.save(FULL, (RECORD,))
    assert store.load() == FULL
    store.close()
