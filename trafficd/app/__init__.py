"""Wiring and the loops of the controller."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from asyncio import AbstractEventLoop
from collections.abc import Callable
from types import ModuleType

from trafficd import __version__
from trafficd.api.tls import TlsError
from trafficd.app.controller import Controller
from trafficd.app.grpcserver import ListenError
from trafficd.certs.files import CertsError
from trafficd.config import Address, ControllerConfig
from trafficd.store import Store, StoreError
from trafficd.web import WebError

uvloop: ModuleType | None
try:
    import uvloop
except ImportError:  # not built for this interpreter
    uvloop = None

log = logging.getLogger("trafficd")
Announce = Callable[[str], None]


class StartError(Exception):
    """The controller cannot start. The text is one sentence for the operator."""


class FaultError(Exception):
    """The controller stopped by itself, because of a fault of its own."""


def _new_loop() -> AbstractEventLoop:
    if uvloop is None:
        return asyncio.new_event_loop()
    loop: AbstractEventLoop = uvloop.new_event_loop()
    return loop


def serve(config: ControllerConfig, announce: Announce) -> None:
    """Run a controller until SIGTERM or SIGINT. ``announce`` gets one line when it serves.

    Raises StartError when it cannot start, FaultError when it had to stop.
    """
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(_serve(config, announce))


async def _serve(config: ControllerConfig, announce: Announce) -> None:
    try:
        store = Store.open(config.state)
    except StoreError as e:
        raise StartError(str(e)) from e
    try:
        controller = Controller(config, store)
        await _until_stopped(controller, config, announce)
    except (StoreError, WebError, ListenError, TlsError, CertsError) as e:
        raise StartError(str(e)) from e
    finally:
        store.close()


async def _until_stopped(controller: Controller, config: ControllerConfig, announce: Announce) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with controller.running():
        state = controller.control.state
        announce(
            f"trafficd {__version__} serves gRPC{' with TLS' if config.tls else ''} on {' and '.join(map(str, controller.grpc))} and HTTP on "
            f"{Address(config.http.host, controller.http_port)}; "
            f"{f'nodes enrol on {controller.enroll}; ' if controller.enroll else ''}"
            f"controller {state.uuid}, generation {state.generation}"
        )
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(controller.failed.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await wait
    if controller.fault is not None:
        raise FaultError(f"stopped by an internal error: {controller.fault!r}") from controller.fault
