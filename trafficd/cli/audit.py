"""``trafficd audit``: what is wrong already, from a running controller or from saved files. Reads only."""

from __future__ import annotations

import argparse
from pathlib import Path

from trafficd.api.v1 import audit_pb2, audit_pb2_grpc
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.output import add_output, complain, say, say_json
from trafficd.cli.rpc import add_controller, call, channel
from trafficd.cli.saved import Source, sources
from trafficd.convert.audit import report as read_report
from trafficd_topology.audit import audit
from trafficd_topology.audit.facts import merged
from trafficd_topology.audit.finding import is_bad
from trafficd_topology.audit.report import Report, Unjudged, plain, text


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "audit",
        help="what is wrong already: lanes, links, counters, OpenSM options; reads only",
        description="Looks for what is wrong before anything is written. Without files it asks the controller about "
        "every node; with files or folders it judges those, whatever they hold: opensm.conf, ethtool -S, ibstat, "
        "mlnx_qos, a saved /sys, policy and fabric files. Exits 0 when nothing is a warning or worse, 1 when "
        "something is. Every rule is explained in docs/audit.md.",
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE_OR_FOLDER", help="judge these, without a controller"
    )
    parser.add_argument("--node", action="append", default=[], help="of the controller's nodes only these")
    add_controller(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0: nothing of warning or above; 1: findings; 2: nothing could be judged."""
    found = _of_files(args.files) if args.files else _of_controller(args)
    if args.output == "json":
        say_json(plain(found))
    else:
        say(text(found))
    if args.files and not found.judged:
        complain("trafficd: none of this could be judged")
        return Exit.USAGE
    return Exit.FINDINGS if is_bad(found.findings) else Exit.OK


def _of_files(given: list[str]) -> Report:
    if missing := [name for name in given if not Path(name).exists()]:
        raise CliError(Exit.USAGE, f"cannot read {', '.join(missing)}: no such file or folder")
    found = tuple(sources(given))
    facts = merged(*(s.judged.facts for s in found if s.judged.facts is not None))
    return Report(tuple(_named(s) for s in found if s.judged.facts), audit(facts), _unjudged(found))


def _named(source: Source) -> str:
    return f"{source.name} ({source.judged.kind})"


def _unjudged(found: tuple[Source, ...]) -> tuple[Unjudged, ...]:
    return tuple(Unjudged(s.name, s.judged.reason) for s in found if s.judged.reason)


def _of_controller(args: argparse.Namespace) -> Report:
    with channel(args) as opened:
        stub = audit_pb2_grpc.AuditServiceStub(opened)
        return read_report(call(stub.Audit, audit_pb2.AuditRequest(nodes=args.node), args))
