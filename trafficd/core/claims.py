"""Whom the agents say they follow: what is left of a controller that lost its state file."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trafficd.core.events import Hello
from trafficd.core.state import Claim, ControlState
from trafficd_topology.status import Generation

TAKES_NONE = "this controller is being recovered and takes no agents until an operator confirms it: see trafficd recover"


@dataclass(frozen=True, slots=True)
class Lead:
    """The agents that follow one controller: the highest generation any of them took, and their nodes, by name."""

    uuid: str
    highest: Generation
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        of = (
            f"{len(self.nodes)} agents follow"
            if len(self.nodes) > 1
            else f"the agent of {self.nodes[0]} follows"
        )
        return f"{of} controller {self.uuid} up to generation {self.highest}"


def noted(state: ControlState, event: Hello) -> ControlState:
    """Remember whom this agent follows, served or not; one that follows nobody any more is forgotten."""
    claims = {node: c for node, c in state.claims.items() if node != event.node}
    if event.follows and event.accepted is not None:
        claims[event.node] = Claim(event.follows, event.accepted)
    return state if claims == state.claims else replace(state, claims=claims)


def leads(state: ControlState) -> tuple[Lead, ...]:
    """Every controller that agents name, the one with the most agents first."""
    nodes: dict[str, list[str]] = {}
    for node, claim in sorted(state.claims.items()):
        nodes.setdefault(claim.uuid, []).append(node)
    found = [
        Lead(uuid, max(state.claims[n].accepted for n in names), tuple(names))
        for uuid, names in sorted(nodes.items())
    ]
    return tuple(sorted(found, key=lambda lead: -len(lead.nodes)))


def unheard(state: ControlState) -> tuple[str, ...]:
    """Hosts of the fabric whose agents have not called since the start."""
    hosts = () if state.spec is None else state.spec.hosts
    return tuple(h.name for h in hosts if h.name not in state.claims and h.name not in state.nodes)


def waiting(state: ControlState) -> str:
    """Why a controller that was started to recover serves nobody yet."""
    heard = "; ".join(map(str, leads(state))) or "no agent that follows a controller has called yet"
    return (
        f"this controller has no state and was started with --recover: nothing is programmed until an operator "
        f"says whose agents to take over with trafficd recover --confirm UUID ({heard})"
    )
