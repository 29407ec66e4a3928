"""Lanes on InfiniBand: OpenSM options and the VLArb and SL2VL tables they become on every port.

Sources: IBA 1.4 sections 7.6.9 (VL arbitration) and 7.6.6 (SL to VL); opensm(8); opensm doc
QoS_management_in_OpenSM. Weights are in units of 64 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

EVERY_PORT = "*"
"""Key of a table that ports of every type hold."""

PORT_TYPES = ("ca", "swe", "sw0", "rtr")
"""OpenSM's types of ports: adapters, switch ports with a cable, switches' own port 0, routers. ``qos_<type>_<rest>`` is
what ports of that type take in place of ``qos_<rest>``."""


@dataclass(frozen=True, slots=True)
class IbOption:
    """Element ``option/<key>``: one line of opensm.conf, such as ``qos_vlarb_high`` or ``qos_ca_vlarb_high``."""

    text: str


@dataclass(frozen=True, slots=True)
class IbTable:
    """Elements ``vlarb_high``, ``vlarb_low`` and ``sl2vl``, as read by SMP.

    Keys: ``*`` is what switch ports hold, and ports of every type that has no element of its own (in a subnet without
    switches: what all ports hold); ``ca`` or ``rtr`` what ports of that type hold, only where it differs from ``*``;
    read-back adds ``<node guid>:<port>`` for each port that deviates from its type (SL2VL of a switch:
    ``<node guid>:<in port>-<out port>``). ``entries`` are (VL, weight) pairs flattened for VLArb, in the form of
    ``canonical``, and 16 VLs for SL2VL.

    Three kinds are only ever read back, one number for each place that is not as it must be, so that a state as desired
    holds none of them: ``high_limit`` (key: the port) is a VLHighLimit that is not what ``option/qos_high_limit`` says;
    ``op_vls`` (key: the port) is an OperationalVLs code below that of ``option/max_op_vls``; ``path_sl`` (key: a query,
    see ``qos.ib_files.PathQuery``) is the SL of a PathRecord that is not what ``file/qos_policy`` and
    ``file/partitions`` say.
    """

    entries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IbFile:
    """Elements ``file/qos_policy`` and ``file/partitions``: text that OpenSM reads beside opensm.conf.

    ``file/qos_policy`` is the whole QoS policy file; ``file/partitions`` is the block of the partition file that stands
    between the marker lines (``qos.ib_files``), without these: everything outside it is the operator's. An empty text
    is the same as no element. Every line ends with a line feed.
    """

    text: str


def canonical(entries: tuple[int, ...]) -> tuple[int, ...]:
    """VLArb entries without the ``0:0`` at their end, with which devices pad a table and which say nothing."""
    end = len(entries)
    while end >= 2 and entries[end - 2 : end] == (0, 0):
        end -= 2
    return entries[:end]
