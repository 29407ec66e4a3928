"""``trafficd certs``: a small certificate authority, for labs and for nodes that enrol."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trafficd.api import tls
from trafficd.certs import authority, tokens
from trafficd.certs.authority import LIFETIMES, Issued, Order
from trafficd.certs.files import CertsError, make_directory, read, write, write_key
from trafficd.certs.inspect import inspect, stamp
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.output import say, table
from trafficd.core.identity import Identity, IdentityError, Role, identity

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TIME = re.compile(r"(\d{1,6})([smhd])")


def _lifetime(text: str) -> timedelta:
    found = _TIME.fullmatch(text)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write a number and s, m, h or d, such as 24h")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("certs", help="make an authority and issue certificates")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_init(commands)
    _add_issue(commands)
    _add_show(commands)
    _add_token(commands)


def _add_init(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "init", help="make an authority", description="Makes ca.key (0600) and ca.crt in DIR."
    )
    parser.add_argument(
        "--rotate",
        action="store_true",
        help="make a new authority over the old one, whose certificates stay trusted until they expire",
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.set_defaults(run=_run, act=_init)


def _add_issue(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    lives = ", ".join(f"{role} {life.days} d" for role, life in LIFETIMES.items())
    parser = commands.add_parser(
        "issue",
        help="issue a certificate and its key",
        description="Writes ca.crt, tls.crt and tls.key (0600), signed by the authority in DIR.",
    )
    parser.add_argument("--role", choices=list(Role), required=True)
    parser.add_argument("--name", required=True, help="the node's name for an agent; anybody's choice else")
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="HOST",
        help="a DNS name or IP address the controller is reached by; several times (controller only)",
    )
    parser.add_argument("--ttl", type=_lifetime, metavar="TIME", help=f"such as 24h (default: {lives})")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to (default: DIR/ROLE-NAME)")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.set_defaults(run=_run, act=_issue)


def _add_show(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("show", help="who certificates are for, and until when")
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="certificate, or directory of one"
    )
    parser.set_defaults(run=_run, act=_show)


def _add_token(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "token",
        help="make a one-time token for a node to enrol with",
        description="Prints the token, and nothing else; DIR keeps its hash. Run it as the controller's user, on the "
        "directory that trafficd serve --ca-dir names.",
    )
    parser.add_argument("--node", required=True)
    parser.add_argument(
        "--ttl",
        type=_lifetime,
        default=tokens.TOKEN_LIFETIME,
        metavar="TIME",
        help="such as 10m (default 10m)",
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.set_defaults(run=_run, act=_token)


def _token(args: argparse.Namespace, now: datetime) -> int:
    node = identity(Role.AGENT, args.node).name
    authority.load(args.directory)
    say(tokens.create(args.directory, node, args.ttl, now))
    return Exit.OK


def _run(args: argparse.Namespace) -> int:
    try:
        code: int = args.act(args, datetime.now(UTC))
    except (CertsError, IdentityError) as e:
        raise CliError(Exit.REFUSED, str(e)) from e
    return code


def _init(args: argparse.Namespace, now: datetime) -> int:
    made = authority.create(args.directory, now, rotate=args.rotate)
    say(
        f"{args.directory / authority.CA_CERTIFICATE}: valid until {stamp(made.certificate.not_valid_after_utc)}"
    )
    say(f"SHA-256 fingerprint {made.fingerprint}")
    return Exit.OK


def _issue(args: argparse.Namespace, now: datetime) -> int:
    order = _order(args, identity(args.role, args.name))
    issued = authority.load(args.directory).issue(order, now)
    to = args.out or args.directory / f"{order.identity.role}-{order.identity.name}"
    save(to, issued)
    seen = inspect(issued.certificate, tls.CERTIFICATE)
    say(f"{to}: {seen.who}, {seen.left(now)}")
    return Exit.OK


def _order(args: argparse.Namespace, who: Identity) -> Order:
    serves = who.role is Role.CONTROLLER
    if serves and not args.host:
        raise CliError(
            Exit.USAGE, "a controller's certificate needs --host: the names and addresses it is reached by"
        )
    if args.host and not serves:
        raise CliError(Exit.USAGE, f"--host is for a controller's certificate, not for that of {who}")
    return Order(who, args.ttl or LIFETIMES[who.role], tuple(args.host))


def save(directory: Path, issued: Issued) -> None:
    """Key first: whoever sees the new certificate finds its key. Raises CertsError."""
    make_directory(directory)
    write_key(directory / tls.KEY, issued.key)
    write(directory / tls.CERTIFICATE, issued.certificate)
    write(directory / tls.AUTHORITIES, issued.authorities)


def _show(args: argparse.Namespace, now: datetime) -> int:
    """Exit 1 when one of them is not valid now."""
    paths = [p / tls.CERTIFICATE if p.is_dir() else p for p in args.paths]
    seen = [(p, inspect(read(p), str(p))) for p in paths]
    say(table(("FILE", "OF", "SIGNED BY", "STANDS"), [(p, s.who, s.issuer, s.left(now)) for p, s in seen]))
    good = all(s.not_before <= now < s.not_after for _, s in seen)
    return Exit.OK if good else Exit.FINDINGS
