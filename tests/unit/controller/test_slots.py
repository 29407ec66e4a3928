"""Slots for disruptive steps: who gets one, who waits and why, and when a slot ends."""

from trafficd.core.records import Leave
from trafficd.core.slots import SLOT_S, Needs, Waiting, refusal, turn
from trafficd_topology.diff import Disruption
from trafficd_topology.model import ScopeKind
from trafficd_topology.status import Generation

FLAP, FABRIC = Disruption.LINK_FLAP, Disruption.FABRIC_FLAP


def waits(where: str, disruption: Disruption = FLAP, drained: bool | None = True) -> Waiting:
    node, _, name = where.partition("/")
    kind = ScopeKind.FABRIC if disruption is FABRIC else ScopeKind.PORT
    return Waiting(node, kind, name, disruption, drained)


def leave(nodes: int = 1, worst: Disruption = FLAP) -> Leave:
    return Leave(worst, Generation(1, 1), nodes)


def given(allowed: Leave, *waiting: Waiting) -> list[str]:
    return [f"{w.node}/{w.name}" for w in turn(allowed, Needs(waiting), 0.0)[1]]


def test_budget() -> None:
    every = [waits("b/0"), waits("a/0"), waits("a/1"), waits("c/0")]
    assert given(leave(1), *every) == ["a/0"]
    assert given(leave(2), *every) == ["a/0", "b/0"]
    assert given(leave(9), *every) == ["a/0", "b/0", "c/0"], "never two ports of a node"


def test_only_drained_scopes() -> None:
    assert given(leave(9), waits("a/0", drained=False), waits("b/0", drained=None)) == []
    assert refusal(leave(), waits("a/0", drained=False)) == "waits until it is drained"


def test_a_fabric_flap_runs_alone_and_needs_its_own_leave() -> None:
    fabric = waits("a/ib", FABRIC)
    assert "--allow-fabric-flap" in refusal(leave(), fabric)
    assert "--allow-disruptive" in refusal(None, waits("a/0"))
    assert given(leave(9, FABRIC), fabric, waits("b/0")) == ["a/ib"]
    held, _ = turn(leave(9, FABRIC), Needs((waits("b/0"),)), 0.0)
    assert "runs alone" in refusal(held, fabric)


def test_a_slot_ends_when_its_scope_is_settled_or_its_time_is_over() -> None:
    held, _ = turn(leave(), Needs((waits("a/0"), waits("b/0"))), 0.0)
    same, more = turn(held, Needs((waits("a/0"), waits("b/0"))), SLOT_S - 1)
    assert (same, more) == (held, ())
    settled = Needs((waits("b/0"),), frozenset({("a", ScopeKind.PORT, "0")}))
    assert [w.node for w in turn(held, settled, 1.0)[1]] == ["b"]
    assert [w.node for w in turn(held, Needs((waits("b/0"),)), SLOT_S)[1]] == ["b"]
