"""Policies, fabrics and roles that somebody offers: taken whole, or turned down with every reason.

What is turned down changes nothing. An offer is judged by what the loop would have to do: it is planned first,
and a plan that cannot be made is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trafficd.core.effects import Accepted, Blame, Declined, Persist, Publish
from trafficd.core.events import FabricOffered, PolicyOffered, RoleSet
from trafficd.core.plan import Plan
from trafficd.core.settle import Effects, commit, make_plan
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


def adopt(before: ControlState, after: ControlState, accepted: Accepted, now: float) -> Step:
    """Put a changed state in force if a plan can be made of it; everything is saved before anything is sent."""
    made = make_plan(after)
    if made is not None and made.problems:
        return decline(before, Declined(accepted.what, accepted.source, made.problems))
    state, effects = commit(_taken(replace(after, plan=made), accepted.source), now)
    rest = tuple(e for e in effects if not isinstance(e, Persist | Publish))
    done = replace(accepted, generation=state.generation)
    return state, (Persist(saved(state)), done, *rest, Publish())


def _behind(state: ControlState, what: str, source: str) -> Declined | None:
    if state.gap is None:
        return None
    return Declined(what, source, (Problem("", "", str(state.gap)),), Blame.CONFLICT)


def on_policy(state: ControlState, event: PolicyOffered, now: float) -> Step:
    """A policy text was offered by its owner."""
    declined = _judge_policy(state, event)
    if declined is not None:
        return decline(state, declined)
    accepted = Accepted("policy", event.source, state.generation)
    if event.owner is Owner.FILE and any(
        s.owner is Owner.FILE and s.digest == event.digest and not s.broken for s in state.policies
    ):
        return _taken(state, event.source), (accepted,)
    return adopt(state, replace(state, policies=_with_offer(state, event)), accepted, now)


@dataclass(frozen=True, slots=True)
class Preview:
    """What an offer would lead to; ``plan`` is None while there is no fabric."""

    problems: tuple[Problem, ...]
    plan: Plan | None = None


def preview(state: ControlState, event: PolicyOffered) -> Preview:
    """Judge and plan an offer, and change nothing."""
    if declined := _judge_policy(state, event):
        return Preview(declined.problems)
    made = make_plan(replace(state, policies=_with_offer(state, event)))
    return Preview(() if made is None else made.problems, made)


def _judge_policy(state: ControlState, event: PolicyOffered) -> Declined | None:
    if event.policies is None:
        return Declined("policy", event.source, event.problems)
    if behind := _behind(state, "policy", event.source):
        return behind
    names = [p.name for p in event.policies.policies]
    problems = [
        *(
            p
            for i, name in enumerate(names)
            if (p := _foreign(state, event.owner, f"policies[{i}].name", name))
        ),
        *(p for name in event.remove if (p := _unremovable(state, name))),
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


def _unremovable(state: ControlState, name: str) -> Problem | None:
    if state.owner_of(name) is None:
        return Problem("remove", name, "there is no policy of this name")
    return _foreign(state, Owner.API, "remove", name)


def _with_offer(state: ControlState, event: PolicyOffered) -> tuple[PolicySource, ...]:
    """The sources after the offer: a file replaces the file's; the API's newer text takes over the names in it."""
    offered: tuple[Policy, ...] = () if event.policies is None else event.policies.policies
    new = PolicySource(event.owner, event.source, event.digest, event.text, offered)
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
    if behind := _behind(state, "fabric", event.source):
        return decline(state, behind)
    source = FabricSource(event.digest, event.text, event.spec)
    after = replace(state, fabric=source, roles=_roles_kept(state.roles, event.spec))
    return adopt(state, after, accepted, now)


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
    if behind := _behind(state, "role", ""):
        return decline(state, behind)
    others = tuple(r for r in state.roles if r.host != event.host)
    changed = () if event.role is host.role else (RoleOverride(event.host, event.role, host.role),)
    after = replace(state, roles=tuple(sorted(others + changed)))
    return adopt(state, after, Accepted("role", "", state.generation), now)
