"""Policies, fabrics and roles that somebody offers: taken whole, or turned down with every reason.

What is turned down changes nothing. An offer is judged by what the loop would have to do: it is planned first,
and a plan that cannot be made is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trafficd.core.effects import Accepted, Blame, Declined, Effects, Persist, Publish
from trafficd.core.events import FabricOffered, LeaveGiven, PolicyOffered, RoleSet
from trafficd.core.memory import note_of, remembered
from trafficd.core.plan import Plan
from trafficd.core.records import Leave, LogRecord, Origin, Slot
from trafficd.core.settle import commit, make_plan, plan_of
from trafficd.core.start import started
from trafficd.core.state import (
    ControlState,
    FabricSource,
    Owner,
    PolicySource,
    Rejected,
    RoleOverride,
    saved,
)
from trafficd_topology.model import FabricSpec, Problem
from trafficd_topology.qos.policy import Policy
from trafficd_topology.status import Generation

Step = tuple[ControlState, Effects]
API = "api"
"""The source of every policy that came by ApplyPolicy."""


def decline(state: ControlState, declined: Declined) -> Step:
    """Turn an offer down. A file's reasons are kept for status and metrics; the API's caller has the answer."""
    if declined.source in ("", API):
        return state, (declined,)
    others = tuple(r for r in state.rejected if r.source != declined.source)
    return replace(state, rejected=(*others, Rejected(declined.source, declined.problems))), (declined,)


def _taken(state: ControlState, source: str) -> ControlState:
    return replace(state, rejected=tuple(r for r in state.rejected if r.source != source))


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be put in force, who asked for it, and the name it gets in the history."""

    state: ControlState
    accepted: Accepted
    origin: Origin
    cause: str
    allow: LeaveGiven | None = None


def adopt(before: ControlState, change: Change, now: float) -> Step:
    """Put a changed state in force if a plan can be made of it; everything is saved before anything is sent.

    Leave for disruptive steps was for the change before this one.
    """
    after, accepted = replace(change.state, leave=None), change.accepted
    made = make_plan(after)
    if made is not None and (problems := made.problems_beside(before.plan)):
        return decline(before, Declined(accepted.what, accepted.source, problems))
    state, effects = commit(_taken(replace(after, plan=made), accepted.source), now)
    state = replace(
        state,
        history=remembered(before, state, change.origin, change.cause),
        leave=granted(change.allow, state.generation),
    )
    rest = tuple(e for e in effects if not isinstance(e, Persist | Publish))
    done = replace(accepted, generation=state.generation)
    records = (note_of(before, state, done, change.origin), *leave_note(change.allow, state.generation))
    return state, (Persist(saved(state), records), done, *rest, Publish())


def granted(allow: LeaveGiven | None, generation: Generation, slots: tuple[Slot, ...] = ()) -> Leave | None:
    """Leave for the change that makes this generation; None where none is given."""
    return None if allow is None else Leave(allow.disruption, generation, max(1, allow.max_nodes), slots)


def leave_note(allow: LeaveGiven | None, generation: Generation) -> tuple[LogRecord, ...]:
    """Its line in the audit log."""
    if allow is None:
        return ()
    flap = allow.disruption.name.lower().replace("_", " ")
    subject = f"{flap}, {max(1, allow.max_nodes)} nodes at once"
    return (LogRecord(allow.origin, "leave", subject, "", "", generation),)


def behind(state: ControlState, what: str, source: str) -> Declined | None:
    """Why nothing can be changed at all while agents are ahead of us."""
    if state.gap is None:
        return None
    return Declined(what, source, (Problem("", "", str(state.gap)),), Blame.CONFLICT)


def on_policy(state: ControlState, event: PolicyOffered, now: float) -> Step:
    """A policy text was offered by its owner."""
    declined = _judge_policy(state, event)
    if declined is not None:
        return decline(state, declined)
    accepted = Accepted("policy", event.source, state.generation)
    if _known(state, event):
        return _taken(state, event.source), (accepted,)
    if busy := _under_way(state, event.source):
        return decline(state, busy)
    after = _offered(state, event)
    new = plan_of(after, after.policies)
    if new is not None and new.problems:
        return decline(state, Declined("policy", event.source, new.problems))
    rollout = None if event.policies is None else event.policies.rollout
    after = started(state, after, rollout, new)
    return adopt(state, Change(after, accepted, event.origin, event.owner.value, event.allow), now)


def _known(state: ControlState, event: PolicyOffered) -> bool:
    """Whether a file says what is in force already, or what was rolled back."""
    if event.owner is not Owner.FILE:
        return False
    if state.override is not None:
        return state.override.digest == event.digest
    return any(s.owner is Owner.FILE and s.digest == event.digest and not s.broken for s in state.policies)


def _offered(state: ControlState, event: PolicyOffered) -> ControlState:
    override = None if event.owner is Owner.FILE else state.override
    return replace(state, policies=_with_offer(state, event), override=override)


def _under_way(state: ControlState, source: str) -> Declined | None:
    if state.rollout is None:
        return None
    at = f"wave {state.rollout.wave + 1} of {len(state.rollout.waves)}"
    text = f"a rollout is under way ({at}): wait until it is done, or end it with trafficd rollout abort"
    return Declined("policy", source, (Problem("", "", text),), Blame.CONFLICT)


@dataclass(frozen=True, slots=True)
class Preview:
    """What an offer would lead to; ``plan`` is None while there is no fabric."""

    problems: tuple[Problem, ...]
    plan: Plan | None = None


def preview(state: ControlState, event: PolicyOffered) -> Preview:
    """Judge and plan an offer, and change nothing."""
    if declined := _judge_policy(state, event):
        return Preview(declined.problems)
    after = _offered(state, event)
    made = plan_of(after, after.policies)
    return Preview(() if made is None else made.problems_beside(state.plan), made)


def _judge_policy(state: ControlState, event: PolicyOffered) -> Declined | None:
    if event.policies is None:
        return Declined("policy", event.source, event.problems)
    if declined := behind(state, "policy", event.source):
        return declined
    names = [p.name for p in event.policies.policies]
    problems = [
        *(
            p
            for i, name in enumerate(names)
            if (p := _foreign(state, event.owner, f"policies[{i}].name", name))
        ),
        *(p for name in event.remove if (p := _unremovable(state, name))),
        *(p for i, policy in enumerate(event.policies.policies) if (p := _unproven(state, i, policy))),
    ]
    return Declined("policy", event.source, tuple(problems), Blame.CONFLICT) if problems else None


def _foreign(state: ControlState, owner: Owner, path: str, name: str) -> Problem | None:
    """What stands against it if somebody else owns the policy of this name."""
    holder = state.owner_of(name)
    if holder is None or holder.owner is owner:
        return None
    if holder.owner is Owner.FILE:
        hint = f"it belongs to the file {holder.source}: change it there, or take it out there first"
    else:
        hint = "it belongs to the API: change it with trafficd apply, or end it with trafficd apply --remove"
    return Problem(path, name, hint)


def _unproven(state: ControlState, i: int, policy: Policy) -> Problem | None:
    """``unmarked: low`` before it is known that the model's traffic is marked: all of it would go low."""
    held = next((p for p in state.in_force if p.name == policy.name), None)
    if (
        not policy.subnet.unmarked_low
        or policy.name in state.marked
        or (held is not None and held.subnet.unmarked_low)
    ):
        return None
    reason = (
        "no counters show yet that the model's traffic is marked, and what is not marked would go low: apply the policy "
        "without this, mark the applications (trafficd marking), and apply this while the model runs"
    )
    return Problem(f"policies[{i}].infiniband.unmarked", "low", reason)


def _unremovable(state: ControlState, name: str) -> Problem | None:
    if state.owner_of(name) is None:
        return Problem("remove", name, "there is no policy of this name")
    return _foreign(state, Owner.API, "remove", name)


def _with_offer(state: ControlState, event: PolicyOffered) -> tuple[PolicySource, ...]:
    """The sources after the offer: a file replaces the file's; the API's newer text takes over the names in it."""
    offered: tuple[Policy, ...] = () if event.policies is None else event.policies.policies
    rollout = None if event.policies is None else event.policies.rollout
    paths = None if event.policies is None else event.policies.paths
    new = PolicySource(
        event.owner, event.source, event.digest, event.text, offered, rollout=rollout, paths=paths
    )
    if event.owner is Owner.FILE:
        return (*(s for s in state.policies if s.owner is not Owner.FILE), new)
    ended = new.names | set(event.remove)
    kept = [
        s
        if s.owner is Owner.FILE
        else replace(s, policies=tuple(p for p in s.policies if p.name not in ended))
        for s in state.policies
    ]
    # A text of which nothing is in force any more is forgotten, unless it is the only one there is: an empty set
    # of policies is a decision too, and differs from never having been told any.
    live = [s for s in kept if s.owner is Owner.FILE or s.policies]
    return (*live, new) if offered or not live else tuple(live)


def on_fabric(state: ControlState, event: FabricOffered, now: float) -> Step:
    """A fabric text was offered."""
    if event.spec is None:
        return decline(state, Declined("fabric", event.source, event.problems))
    accepted = Accepted("fabric", event.source, state.generation)
    if state.fabric is not None and state.fabric.digest == event.digest and not state.fabric.broken:
        return _taken(state, event.source), (accepted,)
    if declined := behind(state, "fabric", event.source):
        return decline(state, declined)
    source = FabricSource(event.digest, event.text, event.spec)
    after = replace(state, fabric=source, roles=_roles_kept(state.roles, event.spec))
    return adopt(state, Change(after, accepted, event.origin, "fabric"), now)


def _roles_kept(roles: tuple[RoleOverride, ...], spec: FabricSpec) -> tuple[RoleOverride, ...]:
    """Overrides whose host the file still describes as it did when they were set."""
    hosts = {h.name: h.role for h in spec.hosts}
    return tuple(r for r in roles if hosts.get(r.host) is r.base)


def on_role(state: ControlState, event: RoleSet, now: float) -> Step:
    """A host's role was set at run time."""
    spec = state.fabric.spec if state.fabric else None
    host = spec.host(event.host) if spec else None
    if host is None:
        problem = Problem("host", event.host, "there is no host of this name in the fabric file")
        return decline(state, Declined("role", "", (problem,), Blame.UNKNOWN))
    if declined := behind(state, "role", ""):
        return decline(state, declined)
    others = tuple(r for r in state.roles if r.host != event.host)
    changed = () if event.role is host.role else (RoleOverride(event.host, event.role, host.role),)
    after = replace(state, roles=tuple(sorted(others + changed)))
    return adopt(state, Change(after, Accepted("role", "", state.generation), event.origin, "role"), now)
