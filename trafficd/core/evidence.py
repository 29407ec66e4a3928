"""Whether counters show that a policy's model traffic is marked: what ``unmarked: low`` waits for.

Of a policy in force, over all its ports: the lane of collectives carries traffic, and the lane of unmarked packets next
to nothing beside it. Traffic that was not seen says nothing: what was known stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trafficd.core.plan import Plan, ScopePlan
from trafficd.core.telemetry import PortUse
from trafficd_topology.counters import Direction
from trafficd_topology.model import PortKey, ScopeKind
from trafficd_topology.qos.ib_ports import COLLECTIVES
from trafficd_topology.qos.lanes import LaneSet

BUSY_BYTES_PER_S = 1e6
"""Below this the model is not running."""
MOST_UNMARKED = 0.05
"""Connection management and the like are far below this part of what the model sends."""
Use = Callable[[PortKey], PortUse | None]
"""What a port carries now; None where that is not known."""


def marked(known: frozenset[str], plan: Plan | None, use: Use) -> frozenset[str]:
    """The names of policies of which it is known now; ``known`` are those of before."""
    by_policy: dict[str, list[ScopePlan]] = {}
    for scope in plan.scopes if plan else ():
        by_policy.setdefault(scope.policy, []).append(scope)
    out = {name for name in known if name in by_policy}
    for name, scopes in by_policy.items():
        model, unmarked = _carried(scopes, use)
        if model >= BUSY_BYTES_PER_S:
            out = out | {name} if unmarked <= MOST_UNMARKED * model else out - {name}
        elif unmarked >= BUSY_BYTES_PER_S:
            out -= {name}
    return frozenset(out)


def _carried(scopes: Iterable[ScopePlan], use: Use) -> tuple[float, float]:
    """Bytes per second sent in the lanes of collectives and of unmarked packets; one lane for both is unmarked."""
    model = unmarked = 0.0
    for scope in scopes:
        lane = _model_lane(scope.lanes)
        for port in scope.ports if scope.kind is ScopeKind.FABRIC else (PortKey(scope.node, scope.name),):
            found = use(port)
            sent = found.by_lane(Direction.TRANSMIT) if found else {}
            unmarked += sent.get(scope.lanes.default.id, 0.0)
            model += sent.get(lane, 0.0) if lane not in {None, scope.lanes.default.id} else 0.0
    return model, unmarked


def _model_lane(lanes: LaneSet) -> int | None:
    found = next((c for i in COLLECTIVES if (c := lanes.class_for(i))), None)
    return None if found is None else lanes.lane(found.lane).id
