"""``trafficd adopt``: what saved outputs of tc and an opensm.conf hold, as the policy that says the same."""

from __future__ import annotations

import argparse
import re

from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import read
from trafficd.cli.output import say
from trafficd_topology.adopt import Adopted, adopt_opensm, adopt_tc, document
from trafficd_topology.parsers.tc_show import parse_tc_show

TC = re.compile(r"^(qdisc|class|filter) \S+ ", re.MULTILINE)


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "adopt",
        help="the policy that says what tc and OpenSM hold already",
        description="Reads saved outputs of tc (qdisc, class and filter show, one after the other) and opensm.conf, and "
        "prints the policy file that says the same, in mode observe; what a policy cannot say follows as comments. "
        "Asks nobody and writes nothing; trafficd-agent adopt reads a live node.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a saved output, an opensm.conf, or - for standard input"
    )
    parser.add_argument("--node", default="*", help="whose ports they are; default: any node's")
    parser.add_argument(
        "--port", default="", help="the port of outputs that name none (tc class show names none)"
    )
    parser.add_argument(
        "--fabric", default="ib0", help="what to call the subnet of an opensm.conf (default ib0)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0 when something was adopted, 2 when nothing could be, with the reasons."""
    found = [adopted for file in args.files for adopted in _adopt(file, args)]
    if not any(a.text for a in found):
        raise CliError(Exit.USAGE, "; ".join(s for a in found for s in a.left) or "nothing can be adopted")
    say(document(found).rstrip("\n"))
    return Exit.OK


def _adopt(file: str, args: argparse.Namespace) -> list[Adopted]:
    text = read(file).decode("utf-8", "replace")
    if not TC.search(text):
        return [adopt_opensm(args.fabric, text)]
    trees, strange = parse_tc_show(text, args.port)
    found = [adopt_tc(args.node, port or "*", held) for port, held in trees.items()]
    return [*found, *(Adopted("", (f"{file}: not understood: {line}",)) for line in strange)]
