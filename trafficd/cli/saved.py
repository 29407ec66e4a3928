"""Saved files and folders for ``trafficd audit``: what is read, and how much of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trafficd_topology.audit.kinds import MAX_FILE_BYTES, Judged, judge, judge_tree
from trafficd_topology.audit.tree import WANTED

MAX_FILES = 20_000
"""Files of one folder that are looked at."""
MAX_ATTRIBUTES = 200_000
ATTRIBUTE_BYTES = 4096
"""An attribute of sysfs is at most one page."""
TREES = ("class/infiniband", "class/net", "bus/pci/devices")
"""A folder that has one of these or ``devices/pci*``, itself or below ``sys``, is one machine's tree."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file or a tree, by the name that a person gave or would give, and what it came to."""

    name: str
    judged: Judged


def is_tree(folder: Path) -> bool:
    bases = (folder, folder / "sys")
    return any((b / sub).is_dir() for b in bases for sub in TREES) or any(
        next((b / "devices").glob("pci*"), None) is not None for b in bases
    )


def _reason(error: OSError) -> Judged:
    return Judged("", reason=f"it cannot be read: {error.strerror or error}")


def _file(path: Path) -> Judged:
    try:
        if not path.is_file():
            return Judged("", reason="it is no regular file")
        with path.open("rb") as file:
            return judge(str(path), file.read(MAX_FILE_BYTES + 1))
    except OSError as e:
        return _reason(e)


def _attributes(root: Path) -> Iterator[tuple[str, str]]:
    """(path below the root, text) of what rules ask for; links are not followed, and what refuses is left out."""
    left = MAX_ATTRIBUTES
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if WANTED.search(relative) and left > 0:
                left -= 1
                try:
                    with path.open("rb") as file:
                        yield relative, file.read(ATTRIBUTE_BYTES).decode("utf-8", "replace")
                except OSError:
                    continue


def _folder(folder: Path) -> Iterator[Source]:
    if is_tree(folder):
        yield Source(str(folder), judge_tree(str(folder), dict(_attributes(folder))))
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as e:
        yield Source(str(folder), _reason(e))
        return
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            yield from _folder(entry)
        else:
            yield Source(str(entry), _file(entry))


def sources(given: list[str]) -> Iterator[Source]:
    """Every file and tree of what was named, in order; those beyond the limit are one reason."""
    for name in given:
        path = Path(name)
        found = _folder(path) if path.is_dir() else iter([Source(name, _file(path))])
        for number, source in enumerate(found):
            if number == MAX_FILES:
                reason = f"it holds more than {MAX_FILES} files: name parts of it"
                yield Source(name, Judged("", reason=reason))
                break
            yield source
