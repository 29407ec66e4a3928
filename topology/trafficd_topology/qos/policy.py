"""A policy as an operator states it: lanes and classes, on which ports, and whether to write.

Everything here is a value that ``parsers.policy`` has checked; a ``Policy`` always has a default lane with a floor,
and something that carries control traffic.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from trafficd_topology.model import Host, LinkLayer, Nic, NicKind, Role
from trafficd_topology.qos.ib_options import PLAIN, IbOptions
from trafficd_topology.qos.lanes import LaneSet, Mode
from trafficd_topology.qos.paths import PathRules
from trafficd_topology.qos.roce import RoceOptions
from trafficd_topology.qos.unmarked import unmarked_low
from trafficd_topology.qos.vlarb import IbTables


class Preset(StrEnum):
    """Lanes and classes that ship with the product, as YAML beside this module."""

    DUALPATH = "dualpath"
    DUALPATH_FOUR_LOSSLESS = "dualpath-four-lossless"
    DUALPATH_TWO_VL = "dualpath-two-vl"
    TWO_LANE_STRICT = "two-lane-strict"
    THREE_CLASS = "three-class"
    THREE_CLASS_TWO_VL = "three-class-two-vl"
    NCCL_TWO_VL = "nccl-two-vl"
    NONE = "none"


def _any(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, g) for g in globs)


@dataclass(frozen=True, slots=True)
class Selector:
    """Which ports; an empty field means any. ``nodes`` and ``ports`` are globs (fnmatch, case counts).

    ``switches``: True selects ports of managed switches, and then ``roles`` and ``kinds`` speak of the host NIC at
    the other end; False selects host NICs only. None selects host NICs, and the switches that ``nodes`` names.
    """

    nodes: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    kinds: tuple[NicKind, ...] = ()
    link_layers: tuple[LinkLayer, ...] = ()
    ports: tuple[str, ...] = ()
    switches: bool | None = None

    def _named(self, node: str, port: str, link_layer: LinkLayer) -> bool:
        named = _any(node, self.nodes) and _any(port, self.ports)
        return named and (not self.link_layers or link_layer in self.link_layers)

    def _serves(self, host: Host, nic: Nic) -> bool:
        return (not self.roles or host.role in self.roles) and (not self.kinds or nic.kind in self.kinds)

    def selects_nic(self, host: Host, nic: Nic) -> bool:
        """Whether this host NIC is meant."""
        if self.switches:
            return False
        return self._named(host.name, nic.name, nic.link_layer) and self._serves(host, nic)

    def selects_switch_port(self, switch: str, port: str, peer: tuple[Host, Nic] | None) -> bool:
        """Whether this Ethernet port of a managed switch is meant; ``peer``: the host NIC at its other end."""
        if not self._named(switch, port, LinkLayer.ETHERNET):
            return False
        if self.switches is None:
            return bool(self.nodes) and not self.roles and not self.kinds
        if not self.switches:
            return False
        return self._serves(*peer) if peer else not self.roles and not self.kinds


@dataclass(frozen=True, slots=True)
class TcOptions:
    """How lanes become htb classes.

    ``headroom`` is the fraction of the wire's rate that the root leaves unused, so that the queue builds in the
    lanes and not behind them. ``leaf_limit_packets`` is the length of a lane's own FIFO. ``mtu_bytes`` is the
    largest packet above the Ethernet header.
    """

    headroom: float = 0.02
    leaf_limit_packets: int = 1000
    mtu_bytes: int = 1500


@dataclass(frozen=True, slots=True)
class Policy:
    """One named policy. ``infiniband`` is None where the tables are to be derived from the lanes, ``roce`` where it says
    nothing of RoCE: its ports are then not programmed by DCB.
    """

    name: str
    lanes: LaneSet
    mode: Mode = Mode.OBSERVE
    selectors: tuple[Selector, ...] = (Selector(),)
    preset: Preset = Preset.NONE
    tc: TcOptions = TcOptions()
    infiniband: IbTables | None = None
    roce: RoceOptions | None = None
    subnet: IbOptions = PLAIN

    @property
    def subnet_lanes(self) -> LaneSet:
        """The lanes as they are on InfiniBand: with ``unmarked: low`` another one is the default lane."""
        return unmarked_low(self.lanes) if self.subnet.unmarked_low else self.lanes

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of everything the policy says."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """How a change of policies reaches the nodes.

    The canary is ``canary_nodes``, or the first ``canary_count`` nodes that change; then waves of ``wave_percent`` of
    them. At most ``max_unavailable`` nodes are changed and not verified at once (0: a whole wave). Each wave is watched
    for ``soak_s`` seconds; one that is not verified within ``deadline_s`` halts the rollout. ``revert_in_s``: an agent
    that cannot reach the controller that long after a change puts back what was there (0: never).
    ``discards_per_s`` and ``retransmits_per_s``: a node of the rollout that loses so many packets a second more than
    before its wave halts it (0: not watched).
    """

    canary_nodes: tuple[str, ...] = ()
    canary_count: int = 1
    wave_percent: float = 25.0
    max_unavailable: int = 0
    soak_s: float = 30.0
    revert_in_s: float = 60.0
    deadline_s: float = 120.0
    discards_per_s: float = 100.0
    retransmits_per_s: float = 100.0


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The policies of one file or one call, in the order given; their names are unique.

    ``rollout`` is None where a change reaches every node at once; ``paths`` where the path service's defaults hold.
    """

    policies: tuple[Policy, ...] = ()
    rollout: RolloutSettings | None = None
    paths: PathRules | None = None
