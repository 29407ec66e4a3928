"""Authorities and certificates for tests, at any time of day."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc

from trafficd.api import tls
from trafficd.app.controller import Controller
from trafficd.certs import authority
from trafficd.certs.authority import Authority, Order
from trafficd.cli.certs import save
from trafficd.config import ControllerConfig
from trafficd.core.identity import Identity, identity
from trafficd.store import Store

HOUR = timedelta(hours=1)
LOOPBACK = ("127.0.0.1", "localhost")


def now() -> datetime:
    return datetime.now(UTC)


class CertLab:
    """One authority in a folder; what it issues lies beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca"
        self.authority: Authority = authority.create(self.ca, now() - 10 * HOUR)

    def rotate(self) -> None:
        self.authority = authority.create(self.ca, now() - HOUR, rotate=True)

    def issue(
        self,
        who: str | Identity,
        start: timedelta = timedelta(),
        life: timedelta = HOUR,
        to: Path | None = None,
    ) -> Path:
        """``who`` is ``role/name``; ``start`` is when the certificate is made, from now."""
        of = who if isinstance(who, Identity) else identity(*who.split("/"))
        hosts = LOOPBACK if of.role == "controller" else ()
        directory = to or self.folder / f"{of.role}-{of.name}"
        save(directory, self.authority.issue(Order(of, life, hosts), now() + start))
        return directory

    def credentials(self, who: str | Identity) -> grpc.ChannelCredentials:
        return tls.channel_credentials(tls.read(self.issue(who)))


def server_credentials(directory: Path) -> grpc.ServerCredentials:
    """As a controller serves, without its reloading."""
    found = tls.read(directory)
    return grpc.ssl_server_credentials(
        [(found.key, found.certificate)], found.authorities, require_client_auth=True
    )


@contextmanager
def controller_thread(settings: ControllerConfig) -> Iterator[Controller]:
    """A whole controller on a thread and a loop of its own."""
    ready, box = threading.Event(), list[Controller]()

    async def serve() -> None:
        store = Store.open(settings.state)
        try:
            controller = Controller(settings, store)
            async with controller.running():
                box.append(controller)
                ready.set()
                await over.wait()
        finally:
            ready.set()
            store.close()

    loop, over = asyncio.new_event_loop(), asyncio.Event()

    def run() -> None:
        # As asyncio.run would: what gRPC still has under way ends here, not when memory is cleared up.
        asyncio.set_event_loop(loop)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(20)
        yield box[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
