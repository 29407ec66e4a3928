"""Whether a desired state may be acted on: pure rules."""

from __future__ import annotations

from dataclasses import dataclass

from trafficd_agent.desired import Desired
from trafficd_topology.status import Generation


@dataclass(frozen=True, slots=True)
class Answer:
    """What to acknowledge. ``resync``: the controller must hear our Hello again before it can be answered."""

    accepted: bool
    reason: str = ""
    resync: bool = False


ACCEPT = Answer(accepted=True)


def refuse(reason: str, *, resync: bool = False) -> Answer:
    return Answer(accepted=False, reason=reason, resync=resync)


@dataclass(frozen=True, slots=True)
class Heading:
    """Which desired state a message is about."""

    controller_uuid: str
    generation: Generation
    digest: str


def other_controller(follows: str, uuid: str) -> str:
    """Why this controller is refused, naming both; empty when it is not."""
    if not uuid:
        return "a controller without a UUID is refused: update the controller"
    if not follows or follows == uuid:
        return ""
    return (
        f"this agent follows controller {follows} and refuses controller {uuid}: stop one of them, "
        "or start the agent once with --forget-controller"
    )


def admit(accepted: Desired | None, heading: Heading) -> Answer:
    """Whether a whole desired state may replace the accepted one. A repeated one may, and changes nothing."""
    if accepted is None:
        reason = other_controller("", heading.controller_uuid)
        return Answer(not reason, reason)
    if reason := other_controller(accepted.controller_uuid, heading.controller_uuid):
        return refuse(reason)
    if heading.generation < accepted.generation:
        return refuse(
            f"generation {heading.generation} is older than {accepted.generation}, which is in force"
        )
    if heading.generation == accepted.generation and heading.digest != accepted.digest:
        return refuse(f"generation {heading.generation} came before with another content")
    return ACCEPT


def admit_header(accepted: Desired | None, heading: Heading) -> Answer:
    """Whether nothing changed indeed: the same digest under a generation that is not older."""
    if accepted is None:
        reason = other_controller("", heading.controller_uuid)
        return refuse(reason or "no desired state was accepted yet: send the whole", resync=not reason)
    if reason := other_controller(accepted.controller_uuid, heading.controller_uuid):
        return refuse(reason)
    if heading.digest != accepted.digest:
        older = heading.generation < accepted.generation
        reason = f"generation {heading.generation} has another digest than what is in force"
        return refuse(reason, resync=not older)
    return admit(accepted, heading)
