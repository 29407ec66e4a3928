"""Files that a person names on the command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from trafficd.cli.exits import CliError, Exit
from trafficd_topology.model import FabricSpec, Problem
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.parsers.tree import MAX_TEXT_BYTES, load
from trafficd_topology.qos.policy import PolicySet


@dataclass(frozen=True, slots=True)
class Checked:
    """A file and what it holds: policies, a fabric, or problems."""

    path: str
    policies: PolicySet | None = None
    fabric: FabricSpec | None = None
    problems: tuple[Problem, ...] = ()


def read(path: str, most: int = MAX_TEXT_BYTES) -> bytes:
    """The bytes of a file; ``-`` is standard input. Raises CliError.

    Of a larger file than the parser of policy and fabric files takes, one byte too many is read, which it refuses;
    where ``most`` is given, a larger file is refused here.
    """
    try:
        if path == "-":
            data = sys.stdin.buffer.read(most + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(most + 1)
    except OSError as e:
        raise CliError(Exit.USAGE, f"cannot read {path}: {e.strerror}") from e
    if most != MAX_TEXT_BYTES and len(data) > most:
        raise CliError(Exit.USAGE, f"{path} is larger than {most >> 20} MiB: that is no dump of a subnet")
    return data


def checked(path: str, data: bytes) -> Checked:
    """What a file holds, by its top-level keys; parsed as the controller parses it."""
    tree, problems = load(data)
    if problems:
        return Checked(path, problems=problems)
    if isinstance(tree, dict) and "policies" in tree:
        policies, problems = parse_policies(data)
        return Checked(path, policies=policies, problems=problems)
    if isinstance(tree, dict) and ("hosts" in tree or "regular" in tree):
        fabric, problems = parse_fabric(data)
        return Checked(path, fabric=fabric, problems=problems)
    reason = "neither a policy file nor a fabric file: one has the key policies, the other the key hosts or regular"
    return Checked(path, problems=(Problem("", "", reason),))
