"""What a policy says of an InfiniBand subnet beside its lanes: tables by type of port, paths, partitions, time-outs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trafficd_topology.model import NicKind, Role
from trafficd_topology.qos.vlarb import IbTables

TIMEOUT_UNIT_S = 4.096e-6
"""Time-outs and lifetimes are this times a power of two (IBA 1.4 sections 9.7.6.1.3 and 14.2.5.6)."""
COMMON_RC_TIMEOUT = 14
"""67 ms: what verbs programs take unless told otherwise; NCCL's default is 20 (4.3 s)."""
ENDLESS_LIFETIME = 20
"""HOQLife from here on never drops (IBA 1.4 section 14.2.5.6)."""


def timeout_s(exponent: int) -> float:
    """Seconds of a time-out or lifetime that is given as a power of two."""
    return float(TIMEOUT_UNIT_S * 2**exponent)


@dataclass(frozen=True, slots=True)
class PortGroup:
    """Host NICs by name globs, role and kind; an empty field means any."""

    nodes: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    kinds: tuple[NicKind, ...] = ()


@dataclass(frozen=True, slots=True)
class PathWish:
    """Who asks for a path to ``to``, with this P_Key or for these service ids, gets the SL of ``traffic_class``."""

    traffic_class: str
    pkey: int | None = None
    service_ids: tuple[int, int] | None = None
    to: PortGroup | None = None


@dataclass(frozen=True, slots=True)
class PartitionWish:
    """A partition whose paths have the SL of ``traffic_class``; members None: all ports. ``pkey`` has 15 bits."""

    name: str
    pkey: int
    traffic_class: str
    ipoib: bool = False
    members: PortGroup | None = None


@dataclass(frozen=True, slots=True)
class IbOptions:
    """``tables_of`` are tables of one type of port (``qos.ib.PORT_TYPES``) in place of the general ones.

    ``rc_timeout`` is the smallest retry time-out, as the power of two that applications set, that may wait in the lanes.
    ``aggregation_sl`` is the SL of SHARP where it is used. ``ipoib`` is the class of IP over InfiniBand; empty: SL 0.
    """

    tables_of: tuple[tuple[str, IbTables], ...] = ()
    rc_timeout: int = COMMON_RC_TIMEOUT
    aggregation_sl: int | None = None
    ipoib: str = ""
    paths: tuple[PathWish, ...] = ()
    partitions: tuple[PartitionWish, ...] = ()
    unmarked_low: bool = False
    """Packets that nobody marked ride in the lowest class lane: see ``qos.unmarked``."""

    @property
    def writes_paths(self) -> bool:
        """Whether answers to PathRecord queries are ours: then there is a QoS policy file."""
        return bool(self.paths or self.partitions or self.ipoib)

    def by_type(self) -> Mapping[str, IbTables]:
        return dict(self.tables_of)


PLAIN = IbOptions()
