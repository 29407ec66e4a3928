"""The trafficd-agent command. Exit codes are in ``CODES``; whatever goes wrong is one sentence on stderr."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trafficd_agent import commands as local
from trafficd_agent import subnet_commands
from trafficd_agent.app import audit, doctor
from trafficd_agent.app.drivers import DriverTable, bind, take_inventory
from trafficd_agent.app.run import CannotStartError, Plan, run
from trafficd_agent.commands import Code, StopError, text
from trafficd_agent.config import (
    ADDRESS,
    FINGERPRINT,
    Config,
    Tls,
    default_config,
    is_address,
    is_fingerprint,
    parse_config,
)
from trafficd_topology.audit.finding import is_bad
from trafficd_topology.audit.report import Report, checks, plain, summary
from trafficd_topology.audit.report import text as report_text
from trafficd_topology.model import DriverOffer, NodeInventory, PortInventory, Problem

CODES = """exit codes:
  0  done; status: every scope is Ready
  1  it failed; the sentence on stderr says why; audit, doctor: something is a warning or worse
  2  the command line or the settings are wrong
  3  status: no agent answers at that address
  4  status: some scope is not Ready
  5  audit, doctor: this machine cannot be looked at; the sentence on stderr says why
"""


def _address(text: str) -> str:
    if not is_address(text):
        raise argparse.ArgumentTypeError(ADDRESS)
    return text


def _fingerprint(text: str) -> str:
    if not is_fingerprint(text):
        raise argparse.ArgumentTypeError(FINGERPRINT)
    return text


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        "trafficd-agent", description=__doc__.split(".")[0], epilog=CODES, formatter_class=shape
    )
    top.add_argument("--version", action="version", version=f"trafficd-agent {version('trafficd')}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, help="settings (YAML)")
    common.add_argument("--node", help="name of this node; default: the host name")
    common.add_argument("--sysfs", help="root of sysfs; default /sys")
    one = commands.add_parser(
        "run", parents=[common], help="serve until SIGTERM", epilog=CODES, formatter_class=shape
    )
    one.add_argument(
        "--controller", type=_address, action="append", help="HOST:PORT; may be given several times"
    )
    one.add_argument("--state-dir", help="where the last accepted state is kept")
    one.add_argument(
        "--http", type=_http_address, help='HOST:PORT of /metrics and /status; "" serves nothing'
    )
    one.add_argument("--tls-dir", help="TLS with ca.crt, tls.crt and tls.key of this directory")
    one.add_argument("--enroll", type=_address, help="HOST:PORT where to get a certificate with a token")
    one.add_argument(
        "--token-file", help="holds the token for --enroll: one-time, or projected by Kubernetes"
    )
    one.add_argument("--ca-file", help="whom to trust while enrolling; default: ca.crt of --tls-dir")
    one.add_argument(
        "--ca-fingerprint",
        type=_fingerprint,
        metavar="SHA256",
        help="whom to trust while enrolling where that file is not there: as trafficd certs init prints it",
    )
    one.add_argument("--insecure", action="store_true", help="allow plaintext to other machines")
    one.add_argument(
        "--forget-controller", action="store_true", help="follow whichever controller speaks first"
    )
    one.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    two = commands.add_parser("inventory", parents=[common], help="what this node has")
    three = commands.add_parser(
        "status", help="how a running agent stands", epilog=CODES, formatter_class=shape
    )
    three.add_argument("--http", type=_address, default="127.0.0.1:7602", help="its HOST:PORT")
    local.add(commands)
    subnet_commands.add(commands)
    for command in (two, three, *_look_parsers(commands, common)):
        command.add_argument("--output", choices=["table", "json"], default="table")
    local.add_completion(commands, top)
    return top


def _look_parsers(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> tuple[argparse.ArgumentParser, ...]:
    """Commands that read and write nothing."""
    four = commands.add_parser(
        "audit",
        parents=[common],
        help="what is wrong on this node already; reads only (docs/audit.md)",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    four.add_argument(
        "--watch", type=_watch, default=2.0, metavar="SECONDS", help="watch counters for so long (default 2)"
    )
    five = commands.add_parser(
        "doctor",
        parents=[common],
        help="what will not work on this node, and why; reads only",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    five.add_argument(
        "--controller", type=_address, action="append", help="HOST:PORT; may be given several times"
    )
    five.add_argument("--http", type=_http_address, help="HOST:PORT of the agent's pages")
    five.add_argument("--insecure", action="store_true", help="as for run")
    for command in (four, five):
        command.add_argument("--state-dir", help="where the last accepted state is kept")
    return four, five


def _watch(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no time from 0 to 3600 seconds")
    return seconds


def _http_address(text: str) -> str:
    return _address(text) if text else ""


def _settings(args: argparse.Namespace) -> tuple[Config, DriverTable]:
    """The settings file with the command line over it, and the drivers it asks for; every problem at once."""
    config, problems = default_config(), tuple[Problem, ...]()
    if args.config is not None:
        parsed, problems = parse_config(text(args.config))
        config = parsed or config
    drivers, more = bind(config)
    if problems or more:
        raise StopError(Code.USAGE, *(f"{args.config or 'settings'}: {p}" for p in (*problems, *more)))
    return _overridden(config, args), drivers


def _overridden(config: Config, args: argparse.Namespace) -> Config:
    names = ("node", "sysfs", "state_dir", "http")
    config = replace(config, **{n: v for n in names if (v := getattr(args, n, None)) is not None})
    config = replace(config, tls=_tls(config.tls, args))
    if controllers := getattr(args, "controller", None):
        config = replace(config, controllers=tuple(controllers))
    return replace(config, insecure=True) if getattr(args, "insecure", False) else config


def _tls(told: Tls, args: argparse.Namespace) -> Tls:
    names = {
        "dir": "tls_dir",
        "enroll": "enroll",
        "token_file": "token_file",
        "ca_file": "ca_file",
        "ca_fingerprint": "ca_fingerprint",
    }
    tls = replace(told, **{n: v for n, flag in names.items() if (v := getattr(args, flag, None)) is not None})
    if tls.enroll and not (tls.dir and tls.token_file):
        raise StopError(
            Code.USAGE,
            "--enroll needs --tls-dir, which holds ca.crt unless there is --ca-file, and --token-file",
        )
    return tls


def _run(args: argparse.Namespace) -> Code:
    logging.basicConfig(
        level=args.log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    config, drivers = _settings(args)
    try:
        run(Plan(config, drivers, args.forget_controller))
    except CannotStartError as e:
        raise StopError(Code.FAILED, str(e)) from e
    return Code.OK


def _print(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Columns as wide as they need to be."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _shown(value: Any) -> str:
    return "-" if value is None or value == "" else str(value)


def _offer(o: DriverOffer) -> str:
    if not o.supported:
        return f"not {o.driver}: {o.reason}"
    return f"{o.driver}, only to observe: {o.reason}" if o.reason else o.driver


def _port_row(p: PortInventory) -> tuple[str, ...]:
    rate = None if p.rate_bps is None else f"{p.rate_bps / 1e9:g} Gb/s"
    up = {True: "up", False: "down", None: None}[p.up]
    offers = ", ".join(map(_offer, p.offers))
    cells = (p.name, p.link_layer, rate, up, p.pci, p.numa_node, p.gpu, offers)
    return tuple(_shown(c) for c in cells)


def _inventory_table(found: NodeInventory) -> str:
    header = ("PORT", "LINK LAYER", "RATE", "STATE", "PCI", "NUMA", "GPU", "DRIVERS")
    return table(header, [_port_row(p) for p in found.ports])


def _root(config: Config) -> Path:
    sysfs = Path(config.sysfs)
    return sysfs.parent if sysfs.name == "sys" else sysfs


def _looked(found: Report, args: argparse.Namespace, shown: str) -> Code:
    _print(json.dumps(plain(found), indent=1) if args.output == "json" else shown)
    return Code.FINDINGS if is_bad(found.findings) else Code.OK


def _audit(args: argparse.Namespace) -> Code:
    config, drivers = _settings(args)
    root = _root(config)
    try:
        found = audit.run(audit.Request(config, drivers, root, args.watch))
    except OSError as e:
        raise StopError(Code.CANNOT, f"cannot look for ports below {root}: {e.strerror}") from e
    return _looked(found, args, report_text(found))


def _doctor(args: argparse.Namespace) -> Code:
    config, drivers = _settings(args)
    root = _root(config)
    try:
        findings = doctor.examine(config, drivers, root, version("trafficd"))
    except OSError as e:
        raise StopError(Code.CANNOT, f"cannot look for ports below {root}: {e.strerror}") from e
    found = Report((config.node,), findings)
    return _looked(found, args, checks(findings) + "\n" + summary(found))


def _inventory(args: argparse.Namespace) -> Code:
    config, drivers = _settings(args)
    root = _root(config)
    try:
        found = take_inventory(root, config.node, drivers)
    except OSError as e:
        raise StopError(Code.FAILED, f"cannot look for ports below {root}: {e.strerror}") from e
    _print(json.dumps(asdict(found), indent=1) if args.output == "json" else _inventory_table(found))
    return Code.OK


def _fetch(address: str) -> Any:
    """The status document of the agent at that address."""
    url = f"http://{address}/status"
    # A proxy of the environment has no business between an agent and its own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with contextlib.closing(opener.open(url, timeout=5)) as answer:
            return json.load(answer)
    except (OSError, ValueError) as e:
        reason = e.reason if isinstance(e, urllib.error.URLError) else e
        raise StopError(Code.UNREACHABLE, f"no agent answers at {address}: {reason}; is it running?") from e


def _scope_row(scope: Any) -> tuple[str, ...]:
    found = {c["type"]: c for c in scope["conditions"]}
    ready = found.get("Ready", {})
    words = tuple(_shown(found.get(t, {}).get("status")) for t in ("Applied", "Verified", "Drifted", "Ready"))
    generation = f"{scope['observed']['epoch']}.{scope['observed']['number']}"
    said = ": ".join(t for t in (ready.get("reason"), ready.get("message")) if t)
    return (f"{scope['kind']} {scope['name']}", scope["driver"], scope["mode"], generation, *words, said)


def _pauses(paused: Any) -> list[str]:
    found = [(by, reason) for by, reason in paused.items() if reason is not None]
    return [f"writes are stopped by the {by}{f': {reason}' if reason else ''}" for by, reason in found]


def _waiting(status: Any) -> str:
    """Steps that wait for leave, below the table."""
    drained = {True: "drained", False: "not drained", None: "drained or not is unknown"}
    blocks = [
        "\n".join(
            [
                f"{s['kind']} {s['name']} waits for leave, {drained[s['drained']]}:",
                *(f"  {w}" for w in s["waiting_steps"]),
            ]
        )
        for s in status["scopes"]
        if s["waiting_steps"]
    ]
    return "".join(f"\n{b}\n" for b in blocks)


def _status_table(status: Any) -> str:
    c, a = status["controller"], status["accepted"]
    link = f"connected to {c['address']}" if c["connected"] else "not connected"
    link += f" ({c['problem']})" if c["problem"] else ""
    lines = [
        f"node {status['node']}, agent {status['version']}",
        f"controller {c['uuid'] or '(none followed yet)'}: {link}",
        f"accepted generation {a['epoch']}.{a['number']}" if a else "no desired state accepted yet",
        *([f"refused: {c['refused']}"] if c["refused"] else []),
        *_pauses(status["paused"]),
        *(f"state file: {p}" for p in status["problems"]),
    ]
    header = ("SCOPE", "DRIVER", "MODE", "GENERATION", "APPLIED", "VERIFIED", "DRIFTED", "READY", "REASON")
    return (
        "\n".join(lines)
        + "\n\n"
        + table(header, [_scope_row(s) for s in status["scopes"]])
        + _waiting(status)
    )


def _is_ready(scope: Any) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in scope["conditions"])


def _status(args: argparse.Namespace) -> Code:
    status = _fetch(args.http)
    try:
        shown = json.dumps(status, indent=1) if args.output == "json" else _status_table(status)
        ready = all(_is_ready(s) for s in status["scopes"])
    except (KeyError, TypeError) as e:
        raise StopError(
            Code.UNREACHABLE, f"what answers at {args.http} is no trafficd agent of this version"
        ) from e
    _print(shown)
    return Code.OK if ready else Code.NOT_READY


COMMANDS: dict[str, Callable[[argparse.Namespace], Code]] = {
    "run": _run,
    "audit": _audit,
    "doctor": _doctor,
    "inventory": _inventory,
    "status": _status,
    **local.COMMANDS,
    "subnet": subnet_commands.subnet,
}


def main(argv: list[str] | None = None) -> int:
    """The entry point."""
    args = _parser().parse_args(argv)
    try:
        return COMMANDS[args.command](args)
    except StopError as e:
        sys.stderr.write("".join(f"trafficd-agent: {line}\n" for line in str(e).splitlines()))
        return e.code
    except KeyboardInterrupt:
        return Code.OK
    except Exception as e:
        if getattr(args, "log_level", "") == "debug":
            raise
        sys.stderr.write(
            f"trafficd-agent: it failed unexpectedly ({type(e).__name__}: {e}): run it with --log-level debug and report that\n"
        )
        return Code.FAILED


if __name__ == "__main__":
    sys.exit(main())
