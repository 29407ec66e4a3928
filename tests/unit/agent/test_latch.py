"""A latch outlives the process, for the order it is of and no other."""

from __future__ import annotations

from pathlib import Path

from agentlab import PORT, A, B, Lab, enforced, name_of

from trafficd_agent.scope import ScopeState, Stage, Told
from trafficd_topology.status import Generation


def told(lab: Lab, number: int, *, wanted: bool = True) -> None:
    lab.generation = Generation(1, number)
    if lab.state is None and lab.accepted is not None:
        lab.state = ScopeState(lab.accepted, lab.limits)
    lab.post(Told(lab.accepted if wanted else None, lab.generation))


def writes(lab: Lab) -> int:
    return lab.driver.device.writes(PORT.name)


def failed_return(directory: Path) -> Lab:
    lab = Lab.make(directory)
    lab.driver.device.hold(PORT.name, B)
    lab.accepted = enforced(A)
    told(lab, 1)
    lab.behave(refuse=("filter/dscp-26",))
    lab.accepted = None
    told(lab, 2, wanted=False)
    return lab


def test_a_return_that_failed_is_not_tried_again_by_a_restart(tmp_path: Path) -> None:
    lab = failed_return(tmp_path)
    before = writes(lab)
    lab.restart()
    lab.advance(120)
    assert lab.state is not None
    assert (lab.state.stage, writes(lab), name_of(lab.holds())) == (Stage.FAILED, before, "A")


def test_a_return_that_failed_is_tried_again_by_a_new_generation(tmp_path: Path) -> None:
    for restarted in (False, True):
        lab = failed_return(tmp_path / str(restarted))
        if restarted:
            lab.restart()
        lab.behave()
        told(lab, 3, wanted=False)
        assert lab.state is not None
        assert (lab.state.stage, name_of(lab.holds())) == (Stage.LEFT, "B")


def test_a_latch_does_not_hold_back_what_was_accepted_right_before_a_kill(tmp_path: Path) -> None:
    lab = Lab.make(tmp_path)
    lab.accepted = enforced(A)
    lab.behave(refuse=("class",))
    told(lab, 1)
    assert lab.state is not None
    assert lab.state.stage is Stage.FAILED
    lab.behave()
    lab.accepted, lab.generation = enforced(B), Generation(1, 2)
    lab.restart()
    assert (lab.state.stage, name_of(lab.holds())) == (Stage.HELD, "B")
