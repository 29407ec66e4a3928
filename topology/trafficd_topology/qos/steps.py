"""In which order each driver's changes run, what each costs running traffic, and why: one table a driver.

The agent writes by these tables; the controller shows from the same ones what a change would do.

htb: no packet may meet a class that is not there, nor htb's direct queue. What somebody else left in the tree goes
first. A tree then grows from its root: a class is there before anything sends packets to it. It shrinks the other
way round, but a whole tree goes at once with its root, because taking it apart would leave the root without its
default class for a while; what is removed after the root is gone already.

DCB: the host owns the settings first and gives them up last. Everything that costs nothing comes before the PFC set,
which takes the link down: what is refused is refused before the link flaps.
"""

from __future__ import annotations

from trafficd_topology.diff import Disruption, Op, Step, Steps
from trafficd_topology.qos.kinds import IB_TABLES

_TC_ROWS = (
    (
        Op.ADD,
        "found",
        "what was there before takes the place of our root in one step, then grows from its root",
    ),
    (Op.CHANGE, "found", "somebody else's tree, or half of one, is built anew"),
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
    (
        Op.REMOVE,
        "found",
        "it went when our root took its place; alone, the kernel's default queue comes back",
    ),
    (Op.ADD, "other", "never carried out: what somebody else left is not made again"),
    (Op.CHANGE, "other", "never carried out: what somebody else left is not made again"),
)
TC_STEPS: Steps = {
    (op, kind): Step(order, Disruption.HITLESS, reason) for order, (op, kind, reason) in enumerate(_TC_ROWS)
}
"""No row touches the link. Packets that wait in a queue that is replaced are lost, as at any change of a root."""

_IB_HITLESS = "OpenSM rewrites the tables of running ports; traffic goes on"
_IB_FLAP = "OpenSM takes every port down whose operational VLs change (osm_lid_mgr: link down due to op_vls)"
_IB_PARTITION = "a P_Key that goes, or changes its SL, cuts the connections that use it"
_IB_NEW_PARTITION = "ports get the P_Key in addition to those they have"
_IB_PATHS = "only connections made from now on ask for their SL"
IB_STEPS: Steps = {
    **{(op, "option/max_op_vls"): Step(1, Disruption.FABRIC_FLAP, _IB_FLAP) for op in Op},
    (Op.ADD, "file/partitions"): Step(2, Disruption.HITLESS, _IB_NEW_PARTITION),
    **{
        (op, "file/partitions"): Step(2, Disruption.FABRIC_FLAP, _IB_PARTITION)
        for op in (Op.CHANGE, Op.REMOVE)
    },
    **{(op, "file"): Step(3, Disruption.HITLESS, _IB_PATHS) for op in Op},
    **{(op, "option"): Step(4, Disruption.HITLESS, _IB_HITLESS) for op in Op},
    **{(op, kind): Step(5, Disruption.HITLESS, _IB_HITLESS) for op in Op for kind in IB_TABLES},
    **{(op, "op_vls"): Step(5, Disruption.FABRIC_FLAP, _IB_FLAP) for op in Op},
}

_HOST = "the host owns the settings before it writes any"
_DCB_ROWS = (
    (Op.ADD, "dcbx", Disruption.HITLESS, _HOST),
    (Op.CHANGE, "dcbx", Disruption.HITLESS, _HOST),
    *((op, "cnp", Disruption.HITLESS, "notifications are marked before anything causes them") for op in Op),
    *((op, "ecn", Disruption.HITLESS, "senders can slow down before PFC may stop them") for op in Op),
    *((op, "ets", Disruption.HITLESS, "a priority has its queue before packets are sent to it") for op in Op),
    *((op, "maxrate", Disruption.HITLESS, "a ceiling changes in place") for op in Op),
    (Op.ADD, "dscp", Disruption.HITLESS, "its priority has its queue; the first entry lets mlx5 trust DSCP"),
    (Op.CHANGE, "dscp", Disruption.HITLESS, "the new priority is there before the old one goes"),
    (Op.ADD, "app", Disruption.HITLESS, "its priority has its queue"),
    (Op.CHANGE, "app", Disruption.HITLESS, "the new priority is there before the old one goes"),
    *((op, "trust", Disruption.HITLESS, "the table that is trusted is complete") for op in Op),
    (Op.REMOVE, "dscp", Disruption.HITLESS, "nobody needs it; without any, mlx5 trusts PCP again"),
    (Op.REMOVE, "app", Disruption.HITLESS, "nobody needs it"),
    *(
        (op, "cable", Disruption.HITLESS, "headroom is sized before PFC relies on it")
        for op in (Op.ADD, Op.CHANGE)
    ),
    *(
        (op, "buffer", Disruption.HITLESS, "headroom is there before PFC relies on it")
        for op in (Op.ADD, Op.CHANGE)
    ),
    *(
        (op, "pfc", Disruption.LINK_FLAP, "mlx5 takes the link down and up when the PFC set changes")
        for op in Op
    ),
    (Op.REMOVE, "buffer", Disruption.HITLESS, "nothing is lossless any more that needs it"),
    (Op.REMOVE, "cable", Disruption.HITLESS, "nothing is lossless any more that needs it"),
    (Op.REMOVE, "dcbx", Disruption.HITLESS, "firmware gets the settings back when the host is done"),
)
DCB_STEPS: dict[tuple[Op, str], Step] = {
    (op, kind): Step(order, cost, why) for order, (op, kind, cost, why) in enumerate(_DCB_ROWS)
}
"""Sources: drivers/net/ethernet/mellanox/mlx5/core/en_dcbnl.c, port_buffer.c; net/dcb/dcbnl.c."""
