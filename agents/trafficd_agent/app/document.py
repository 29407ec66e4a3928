"""What /status says: the agent as one document."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from trafficd_agent.pause import NOBODY, Pauses
from trafficd_topology.status import Generation, ScopeStatus


@dataclass(frozen=True, slots=True)
class ControllerState:
    """The session. ``uuid`` is the controller that this agent follows; ``problem`` why there is no session."""

    address: str = ""
    uuid: str = ""
    connected: bool = False
    problem: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """Everything an operator may ask of one agent. ``problems``: state files that could not be trusted; ``paused``: who
    stopped writes and why.
    """

    node: str
    version: str
    boot_id: str
    controller: ControllerState
    accepted: Generation | None
    scopes: tuple[ScopeStatus, ...]
    problems: tuple[str, ...] = ()
    telemetry_dropped: int = 0
    paused: Pauses = NOBODY


def as_json(status: AgentStatus) -> bytes:
    return json.dumps(asdict(status), indent=1).encode() + b"\n"
