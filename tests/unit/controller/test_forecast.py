"""What a plan says before anything changes, and what of it is still to do."""

from __future__ import annotations

from controllerlab import Machine

from trafficd.app.files import offer_policy
from trafficd.core.events import PolicyOffered
from trafficd.core.forecast import NO_CANARY, Action, Forecast, forecast
from trafficd.server.policy import offer
from trafficd_topology.model import ScopeKind


def machine(*commands: str) -> Machine:
    made = Machine()
    for command in commands:
        made.run(command)
    return made


def five() -> Machine:
    hellos = [f"hello n{i}#{i} ports=s0" for i in range(1, 6)]
    return machine("fabric five", "policy api main", *hellos, "settle", "ready")


def offered(name: str) -> PolicyOffered:
    return offer(Machine.content(name).text)


def rows(found: Forecast) -> list[str]:
    return [f"{f.action} {f.scope.node}/{f.scope.name}" for f in found.scopes]


def test_what_holds_already_changes_nothing() -> None:
    found = forecast(five().state, offered("main"), None)
    assert (found.problems, rows(found), found.rollout, found.unchanged) == ((), [], None, 5)


def test_a_change_is_told_per_port_with_its_waves_and_changes_nothing() -> None:
    m = five()
    before = m.state
    found = forecast(m.state, offered("canary"), None)
    assert rows(found) == [f"change n{i}/s0" for i in range(1, 6)]
    assert found.rollout is not None
    assert found.rollout.waves == (("n1",), ("n2", "n3"), ("n4", "n5"))
    assert all(f.differences and f.steps for f in found.scopes)
    assert len({f.differences for f in found.scopes}) == 1, "all of them alike"
    assert m.state is before


def test_of_a_rollout_under_way_what_waits_for_its_wave_and_what_for_its_agent() -> None:
    m = five()
    m.run("policy api canary")
    found = forecast(m.state, None, None)
    notes = {f.scope.node: (f.action, f.notes[-1]) for f in found.scopes}
    assert notes["n2"] == (Action.CHANGE, "waits for its wave")
    assert notes["n1"] == (Action.PENDING, "its agent has not reported on it yet")
    assert (len(notes), found.unchanged) == (5, 0)
    m.run("ready")
    notes = {f.scope.node: (f.action, f.notes[-1]) for f in forecast(m.state, None, None).scopes}
    assert sorted(notes) == ["n2", "n3", "n4", "n5"], "the canary stands as it should"


def test_a_port_that_waits_for_leave_says_what_it_waits_for() -> None:
    m = five()
    m.run("status n3#3 s0=busy")
    (found,) = forecast(m.state, None, None).scopes
    assert found.notes[-1] == "waits for leave: give it with trafficd resume --allow-disruptive"
    m.run("allow link_flap")
    (found,) = forecast(m.state, None, None).scopes
    assert found.notes[-1] == "waits until it is drained"


def test_ports_that_a_policy_lets_go_return_to_what_was_found() -> None:
    lab = ["fabric lab", "policy file main", "hello p1#1 ports=s0,c0", "hello d1#2 ports=s0,c0", "settle"]
    m = machine(*lab, "ready")

    found = forecast(m.state, offer_policy("policy.yaml", Machine.content("main-p1")), None)
    assert rows(found) == ["remove d1/c0", "remove d1/s0"]
    assert found.scopes[0].notes == ("goes back to what its agent found there before the first write",)
    assert found.unchanged == 2


def test_what_would_be_refused_gives_its_reasons_and_no_plan() -> None:
    assert forecast(five().state, offered("bad"), None).problems
    lab = machine("fabric lab", "policy file main", "hello p1#1 ports=s0,c0", "settle")
    assert "belongs to the file" in str(forecast(lab.state, offered("main"), None).problems[0])


def test_without_a_fabric_there_is_nothing_to_plan_from() -> None:
    assert forecast(Machine().state, offered("main"), None).notes == (
        "there is no fabric or no policy to plan from",
    )


def test_a_subnet_is_one_step_without_a_canary() -> None:
    m = machine("fabric subnet", "hello h2#1 subnets=ib", "settle")
    found = forecast(m.state, offered("subnet-policy"), None)
    assert [(f.scope.node, f.scope.kind, NO_CANARY in f.notes) for f in found.scopes] == [
        ("h2", ScopeKind.FABRIC, True)
    ]
