"""The client for threads. Recommending never raises and waits no longer than its timeout."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import grpc

from trafficd.api.v1 import path_pb2, path_pb2_grpc
from trafficd.choice.request import (
    INVALID_ARGUMENT,
    Answer,
    EngineReport,
    ItemProblem,
    Lease,
    LegBytes,
    Request,
    Reservation,
)
from trafficd.choice.snapshot import Marking, Snapshot
from trafficd.client import convert
from trafficd.client.breaker import Breaker
from trafficd.client.channel import (
    CONTROL_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    NOT_ASKED,
    OPTIONS,
    client_name,
    pause_s,
    reason,
)
from trafficd.client.check import (
    is_text,
    legs_of,
    problems_of,
    problems_of_reports,
    problems_of_reservation,
    seconds_or,
)
from trafficd.client.local import Local, Order, Settings

log = logging.getLogger("trafficd.client")
_FAILED = (grpc.RpcError, ValueError)
"""What gRPC raises: a call that failed, and any call on a closed channel."""


def connect(
    target: str,
    settings: Settings | None = None,
    credentials: grpc.ChannelCredentials | None = None,
) -> Client:
    """A client of the controller at ``host:port``. Returns at once, whether or not anything listens there.

    Without ``credentials`` the connection is neither encrypted nor authenticated.
    """
    if credentials is None:
        channel = grpc.insecure_channel(target, options=OPTIONS)
    else:
        channel = grpc.secure_channel(target, credentials, options=OPTIONS)
    return Client(channel, settings or Settings())


class Client:
    """Usable from any number of threads. Close it, or use it as a context manager."""

    def __init__(self, channel: grpc.Channel, settings: Settings) -> None:
        self._channel = channel
        self._stub = path_pb2_grpc.PathServiceStub(channel)
        self._settings = settings
        self._local = Local(client_name(), settings)
        self._breaker = Breaker()
        self._lock = threading.Lock()
        self._orders = threading.Condition(self._lock)
        self._reports = threading.Condition(self._lock)
        self._news = threading.Condition(self._lock)
        self._closed = threading.Event()
        self._calls: list[grpc.Call] = []
        self._stream = 0
        self._unsent = False
        self._reporting = False
        self._threads: list[threading.Thread] = []
        self._start("watch", self._watch)
        self._start("leases", self._tell)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def snapshot(self) -> Snapshot | None:
        """The last snapshot that came; None before the first."""
        return self._local.snapshot

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until a snapshot is there; False when none came in time. Nothing needs this but start-up checks."""
        with self._news:
            return self._news.wait_for(lambda: self._local.snapshot is not None, timeout_s)

    def recommend(self, request: Request, timeout_s: float = DEFAULT_TIMEOUT_S) -> Answer:
        """Through which NICs this read should go. Never raises; what is wrong is in ``problems`` and ``fallback``.

        Asks the controller for at most ``timeout_s``; 0 does not ask and chooses from the last snapshot.
        """
        try:
            problems = problems_of(request)
            if problems:
                return Answer((), problems=problems)
            return self._recommend(request, seconds_or(timeout_s, DEFAULT_TIMEOUT_S))
        except Exception as e:  # a scheduler's hot path must not see an exception
            log.exception("recommend failed")
            return Answer(
                (), problems=(ItemProblem("request", INVALID_ARGUMENT, f"{type(e).__name__}: {e}"),)
            )

    def choose(self, request: Request) -> Answer:
        """Choose from the last snapshot without asking: no round trip."""
        return self.recommend(request, 0.0)

    def _recommend(self, request: Request, timeout_s: float) -> Answer:
        why = ""
        if timeout_s > 0 and self._breaker.allows(time.monotonic()):
            try:
                told = self._stub.Recommend(convert.request_message(request), timeout=timeout_s)
            except _FAILED as e:
                self._breaker.failed(time.monotonic())
                why = reason(e, timeout_s)
            else:
                return self._accept(request, convert.answer(told))
        elif timeout_s > 0:
            why = NOT_ASKED
        with self._orders:
            answer = self._local.choose(request, time.monotonic(), why)
            if answer.lease is not None:
                self._orders.notify()
        return answer

    def _accept(self, request: Request, answer: Answer) -> Answer:
        self._breaker.succeeded()
        if answer.lease is not None:
            with self._orders:
                self._local.accept(request, answer, time.monotonic())
                self._orders.notify()
        return answer

    def reserve(self, reservation: Reservation) -> tuple[Lease | None, tuple[ItemProblem, ...]]:
        """Account for a choice of your own. Returns at once: the controller hears of it from the background."""
        problems = problems_of_reservation(reservation)
        if problems:
            return None, problems
        with self._orders:
            result = self._local.reserve(reservation, time.monotonic())
            self._orders.notify()
        return result

    def renew(self, lease_id: str, legs: Sequence[LegBytes]) -> bool:
        """Say what is left of a lease. Returns at once; False for a lease that is not this client's (any more)."""
        if not is_text(lease_id) or (stated := legs_of(legs)) is None:
            return False
        with self._orders:
            known = self._local.restate(lease_id, stated, time.monotonic())
            self._orders.notify()
        return known

    def release(self, lease_id: str) -> bool:
        """End a lease: the read is done, or will not be. Returns at once; False for one that is not this client's."""
        if not is_text(lease_id):
            return False
        with self._orders:
            known = self._local.release(lease_id, time.monotonic())
            self._orders.notify()
        return known

    def report_engines(self, reports: Sequence[EngineReport]) -> tuple[ItemProblem, ...]:
        """Announce engines and their queues. Returns at once: only the newest report of each engine is sent."""
        problems = problems_of_reports(reports)
        if problems:
            return problems
        with self._reports:
            self._local.report(reports)
            self._unsent = True
            start, self._reporting = not self._reporting, True
            self._reports.notify_all()
        if start and not self._closed.is_set():
            self._start("reports", self._report)
        return ()

    def marking(self, traffic_class: str, link_layer: int) -> Marking | None:
        """How to mark a class's packets on a link layer; None while no snapshot says."""
        return self._local.marking(traffic_class, link_layer)

    def close(self) -> None:
        """Send the releases that wait and end the background work; takes at most about two seconds.

        Leases end by themselves; afterwards answers come from the last snapshot.
        """
        self._closed.set()
        with self._lock:
            for condition in (self._orders, self._reports, self._news):
                condition.notify_all()
            calls = list(self._calls)
        for call in calls:
            call.cancel()
        for thread in self._threads:
            thread.join(timeout=CONTROL_TIMEOUT_S)
        self._channel.close()

    def _start(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=f"trafficd-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _watch(self) -> None:
        """Keep a stream of snapshots open, for as long as the client lives."""
        failures = 0
        while not self._closed.is_set():
            try:
                failures = 0 if self._watch_once() else failures + 1
            except _FAILED as e:
                failures += 1
                log.debug("watch: %s", reason(e, 0.0))
            except Exception:
                failures += 1
                log.exception("a snapshot could not be used")
            self._closed.wait(pause_s(failures))

    def _watch_once(self) -> bool:
        """One stream, to its end; whether anything came."""
        wanted = path_pb2.WatchRequest(min_interval_ms=int(self._settings.watch_interval_s * 1000))
        call = self._stub.Watch(wanted)
        with self._open(call):
            first = True
            for message in call:
                snapshot = convert.snapshot(message.snapshot, self._local.snapshot)
                with self._lock:
                    self._local.take(snapshot, time.monotonic(), first=first)
                    self._news.notify_all()
                    self._orders.notify()
                self._breaker.succeeded()
                first = False
        return not first

    def _open(self, call: grpc.Call) -> _Open:
        return _Open(self._calls, call, self._closed)

    def _tell(self) -> None:
        """Carry orders about leases to the controller; when the client closes, those that wait."""
        while not self._closed.is_set():
            with self._orders:
                now = time.monotonic()
                at = self._local.next_order()
                if (at is None or at > now) and not self._closed.is_set():
                    self._orders.wait(None if at is None else at - now)
            self._tell_all()
        self._tell_all()

    def _tell_all(self) -> None:
        with self._lock:
            orders = self._local.orders(time.monotonic())
        for order in orders:
            if not self._tell_one(order):
                return

    def _tell_one(self, order: Order) -> bool:
        """False when the controller did not take it: the rest would fare no better, all come again."""
        try:
            ttl_s = self._send(order)
        except _FAILED as e:
            log.debug("lease %s: %s", order.lease_id, reason(e, CONTROL_TIMEOUT_S))
            return False
        with self._lock:
            self._local.told(order, ttl_s, time.monotonic())
        return True

    def _send(self, order: Order) -> float:
        if order.reservation is None:
            self._stub.Release(path_pb2.ReleaseRequest(lease_id=order.lease_id), timeout=CONTROL_TIMEOUT_S)
            return 0.0
        message = path_pb2.RenewRequest(
            lease_id=order.lease_id, reservation=convert.reservation_message(order.reservation)
        )
        lease = convert.lease(self._stub.Renew(message, timeout=CONTROL_TIMEOUT_S).lease)
        return lease.ttl_s

    def _report(self) -> None:
        """Keep a stream of engine reports open; each new one begins with everything."""
        failures = 0
        while not self._closed.is_set():
            with self._lock:
                self._stream += 1
                self._unsent = True
                number = self._stream
                self._reports.notify_all()
            try:
                call = self._stub.ReportEngines.future(self._messages(number))
                with self._open(call):
                    call.result()
                failures = 0
            except (*_FAILED, grpc.FutureCancelledError) as e:
                failures += 1
                log.debug("report: %s", reason(e, 0.0))
            self._closed.wait(pause_s(failures))

    def _messages(self, number: int) -> Iterator[path_pb2.ReportEnginesRequest]:
        """Everything known, then what is new, until this stream is not the current one any more."""
        while True:
            with self._reports:
                self._reports.wait_for(lambda: self._unsent or self._over(number))
                if self._over(number):
                    return
                self._unsent = False
                reports = self._local.reports()
            yield path_pb2.ReportEnginesRequest(engines=[convert.report_message(r) for r in reports])

    def _over(self, number: int) -> bool:
        return self._closed.is_set() or self._stream != number


class _Open:
    """A call that ``close`` must cancel."""

    def __init__(self, calls: list[grpc.Call], call: grpc.Call, closed: threading.Event) -> None:
        self._calls, self._call, self._closed = calls, call, closed

    def __enter__(self) -> None:
        self._calls.append(self._call)
        if self._closed.is_set():
            self._call.cancel()

    def __exit__(self, *_: object) -> None:
        self._calls.remove(self._call)
