"""The trafficd command: one module per family, listed here."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from trafficd import __version__
from trafficd.cli.exits import CliError, Exit

EPILOG = (
    "exit codes: 0 good; 1 problems found, or not everything is ready; 2 wrong command line or unreadable file; "
    "3 no controller answers; 4 the controller refused or cannot start"
)


def _parser() -> argparse.ArgumentParser:
    from trafficd.cli import (  # noqa: PLC0415 - see main
        adopt,
        apply,
        audit,
        certs,
        check,
        completion,
        doctor,
        marking,
        pause,
        plan,
        recommend,
        recover,
        rollout,
        serve,
        simulate,
        status,
        top,
        topology,
    )

    parser = argparse.ArgumentParser(
        prog="trafficd", description="Network traffic manager for LLM inference clusters.", epilog=EPILOG
    )
    parser.add_argument("--version", action="version", version=f"trafficd {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    looks = (check, audit, doctor, plan, status, top, recommend, marking, topology, adopt, simulate)
    for module in (serve, *looks, apply, pause, rollout, recover, certs):
        module.add(subparsers)
    completion.add(subparsers, parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Every error is one sentence on standard error."""
    # gRPC's own log lines say in other words, and first, what our one sentence says.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        parser = _parser()
    except ImportError as e:
        # The base install is the client library alone.
        sys.stderr.write(f"trafficd: the command needs {e.name}: pip install 'trafficd[controller]'\n")
        return Exit.REFUSED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    args = parser.parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except CliError as e:
        sys.stderr.write(f"trafficd: {e}\n")
        return e.code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone: what it did not want needs no error, now or at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    return code
