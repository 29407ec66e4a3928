"""A real gRPC server with nothing but a path service, on a thread of its own, that can be stopped and come back."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import grpc

from trafficd.choice.engine import PathEngine
from trafficd.choice.snapshot import Snapshot
from trafficd.server.path import PathService, register

T = TypeVar("T")
DEADLINE_S = 20.0


def eventually(what: Callable[[], T], wanted: Callable[[T], bool] = bool) -> T:
    """The first value that is wanted; fails with the last one after DEADLINE_S."""
    end = time.monotonic() + DEADLINE_S
    while not wanted(value := what()):
        assert time.monotonic() < end, f"still {value!r}"
        threading.Event().wait(0.005)
    return value


class PathServer:
    """``port`` stays the same over stops and starts. Each start is a new controller with an empty ledger."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._starts = 0
        self.port = 0
        self.start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._starts += 1
        self._run(self._start(f"controller{self._starts}"))

    async def _start(self, name: str) -> None:
        self.engine = PathEngine(name)
        self.service = PathService(self.engine)
        if self._snapshot is not None:
            self.service.publish(self._snapshot)
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        register(self.service, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    def stop(self) -> None:
        self._run(self._server.stop(None))

    def publish(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.call(lambda: self.service.publish(snapshot))

    def call(self, what: Callable[[], T]) -> T:
        """Run something where the service runs."""
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(what())
            except BaseException as e:  # noqa: BLE001 - handed to the caller
                result.set_exception(e)

        self._loop.call_soon_threadsafe(run)
        return result.result(DEADLINE_S)

    def block(self, until: threading.Event) -> None:
        """Keep the loop busy: a controller that hangs."""
        self._loop.call_soon_threadsafe(until.wait, DEADLINE_S)

    def totals(self) -> dict[str, int]:
        return self.call(lambda: self.engine.totals(time.monotonic()))

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    def _run(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)  # type: ignore[arg-type]
