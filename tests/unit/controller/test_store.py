"""The state file: what comes back, what a crash leaves, and what is said when it cannot be used."""

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from trafficd.core.state import Owner, RoleOverride, Saved, SavedFabric, SavedPolicy
from trafficd.store import MIGRATIONS, Store, StoreError
from trafficd_topology.model import Role
from trafficd_topology.status import Generation

FULL = Saved(
    "a-uuid",
    Generation(3, 17),
    (
        SavedPolicy(Owner.FILE, "/etc/policy.yaml", "d1", "policies: é\n", ("a", "b")),
        SavedPolicy(Owner.API, "api", "d2", "text", ()),
    ),
    SavedFabric("d3", "hosts:\n"),
    (RoleOverride("p1", Role.DECODE, Role.PREFILL),),
    (("n1", "x"), ("n2", "y")),
    (("ib", "n2"),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def sentence(path: Path) -> str:
    """What Store.open says; one sentence, on one line, that names the file."""
    with pytest.raises(StoreError) as caught:
        Store.open(path).load()
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_new_file_has_an_identity_that_stays(path: Path) -> None:
    store = Store.open(path)
    first = store.load()
    store.close()
    again = Store.open(path)
    assert again.load() == first == Saved(first.uuid, Generation(1, 0))
    again.close()


def test_everything_comes_back(path: Path) -> None:
    store = Store.open(path)
    store.load()
    store.save(FULL)
    smaller = replace(
        FULL, policies=FULL.policies[:1], fabric=None, roles=(), digests=(("n2", "z"),), writers=()
    )
    for saved in (FULL, smaller, FULL):
        store.save(saved)
        store.close()
        store = Store.open(path)
        assert store.load() == saved
    store.close()


def test_second_process_is_refused_and_told_who_holds_it(path: Path) -> None:
    store = Store.open(path)
    assert f"in use by process {os.getpid()} on" in sentence(path)
    store.close()
    Store.open(path).close()


def test_locked_by_another_program(path: Path) -> None:
    Store.open(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "locked by another program" in sentence(path)
    other.close()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not a database at all, but text\n" * 100, "is not a state file"),
        (os.urandom(8192), "is not a state file"),
    ],
)
def test_other_content(path: Path, content: bytes, says: str) -> None:
    path.write_bytes(content)
    assert says in sentence(path)
    assert path.read_bytes() == content


def test_damaged_file(path: Path) -> None:
    store = Store.open(path)
    store.load()
    store.save(replace(FULL, digests=tuple((f"node-{i:04}", "d" * 64) for i in range(500))))
    store.close()
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(bytes(content))
    assert "damaged" in sentence(path)


def test_another_programs_database(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.commit()
    db.close()
    assert "another program's database" in sentence(path)


def test_newer_schema(path: Path) -> None:
    Store.open(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    assert "newer trafficd" in sentence(path)


def test_a_file_of_the_first_version_is_taken_up(path: Path) -> None:
    store = Store.open(path)
    store.load()
    store.save(FULL)
    store.close()
    db = sqlite3.connect(path)
    for table in ("writer", "operation", "history", "log"):
        db.execute(f"DROP TABLE {table}")
    db.execute("PRAGMA user_version = 1")
    db.close()
    store = Store.open(path)
    assert store.load() == replace(FULL, writers=())
    store.save(FULL)
    assert store.load() == FULL
    store.close()


def test_value_of_another_version(path: Path) -> None:
    store = Store.open(path)
    store.load()
    store.save(FULL)
    store.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE role SET role = 'king'")
    db.commit()
    db.close()
    assert "does not know" in sentence(path)


def test_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="choose a writable directory"):
        Store.open(tmp_path / "no" / "s.db")


def test_path_is_a_directory(path: Path) -> None:
    path.mkdir()
    assert "cannot be opened" in sentence(path)


def test_full_disk_refuses_and_keeps_the_old(path: Path) -> None:
    store = Store.open(path)
    store.load()
    store.save(FULL)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="no room left"):
        store.save(replace(FULL, generation=Generation(3, 18), fabric=SavedFabric("d", "x" * 100_000)))
    assert replace(FULL) == Store.load(store)
    store._db.execute("PRAGMA max_page_count = 100000")
    store.save(replace(FULL, generation=Generation(3, 19)))
    store.close()
    again = Store.open(path)
    assert again.load().generation == Generation(3, 19)
    again.close()


READER = """
import resource
import sys
from pathlib import Path
from trafficd.store import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(Store.open(Path(sys.argv[1])).load().generation)
"""


def test_what_was_saved_is_served_where_nothing_can_be_written(path: Path) -> None:
    store = Store.open(path)
    store.load()
    store.save(FULL)
    store.close()
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path)], check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("3.17\n", "")


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from trafficd.core.state import SavedFabric
from trafficd.store import Store
from trafficd_topology.status import Generation
store = Store.open(Path(sys.argv[1]))
saved = store.load()
n = saved.generation.number
while True:
    n += 1
    text = f"{n} " * 20_000
    nodes = tuple((f"node-{i:03}", str(n)) for i in range(200))
    store.save(replace(saved, generation=Generation(1, n), fabric=SavedFabric(str(n), text), digests=nodes))
    print(n, flush=True)
"""


def test_kill_in_the_middle_of_a_commit(path: Path) -> None:
    """Whatever moment the writer dies at, the file holds one whole state, no older than the last one confirmed."""
    uuids = set()
    for round_number in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            confirmed = [int(writer.stdout.readline()) for _ in range(3 + round_number)]
            writer.send_signal(signal.SIGKILL)
            confirmed += [int(line) for line in writer.stdout]
        store = Store.open(path)
        saved = store.load()
        store.close()
        n = saved.generation.number
        assert n >= confirmed[-1]
        assert saved.fabric == SavedFabric(str(n), f"{n} " * 20_000)
        assert saved.digests == tuple((f"node-{i:03}", str(n)) for i in range(200))
        uuids.add(saved.uuid)
    assert len(uuids) == 1
