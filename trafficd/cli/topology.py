"""``trafficd topology check | show | draw | capacity | discover | role``: the fabric, from a file or from the controller."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from trafficd.api.v1 import fabric_pb2, fabric_pb2_grpc
from trafficd.cli import discover
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import checked, read
from trafficd.cli.output import add_output, complain, plain, say, say_json
from trafficd.cli.rpc import add_controller, call, channel
from trafficd.convert.fabric import fabric
from trafficd.convert.words import number
from trafficd_topology.capacity import analyse
from trafficd_topology.capacity_report import report
from trafficd_topology.capacity_report import text as report_text
from trafficd_topology.drawing import draw
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import FabricSpec, Problem, Role
from trafficd_topology.show import describe, text
from trafficd_topology.svg import svg


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("topology", help="the fabric: check, show, draw, capacity, discover, role")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_check(verbs)
    _add_show(verbs)
    _add_draw(verbs)
    _add_capacity(verbs)
    discover.add(verbs)
    _add_role(verbs)


def _add_check(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = verbs.add_parser("check", help="check a fabric file, offline")
    check.add_argument("file", metavar="FILE", help="fabric file; - is standard input")
    add_output(check)
    check.set_defaults(run=run_check)


def _add_show(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    show = verbs.add_parser("show", help="hosts, NICs, switches, paths and bottlenecks")
    _add_fabric(show)
    show.set_defaults(run=run_show)


def _add_draw(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    drawn = verbs.add_parser(
        "draw",
        help="the fabric as an SVG document, as the status page draws it",
        description="Writes the fabric as an SVG document on standard output, as the status page draws it.",
    )
    _add_file(drawn)
    drawn.set_defaults(run=run_draw)


def _add_fabric(parser: argparse.ArgumentParser) -> None:
    _add_file(parser)
    add_output(parser)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="fabric file (default: what the controller holds)"
    )
    add_controller(parser)


def _add_capacity(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    found = verbs.add_parser(
        "capacity",
        help="whether the storage NICs can be fully used, and what binds first",
        description="Loads of every NIC, node memory and cable when all storage NICs of prefill and decode nodes "
        "read KV cache at their full rate, and the ratios of prefill to decode nodes at which nothing else binds.",
    )
    found.add_argument("--all", action="store_true", help="every resource, not the fullest of each kind")
    _add_fabric(found)
    found.set_defaults(run=run_capacity)


def _add_role(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    role = verbs.add_parser("role", help="change a host's role until the fabric file gives it another")
    role.add_argument("host")
    role.add_argument("role", choices=[r.value for r in Role])
    add_controller(role)
    add_output(role)
    role.set_defaults(run=run_role)


def _problem(problem: Problem) -> dict[str, str]:
    return {"path": problem.path, "value": problem.value, "reason": problem.reason}


def _from_file(path: str) -> tuple[FabricSpec | None, tuple[Problem, ...]]:
    file = checked(path, read(path))
    if file.policies is not None:
        raise CliError(Exit.USAGE, f"{path} is a policy file: check it with trafficd check")
    return file.fabric, file.problems


def run_check(args: argparse.Namespace) -> int:
    """Exit 0 when the file is good, 1 with every problem when not."""
    spec, problems = _from_file(args.file)
    cycles = () if spec is None else Fabric(spec).cyclic_buffer_dependencies()
    rings = [" -> ".join((*cycle, cycle[0])) for cycle in cycles]
    if args.output == "json":
        say_json({"problems": [_problem(p) for p in problems], "cyclic_buffer_dependencies": rings})
    for problem in () if args.output == "json" else problems:
        complain(f"{args.file}: {problem}")
    if args.output != "json" and spec is not None:
        for ring in rings:
            say(f"warning: lossless traffic can deadlock around {ring}")
        nics = sum(len(h.nics) for h in spec.hosts)
        say(f"{args.file}: {len(spec.hosts)} hosts, {nics} NICs, {len(spec.switches)} switches, no problems")
    return Exit.FINDINGS if problems else Exit.OK


def _held(args: argparse.Namespace) -> FabricSpec:
    with channel(args) as opened:
        stub = fabric_pb2_grpc.FabricServiceStub(opened)
        return fabric(call(stub.GetFabric, fabric_pb2.GetFabricRequest(), args).fabric)


def _named(args: argparse.Namespace) -> FabricSpec | None:
    """The fabric of the file that was named, or the controller's; None when the file's problems were printed."""
    spec, problems = _from_file(args.file) if args.file else (_held(args), ())
    for problem in problems:
        complain(f"{args.file}: {problem}")
    return spec


def run_show(args: argparse.Namespace) -> int:
    """Exit 0; 1 when a given file has problems."""
    if (spec := _named(args)) is None:
        return Exit.FINDINGS
    description = describe(Fabric(spec))
    if args.output == "json":
        say_json(asdict(description))
    else:
        say(text(description).rstrip())
    return Exit.OK


def run_draw(args: argparse.Namespace) -> int:
    """Exit 0, or 1 with every problem of the file."""
    if (spec := _named(args)) is None:
        return Exit.FINDINGS
    say(svg(draw(spec)).rstrip())
    return Exit.OK


def run_capacity(args: argparse.Namespace) -> int:
    """Exit 0 when nothing binds before the storage NICs; 1 when something does, or nothing can be said."""
    if (spec := _named(args)) is None:
        return Exit.FINDINGS
    capacity, problems = analyse(spec)
    for problem in problems:
        complain(f"{args.file or spec.name}: {problem}")
    if capacity is None:
        return Exit.FINDINGS
    found = report(spec.name, capacity, args.all)
    if args.output == "json":
        say_json(asdict(found))
    else:
        say(report_text(found).rstrip())
    return Exit.OK if capacity.bottleneck_free() else Exit.FINDINGS


def run_role(args: argparse.Namespace) -> int:
    """Exit 0 when set; 4 when the controller refuses."""
    with channel(args) as opened:
        stub = fabric_pb2_grpc.FabricServiceStub(opened)
        request = fabric_pb2.SetRoleRequest(host=args.host, role=number(Role(args.role)))
        response = call(stub.SetRole, request, args)
    if args.output == "json":
        say_json(plain(response))
    else:
        say(f"{args.host} is {args.role}")
    return Exit.OK
