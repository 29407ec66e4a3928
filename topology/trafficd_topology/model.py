"""Hosts, NICs, switches and links, as an operator describes them and an agent reports them.

Everything here is a value. Rates are bits per second, memory bandwidth is bytes per second, sizes are bytes.
A **node** is whatever has ports: a host or a switch. A **port** is named by (node, port): the netdev or RDMA
device name on a host, the port's name on a switch. Beside its name a NIC carries what identifies it for good:
its GUID (InfiniBand) or PCI address (Ethernet); see ``Nic.id``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trafficd_topology.qos.dcb import DcbFeatures


class Role(StrEnum):
    """What a host does in a disaggregated inference cluster. A role may change at run time."""

    PREFILL = "prefill"
    DECODE = "decode"
    STORAGE = "storage"
    OTHER = "other"


class NicKind(StrEnum):
    """Which network a NIC serves: east-west (compute) or north-south (storage)."""

    COMPUTE = "compute"
    STORAGE = "storage"


class ScopeKind(StrEnum):
    """What one desired state is about: one port of a node, or a whole fabric (OpenSM owns every port's tables)."""

    PORT = "port"
    FABRIC = "fabric"


class LinkLayer(StrEnum):
    """``/sys/class/infiniband/<dev>/ports/<n>/link_layer``, in lower case."""

    ETHERNET = "ethernet"
    INFINIBAND = "infiniband"


@dataclass(frozen=True, slots=True, order=True)
class PortKey:
    """One port of one node; written ``node/port``."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}/{self.port}"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU by its index on the host, and where it sits."""

    index: int
    numa_node: int | None = None
    pcie_switch: str | None = None


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC port of a host. A bond is one NIC with ``members``.

    ``rate_bps`` is the link's rate in bits per second and above zero. ``gpu`` is the paired GPU's index.
    ``rail`` numbers the parallel networks of a rail-optimised fabric.
    """

    name: str
    kind: NicKind
    link_layer: LinkLayer
    rate_bps: int
    pci: str | None = None
    guid: str | None = None
    numa_node: int | None = None
    pcie_switch: str | None = None
    gpu: int | None = None
    rail: int | None = None
    members: tuple[str, ...] = ()
    subnet: str = ""
    """InfiniBand: the subnet (fabric scope) of this port; empty where there is only one."""

    @property
    def id(self) -> str:
        """GUID, else PCI address, else the name: what identifies this NIC beside its host."""
        return self.guid or self.pci or self.name


@dataclass(frozen=True, slots=True)
class Host:
    """A server. ``memory_bytes_per_s`` is the DRAM bandwidth of the whole node (reads plus writes)."""

    name: str
    role: Role = Role.OTHER
    nics: tuple[Nic, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    memory_bytes_per_s: int | None = None
    pool: str | None = None
    """Storage hosts: the storage pool this host serves; a read may name the pool instead of hosts."""

    def nic(self, name: str) -> Nic | None:
        return next((n for n in self.nics if n.name == name), None)


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch. ``managed`` means an agent of its own programs its ports (their names are netdev names)."""

    name: str
    managed: bool = False
    link_layer: LinkLayer = LinkLayer.ETHERNET
    guid: str | None = None
    """InfiniBand: of the node; its description may change."""


@dataclass(frozen=True, slots=True)
class Link:
    """A cable between two ports. ``rate_bps`` limits it below its ports' rates where given."""

    a: PortKey
    b: PortKey
    rate_bps: int | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Switches (globs) that somebody has found to treat packets as a policy does.

    ``digest``: what the policy asks of them (``qos.switch.switch_digest``); ``date``: when, YYYY-MM-DD; ``by``: who, or by
    which means.
    """

    digest: str
    date: str
    by: str
    switches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FabricSpec:
    """A whole fabric, as the fabric file describes it. Names of hosts and switches are unique together."""

    name: str
    hosts: tuple[Host, ...] = ()
    switches: tuple[Switch, ...] = ()
    links: tuple[Link, ...] = ()
    agreements: tuple[Agreement, ...] = ()

    def host(self, name: str) -> Host | None:
        return next((h for h in self.hosts if h.name == name), None)

    def switch(self, name: str) -> Switch | None:
        return next((s for s in self.switches if s.name == name), None)


@dataclass(frozen=True, slots=True)
class DriverOffer:
    """What an agent says a driver can do with a port: supported, or the reason why not.

    A reason beside ``supported`` says what the agent lacks to write; it can observe.
    """

    driver: str
    supported: bool
    reason: str = ""
    dcb: DcbFeatures | None = None


@dataclass(frozen=True, slots=True)
class PortInventory:
    """A port as its agent found it. ``None`` means the machine does not say."""

    name: str
    link_layer: LinkLayer
    rate_bps: int | None = None
    up: bool | None = None
    pci: str | None = None
    guid: str | None = None
    rdma_device: str | None = None
    numa_node: int | None = None
    pcie_switch: str | None = None
    gpu: int | None = None
    tx_queues: int | None = None
    offers: tuple[DriverOffer, ...] = ()


@dataclass(frozen=True, slots=True)
class FabricPortType:
    """The ports of one type of an InfiniBand subnet, by the weakest of them (PortInfo, IBA 1.4 section 14.2.5.6).

    ``type`` is one of ``qos.ib.PORT_TYPES``. ``vls`` are the data VLs that each can run (VLCap), ``operational_vls``
    those that each runs now; the entries are VLArbHighCap and VLArbLowCap; ``mtu_bytes`` is the smallest NeighborMTU,
    0 when it is not known.
    """

    type: str
    ports: int
    vls: int
    operational_vls: int
    high_entries: int
    low_entries: int
    mtu_bytes: int = 0


@dataclass(frozen=True, slots=True)
class FabricSetting:
    """A line of opensm.conf that lanes depend on: one of ``parsers.opensm_conf.INFORMING``."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FabricInventory:
    """A fabric that an agent can program as a whole, beside its subnet manager."""

    name: str
    ports: int | None = None
    """How many ports its subnet manager serves, when that could be read."""
    offers: tuple[DriverOffer, ...] = ()
    port_types: tuple[FabricPortType, ...] = ()
    settings: tuple[FabricSetting, ...] = ()
    dump: str = ""
    """What was found there, as ``ibnetdiscover`` prints it; empty when that could not be read."""


@dataclass(frozen=True, slots=True)
class NodeInventory:
    """What an agent reports about its node."""

    node: str
    ports: tuple[PortInventory, ...] = ()
    fabrics: tuple[FabricInventory, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with an input: where, what was found there, and what to do, in one sentence."""

    path: str
    value: str
    reason: str

    def __str__(self) -> str:
        found = f" (found {self.value})" if self.value else ""
        return f"{self.path}: {self.reason}{found}"
