"""A whole agent on a DCB port, without a controller: what somebody else changes is repaired as soon as the kernel tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from lab.dcbport import DcbPort, dcb_port
from lab.dcbstates import FIRST

from trafficd_agent.app.drivers import bind
from trafficd_agent.app.run import Plan, Running
from trafficd_agent.config import Config, DriverRule
from trafficd_agent.desired import Desired, DesiredScope, ScopeId
from trafficd_agent.scope import Granted, Limits
from trafficd_topology.diff import Disruption, State
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Generation, ScopeStatus

PORT = ScopeId(ScopeKind.PORT, "dt0")
WAIT_S = 60.0
LIMITS = Limits()
T = TypeVar("T")


async def until(what: str, found: Callable[[], bool]) -> float:
    """Seconds it took."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() < began + WAIT_S, f"no {what} within {WAIT_S:g} s"
        await asyncio.sleep(0.002)
    return time.monotonic() - began


def status(running: Running) -> ScopeStatus:
    return running.agent.statuses()[0]


def started(directory: Path, *, take_over: bool = False) -> Running:
    rule = DriverRule(ScopeKind.PORT, "dt0", "dcb", {"take_over": take_over}, "ports[0]")
    config = Config("n1", ("127.0.0.1:1",), state_dir=str(directory), http="", verify_s=3600.0, rules=(rule,))
    drivers, problems = bind(config)
    assert not problems
    return Running(Plan(config, drivers))


async def serve(running: Running, elements: State) -> None:
    """Accept FIRST and give leave for the flap that it costs."""
    generation = Generation(1, 1)
    scope = DesiredScope(PORT, "dcb", Mode.ENFORCE, elements=elements)
    await running.agent.told(Desired(generation, "d", "c", (scope,)))
    await until("wait for leave", lambda: status(running).waiting_for is Disruption.LINK_FLAP)
    running.agent.told_grant(PORT, Granted(generation, Disruption.LINK_FLAP, 60.0))
    await until("verified state", lambda: running.agent.states[PORT].stage == "held")


async def repairs(port: DcbPort, running: Running) -> list[float]:
    took: list[float] = []
    await serve(running, FIRST)
    for number in range(3):
        before = status(running).repairs
        await asyncio.to_thread(port.dcb, "app", "del", "dscp-prio", "26:3")
        took.append(await until("repair", lambda n=before: status(running).repairs > n))  # type: ignore[misc]
        assert [26, 3] in port.shown("app")["dscp_prio"], number
    assert status(running).drift_cause == "removed, by another program or the NIC's firmware"
    port.forget()
    await asyncio.to_thread(port.dcb, "pfc", "set", "prio-pfc", "3:off")
    await until("condition", lambda: "link flap" in running.agent.states[PORT].verdict.message)
    assert port.counts()["setpfc"] == 1, "only that of somebody else"
    return took


def told(
    directory: Path, story: Callable[[Running], Coroutine[Any, Any, T]], *, take_over: bool = False
) -> T:
    """Run an agent for as long as a story takes."""

    async def main() -> T:
        running = started(directory, take_over=take_over)
        whole = asyncio.create_task(running.run())
        try:
            await until("inventory", lambda: bool(running.agent.inventory.ports))
            return await story(running)
        finally:
            whole.cancel()
            await asyncio.gather(whole, return_exceptions=True)

    return asyncio.run(main())


def test_drift_is_repaired_by_notification_and_pfc_waits(tmp_path: Path) -> None:
    with dcb_port("dt0", "mlx5") as port:
        took = told(tmp_path, lambda running: repairs(port, running))
    print("repaired after", ", ".join(f"{t:.3f} s" for t in took))
    assert min(took) < 10.0, (
        "by notification: the timer looks once an hour; on an idle machine under one second"
    )
