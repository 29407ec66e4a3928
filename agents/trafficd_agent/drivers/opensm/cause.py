"""Why a subnet holds something else than at the last look. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from trafficd_agent.drivers.opensm.manager import Manager
from trafficd_agent.drivers.opensm.process import Process
from trafficd_topology.diff import State, diff

FILES = {
    "option": "opensm.conf was edited",
    "file/qos_policy": "the QoS policy file was edited",
    "file/partitions": "our block of the partition file was edited",
}
"""Element, or kind of it -> what somebody did."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What one look saw: OpenSM's process, who is master, and what is in files and ports."""

    process: Process
    manager: Manager
    state: State


def why(before: Glance, now: Glance) -> str:
    """The cause, for a person; empty when nothing changed. Who restarted or took over explains all that changed."""
    if before.process.identity != now.process.identity:
        return f"OpenSM was restarted (pid {before.process.pid}, now {now.process.pid})"
    masters = (before.manager.master_guid, now.manager.master_guid)
    if masters[0] != masters[1]:
        return f"another subnet manager is master: port {_port(masters[1])}, before {_port(masters[0])}"
    changed = diff(now.state, before.state)
    edits = [text for key, text in FILES.items() if any(key in (c.kind, c.name) for c in changed)]
    if edits:
        return ", ".join(edits)
    places = sorted(c.name for c in changed)
    return f"written in ports behind OpenSM's back: {places[0]}{_more(places)}" if places else ""


def _port(guid: int | None) -> str:
    return "unknown" if guid is None else f"0x{guid:016x}"


def _more(places: list[str]) -> str:
    return f" and {len(places) - 1} more" if len(places) > 1 else ""
