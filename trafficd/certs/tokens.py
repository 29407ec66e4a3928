"""One-time tokens, kept as files: only their SHA-256 is stored, and renaming a file is what uses it up.

DIR/tokens/<sha256>        node and end, while it can be used
DIR/tokens/used/<sha256>   afterwards, so that a second use can be named
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trafficd.certs.files import CertsError, make_directory, read, write_key
from trafficd.certs.inspect import stamp

TOKEN_BYTES = 32
TOKEN_LIFETIME = timedelta(minutes=10)
FOLDER, USED = "tokens", "used"


class TokenError(Exception):
    """One sentence: why a token gets no certificate."""


@dataclass(frozen=True, slots=True)
class _Grant:
    node: str
    ends: datetime


def create(directory: Path, node: str, lifetime: timedelta, now: datetime) -> str:
    """A new token for one node. Raises CertsError."""
    make_directory(directory / FOLDER / USED)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    grant = {"node": node, "ends": int((now + lifetime).timestamp())}
    write_key(directory / FOLDER / _hash(token), json.dumps(grant).encode())
    return token


def redeem(directory: Path, token: str, node: str, now: datetime) -> None:
    """Use a token up. Raises TokenError, and CertsError when its files cannot be read or moved."""
    name = _hash(token)
    path, used = directory / FOLDER / name, directory / FOLDER / USED / name
    if not path.exists():
        raise TokenError(_gone(used.exists(), node))
    grant = _parse(read(path), path)
    if now >= grant.ends:
        raise TokenError(f"the token expired at {stamp(grant.ends)}: {_again(node)}")
    if grant.node != node:
        raise TokenError(f"the token is for node {grant.node} and not for {node}: {_again(node)}")
    try:
        path.rename(used)
    except FileNotFoundError:  # somebody was faster
        raise TokenError(_gone(used.exists(), node)) from None
    except OSError as e:
        raise CertsError(
            f"cannot use up {path}: {e.strerror}; correct the permissions of {path.parent}"
        ) from e


def _gone(used: bool, node: str) -> str:
    return f"the token {'was used before' if used else 'is not known here'}: {_again(node)}"


def _again(node: str) -> str:
    return f"make another with trafficd certs token --node {node}"


def _parse(text: bytes, path: Path) -> _Grant:
    try:
        found = json.loads(text)
        return _Grant(str(found["node"]), datetime.fromtimestamp(found["ends"], UTC))
    except (ValueError, TypeError, KeyError, OverflowError, OSError) as e:
        raise CertsError(f"{path} cannot be read: delete it and make another token") from e


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
