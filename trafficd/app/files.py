"""Policy and fabric files: noticed when they change, read whole, parsed, and offered to the loop.

A file is looked at by its identity first (device, inode, size, times, all behind symbolic links, so that the swap
of a Kubernetes ConfigMap is seen), then by its digest. Reading and parsing are two functions.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trafficd.core.events import Event, FabricOffered, PolicyOffered
from trafficd.core.records import Origin
from trafficd.core.state import Owner
from trafficd_topology.model import Problem
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.parsers.tree import MAX_TEXT_BYTES

log = logging.getLogger("trafficd.files")
Identity = tuple[int, ...]
YOUNG_NS = 2 * 10**9
"""A file written this recently may be written again without its times showing it: it is read at every look."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file held; ``problem`` is one sentence when it could not be read."""

    data: bytes = b""
    problem: str = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data or self.problem.encode()).hexdigest()

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "surrogateescape")


def identity(path: Path) -> Identity | None:
    """What changes when the file does; None when there is none."""
    try:
        s = path.stat()
    except OSError:
        return None
    return s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def read(path: Path) -> Content:
    """The file's bytes, or why they could not be read. Never raises and never waits on a pipe or device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return _content(path, descriptor)
        finally:
            os.close(descriptor)
    except OSError as e:
        return Content(problem=f"cannot read {path}: {e.strerror}; what was accepted last stays in force")


def _content(path: Path, descriptor: int) -> Content:
    """One byte more than is allowed is enough to see that there are too many. Raises OSError."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return Content(problem=f"{path} is no regular file: give the path of a YAML file")
    with os.fdopen(os.dup(descriptor), "rb") as file:
        data = file.read(MAX_TEXT_BYTES + 1)
    if not data:
        return Content(problem=f"{path} is empty: what was accepted last stays in force")
    return Content(data)


def offer_policy(source: str, content: Content) -> PolicyOffered:
    policies, problems = (None, ()) if content.problem else parse_policies(content.data)
    if content.problem:
        problems = (Problem("", "", content.problem),)
    origin = Origin(f"file {source}", time.time_ns())
    return PolicyOffered(Owner.FILE, source, content.digest, content.text, policies, problems, origin=origin)


def offer_fabric(source: str, content: Content) -> FabricOffered:
    spec, problems = (None, ()) if content.problem else parse_fabric(content.data)
    if content.problem:
        problems = (Problem("", "", content.problem),)
    origin = Origin(f"file {source}", time.time_ns())
    return FabricOffered(source, content.digest, content.text, spec, problems, origin)


Offer = Callable[[str, Content], Event]


class WatchedFile:
    """One file; ``poll`` returns an event when its content is another than at the last poll."""

    def __init__(self, path: Path, offer: Offer) -> None:
        self._path = path
        self._offer = offer
        self._seen: Identity | None = None
        self._digest = ""

    def poll(self) -> Event | None:
        found = identity(self._path)
        if found is not None and found == self._seen:
            return None
        settled = found is not None and time.time_ns() - max(found[3:]) > YOUNG_NS
        self._seen = found if settled else None
        content = read(self._path)
        if content.digest == self._digest:
            return None
        self._digest = content.digest
        try:
            return self._offer(str(self._path), content)
        except Exception as e:  # a fault in judging a file must not end the service of everything else
            log.exception("%s: internal error", self._path)
            reason = f"{self._path} cannot be judged, by a fault of this program ({type(e).__name__}): report it with the file"
            return self._offer(str(self._path), Content(problem=reason))
