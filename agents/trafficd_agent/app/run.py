"""The running agent: builds the parts from the settings, starts them in order, and ends them in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from trafficd.api import tls
from trafficd_agent.app.agent import Agent, Identity
from trafficd_agent.app.document import as_json
from trafficd_agent.app.drain import keep_asking
from trafficd_agent.app.drivers import DriverTable, take_inventory
from trafficd_agent.app.http import HttpServer, Page, Pages, verdict
from trafficd_agent.app.telemetry import Sampler
from trafficd_agent.apply import SaveError
from trafficd_agent.config import Config, plain_fingerprint
from trafficd_agent.drivers.tc_counters import LinkReader, TcReader
from trafficd_agent.files import Files, LockedError, locked
from trafficd_agent.metrics.board import Board
from trafficd_agent.metrics.page import CONTENT_TYPE, page
from trafficd_agent.netlink.watch import TcWatch, What, hint
from trafficd_agent.readers import Collector, standard_readers
from trafficd_agent.scope import Limits
from trafficd_agent.session.certificate import ends
from trafficd_agent.session.control import ControlSession
from trafficd_agent.session.dial import Backoff, Dialer, is_loopback
from trafficd_agent.session.enrol import Door, Keeper
from trafficd_topology.counters import Reader
from trafficd_topology.model import LinkLayer

log = logging.getLogger(__name__)
INVENTORY_S = 30.0
"""How often to look for new hardware, seconds; links that come and go are noticed at once."""
CERTIFICATE_S = 5.0
"""How often the end of the certificate is looked at for the metric."""
STUCK_LOOP_S = 15.0
PROVE_S = 0.5
PAUSE_S = 0.25
"""How often to look for the node's own pause, seconds."""
END_S = 5.0
"""How long to let work that is under way finish when the agent is told to end, seconds."""


class CannotStartError(Exception):
    """One sentence: what the agent lacks and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: settings that were checked, and the drivers they ask for."""

    config: Config
    drivers: DriverTable
    forget_controller: bool = False


def boot_id() -> str:
    """A new one means that every device lost its settings; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def refuse_plaintext(config: Config) -> str:
    """Why these controllers must not be dialled; empty when they may be."""
    far = [a for a in config.controllers if not is_loopback(a)]
    if not far or config.insecure or config.tls.dir:
        return ""
    return (
        f"controller {far[0]} is on another machine and the stream is not encrypted: "
        "give certificates with --tls-dir, or allow it with --insecure on a network you trust"
    )


def tls_directory(config: Config) -> Path | None:
    """Where the certificate is; None: plain text."""
    return Path(config.tls.dir) if config.tls.dir else None


def keeper_of(config: Config) -> Keeper | None:
    """Who gets and renews the certificate; None: somebody else puts it there."""
    directory = tls_directory(config)
    if directory is None or not config.tls.enroll:
        return None
    authorities = Path(config.tls.ca_file) if config.tls.ca_file else directory / tls.AUTHORITIES
    door = Door(
        config.node,
        config.tls.enroll,
        Path(config.tls.token_file),
        authorities,
        plain_fingerprint(config.tls.ca_fingerprint),
    )
    return Keeper(directory, door, config.controllers)


class Running:
    """Everything that runs, and how it is taken down."""

    def __init__(self, plan: Plan) -> None:
        c = plan.config
        self.plan, self.config = plan, c
        self.root = Path(c.sysfs).parent if Path(c.sysfs).name == "sys" else Path(c.sysfs)
        identity = Identity(c.node, version("trafficd"), boot_id())
        self.board = Board(c.node, identity.version)
        limits = Limits(verify_s=c.verify_s, deadline_s=c.deadline_s)
        self.agent = Agent(identity, limits, Files(Path(c.state_dir)), plan.drivers, self.board)
        self.sampler = Sampler(Collector(self._readers()), self.board, c.telemetry_ms / 1000)
        backoff = Backoff(random.Random(f"{c.node}/{identity.boot_id}"))
        self.keeper = keeper_of(c)
        dialer = Dialer(tls_directory(c), self.keeper.ready if self.keeper else None)
        self.session = ControlSession(self.agent, self.sampler, c.controllers, backoff, dialer)
        self._links_changed = asyncio.Event()

    def _ports(self) -> Iterator[str]:
        return (p.name for p in self.agent.inventory.ports if p.link_layer is LinkLayer.ETHERNET)

    def _readers(self) -> tuple[Reader, ...]:
        """Lanes first, then the wire, then what the kernel's stack counts for a port as a whole, then fabrics."""
        local = (TcReader(self._ports), *standard_readers(self.root), LinkReader(self._ports))
        return (*local, *self.plan.drivers.readers())

    def pages(self) -> Pages:
        return {
            "/metrics": lambda: Page(page(self.board), CONTENT_TYPE),
            "/healthz": lambda: verdict(self._unhealthy()),
            "/readyz": lambda: verdict(self._unready()),
            "/status": lambda: Page(as_json(self.agent.document(self.sampler.dropped)), "application/json"),
        }

    def _unhealthy(self) -> str:
        silent = time.monotonic() - self.agent.beat
        return f"the agent's loop has not turned for {silent:.0f} s" if silent > STUCK_LOOP_S else ""

    def _unready(self) -> str:
        if self.agent.accepted is not None or self.agent.controller.connected:
            return ""
        return f"no controller and no desired state accepted before: {self.agent.controller.problem}".strip(
            ": "
        )

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises CannotStartError."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_unexpected)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        with contextlib.ExitStack() as stack:
            await self._look_for_hardware()
            self.agent.on_change = self.session.changed
            self.agent.start(forget_controller=self.plan.forget_controller)
            stack.enter_context(self._watching())
            stack.enter_context(self._serving())
            self.sampler.start()
            stack.callback(self.sampler.end)
            jobs = (
                self.session.run(),
                self._keep_looking(),
                self._watch_pause(),
                self._keep_proving(),
                keep_asking(self.agent, self.config.drain_hook),
                ended.wait(),
                *((self.keeper.run(),) if self.keeper else ()),
                self._watch_certificate(),
            )
            tasks = [asyncio.create_task(t) for t in jobs]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._end(tasks)
            for task in done:
                task.result()

    async def _watch_certificate(self) -> None:
        """For the metric: whoever puts the files there, and whenever."""
        while True:
            directory = tls_directory(self.config)
            self.board.put_certificate(
                None if directory is None else await asyncio.to_thread(ends, directory)
            )
            await asyncio.sleep(CERTIFICATE_S)

    async def _end(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        """Lanes stay as they are. Work that is under way may finish; what does not is taken up at the next start."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        end = time.monotonic() + END_S
        while any(True for _ in self.agent.busy()) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        log.info("ended; the lanes stay as they are")

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
        if not self.config.http:
            yield
            return
        try:
            server = HttpServer(self.config.http, self.pages())
        except OSError as e:
            raise CannotStartError(
                f"cannot serve http on {self.config.http}: {e.strerror or e}; choose another with --http"
            ) from e
        log.info("serving http on %s", server.address)
        try:
            yield
        finally:
            server.close()

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        """Notifications of the kernel; without them the timer alone finds drift."""
        try:
            watch = TcWatch(self.plan.drivers.own)
        except OSError as e:
            log.warning("no notifications from the kernel (%s): drift is found by timer alone", e.strerror)
            yield
            return
        loop = asyncio.get_running_loop()
        with watch:
            loop.add_reader(watch.fileno(), self._noticed, watch)
            try:
                yield
            finally:
                loop.remove_reader(watch.fileno())

    def _noticed(self, watch: TcWatch) -> None:
        events = sorted((e for e in watch.read() if not e.ours), key=lambda e: e.port)
        if any(e.what in (What.LINK, What.RESYNC) for e in events):
            self._links_changed.set()
        if any(e.what is What.RESYNC for e in events):
            self.agent.notice("")
            return
        for port, group in groupby(events, key=lambda e: e.port):
            if port:
                self.agent.notice(hint(tuple(group)), port)

    async def _watch_pause(self) -> None:
        """A file, looked for often enough that a pause is in force within a second."""
        while True:
            self.agent.look_for_pause()
            await asyncio.sleep(PAUSE_S)

    async def _keep_proving(self) -> None:
        """After a change that may have cut the node off, see whether the controller is still reached."""
        while True:
            await asyncio.sleep(PROVE_S)
            since = time.monotonic()
            if self.agent.on_trial() and await self.session.reach():
                await self.agent.proved(since)

    async def _keep_looking(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._links_changed.wait(), INVENTORY_S)
            self._links_changed.clear()
            await self._look_for_hardware()
            # Links that come in bursts are looked at once.
            await asyncio.sleep(0.5)

    async def _look_for_hardware(self) -> None:
        try:
            look = asyncio.to_thread(take_inventory, self.root, self.config.node, self.plan.drivers)
            found = await asyncio.wait_for(look, INVENTORY_S)
        except TimeoutError:
            log.warning(
                "a driver did not say within %g s what it can do: the ports known before stay", INVENTORY_S
            )
            return
        except OSError as e:
            log.warning("cannot look for ports: %s", e)
            return
        if found != self.agent.inventory:
            self.agent.inventory = found
            self.board.put_ports(found.ports)
            self.session.inventory_changed()
            self.sampler.look_again()


def _unexpected(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """One sentence for what nobody caught; the whole of it at debug level."""
    error = context.get("exception")
    log.error("the agent failed: %s", f"{type(error).__name__}: {error}" if error else context.get("message"))
    log.debug("in full", exc_info=error)


def run(plan: Plan) -> None:
    """Run the agent until it is told to end. Raises CannotStartError."""
    config = plan.config
    if reason := refuse_plaintext(config):
        raise CannotStartError(reason)
    try:
        Path(config.state_dir).mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise CannotStartError(
            f"cannot make {config.state_dir}: {e.strerror}; choose another with --state-dir"
        ) from e
    try:
        with locked(Path(config.state_dir)):
            asyncio.run(_main(plan))
    except (LockedError, SaveError) as e:
        raise CannotStartError(str(e)) from e


async def _main(plan: Plan) -> None:
    await Running(plan).run()
