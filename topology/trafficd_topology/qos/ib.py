"""Lanes on InfiniBand: OpenSM options and the VLArb and SL2VL tables they become on every port.

Sources: IBA 1.4 sections 7.6.9 (VL arbitration) and 7.6.6 (SL to VL); opensm(8); opensm doc
QoS_management_in_OpenSM. Weights are in units of 64 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IbOption:
    """Element ``option/<key>``: one line of opensm.conf, such as ``qos_vlarb_high``."""

    text: str


@dataclass(frozen=True, slots=True)
class IbTable:
    """Elements ``vlarb_high``, ``vlarb_low`` and ``sl2vl``, as read by SMP.

    The key is ``*`` for what every port must hold; read-back adds ``<node guid>:<port>`` for each port that
    deviates (SL2VL of a switch: ``<node guid>:<in port>-<out port>``). ``entries`` are (VL, weight) pairs
    flattened for VLArb, in the form of ``canonical``, and 16 VLs for SL2VL. ``high_limit`` is only ever read back:
    the one number of each port whose VLHighLimit is not what ``option/qos_high_limit`` says.
    """

    entries: tuple[int, ...]


def canonical(entries: tuple[int, ...]) -> tuple[int, ...]:
    """VLArb entries without the ``0:0`` at their end, with which devices pad a table and which say nothing."""
    end = len(entries)
    while end >= 2 and entries[end - 2 : end] == (0, 0):
        end -= 2
    return entries[:end]
