"""In which order each driver's changes run, what each costs running traffic, and why: one table a driver.

The agent writes by these tables; the controller shows from the same ones what a change would do.

htb: no packet may meet a class that is not there, nor htb's direct queue. What somebody else left in the tree goes
first. A tree then grows from its root: a class is there before anything sends packets to it. It shrinks the other
way round, but a whole tree goes at once with its root, because taking it apart would leave the root without its
default class for a while; what is removed after the root is gone already.
"""

from __future__ import annotations

from trafficd_topology.diff import Disruption, Op, Step, Steps
from trafficd_topology.qos.kinds import IB_TABLES

_TC_ROWS = (
    (Op.REMOVE, "other", "what is not ours makes room; its packets go to the default class"),
    (Op.ADD, "qdisc", "the root, its inner class and an open default class are made in one go"),
    (Op.CHANGE, "qdisc", "the rate changes in place; a new default class is made before packets go there"),
    (Op.ADD, "class", "nothing sends packets to it yet"),
    (Op.CHANGE, "class", "changes in place and keeps its queue"),
    (Op.ADD, "leaf", "a class has a queue of its own accord until then"),
    (Op.CHANGE, "leaf", "changes in place and keeps its packets"),
    (Op.ADD, "filter", "its class is there"),
    (Op.CHANGE, "filter", "the new rule is there before the old one goes"),
    (Op.REMOVE, "qdisc", "the whole tree goes at once, back to the kernel's default queue"),
    (Op.REMOVE, "filter", "packets go to the default class, before their class goes"),
    (Op.REMOVE, "leaf", "the class falls back to a queue of its own accord"),
    (Op.REMOVE, "class", "nothing sends packets to it any more"),
    (Op.ADD, "other", "never carried out: what somebody else left is not made again"),
    (Op.CHANGE, "other", "never carried out: what somebody else left is not made again"),
)
TC_STEPS: Steps = {
    (op, kind): Step(order, Disruption.HITLESS, reason) for order, (op, kind, reason) in enumerate(_TC_ROWS)
}
"""No row touches the link. Packets that wait in a queue that is replaced are lost, as at any change of a root."""

_IB_HITLESS = "OpenSM rewrites the tables of running ports; traffic goes on"
_IB_FLAP = "OpenSM takes every port down whose operational VLs change (osm_lid_mgr: link down due to op_vls)"
IB_STEPS: Steps = {
    **{(op, "option/max_op_vls"): Step(1, Disruption.FABRIC_FLAP, _IB_FLAP) for op in Op},
    **{(op, "option"): Step(2, Disruption.HITLESS, _IB_HITLESS) for op in Op},
    **{(op, kind): Step(3, Disruption.HITLESS, _IB_HITLESS) for op in Op for kind in IB_TABLES},
}
