"""``trafficd serve``: the controller."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib.util import find_spec
from pathlib import Path

from trafficd.cli.exits import CliError, Exit
from trafficd.cli.output import say
from trafficd.config import (
    DEFAULT_HTTP,
    DEFAULT_LISTEN,
    DEFAULT_STATE,
    Address,
    ControllerConfig,
    Listen,
    parse_address,
    parse_listen,
)


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def _listen(text: str) -> Listen:
    try:
        return parse_listen(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def _listens(args: argparse.Namespace) -> tuple[Listen, ...]:
    """Raises CliError for an address that others reach, without leave for plain text."""
    listens = tuple(args.listen or [parse_listen(DEFAULT_LISTEN)])
    exposed = [str(at) for at in listens if not at.local]
    if args.tls_dir is not None and args.insecure:
        raise CliError(Exit.USAGE, "--tls-dir and --insecure contradict each other: leave one out")
    if exposed and args.tls_dir is None and not args.insecure:
        raise CliError(
            Exit.USAGE,
            f"{', '.join(exposed)} would speak plain text to other machines: give certificates with --tls-dir, "
            "listen on loopback or a Unix socket, or allow it with --insecure",
        )
    return listens


def _enroll(args: argparse.Namespace) -> Listen | None:
    """Raises CliError where nobody could enrol there, or over plain text."""
    if args.ca_dir is not None and args.tls_dir is None:
        raise CliError(
            Exit.USAGE, "--ca-dir signs certificates that plain text does not ask for: give --tls-dir too"
        )
    if args.enroll_service_account:
        _look_for_cluster(args)
    if args.enroll_listen is None:
        return None
    if args.ca_dir is None:
        raise CliError(Exit.USAGE, "--enroll-listen needs an authority to sign with: give --ca-dir too")
    return Listen(tcp=args.enroll_listen)


def _look_for_cluster(args: argparse.Namespace) -> None:
    """Raises CliError where nobody could enrol with such a token, or nobody could be asked about it."""
    if args.enroll_listen is None:
        raise CliError(
            Exit.USAGE, "--enroll-service-account needs an address to enrol at: give --enroll-listen too"
        )
    if find_spec("lightkube") is None:
        raise CliError(
            Exit.REFUSED, "the Kubernetes client is missing: pip install 'trafficd[controller,kubernetes]'"
        )


def _account(text: str) -> str:
    namespace, slash, name = text.partition("/")
    if not (slash and namespace and name) or "/" in name:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAMESPACE/NAME of a service account")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.05 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is no time from 0.05 to 60 seconds")
    return seconds


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="run the controller",
        description="Runs the controller in the foreground until SIGTERM. Files are read again when they change; "
        "a file that is missing, empty or wrong changes nothing and is named in status and metrics.",
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="policy file (default: policies by the API only)"
    )
    parser.add_argument(
        "--fabric", type=Path, metavar="FILE", help="fabric file (default: the one accepted last)"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=DEFAULT_STATE,
        metavar="FILE",
        help=f"state file (default {DEFAULT_STATE})",
    )
    parser.add_argument(
        "--listen",
        type=_listen,
        action="append",
        metavar="ADDRESS",
        help=f"gRPC: host:port or unix:/path, may be given several times (default {DEFAULT_LISTEN})",
    )
    _add_identity(parser)
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="allow plain text on addresses that other machines reach: whoever reaches them may program lanes",
    )
    parser.add_argument(
        "--http",
        type=_address,
        default=DEFAULT_HTTP,
        metavar="HOST:PORT",
        help=f"/metrics, /healthz, /readyz (default {DEFAULT_HTTP})",
    )
    parser.add_argument(
        "--telemetry-interval",
        type=_seconds,
        default=0.5,
        metavar="SECONDS",
        help="how often agents send counters (default 0.5)",
    )
    parser.add_argument(
        "--recover",
        action="store_true",
        help="after the state file was lost or restored: allow an operator to have this controller take over from "
        "its agents (see trafficd recover)",
    )
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.set_defaults(run=run)


def _add_identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tls-dir",
        type=Path,
        metavar="DIR",
        help="serve TLS on TCP with ca.crt, tls.crt and tls.key of this directory, and know callers by their "
        "certificates (default: plain text)",
    )
    parser.add_argument(
        "--ca-dir",
        type=Path,
        metavar="DIR",
        help="sign nodes' certificates with the authority of this directory (see trafficd certs)",
    )
    parser.add_argument(
        "--enroll-listen",
        type=_address,
        metavar="HOST:PORT",
        help="where nodes without a certificate enrol with a token (needs --tls-dir and --ca-dir)",
    )
    parser.add_argument(
        "--enroll-service-account",
        type=_account,
        metavar="NAMESPACE/NAME",
        help="let pods of this Kubernetes service account enrol the nodes they run on, with a projected token for "
        "the audience trafficd (needs --enroll-listen)",
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="how to reach the Kubernetes API (default: the service account of the pod that this is)",
    )


def run(args: argparse.Namespace) -> int:
    """Exit 0 after SIGTERM or SIGINT, 4 when the controller cannot start."""
    try:
        from trafficd.app import FaultError, StartError, serve  # noqa: PLC0415 - the other commands need none of it
    except ImportError as e:
        raise CliError(
            Exit.REFUSED,
            f"the controller's packages are missing ({e.name}): pip install 'trafficd[controller]'",
        ) from e
    logging.basicConfig(
        stream=sys.stderr,
        level=args.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    config = ControllerConfig(
        listen=_listens(args),
        http=args.http,
        state=args.state,
        policy=args.policy,
        tls=args.tls_dir,
        ca=args.ca_dir,
        enroll=_enroll(args),
        service_account=args.enroll_service_account or "",
        kubeconfig=args.kubeconfig,
        fabric=args.fabric,
        telemetry_interval_ms=round(args.telemetry_interval * 1000),
        recover=args.recover,
    )
    try:
        serve(config, _announce)
    except (StartError, FaultError) as e:
        raise CliError(Exit.REFUSED, str(e)) from e
    return Exit.OK


def _announce(line: str) -> None:
    say(line)
    sys.stdout.flush()
