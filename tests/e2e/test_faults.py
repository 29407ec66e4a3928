"""Faults against a whole cluster: real controller, real agents, real queues."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from demo.policies import ENFORCE, SEVENTY_THIRTY
from faultlab import PORTS, SCOPES, deletions, kernel, kernels, kill_after, logs, recreate, sending, watched
from lab.cluster import AGENT_HTTP_PORT, BIN, FABRIC, HTTP_PORT, Cluster, cluster, wait_for
from lab.prometheus import Web, web

pytestmark = pytest.mark.kernel


class Site:
    """A settled cluster, and what its ports hold under each of two policies."""

    def __init__(self, up: Cluster) -> None:
        self.up = up
        self.texts = (ENFORCE, SEVENTY_THIRTY)
        self.held = []
        up.wait_verified(SCOPES)
        for text in (SEVENTY_THIRTY, ENFORCE):
            up.change_policy(text, SCOPES)
            self.held.insert(0, kernels(up))
        self.now = 0
        assert self.held[0] != self.held[1]

    def other(self) -> str:
        """The policy that does not hold yet; from now on it is to."""
        self.now = 1 - self.now
        return self.texts[self.now]

    def converged(self) -> bool:
        return kernels(self.up) == self.held[self.now]

    def wait_converged(self) -> None:
        self.up.wait_verified(SCOPES)
        wait_for("the queues of the policy in force", self.converged, every=0.1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with cluster(tmp_path_factory.mktemp("faults"), ENFORCE) as up:
        yield Site(up)
        assert "Traceback" not in logs(up)


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """Settled before and after, whatever a test did to it."""
    running.wait_converged()
    yield running
    assert "Traceback" not in logs(running.up)


def said(up: Cluster, name: str) -> int:
    return len(up.log(name).read_text())


def wait_said(up: Cluster, name: str, words: str, since: int) -> None:
    wait_for(f"{words!r} of {name}", lambda: words in up.log(name).read_text()[since:], every=0.002)


def test_controller_killed_in_the_middle_of_an_apply(site: Site, tmp_path: Path) -> None:
    up, seed = site.up, random.Random(1)
    identity = up.status().controller_uuid
    with deletions(up, tmp_path) as deleted:
        for accepted in (True, False, True, True):
            before, mark = up.generation(), said(up, "controller")
            up.write_policy(site.other())
            if accepted:
                wait_said(up, "controller", "accepted, generation", mark)
            kill_after(up, "controller", seed.uniform(0, 0.15 if accepted else 0.7))
            up.start_controller()
            wait_for("the controller", lambda: answers(up))
            assert up.generation() >= before
            site.wait_converged()
            assert up.generation() > before
            assert up.status().controller_uuid == identity
        assert deleted() == (), "a port was without lanes"


def opened(directory: Path) -> bool:
    """Whether a write to any of the agent's ports is under way, by its journal."""
    for path in directory.glob("journal/*.json"):
        try:
            if json.loads(path.read_bytes())["body"]["open"]:
                return True
        except FileNotFoundError:
            continue
    return False


def is_ready(up: Cluster, node: str) -> bool:
    command = [str(BIN / "trafficd-agent"), "status", "--http", f"127.0.0.1:{AGENT_HTTP_PORT}"]
    return up.lab.run(node, *command, check=False).returncode == 0


def test_agent_killed_between_write_and_verification(site: Site, tmp_path: Path) -> None:
    """Back without a controller, its ports hold what they held before or what they were told, nothing between."""
    up, seed, caught = site.up, random.Random(2), 0
    state = up.dir / "agent-csw"
    with deletions(up, tmp_path) as deleted:
        for _ in range(3):
            before = site.held[site.now]["csw"]
            up.write_policy(site.other())
            wait_for("an open journal", lambda: opened(state), every=0.0005)
            kill_after(up, "csw", seed.uniform(0, 0.02))
            up.kill("controller")
            caught += opened(state)
            up.start_agent("csw")
            wait_for("the agent", lambda: is_ready(up, "csw"))
            assert kernel(up, "csw") in (before, site.held[site.now]["csw"])
            assert not opened(state)
            up.start_controller()
            site.wait_converged()
        assert caught, "no kill met an open write"
        assert deleted() == (), "a port was without lanes"


def test_agent_whose_accepted_state_is_older_gets_the_newest(site: Site) -> None:
    up = site.up
    kept = up.dir / "agent-st1" / "accepted.json"
    older = kept.read_bytes()
    up.change_policy(site.other(), SCOPES)
    up.kill("st1")
    kept.write_bytes(older)
    up.start_agent("st1")
    wait_for(
        "a second session of st1", lambda: up.log("st1").read_text().count("session with controller") > 1
    )
    site.wait_converged()


@pytest.mark.parametrize("lost", ["older", "new"])
def test_controller_whose_database_was_lost_changes_nothing_and_says_so(
    site: Site, lost: str, tmp_path: Path
) -> None:
    up, database = site.up, site.up.dir / "controller.db"
    shutil.copy(database, tmp_path / "older.db")
    up.change_policy(site.other(), SCOPES)
    up.kill("controller")
    database.rename(tmp_path / "newest.db")
    if lost == "older":
        shutil.copy(tmp_path / "older.db", database)
    up.write_policy(site.other())
    marks = {node: len(up.log(node).read_text()) for node in PORTS}
    up.start_controller()
    expected = {
        "older": "its state file was lost or restored from an older copy; nothing is programmed",
        "new": "give it its own controller's address, or start it once with --forget-controller",
    }[lost]
    wait_for("notes", lambda: answers(up) and sum(expected in n for n in up.status().notes) >= 1)
    with web(up.lab, "ctl") as pages:
        series = pages.get(f"http://127.0.0.1:{HTTP_PORT}/metrics").splitlines()
    assert ("trafficd_programming_withheld 1.0" in series) == (lost == "older")
    wait_for("seven agents", lambda: all(tried(up, node, marks[node]) for node in PORTS))
    assert kernels(up) == site.held[1 - site.now], "what was in force stays"
    up.kill("controller")
    database.unlink()
    (tmp_path / "newest.db").rename(database)
    up.start_controller()
    site.wait_converged()


def tried(up: Cluster, node: str, since: int) -> bool:
    text = up.log(node).read_text()[since:]
    return "session with controller" in text or "follows controller" in text


def answers(up: Cluster) -> bool:
    try:
        up.status()
    except grpc.RpcError:
        return False
    return True


BAD_POLICIES: dict[str, bytes] = {
    "empty": b"",
    "blanks": b"\n \n# nothing\n",
    "binary": bytes(range(256)) * 40,
    "huge": b"# " + b"x" * (16 * 2**20),
    "many": b"version: 1\npolicies: [" + b"{}," * 700_000 + b"]",
    "deep": b"[" * 100_000,
    "unknown key": ENFORCE.replace("mode:", "moed:").encode(),
    "duplicate key": ENFORCE.encode() + b"version: 1\n",
    "duplicate name": (ENFORCE + ENFORCE.split("policies:\n")[1]).encode(),
    "share 0": SEVENTY_THIRTY.replace("share: 4%", "share: 0%").encode(),
    "share NaN": SEVENTY_THIRTY.replace("share: 4%", "share: .nan").encode(),
    "tag": ENFORCE.replace("mode: enforce", "mode: !!map [1]").encode(),
    "other document": FABRIC.read_bytes(),
}
BAD_FABRICS: dict[str, bytes] = {
    **{name: BAD_POLICIES[name] for name in ("empty", "blanks", "binary", "huge", "deep")},
    "many": b"version: 1\nname: x\nhosts: [" + b"{}," * 700_000 + b"]",
    "unknown key": FABRIC.read_bytes().replace(b"role:", b"roel:"),
    "duplicate key": FABRIC.read_bytes() + b"name: again\n",
    "duplicate name": FABRIC.read_bytes().replace(b"name: p2", b"name: p1"),
    "share 0": FABRIC.read_bytes().replace(b"rate: 50M", b"rate: 0"),
    "share NaN": FABRIC.read_bytes().replace(b"rate: 50M", b"rate: .nan"),
    "tag": FABRIC.read_bytes().replace(b"rate: 50M", b"rate: !!timestamp x"),
    "other document": ENFORCE.encode(),
}


def replaced(path: Path, how: Callable[[Path], None]) -> None:
    """Whatever is there gives way to what ``how`` makes, at once where that can be."""
    fresh = path.with_name(f"{path.name}.fresh")
    how(fresh)
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    if fresh.is_dir() and not fresh.is_symlink():
        path.unlink(missing_ok=True)
    fresh.rename(path)


BAD_PLACES: dict[str, Callable[[Path], None]] = {
    "directory": Path.mkdir,
    "pipe": os.mkfifo,
    "dangling": lambda p: p.symlink_to("nowhere"),
    "loop": lambda p: p.symlink_to(p.name.removesuffix(".fresh")),
    "device": lambda p: p.symlink_to("/dev/zero"),
}


def refused(up: Cluster, pages: Web, files: tuple[Path, Path]) -> bool:
    """Both are named in status with a sentence, and in the metric."""
    told = {str(f): [p.reason for p in up.status().rejected if p.path.startswith(str(f))] for f in files}
    series = pages.get(f"http://127.0.0.1:{HTTP_PORT}/metrics").splitlines()
    counted = [f'trafficd_config_load_error{{file="{f}"}} 1.0' in series for f in files]
    assert all(reason and "\n" not in reason for reasons in told.values() for reason in reasons)
    return all(told.values()) and all(counted)


def test_bad_files_change_nothing_and_are_named(site: Site) -> None:
    up = site.up
    files = up.policy_file, up.dir / "fabric.yaml"
    good = up.policy_file.read_bytes(), files[1].read_bytes()
    before = up.generation(), kernels(up)

    def put(*how: Callable[[Path], object]) -> None:
        for file, make in zip(files, how, strict=True):
            replaced(file, make)

    def write(data: bytes) -> Callable[[Path], object]:
        return lambda path: path.write_bytes(data)

    with web(up.lab, "ctl") as pages:
        bad = [(name, write(BAD_POLICIES[name]), write(BAD_FABRICS[name])) for name in BAD_POLICIES]
        bad += [(name, make, make) for name, make in BAD_PLACES.items()]
        for name, *makes in bad:
            put(*makes)
            wait_for(f"{name} named", lambda: refused(up, pages, files), every=0.1)
            put(*(write(g) for g in good))
            wait_for(f"{name} forgotten", lambda: not up.status().rejected, every=0.1)
        for file in files:
            file.unlink()
        wait_for("absence named", lambda: refused(up, pages, files), every=0.1)
        put(*(write(g) for g in good))
        wait_for("absence forgotten", lambda: not up.status().rejected, every=0.1)
    assert (up.generation(), kernels(up)) == before


def test_counters_that_reset_are_no_load(site: Site) -> None:
    """A NIC that is taken out and put back, and an agent that is killed, under about 1.4 MB/s."""
    up, place = site.up, ("p1", "s0")
    with sending(up, "p1", "st1"), watched(up) as seen, web(up.lab, "ctl") as pages:
        wait_for("traffic", lambda: seen.now(*place) > 1e6)
        recreate(up, *place)
        site.wait_converged()
        wait_for("traffic of the new NIC", lambda: seen.now(*place) > 1e6)
        up.kill("p1")
        up.start_agent("p1")
        wait_for("the agent", lambda: is_ready(up, "p1"))
        seen.forget()
        wait_for("traffic after the restart", lambda: seen.now(*place) > 1e6)
        assert max(seen.all(*place)) < 2.5e6
        assert {v for other in ("p2", "d1", "d2") for v in seen.all(other, "s0") if v > 1e5} == set()
        series = pages.get(f"http://127.0.0.1:{HTTP_PORT}/metrics").splitlines()
    ratio = [x for x in series if x.startswith('trafficd_nic_imbalance_ratio{kind="storage"}')]
    assert [3 < float(x.split()[1]) <= 4 for x in ratio] == [True], "one of four NICs carries nearly all"
