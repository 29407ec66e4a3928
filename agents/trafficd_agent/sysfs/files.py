"""Reading small files of a tree that changes under us. Parsing is in ``trafficd_topology.parsers.sysfs``."""

from __future__ import annotations

from pathlib import Path

MAX_BYTES = 4096
"""An attribute of sysfs is at most one page."""


def text(path: Path, most: int = MAX_BYTES) -> str:
    """The file's text; empty when it is not there or refuses to be read (EINVAL of a link that is down, EOPNOTSUPP
    of a counter that the device lacks), which is how drivers say that they do not know.
    """
    try:
        with path.open("rb") as f:
            return f.read(most).decode("ascii", "replace")
    except OSError:
        return ""


def names(path: Path) -> tuple[str, ...]:
    """What a directory holds, sorted; nothing when it is not there. Raises OSError when it cannot be listed."""
    try:
        return tuple(sorted(entry.name for entry in path.iterdir()))
    except (FileNotFoundError, NotADirectoryError):
        return ()


def real(path: Path) -> str:
    """Where a link leads, without links; the path itself when it leads nowhere. Loops lead nowhere."""
    try:
        return str(path.resolve())
    except (OSError, RuntimeError):
        return str(path)
