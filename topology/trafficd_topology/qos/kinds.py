"""Element kinds and their value types, and the field of ``trafficd.api.v1.Element`` that carries each.

The fields of a message are named as those of the value type, so that both sides convert by this table alone.
"""

from __future__ import annotations

from trafficd_topology.qos.dcb import (
    DcbApp,
    DcbBuffer,
    DcbCable,
    DcbCnp,
    DcbEcn,
    DcbEts,
    DcbMaxrate,
    DcbPfc,
    DcbTrust,
    Dcbx,
)
from trafficd_topology.qos.ib import IbFile, IbOption, IbTable
from trafficd_topology.qos.tc import TcClass, TcFilter, TcFound, TcLeaf, TcOther, TcQdisc

OBSERVED_ONLY = "(observed only)"
"""In the place of a field for kinds that a device may hold and nobody can desire: no message carries them."""
PUT_BACK_ONLY = "(put back only)"
"""The same for kinds that an agent puts back as it found them."""

IB_TABLES = ("vlarb_high", "vlarb_low", "sl2vl", "high_limit", "op_vls", "path_sl")
"""Kinds that are read from a subnet, by SMP and PathRecord."""

DCB_KINDS = (
    "dcbx", "trust", "dscp", "app", "ets", "pfc", "cable", "maxrate", "buffer", "ecn", "cnp",
)  # fmt: skip
"""Kinds of a RoCE port: see ``qos.dcb``."""

KINDS: dict[str, tuple[type, str]] = {
    "qdisc": (TcQdisc, "tc_qdisc"),
    "class": (TcClass, "tc_class"),
    "leaf": (TcLeaf, "tc_leaf"),
    "filter": (TcFilter, "tc_filter"),
    "other": (TcOther, OBSERVED_ONLY),
    "found": (TcFound, PUT_BACK_ONLY),
    "option": (IbOption, "ib_option"),
    "vlarb_high": (IbTable, "ib_table"),
    "vlarb_low": (IbTable, "ib_table"),
    "sl2vl": (IbTable, "ib_table"),
    "high_limit": (IbTable, "ib_table"),
    "dcbx": (Dcbx, "dcbx"),
    "trust": (DcbTrust, "dcb_trust"),
    "dscp": (DcbApp, "dcb_app"),
    "app": (DcbApp, "dcb_app"),
    "ets": (DcbEts, "dcb_ets"),
    "pfc": (DcbPfc, "dcb_pfc"),
    "cable": (DcbCable, "dcb_cable"),
    "maxrate": (DcbMaxrate, "dcb_maxrate"),
    "buffer": (DcbBuffer, "dcb_buffer"),
    "ecn": (DcbEcn, "dcb_ecn"),
    "cnp": (DcbCnp, "dcb_cnp"),
    "op_vls": (IbTable, "ib_table"),
    "path_sl": (IbTable, "ib_table"),
    "file": (IbFile, "ib_file"),
}
