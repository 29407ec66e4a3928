"""From what is known to what every agent is told: plan, compare, raise the generation, address the messages.

The generation is global. It rises when the plan of any node changes; then every changed node gets its whole state
and every other node the header and digest to acknowledge. A node whose inventory has not arrived yet has no plan
and keeps what it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from trafficd.core.claims import waiting
from trafficd.core.effects import Effect, Effects, Persist, Publish, SendDesired, SendHeader
from trafficd.core.plan import Plan, ScopePlan
from trafficd.core.planned import Inputs, Planner
from trafficd.core.state import ControlState, NodeState, PolicySource, saved
from trafficd_topology.diff import State, render
from trafficd_topology.model import NodeInventory, ScopeKind
from trafficd_topology.status import Generation


@lru_cache(maxsize=256)
def _rendered(elements: State) -> str:
    """Thousands of ports share a few states."""
    return render(elements)


def scope_digest(scope: ScopePlan) -> str:
    """SHA-256, in hex, of everything an agent is told about one scope."""
    head = (scope.kind, scope.name, scope.driver, scope.mode, scope.policy)
    both = zip(scope.lanes.lanes, scope.guaranteed, strict=True)
    lanes = [f"lane {lane.id} {lane.name} {ratio!r} {lane.use}" for lane, ratio in both]
    classes = [f"class {c.name} {c.lane}" for c in scope.lanes.classes]
    port = f"port {scope.rate_bps} {scope.nic_kind}"
    served = [f"priorities {scope.priorities}"] if scope.priorities else []
    text = "\n".join([*map(str, head), port, *served, *lanes, *classes, _rendered(scope.elements)])
    return hashlib.sha256(text.encode()).hexdigest()


def desired_digest(scopes: Iterable[ScopePlan]) -> str:
    """SHA-256, in hex, over the digests of a node's scopes, ordered by kind and name."""
    ordered = sorted(scopes, key=lambda s: (s.kind, s.name))
    return hashlib.sha256("".join(map(scope_digest, ordered)).encode()).hexdigest()


class _Digests:
    """Digests of nodes' scopes, by the scopes themselves: plans that are made once share them.

    Found by identity, since comparing is as long as digesting; kept with the scopes, so that no other object can have
    their identity. Safe between threads as the planner is.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[tuple[ScopePlan, ...], str]] = {}

    def of(self, scopes: tuple[ScopePlan, ...]) -> str:
        key = tuple(map(id, scopes))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MOST_DIGESTS:
                self._known = {}
            known = self._known[key] = scopes, desired_digest(scopes)
        return known[1]


MOST_DIGESTS = 20_000
_PLANNER, _DIGESTS = Planner(), _Digests()


def inventories(state: ControlState) -> tuple[NodeInventory, ...]:
    return tuple(state.nodes[name].inventory for name in sorted(state.nodes))


def withheld(state: ControlState) -> str:
    """Why nothing is programmed at all, in one sentence; empty when the plan is sent.

    Agents then keep, and keep verifying, what they accepted last.
    """
    if state.recovering:
        return waiting(state)
    if state.gap is not None:
        return str(state.gap)
    if state.fabric is None:
        return "no fabric has been accepted yet: agents keep what they have"
    if state.fabric.broken:
        return f"the saved fabric cannot be read ({state.fabric.broken}): agents keep what they have"
    if not state.policies:
        return "no policy has been accepted yet: agents keep what they have"
    broken = [f"{s.source} ({s.broken})" for s in (*state.policies, *state.before) if s.broken]
    if broken:
        return f"the saved policy of {', '.join(broken)} cannot be read: agents keep what they have"
    return ""


def plan_of(state: ControlState, sources: tuple[PolicySource, ...]) -> Plan | None:
    """The plan that these policies make for every node whose inventory is known; None without a fabric or policy."""
    spec = state.spec
    if spec is None or not sources:
        return None
    policies = tuple(sorted((p for s in sources for p in s.policies), key=lambda p: p.name))
    return _PLANNER.plan(Inputs(policies, state.options, state.writers, inventories(state), spec))


def make_plan(state: ControlState) -> Plan | None:
    """The plan that holds now: during a rollout, nodes that are not admitted keep what they had."""
    new = plan_of(state, state.policies)
    if new is None or state.rollout is None:
        return new
    return merged(new, plan_of(state, state.before) or Plan(), state.rollout.admitted)


def merged(new: Plan, old: Plan, admitted: frozenset[str]) -> Plan:
    """The admitted nodes' scopes of one plan and everybody else's of the other."""
    scopes = [
        *(s for s in new.scopes if s.node in admitted),
        *(s for s in old.scopes if s.node not in admitted),
    ]
    conflicts = tuple(dict.fromkeys((*new.conflicts, *old.conflicts)))
    return replace(
        new, scopes=tuple(sorted(scopes, key=lambda s: (s.node, s.kind, s.name))), conflicts=conflicts
    )


def held_back(state: ControlState, node: str) -> bool:
    """Whether a node that a rollout has not admitted was told nothing before: then it is told nothing yet."""
    return state.rollout is not None and not state.before and node not in state.rollout.admitted


def revert_in_s(state: ControlState) -> float:
    """After how long an agent that was cut off by a change takes it back; 0 is never."""
    wanted = [s.rollout.revert_in_s for s in (*state.policies, *state.before) if s.rollout is not None]
    return min((w for w in wanted if w > 0), default=0.0)


def settle(state: ControlState, now: float) -> tuple[ControlState, Effects]:
    """Plan anew; raise the generation if any node's state changed; address what each connected node must hear."""
    return commit(replace(state, plan=make_plan(state)), now)


def commit(state: ControlState, now: float) -> tuple[ControlState, Effects]:
    """``settle`` for a state whose plan has just been made."""
    state = replace(state, stale=False, trouble="")
    if state.plan is None or withheld(state):
        return state, (Publish(),)
    told = [name for name in state.nodes if not held_back(state, name)]
    digests = {name: _DIGESTS.of(state.plan.of(name)) for name in told}
    persist: Effects = ()
    if any(state.digests.get(name) != value for name, value in digests.items()):
        number = Generation(state.generation.epoch, state.generation.number + 1)
        writers = {**state.writers, **_writers(state.plan)}
        digests = {**state.digests, **digests}
        state = replace(state, generation=number, digests=digests, writers=writers)
        persist = (Persist(saved(state)),)
    state, messages = address(state, now)
    return state, (*persist, *messages, Publish())


def _writers(made: Plan) -> dict[str, str]:
    """Subnet -> the node that programs it from now on."""
    return {s.name: s.node for s in reversed(made.scopes) if s.kind is ScopeKind.FABRIC}


def address(state: ControlState, now: float) -> tuple[ControlState, Effects]:
    """The message each connected node is due: its state, a header, or nothing."""
    if state.plan is None or withheld(state):
        return state, ()
    messages: list[Effect] = []
    nodes = dict(state.nodes)
    for name in sorted(nodes):
        node, message = _due(state, nodes[name], now)
        nodes[name] = node
        messages += [] if message is None else [message]
    return replace(state, nodes=nodes), tuple(messages)


def _due(state: ControlState, node: NodeState, now: float) -> tuple[NodeState, Effect | None]:
    digest = state.digests.get(node.name)
    if node.session is None or digest is None or state.plan is None or held_back(state, node.name):
        return node, None
    if node.refusal and node.told == state.generation:
        return node, None  # it said no to this one: the tick asks again, nothing else does
    told = replace(node, told=state.generation, told_at=now)
    if node.holds != digest:
        scopes = state.plan.of(node.name)
        back = revert_in_s(state)
        message = SendDesired(node.session, node.name, state.generation, digest, scopes, back)
        return replace(told, holds=digest, since=state.generation), message
    if node.told != state.generation:
        return told, SendHeader(node.session, node.name, state.generation, digest)
    return node, None
