"""Files of keys and certificates: written whole, keys readable by their owner alone."""

from __future__ import annotations

import os
from pathlib import Path


class CertsError(Exception):
    """One sentence: what is wrong with which file or request, and what to do."""


def read(path: Path) -> bytes:
    """Raises CertsError."""
    try:
        return path.read_bytes()
    except OSError as e:
        raise CertsError(f"cannot read {path}: {e.strerror}; check the path and its permissions") from e


def make_directory(path: Path) -> None:
    """For its owner alone, where it is made here. Raises CertsError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise CertsError(f"cannot make {path}: {e.strerror}; choose a directory that you may write to") from e


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Either the old file or the whole new one is there; never readable by more than ``mode``. Raises CertsError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(path)
    except OSError as e:
        raise CertsError(f"cannot write {path}: {e.strerror}; free space or correct its permissions") from e


def write_key(path: Path, data: bytes) -> None:
    write(path, data, 0o600)
