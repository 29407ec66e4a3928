"""``trafficd topology discover``: a fabric file from what agents found, from dumps of InfiniBand subnets, or both."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from trafficd.api.v1 import fabric_pb2, fabric_pb2_grpc
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import checked, read
from trafficd.cli.output import complain, say
from trafficd.cli.rpc import add_controller, call, channel
from trafficd.convert.fabric import inventories
from trafficd_topology.discover import Discovery, discover
from trafficd_topology.ib_match import FoundSubnet
from trafficd_topology.ib_merge import Merged, merge
from trafficd_topology.model import FabricSpec
from trafficd_topology.parsers.fabric import dump_fabric
from trafficd_topology.parsers.subnet_files import parse_subnets

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})=(.+)", re.DOTALL)
MAX_DUMP_BYTES = 64 * 2**20
"""A hundred times what a fabric of a thousand adapters writes."""
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    found = verbs.add_parser(
        "discover",
        help="write a fabric file from what the agents found, or from dumps of InfiniBand subnets",
        description="Writes a fabric file from what the agents found. With --infiniband also switches and cables, from "
        "output of ibnetdiscover (any form) or iblinkinfo; with --fabric both are held against that file, which keeps "
        "its roles, GPUs and kinds of NICs, and every cable that is not where it says is reported.",
    )
    found.add_argument("--name", default="fabric", help="name of the fabric (default fabric)")
    found.add_argument(
        "--write", type=Path, metavar="FILE", help="a new file to write (default: standard output)"
    )
    found.add_argument(
        "--infiniband", nargs="+", default=[], metavar="[NAME=]FILE",
        help="dumps of subnets, each with the subnet's name where there are several; - is standard input",
    )  # fmt: skip
    base = found.add_mutually_exclusive_group()
    base.add_argument("--fabric", metavar="FILE", help="begin with this fabric file, not with the agents")
    base.add_argument("--offline", action="store_true", help="begin with nothing: take the dumps alone")
    add_controller(found)
    found.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0; 1 when no agent has reported anything, or the file and the subnets differ."""
    dumps = _dumps(args.infiniband)
    if args.offline and not dumps:
        raise CliError(Exit.USAGE, "--offline needs --infiniband FILE: there would be nothing to write")
    base = _base(args)
    if base is None:
        return Exit.FINDINGS
    merged = merge(base.spec, dumps)
    # A file of the operator's has its roles: there is nothing to fill in.
    to_do = () if args.fabric else (*base.comments(), *(("",) if dumps else ()))
    _write(args, merged, (*to_do, *merged.comments()))
    for difference in merged.differences:
        complain(f"trafficd: {difference}")
    return Exit.FINDINGS if merged.differences else Exit.OK


def _base(args: argparse.Namespace) -> Discovery | None:
    """What is there before the dumps; None when there is nothing, which was said."""
    if args.offline:
        return discover((), args.name)
    if args.fabric:
        file = checked(args.fabric, read(args.fabric))
        for problem in file.problems:
            complain(f"{args.fabric}: {problem}")
        if file.fabric is None and not file.problems:
            raise CliError(Exit.USAGE, f"{args.fabric} is a policy file: --fabric wants a fabric file")
        return Discovery(file.fabric, ()) if file.fabric else None
    with channel(args) as opened:
        stub = fabric_pb2_grpc.FabricServiceStub(opened)
        found = inventories(call(stub.GetInventory, fabric_pb2.GetInventoryRequest(), args))
    if not found:
        complain("trafficd: no agent has connected to this controller yet: start trafficd-agent on the nodes")
        return None
    return discover(found, args.name)


def _dumps(words: Sequence[str]) -> tuple[FoundSubnet, ...]:
    """Every dump with the name of its subnet; no name where there is one dump alone and none was given."""
    found: list[FoundSubnet] = []
    for word in words:
        named = _NAMED.fullmatch(word)
        path = named[2] if named and not Path(word).exists() else word
        subnets = parse_subnets(read(path, MAX_DUMP_BYTES).decode("utf-8", "replace"))
        if not subnets:
            raise CliError(Exit.USAGE, f"{path}: no output of ibnetdiscover or iblinkinfo is in it")
        name = named[1] if named and path != word else _OTHER.sub("-", Path(path).stem).strip("-") or "subnet"
        given = bool(named) and path != word
        names = [name] if len(subnets) == 1 else [f"{name}-{i}" for i in range(1, len(subnets) + 1)]
        alone = len(words) == len(subnets) == 1 and not given
        found += [FoundSubnet("" if alone else n, s) for n, s in zip(names, subnets, strict=True)]
    if twice := _twice([f.name for f in found]):
        raise CliError(Exit.USAGE, f"two subnets are named {twice}: give each a name, as NAME=FILE")
    return tuple(found)


def _twice(names: Sequence[str]) -> str:
    return next((n for i, n in enumerate(names) if n in names[:i]), "")


def _write(args: argparse.Namespace, merged: Merged, comments: tuple[str, ...]) -> None:
    written = dump_fabric(_named(merged.spec, args), comments)
    if args.write is None:
        say(written.rstrip("\n"))
        return
    _write_new(args.write, written)
    say(
        f"wrote {args.write}: {len(merged.spec.hosts)} hosts; name their roles, then trafficd check {args.write}"
    )


def _named(spec: FabricSpec, args: argparse.Namespace) -> FabricSpec:
    return spec if spec.name else FabricSpec(args.name, spec.hosts, spec.switches, spec.links)


def _write_new(path: Path, content: str) -> None:
    """Never over an existing file: an operator's roles may be in it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
    except FileExistsError as e:
        raise CliError(Exit.USAGE, f"{path} exists and may hold your roles: choose a new name") from e
    except OSError as e:
        raise CliError(Exit.USAGE, f"cannot write {path}: {e.strerror}") from e
