"""``trafficd doctor``: what will not work on this machine as a controller, or between a controller and its agents.

Reads only. Each check is one row of ``CHECKS`` and yields what it found, good or bad; one that fails itself is a
warning of its own and holds up no other.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from trafficd import __version__
from trafficd.api.v1 import policy_pb2, policy_pb2_grpc
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import checked, read
from trafficd.cli.output import add_output, say, say_json
from trafficd.cli.rpc import add_controller, call, channel
from trafficd.config import DEFAULT_HTTP, DEFAULT_STATE, parse_address
from trafficd_topology.audit.finding import Finding, Severity, is_bad
from trafficd_topology.audit.report import Report, checks, plain, summary

PACKAGES = (
    ("cryptography", "certificates"),
    ("networkx", "fabric graph"),
    ("yaml", "policy and fabric files"),
    ("prometheus_client", "metrics"),
    ("grpc_health", "health service"),
    ("grpc_reflection", "reflection service"),
)
FASTER = "uvloop"
LEAST_FREE_BYTES = 64 * 2**20
LEAST_FILES = 1024
MOST_OFFSET_S = 1.0
MOST_SILENT_S = 30.0
MOST_NAMED = 5
SQLITE = b"SQLite format 3\0"
OK, INFO, WARNING, ERROR = Severity.OK, Severity.INFO, Severity.WARNING, Severity.ERROR


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. ``status`` is what the controller says of itself, None where none answers (``silence``)."""

    args: argparse.Namespace
    status: policy_pb2.GetStatusResponse | None
    silence: str = ""


Check = Callable[[Patient], Iterator[Finding]]


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="what will not work here, or between a controller and its agents, and why; reads only",
        description="Looks at this machine as a controller's and at the controller that answers: packages, files, "
        "addresses, agents, versions, clocks. Exits 0 when nothing is a warning or worse, 1 when something is.",
    )
    parser.add_argument("--policy", metavar="FILE", help="policy file that serve is given")
    parser.add_argument("--fabric", metavar="FILE", help="fabric file that serve is given")
    parser.add_argument(
        "--state",
        type=Path,
        default=DEFAULT_STATE,
        metavar="FILE",
        help=f"state file (default {DEFAULT_STATE})",
    )
    parser.add_argument(
        "--http",
        type=_address,
        default=DEFAULT_HTTP,
        metavar="HOST:PORT",
        help=f"page of metrics (default {DEFAULT_HTTP})",
    )
    add_controller(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def _address(text: str) -> object:
    try:
        return parse_address(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def run(args: argparse.Namespace) -> int:
    """Exit 0: nothing of warning or above; 1: findings."""
    patient = _patient(args)
    findings = tuple(f for name, check in CHECKS for f in _safely(name, check, patient))
    found = Report((args.controller,), findings)
    if args.output == "json":
        say_json(plain(found))
    else:
        say(checks(findings) + "\n" + summary(found))
    return Exit.FINDINGS if is_bad(findings) else Exit.OK


def _patient(args: argparse.Namespace) -> Patient:
    try:
        with channel(args) as opened:
            stub = policy_pb2_grpc.PolicyServiceStub(opened)
            return Patient(args, call(stub.GetStatus, policy_pb2.GetStatusRequest(), args))
    except CliError as e:
        return Patient(args, None, str(e))


def _safely(name: str, check: Check, patient: Patient) -> Iterator[Finding]:
    try:
        yield from check(patient)
    except Exception as e:  # noqa: BLE001 - a check that fails must not hide the others
        yield Finding(
            name, WARNING, check.__name__, f"this check failed ({type(e).__name__}: {e})", "Report this."
        )


def packages(_: Patient) -> Iterator[Finding]:
    missing = [f"{name} ({what})" for name, what in PACKAGES if find_spec(name) is None]
    if missing:
        yield Finding(
            "packages",
            ERROR,
            "python",
            f"missing: {', '.join(missing)}",
            "pip install 'trafficd[controller]'.",
        )
    else:
        yield Finding("packages", OK, "python", "all of the controller's are there", "")
    if find_spec(FASTER) is None:
        yield Finding("packages", INFO, FASTER, "not there: answers take longer", "pip install uvloop.")


def state_file(p: Patient) -> Iterator[Finding]:
    path: Path = p.args.state
    folder = next((f for f in path.parents if f.exists()), Path("/"))
    at = f"state {path}"
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            "state",
            ERROR,
            at,
            f"{folder} cannot be written by this user",
            "Make it writable, or choose another with --state.",
        )
        return
    if (free := shutil.disk_usage(folder).free) < LEAST_FREE_BYTES:
        yield Finding(
            "state",
            ERROR,
            at,
            f"{free >> 20} MiB are free",
            "Free some space: a change that cannot be saved does not happen.",
        )
    if not path.exists():
        yield Finding("state", OK, at, "not there yet: serve makes it", "")
    elif not os.access(path, os.R_OK | os.W_OK):
        yield Finding(
            "state",
            ERROR,
            at,
            "not readable and writable for this user",
            "Give it to the user that runs serve.",
        )
    else:
        yield _state_content(path, at)


def _state_content(path: Path, at: str) -> Finding:
    with path.open("rb") as file:
        head = file.read(len(SQLITE))
    if head in (SQLITE, b""):
        return Finding("state", OK, at, "readable and writable", "")
    return Finding(
        "state", ERROR, at, "it is no SQLite file", "Put back a copy, or move it away to begin anew."
    )


def files(p: Patient) -> Iterator[Finding]:
    for option, wanted in (("policy", p.args.policy), ("fabric", p.args.fabric)):
        if wanted is None:
            continue
        file = checked(wanted, read(wanted))
        if file.problems:
            said = f"{len(file.problems)} problems, the first: {file.problems[0]}"
            yield Finding("files", ERROR, wanted, said, "Correct them; trafficd check shows all.")
        elif getattr(file, "policies" if option == "policy" else "fabric") is None:
            yield Finding(
                "files", ERROR, wanted, f"it is no {option} file", f"Give a {option} file to --{option}."
            )
        else:
            yield Finding("files", OK, wanted, "good", "")


def limits(_: Patient) -> Iterator[Finding]:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < LEAST_FILES:
        said = f"{soft} open files are allowed: each agent and scheduler takes one"
        yield Finding(
            "limits", WARNING, "open files", said, "Raise it (LimitNOFILE= in the unit, ulimit -n)."
        )
    else:
        yield Finding("limits", OK, "open files", f"{soft} allowed", "")


def controller(p: Patient) -> Iterator[Finding]:
    at = p.args.controller
    if p.status is None:
        yield Finding(
            "controller",
            ERROR,
            at,
            p.silence,
            "Start trafficd serve, or name where it runs with --controller.",
        )
        return
    yield Finding("controller", OK, at, f"controller {p.status.controller_uuid} answers", "")
    for problem in p.status.rejected:
        yield Finding(
            "controller", ERROR, problem.path, problem.reason, "Correct it: what was in force before stays."
        )
    ready = [c for c in p.status.conditions if c.reason == "Withheld"]
    for condition in ready:
        yield Finding(
            "controller",
            WARNING,
            "programming",
            condition.message,
            "Nothing is programmed until that is put right.",
        )


def web(p: Patient) -> Iterator[Finding]:
    """Whether the page of metrics can be served, or is."""
    address = p.args.http
    at = f"{address.host}:{address.port}"
    try:
        with socket.create_connection((address.host, address.port), timeout=p.args.timeout):
            taken = p.status is None
    except OSError:
        yield Finding(
            "http", OK if p.status is None else INFO, at, "nobody serves it" if p.status else "free", ""
        )
        return
    said = "in use by another program" if taken else "served"
    yield Finding(
        "http", WARNING if taken else OK, at, said, "Choose another with serve --http." if taken else ""
    )


def minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])


def versions(p: Patient) -> Iterator[Finding]:
    if p.status is None:
        return
    own = p.status.controller_version
    if minor(own) != minor(__version__):
        said = f"this command is {__version__}, the controller {own}"
        yield Finding(
            "versions", WARNING, p.args.controller, said, "Use the command of the controller's version."
        )
    others: dict[str, list[str]] = {}
    for node in p.status.nodes:
        if minor(node.agent_version) != minor(own):
            others.setdefault(node.agent_version or "unknown", []).append(node.node)
    for version, nodes in sorted(others.items()):
        said = f"agents of version {version}, controller {own}"
        yield Finding("versions", WARNING, some(nodes), said, "Upgrade agents first, then the controller.")
    if not others:
        yield Finding("versions", OK, "agents", f"all {len(p.status.nodes)} are of version {own}", "")


def some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def agents(p: Patient) -> Iterator[Finding]:
    if p.status is None:
        return
    if not p.status.nodes:
        yield Finding(
            "agents",
            WARNING,
            "nodes",
            "no agent has connected yet",
            "Start trafficd-agent run on the nodes; there, trafficd-agent doctor says what is in its way.",
        )
    gone = [n.node for n in p.status.nodes if not n.connected]
    if gone:
        yield Finding(
            "agents",
            WARNING,
            some(gone),
            "not connected: they keep what they accepted last",
            "Run trafficd-agent doctor there.",
        )
    silent = [n.node for n in p.status.nodes if n.connected and _is_silent(n)]
    if silent:
        yield Finding(
            "agents",
            WARNING,
            some(silent),
            f"no counters for {MOST_SILENT_S:g} s: choices use static weights",
            "Look at the agents' logs.",
        )
    if p.status.nodes and not gone and not silent:
        yield Finding("agents", OK, "nodes", f"all {len(p.status.nodes)} are connected and send counters", "")


def _is_silent(node: policy_pb2.NodeStatus) -> bool:
    return not node.HasField("telemetry_age_seconds") or node.telemetry_age_seconds > MOST_SILENT_S


def clocks(p: Patient) -> Iterator[Finding]:
    """Where most nodes are off the same way, it is the controller's clock."""
    if p.status is None or not p.status.nodes:
        return
    offsets = {n.node: n.clock_offset_seconds for n in p.status.nodes}
    middle = median(offsets.values())
    if len(offsets) > 2 and abs(middle) > MOST_OFFSET_S:
        said = f"half of the nodes' clocks are {middle:+.1f} s or more from it"
        yield Finding(
            "clock",
            WARNING,
            "the controller's clock",
            said,
            "Let the controller follow the nodes' time server.",
        )
        return
    off = [f"{node} ({offset:+.1f} s)" for node, offset in offsets.items() if abs(offset) > MOST_OFFSET_S]
    if off:
        yield Finding(
            "clock",
            WARNING,
            some(off),
            "their clocks are off the controller's",
            "Let all follow one time server.",
        )
    else:
        yield Finding("clock", OK, "nodes", f"within {MOST_OFFSET_S:g} s of the controller's", "")


def told(p: Patient) -> Iterator[Finding]:
    """What the controller itself notes: nodes it cannot place, ports it cannot program."""
    for note in p.status.notes if p.status else ():
        yield Finding("notes", INFO, "controller", note, "")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("packages", packages),
    ("state", state_file),
    ("files", files),
    ("limits", limits),
    ("controller", controller),
    ("http", web),
    ("versions", versions),
    ("agents", agents),
    ("clock", clocks),
    ("notes", told),
)
