"""Watched files: what counts as a change, and what is said of a file that cannot be used."""

import os
from pathlib import Path

import pytest

from trafficd.app.files import Content, WatchedFile, offer_fabric, offer_policy, read
from trafficd.core.events import PolicyOffered

GOOD = "version: 1\npolicies: [{name: main, preset: dualpath}]\n"
OTHER = GOOD.replace("main", "next")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    return path


def poll(watched: WatchedFile) -> str:
    """What a poll found: nothing, the policies' names, or the first problem."""
    event = watched.poll()
    if event is None:
        return "nothing"
    assert isinstance(event, PolicyOffered)
    if event.policies is None:
        return event.problems[0].reason
    return " ".join(p.name for p in event.policies.policies)


def test_only_another_content_is_news(path: Path) -> None:
    watched = WatchedFile(path, offer_policy)
    assert [poll(watched), poll(watched)] == ["main", "nothing"]
    path.touch()
    assert poll(watched) == "nothing"
    path.write_text(OTHER)
    assert [poll(watched), poll(watched)] == ["next", "nothing"]


def test_a_fault_in_judging_a_file_is_an_answer_too(path: Path) -> None:
    def judge(source: str, content: Content) -> PolicyOffered:
        if content.text == OTHER:
            raise LookupError("nobody foresaw this")
        return offer_policy(source, content)

    watched = WatchedFile(path, judge)
    assert poll(watched) == "main"
    path.write_text(OTHER)
    said = f"{path} cannot be judged, by a fault of this program (LookupError): report it with the file"
    assert [poll(watched), poll(watched)] == [said, "nothing"]
    path.write_text(GOOD)
    assert poll(watched) == "main"


def test_change_within_one_tick_of_the_clock(path: Path) -> None:
    """Same size, same times, same inode: a young file is read again all the same."""
    watched = WatchedFile(path, offer_policy)
    assert poll(watched) == "main"
    before = path.stat()
    path.write_text(OTHER)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert poll(watched) == "next"


def test_replaced_by_rename(path: Path, tmp_path: Path) -> None:
    watched = WatchedFile(path, offer_policy)
    assert poll(watched) == "main"
    new = tmp_path / "new"
    new.write_text(OTHER)
    new.rename(path)
    assert poll(watched) == "next"


def test_gone_and_back(path: Path) -> None:
    watched = WatchedFile(path, offer_policy)
    assert poll(watched) == "main"
    path.unlink()
    assert (
        poll(watched)
        == f"cannot read {path}: No such file or directory; what was accepted last stays in force"
    )
    assert poll(watched) == "nothing"
    path.write_text(GOOD)
    assert poll(watched) == "main"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    assert "is no regular file" in read(tmp_path).problem
    os.mkfifo(tmp_path / "pipe")
    assert "is no regular file" in read(tmp_path / "pipe").problem
    assert "is no regular file" in read(Path("/dev/zero")).problem
    (tmp_path / "empty").touch()
    assert "is empty" in read(tmp_path / "empty").problem
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "cannot read" in read(loop).problem


def test_larger_than_allowed(tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(10**12)
    event = offer_fabric(str(big), read(big))
    assert event.spec is None
    assert "larger than" in event.problems[0].reason


def test_binary_text_survives_as_text() -> None:
    assert offer_policy("f", Content(b"\xff\xfe")).policies is None
