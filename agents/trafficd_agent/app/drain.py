"""Asks, while steps wait for leave, whether something runs through a port that a flap would break."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from dataclasses import dataclass
from typing import NoReturn

from trafficd_agent.app.agent import Agent
from trafficd_agent.desired import ScopeId
from trafficd_agent.netlink import rdma
from trafficd_agent.scope import Drained
from trafficd_topology.model import ScopeKind

log = logging.getLogger(__name__)
ASK_S = 1.0
HOOK_S = 5.0
"""How long the hook may take, seconds; one that takes longer says no."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask: the operator's hook, or, without one, how many queue pairs the port's RDMA device has open."""

    hook: tuple[str, ...]
    scope: ScopeId
    rdma_device: str | None


def ask(question: Question) -> bool | None:
    """True: drained; None: it cannot be told. Blocks for up to ``HOOK_S``."""
    if question.hook:
        return _hook_says(question)
    if question.scope.kind is not ScopeKind.PORT or not question.rdma_device:
        return None
    device, _, number = question.rdma_device.partition(":")
    pairs = rdma.open_pairs(device, int(number) if number.isdigit() else None)
    return None if pairs is None else pairs == 0


def _hook_says(question: Question) -> bool | None:
    command = [*question.hook, question.scope.kind.value, question.scope.name]
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=HOOK_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    except OSError as e:
        log.warning("cannot run the drain hook %s: %s; correct drain_hook", command[0], e.strerror)
        return None
    return done.returncode == 0


async def keep_asking(agent: Agent, hook: tuple[str, ...]) -> NoReturn:
    """For every scope that waits, one after the other."""
    while True:
        for scope in agent.waiting():
            devices = {p.name: p.rdma_device for p in agent.inventory.ports}
            answer = await asyncio.to_thread(ask, Question(hook, scope, devices.get(scope.name)))
            agent.post(scope, Drained(answer))
        await asyncio.sleep(ASK_S)
