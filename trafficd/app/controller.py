"""The controller, assembled: what is opened in which order, what runs beside what, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc

from trafficd.api.v1 import (
    agent_pb2_grpc,
    audit_pb2_grpc,
    fabric_pb2_grpc,
    identity_pb2_grpc,
    operation_pb2_grpc,
    policy_pb2_grpc,
)
from trafficd.app.control import ControlLoop
from trafficd.app.enrolment import DirectorySigner, DirectoryTokens, EitherTokens
from trafficd.app.files import offer_fabric, offer_policy
from trafficd.app.grpcserver import listen, new_server
from trafficd.app.paths import Paths
from trafficd.app.restore import restored
from trafficd.app.telemetry import LastHeard
from trafficd.app.tls import endings, remind
from trafficd.app.watch import Reloader, watch
from trafficd.config import ControllerConfig, Listen
from trafficd.core.effects import Effect, Publish
from trafficd.core.events import Tick
from trafficd.core.evidence import marked
from trafficd.core.plan import PlanOptions
from trafficd.core.settle import withheld
from trafficd.metrics import View, controller_metrics
from trafficd.server.agents import AgentServicer, Terms
from trafficd.server.audit import AuditServicer
from trafficd.server.fabric import FabricServicer
from trafficd.server.health import add_health, set_serving
from trafficd.server.identity import IdentityServicer
from trafficd.server.operation import OperationServicer
from trafficd.server.policy import PolicyServicer
from trafficd.server.sessions import Sessions
from trafficd.store import Store, read_log
from trafficd.web import Pages, WebServer
from trafficd.web.status import StatusPage
from trafficd_topology.qos.render import CONTROL_PORTS

log = logging.getLogger("trafficd")
TICK_S = 1.0
STUCK_S = 10.0
"""A loop that has not turned for this long is reported by /healthz."""
GRACE_S = 1.0
"""How long running calls may take to end when the controller stops."""
SERVICES = tuple(
    f"trafficd.api.v1.{name}Service"
    for name in ("Agent", "Audit", "Fabric", "Identity", "Operation", "Path", "Policy")
)


class Controller:
    """One controller. ``running`` opens everything, and closes it in the opposite order."""

    def __init__(self, config: ControllerConfig, store: Store) -> None:
        self._config = config
        ports = {*CONTROL_PORTS, *(at.tcp.port for at in config.listen if at.tcp and at.tcp.port)}
        state = replace(restored(store.load(), PlanOptions(tuple(sorted(ports)))), recover=config.recover)
        self._sessions = Sessions()
        self.control = ControlLoop(state, store, self._deliver)
        self._reloaders = self._reloaders_of(config)
        self._metrics = controller_metrics(self._view)
        self._paths = Paths(lambda: self.control.state, self._metrics.answers)
        self._heard = LastHeard(self._paths.telemetry)
        self._status = StatusPage(lambda: self._paths.now(self._heard.ages_s()))
        self._beat = time.monotonic()
        self._serving = False
        self.failed = asyncio.Event()
        self.fault: BaseException | None = None
        self.grpc: tuple[Listen, ...] = ()
        self.http_port = 0
        self.enroll: Listen | None = None

    def _reloaders_of(self, config: ControllerConfig) -> tuple[Reloader, ...]:
        """The fabric first: a policy is judged by the fabric it is for."""
        watched = ((config.fabric, offer_fabric), (config.policy, offer_policy))
        return tuple(Reloader(path, offer, self.control) for path, offer in watched if path is not None)

    def _deliver(self, effect: Effect) -> None:
        self._sessions.deliver(effect)
        if isinstance(effect, Publish):
            self._paths.publish()

    def _view(self) -> View:
        return View(
            self.control.state,
            self._paths.balances,
            self._heard.reports(),
            tuple(r.name for r in self._reloaders),
            tuple(endings(self._config)),
            self._paths.roles,
            self._paths.reads,
        )

    def _uuid(self) -> str:
        """Empty while nobody has said yet which controller this one is."""
        state = self.control.state
        return "" if state.recovering else state.uuid

    def _alive(self) -> str:
        silent = time.monotonic() - self._beat
        return f"the control loop has not turned for {silent:.0f} seconds" if silent > STUCK_S else ""

    def _ready(self) -> str:
        return "" if self._serving else "gRPC is not served yet"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while inside. Raises WebError, ListenError or TlsError when an address or a file cannot be used."""
        server = new_server(secure=self._config.tls is not None)
        async with AsyncExitStack() as stack:
            web = WebServer(
                self._config.http.host,
                self._config.http.port,
                Pages(self._metrics.registry, self._alive, self._ready, self._status),
            )
            stack.callback(web.close)
            self.http_port = web.port
            self.grpc = tuple(listen(server, at, self._config.tls) for at in self._config.listen)
            if self._config.enroll is not None:
                self.enroll = listen(server, self._config.enroll, self._config.tls, known_only=False)
            await stack.enter_async_context(self._background(self.control.run()))
            for reloader in self._reloaders:
                await reloader.look()
            self._say_withheld()
            await stack.enter_async_context(self._served(server))
            for loop in (
                watch(self._reloaders, self._config.poll_s),
                self._tick(),
                self._paths.run(self._config.publish_s),
                remind(self._config),
            ):
                await stack.enter_async_context(self._background(loop))
            yield

    def _say_withheld(self) -> None:
        if reason := withheld(self.control.state):
            log.warning("%s", reason)

    @asynccontextmanager
    async def _served(self, server: grpc.aio.Server) -> AsyncIterator[None]:
        terms = Terms(self._uuid, self._config.telemetry_interval_ms)
        agents = AgentServicer(self.control, self._sessions, self._heard, terms)
        agent_pb2_grpc.add_AgentServiceServicer_to_server(agents, server)
        policies = PolicyServicer(self.control, self._heard.ages_s)
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(policies, server)
        operations = OperationServicer(self.control, lambda limit: read_log(self._config.state, limit))
        operation_pb2_grpc.add_OperationServiceServicer_to_server(operations, server)
        fabric_pb2_grpc.add_FabricServiceServicer_to_server(FabricServicer(self.control), server)
        audits = AuditServicer(self.control, self._paths.telemetry)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(audits, server)
        self._paths.register(server)
        identity_pb2_grpc.add_IdentityServiceServicer_to_server(_identities(self._config), server)
        health = add_health(server, SERVICES)
        await server.start()
        await set_serving(health, SERVICES)
        self._serving = True
        try:
            yield
        finally:
            self._serving = False
            await health.enter_graceful_shutdown()
            self._sessions.close_all()
            await server.stop(GRACE_S)

    async def _tick(self) -> None:
        while True:
            telemetry, state = self._paths.telemetry, self.control.state
            # Thousands of ports are looked up: beside the loop, so that no answer waits.
            proven = await asyncio.to_thread(marked, state.marked, state.plan, telemetry.use)
            await self.control.submit(Tick(telemetry.losses(time.monotonic()), proven))
            self._beat = time.monotonic()
            self._heard.forget_gone(self.control.state, self._beat)
            await asyncio.sleep(TICK_S)

    @asynccontextmanager
    async def _background(self, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Run beside. A loop that fails stops the controller: agents keep what they have, a supervisor restarts us."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fault = error
            self.failed.set()


def _identities(config: ControllerConfig) -> IdentityServicer:
    """Raises CertsError for a directory without a usable authority."""
    if config.ca is None:
        return IdentityServicer(None, None)
    signer, tokens = DirectorySigner(config.ca), DirectoryTokens(config.ca)
    if not config.service_account:
        return IdentityServicer(signer, tokens)
    from trafficd.app.pods import ServiceAccountTokens  # noqa: PLC0415 - most controllers need no Kubernetes client

    projected = ServiceAccountTokens(config.service_account, config.kubeconfig)
    return IdentityServicer(signer, EitherTokens(tokens, projected))
