"""Plans that were made lately, so that the same one is not made twice.

A rollout asks for the plan of the old policies and for that of the new ones at every turn, ``trafficd plan`` for what
``apply`` asks for next. A plan is a function of its inputs alone; which of them are remembered changes no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trafficd.core.plan import Plan, PlanOptions, plan
from trafficd_topology.model import FabricSpec, NodeInventory
from trafficd_topology.qos.policy import Policy

KEPT = 4
"""Old and new policies of a rollout, and of what somebody else asks about meanwhile."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan is made from. Compared field by field, the quickest first; unchanged parts are the same objects."""

    policies: tuple[Policy, ...]
    options: PlanOptions
    writers: Mapping[str, str]
    inventories: tuple[NodeInventory, ...]
    fabric: FabricSpec


class Planner:
    """Safe between threads: the tuple is replaced whole, and one that was lost is made again."""

    def __init__(self) -> None:
        self._made: tuple[tuple[Inputs, Plan], ...] = ()

    def plan(self, inputs: Inputs) -> Plan:
        for known, made in self._made:
            if known == inputs:
                return made
        made = plan(inputs.policies, inputs.fabric, inputs.inventories, inputs.options, inputs.writers)
        self._made = ((inputs, made), *self._made)[:KEPT]
        return made
