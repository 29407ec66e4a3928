"""Calls to a controller; gRPC's exceptions end here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from trafficd.api import tls
from trafficd.cli.exits import CliError, Exit
from trafficd.config import DEFAULT_LISTEN

MAX_MESSAGE_BYTES = 64 * 2**20
_UNREACHABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


def add_controller(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--controller",
        default=os.environ.get("TRAFFICD_CONTROLLER", DEFAULT_LISTEN),
        metavar="HOST:PORT",
        help=f"its gRPC address (default: $TRAFFICD_CONTROLLER, else {DEFAULT_LISTEN})",
    )
    given = os.environ.get("TRAFFICD_TLS")
    parser.add_argument(
        "--tls-dir",
        type=Path,
        default=Path(given) if given else None,
        metavar="DIR",
        help="speak TLS with ca.crt, tls.crt and tls.key of this directory (default: $TRAFFICD_TLS, else plain text)",
    )
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="how long to wait for it (default 10)"
    )


@contextmanager
def channel(args: argparse.Namespace) -> Iterator[grpc.Channel]:
    """To the command's controller. Raises CliError."""
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.enable_http_proxy", 0)]
    if args.tls_dir is None:
        with grpc.insecure_channel(args.controller, options=options) as opened:
            yield opened
        return
    try:
        credentials = tls.channel_credentials(tls.read(args.tls_dir))
    except tls.TlsError as e:
        raise CliError(Exit.USAGE, str(e)) from e
    with grpc.secure_channel(args.controller, credentials, options=options) as opened:
        yield opened


def call(method: Callable[..., Any], request: Any, args: argparse.Namespace) -> Any:
    """One unary call with the command's deadline. Raises CliError."""
    try:
        return method(request, timeout=args.timeout)
    except grpc.RpcError as e:
        raise refused(e, args) from e


def refused(error: grpc.RpcError, args: argparse.Namespace) -> CliError:
    """What a failed call means for the person."""
    code, details, address = error.code(), error.details() or "", args.controller
    if (
        code is grpc.StatusCode.UNAVAILABLE
        and args.tls_dir is not None
        and (said := tls.broken(details, args.tls_dir))
    ):
        return CliError(Exit.UNREACHABLE, f"no TLS connection to the controller at {address}: {said}")
    if code in _UNREACHABLE:
        return CliError(
            Exit.UNREACHABLE,
            f"no controller answers at {address} ({details}): is trafficd serve running there{_tls_hint(args)}? "
            "Name another with --controller or $TRAFFICD_CONTROLLER",
        )
    return CliError(Exit.REFUSED, f"the controller at {address} refused ({code.name}): {details}")


def _tls_hint(args: argparse.Namespace) -> str:
    return "" if args.tls_dir is not None else ", and without --tls-dir"
