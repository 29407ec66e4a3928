"""A fabric of its own for one driver, with ways to disturb it: what the contract of all drivers asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.ibsim import IbLab, ib_lab

from trafficd_agent.drivers.opensm import OpensmDriver, OpensmOptions
from trafficd_topology.diff import Element, State, state
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.ib import IbOption, IbTable
from trafficd_topology.qos.render import render_ib

POLICY = "version: 1\npolicies: [{name: lanes, preset: dualpath, mode: enforce}]\n"
FOUR_VLS = "max_op_vls 3\n"
"""What OpenSM starts with: a change of it takes links down, which no driver does by itself."""
SMP_SET = Path(__file__).parent / "smp_set.py"
LEAF1_LID = "2"
IMPOSSIBLE = Element("option", "qos_vlarb_high", IbOption("0:300,9:77"))


def paper() -> State:
    """The shipped preset as elements: the paper's arbitration tables."""
    policies, problems = parse_policies(POLICY)
    assert policies is not None, problems
    return render_ib(policies.policies[0].lanes, policies.policies[0].infiniband)


def other_lanes() -> State:
    """Every table another one, and one option left to OpenSM."""
    new = {
        "option/qos_vlarb_low": IbOption("0:64,1:64,2:128,3:192"),
        "vlarb_low/*": IbTable((0, 64, 1, 64, 2, 128, 3, 192)),
        "option/qos_vlarb_high": IbOption("3:128,1:64"),
        "vlarb_high/*": IbTable((3, 128, 1, 64)),
        "option/qos_sl2vl": IbOption("0,1,2,3," * 3 + "0,1,2,3"),
        "sl2vl/*": IbTable((0, 1, 2, 3) * 4),
        "option/qos_high_limit": IbOption("4"),
    }
    return state(
        [replace(e, value=new.get(e.name, e.value)) for e in paper() if e.name != "option/qos_max_vls"]
    )


def helper_env(lab: IbLab, host: str) -> tuple[str, ...]:
    """What the driver's packets need to leave through an adapter of the lab."""
    return tuple(f"{k}={v}" for k, v in lab.env(host))


def overwrite(lab: IbLab, *words: str) -> None:
    """Write a table behind OpenSM's back: LID, attribute, modifier, bytes."""
    lab.run("Hca4", sys.executable, str(SMP_SET), *words)


@dataclass(slots=True)
class IbBench:
    lab: IbLab
    driver: OpensmDriver
    scope: str = "ib"
    absent: str = "no-such-fabric"
    first: State = field(default_factory=paper)
    second: State = field(default_factory=other_lanes)
    impossible: Element = IMPOSSIBLE

    def disturb(self) -> None:
        overwrite(self.lab, LEAF1_LID, "0x18", "0x30002", "000a")

    def recreate(self) -> None:
        self.lab.stop_opensm()
        self.lab.start_opensm()

    def vanish(self) -> None:
        self.lab.stop_opensm()


@contextmanager
def ib_bench() -> Iterator[IbBench]:
    with ib_lab(FOUR_VLS) as lab:
        driver = OpensmDriver(OpensmOptions("ib", str(lab.conf), helper_env=helper_env(lab, "Hca2")))
        try:
            yield IbBench(lab, driver)
        finally:
            driver.close()
