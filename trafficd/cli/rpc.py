"""Calls to a controller; gRPC's exceptions end here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

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
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="how long to wait for it (default 10)"
    )


@contextmanager
def channel(address: str) -> Iterator[grpc.Channel]:
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options=options) as opened:
        yield opened


def call(method: Callable[..., Any], request: Any, args: argparse.Namespace) -> Any:
    """One unary call with the command's deadline. Raises CliError."""
    try:
        return method(request, timeout=args.timeout)
    except grpc.RpcError as e:
        raise refused(e, args.controller) from e


def refused(error: grpc.RpcError, address: str) -> CliError:
    code, details = error.code(), error.details() or ""
    if code in _UNREACHABLE:
        return CliError(
            Exit.UNREACHABLE,
            f"no controller answers at {address} ({details}): is trafficd serve running there? "
            "Name another with --controller or $TRAFFICD_CONTROLLER",
        )
    return CliError(Exit.REFUSED, f"the controller at {address} refused ({code.name}): {details}")
