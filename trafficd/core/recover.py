"""Taking agents over again after the state file was lost, or put back from an older copy.

The agents know what the controller forgot: its UUID and the highest generation. Nothing of it is believed before an
operator, who started the controller for that, says whose agents they are. The epoch then rises, so that an agent
nobody heard in between is behind all the same, and so that a controller of before that still runs finds itself
behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from trafficd.core.claims import leads
from trafficd.core.effects import Accepted, Blame, Declined, Persist
from trafficd.core.events import RecoveryConfirmed
from trafficd.core.offers import Step, decline
from trafficd.core.records import LogRecord
from trafficd.core.state import ControlState, saved
from trafficd_topology.model import Problem
from trafficd_topology.status import Generation


def _no(reason: str, blame: Blame = Blame.CONFLICT) -> Declined:
    return Declined("recover", "", (Problem("", "", reason),), blame)


def _refusal(state: ControlState, uuid: str) -> Declined | None:
    """Why these agents cannot be taken over."""
    found = leads(state)
    others = [lead for lead in found if lead.uuid != state.uuid]
    if not state.recover:
        return _no(
            "this controller was not started to recover: stop the one that may still run with its state, "
            "then start this one with trafficd serve --recover"
        )
    if not state.recovering:
        if uuid != state.uuid:
            return _no(
                f"the state file is that of controller {state.uuid}: to take over the agents of {uuid}, start "
                "with another --state"
            )
        return None if state.gap else _no("no agent is ahead of this controller: there is nothing to recover")
    if len(others) > 1:
        return _no(
            f"agents follow {len(others)} controllers and would be taken from one of them "
            f"({'; '.join(map(str, others))}): stop the agents of all but one, and start this controller anew"
        )
    if uuid not in {lead.uuid for lead in others}:
        return _no(f"no agent that has called follows {uuid}: see trafficd recover", Blame.UNKNOWN)
    return None


def _above(generations: Iterable[Generation]) -> Generation:
    highest = max(generations)
    return Generation(highest.epoch + 1, highest.number)


def on_recover(state: ControlState, event: RecoveryConfirmed) -> Step:
    """Be the controller that these agents follow, one epoch above everything any of them has heard."""
    if declined := _refusal(state, event.uuid):
        return decline(state, declined)
    ours = [lead for lead in leads(state) if lead.uuid == event.uuid]
    known = [state.generation, *(lead.highest for lead in ours)]
    if state.gap is not None:
        known.append(state.gap.theirs)
    after = replace(
        state,
        uuid=event.uuid,
        generation=_above(known),
        gap=None,
        recover=False,
        refusals=(),
        stale=True,
        nodes={name: replace(node, told=None) for name, node in state.nodes.items()},
    )
    agents = sum(len(lead.nodes) for lead in ours)
    subject = f"{event.uuid} above generation {max(known)}, {agents} agents heard"
    record = LogRecord(event.origin, "recover", subject, "", "", after.generation)
    return after, (Persist(saved(after), (record,)), Accepted("recover", "", after.generation))
