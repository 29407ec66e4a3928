"""What rules are held against. Facts are values, gathered by an agent, a controller or a reader of files.

What is not known is None or empty, and a rule that needs it says nothing. Rates are bits per second.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trafficd_topology.counters import Column
from trafficd_topology.model import Gpu, LinkLayer, NicKind, Problem, Role
from trafficd_topology.subnet import Subnet


@dataclass(frozen=True, slots=True)
class PcieLink:
    """The PCIe link of a NIC: lanes and GT/s, as they are and as they could be."""

    width: int | None = None
    most_width: int | None = None
    gts: float | None = None
    most_gts: float | None = None


@dataclass(frozen=True, slots=True)
class PortFacts:
    """One port of a node.

    ``state`` and ``physical`` are InfiniBand's words in capitals (ACTIVE, INIT, DOWN; LINKUP, POLLING, DISABLED),
    empty where there are none. ``width`` is the number of lanes of an InfiniBand link. ``model`` tells hardware of
    one make from another. ``expected_bps``, ``kind`` and ``expected_gpu`` are what the fabric file says of this NIC.
    ``traffic_class`` is the device's global one (a ToS byte), ``cma_tos`` the default of RDMA-CM connections.
    """

    name: str
    link_layer: LinkLayer
    rate_bps: int | None = None
    up: bool | None = None
    state: str = ""
    physical: str = ""
    width: int | None = None
    model: str = ""
    rdma: bool = False
    numa_node: int | None = None
    pcie_switch: str | None = None
    pcie: PcieLink = PcieLink()
    kind: NicKind | None = None
    expected_bps: int | None = None
    expected_gpu: int | None = None
    traffic_class: int | None = None
    cma_tos: int | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """A counter: ``total`` since it began, ``risen`` during the audit's interval. None: not known."""

    column: Column
    total: int | None
    risen: int | None = None


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """A lane of a port. ``kv``: KV reads belong here. ``unmarked``: packets that no class claims run here.

    ``idle_is_fine``: nobody need use it (the control lane).
    """

    id: int
    name: str
    classes: tuple[str, ...] = ()
    kv: bool = False
    unmarked: bool = False
    idle_is_fine: bool = False


@dataclass(frozen=True, slots=True)
class PortLanes:
    """The lanes that a policy makes of a port."""

    port: str
    policy: str
    lanes: tuple[LaneFacts, ...]


@dataclass(frozen=True, slots=True)
class SubnetNic:
    """A NIC and the switch port (as its counters are named, ``<guid>:<port>``) that it is cabled to."""

    port: str
    nic: str
    kind: NicKind | None = None


@dataclass(frozen=True, slots=True)
class SubnetLanes:
    """The lanes that a policy makes of a subnet. ``classes`` are (SL, class) of every SL that a class claims."""

    name: str
    policy: str
    lanes: tuple[LaneFacts, ...]
    classes: tuple[tuple[int, str], ...]
    nics: tuple[SubnetNic, ...] = ()


@dataclass(frozen=True, slots=True)
class EthernetQos:
    """What a RoCE port holds for quality of service. None or empty: not shown.

    ``pfc`` are the priorities with priority flow control. ``tsa`` is each traffic class's algorithm (strict, ets,
    vendor, cbs) and its ETS share in percent. ``trust`` is dscp or pcp. ``host_controlled`` is False where the NIC's
    firmware negotiates by DCBX.
    """

    where: str
    trust: str = ""
    pfc: tuple[int, ...] | None = None
    tsa: tuple[tuple[str, int | None], ...] = ()
    host_controlled: bool | None = None


@dataclass(frozen=True, slots=True)
class ConfFacts:
    """The options of one opensm.conf as OpenSM takes them (the last of two lines counts).

    ``twice`` are keys given with two values; ``cut`` keys whose line is longer than OpenSM reads.
    """

    where: str
    options: tuple[tuple[str, str], ...]
    twice: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SubnetFacts:
    """An InfiniBand subnet as a dump shows it."""

    where: str
    subnet: Subnet


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What is known of one node. ``seconds`` is the interval over which counters rose; 0: totals only."""

    name: str
    ports: tuple[PortFacts, ...] = ()
    counts: tuple[Count, ...] = ()
    seconds: float = 0.0
    gpus: tuple[Gpu, ...] = ()
    lanes: tuple[PortLanes, ...] = ()
    role: Role | None = None
    subnets: tuple[SubnetLanes, ...] = ()

    def at(self, port: str) -> str:
        """How a port of this node is written."""
        return f"{self.name}/{port}" if self.name else port


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything an audit knows. ``problems`` are those of policy and fabric files, with the file in their path."""

    nodes: tuple[NodeFacts, ...] = ()
    subnets: tuple[ConfFacts, ...] = ()
    ethernet: tuple[EthernetQos, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
    found: tuple[SubnetFacts, ...] = ()


def merged(*facts: Facts) -> Facts:
    """All of them together."""
    return Facts(
        tuple(n for f in facts for n in f.nodes),
        tuple(s for f in facts for s in f.subnets),
        tuple(e for f in facts for e in f.ethernet),
        tuple(p for f in facts for p in f.problems),
        tuple(s for f in facts for s in f.found),
    )
