"""Reading and writing OpenSM's files: whole or not at all, with the owner and mode they had."""

from __future__ import annotations

import os
from pathlib import Path

from trafficd_agent.driver import DriverError, GoneError, PermissionMissingError, RefusedError

# Every byte is one character, so that lines that are not ours survive whatever their encoding.
_ENCODING = "latin-1"


def _failure(path: Path, verb: str, e: OSError) -> DriverError:
    if isinstance(e, FileNotFoundError):
        return GoneError(
            f"{path} is not there: write one with opensm -c {path} and start OpenSM with -F {path}"
        )
    if isinstance(e, PermissionError):
        return PermissionMissingError(
            f"no permission to {verb} {path}: give the agent's user access to it and its directory"
        )
    return RefusedError(f"cannot {verb} {path}: {e.strerror or e}")


def read_conf(path: Path) -> str:
    """The file's text. Raises DriverError."""
    try:
        return path.read_bytes().decode(_ENCODING)
    except OSError as e:
        raise _failure(path, "read", e) from e


def read_beside(path: Path) -> str:
    """The text of a file that need not be there: then it is empty. Raises DriverError."""
    try:
        return path.read_bytes().decode(_ENCODING)
    except FileNotFoundError:
        return ""
    except OSError as e:
        raise _failure(path, "read", e) from e


def write_conf(path: Path, text: str) -> None:
    """Replace the file in one step, so that OpenSM reads the old or the new one. Raises DriverError."""
    try:
        _replace(Path(os.path.realpath(path)), text.encode(_ENCODING))
    except OSError as e:
        raise _failure(path, "write", e) from e


def write_beside(path: Path, text: str, like: Path) -> None:
    """The same for a file that need not be there; a new one gets owner and mode of ``like``, an empty one goes."""
    real = Path(os.path.realpath(path))
    try:
        if not text:
            real.unlink(missing_ok=True)
            _settle(real.parent)
        else:
            _replace(real, text.encode(_ENCODING), None if real.exists() else like)
    except OSError as e:
        raise _failure(path, "write", e) from e


def _replace(path: Path, data: bytes, like: Path | None = None) -> None:
    was = (like or path).stat()
    fresh = path.with_name(f".{path.name}.trafficd")
    try:
        with fresh.open("wb") as f:
            os.fchmod(f.fileno(), was.st_mode & 0o7777)
            os.fchown(f.fileno(), was.st_uid, was.st_gid)
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """The names in a folder are on disk."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def writable(path: Path) -> str:
    """Empty, or why the file cannot be replaced, in one sentence."""
    real = Path(os.path.realpath(path))
    if not real.is_file():
        return str(_failure(path, "read", FileNotFoundError()))
    if not os.access(real, os.R_OK | os.W_OK) or not os.access(real.parent, os.W_OK):
        return str(_failure(path, "write", PermissionError()))
    return ""
