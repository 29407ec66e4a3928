from trafficd.api.v1 import agent_pb2 as _agent_pb2
from trafficd.api.v1 import qos_pb2 as _qos_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetFabricRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetFabricResponse(_message.Message):
    __slots__ = ("fabric",)
    FABRIC_FIELD_NUMBER: _ClassVar[int]
    fabric: Fabric
    def __init__(self, fabric: _Optional[_Union[Fabric, _Mapping]] = ...) -> None: ...

class Fabric(_message.Message):
    __slots__ = ("name", "hosts", "switches", "links", "agreements")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    SWITCHES_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    AGREEMENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    hosts: _containers.RepeatedCompositeFieldContainer[Host]
    switches: _containers.RepeatedCompositeFieldContainer[Switch]
    links: _containers.RepeatedCompositeFieldContainer[Link]
    agreements: _containers.RepeatedCompositeFieldContainer[Agreement]
    def __init__(self, name: _Optional[str] = ..., hosts: _Optional[_Iterable[_Union[Host, _Mapping]]] = ..., switches: _Optional[_Iterable[_Union[Switch, _Mapping]]] = ..., links: _Optional[_Iterable[_Union[Link, _Mapping]]] = ..., agreements: _Optional[_Iterable[_Union[Agreement, _Mapping]]] = ...) -> None: ...

class Agreement(_message.Message):
    __slots__ = ("digest", "date", "by", "switches")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DATE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SWITCHES_FIELD_NUMBER: _ClassVar[int]
    digest: str
    date: str
    by: str
    switches: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, digest: _Optional[str] = ..., date: _Optional[str] = ..., by: _Optional[str] = ..., switches: _Optional[_Iterable[str]] = ...) -> None: ...

class Host(_message.Message):
    __slots__ = ("name", "role", "nics", "gpus", "memory_bytes_per_s", "pool")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NICS_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: _qos_pb2.Role
    nics: _containers.RepeatedCompositeFieldContainer[Nic]
    gpus: _containers.RepeatedCompositeFieldContainer[_agent_pb2.GpuInventory]
    memory_bytes_per_s: int
    pool: str
    def __init__(self, name: _Optional[str] = ..., role: _Optional[_Union[_qos_pb2.Role, str]] = ..., nics: _Optional[_Iterable[_Union[Nic, _Mapping]]] = ..., gpus: _Optional[_Iterable[_Union[_agent_pb2.GpuInventory, _Mapping]]] = ..., memory_bytes_per_s: _Optional[int] = ..., pool: _Optional[str] = ...) -> None: ...

class Nic(_message.Message):
    __slots__ = ("name", "kind", "link_layer", "rate_bps", "pci", "guid", "numa_node", "pcie_switch", "gpu", "rail", "members", "subnet")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LINK_LAYER_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    PCI_FIELD_NUMBER: _ClassVar[int]
    GUID_FIELD_NUMBER: _ClassVar[int]
    NUMA_NODE_FIELD_NUMBER: _ClassVar[int]
    PCIE_SWITCH_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    RAIL_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    SUBNET_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: _qos_pb2.NicKind
    link_layer: _qos_pb2.LinkLayer
    rate_bps: int
    pci: str
    guid: str
    numa_node: int
    pcie_switch: str
    gpu: int
    rail: int
    members: _containers.RepeatedScalarFieldContainer[str]
    subnet: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[_qos_pb2.NicKind, str]] = ..., link_layer: _Optional[_Union[_qos_pb2.LinkLayer, str]] = ..., rate_bps: _Optional[int] = ..., pci: _Optional[str] = ..., guid: _Optional[str] = ..., numa_node: _Optional[int] = ..., pcie_switch: _Optional[str] = ..., gpu: _Optional[int] = ..., rail: _Optional[int] = ..., members: _Optional[_Iterable[str]] = ..., subnet: _Optional[str] = ...) -> None: ...

class Switch(_message.Message):
    __slots__ = ("name", "managed", "link_layer", "guid")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MANAGED_FIELD_NUMBER: _ClassVar[int]
    LINK_LAYER_FIELD_NUMBER: _ClassVar[int]
    GUID_FIELD_NUMBER: _ClassVar[int]
    name: str
    managed: bool
    link_layer: _qos_pb2.LinkLayer
    guid: str
    def __init__(self, name: _Optional[str] = ..., managed: bool = ..., link_layer: _Optional[_Union[_qos_pb2.LinkLayer, str]] = ..., guid: _Optional[str] = ...) -> None: ...

class Link(_message.Message):
    __slots__ = ("a", "b", "rate_bps")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    a: PortRef
    b: PortRef
    rate_bps: int
    def __init__(self, a: _Optional[_Union[PortRef, _Mapping]] = ..., b: _Optional[_Union[PortRef, _Mapping]] = ..., rate_bps: _Optional[int] = ...) -> None: ...

class PortRef(_message.Message):
    __slots__ = ("node", "port")
    NODE_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    node: str
    port: str
    def __init__(self, node: _Optional[str] = ..., port: _Optional[str] = ...) -> None: ...

class GetInventoryRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInventoryResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeInventory]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeInventory, _Mapping]]] = ...) -> None: ...

class NodeInventory(_message.Message):
    __slots__ = ("node", "inventory")
    NODE_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    node: str
    inventory: _agent_pb2.InventoryReport
    def __init__(self, node: _Optional[str] = ..., inventory: _Optional[_Union[_agent_pb2.InventoryReport, _Mapping]] = ...) -> None: ...

class SetRoleRequest(_message.Message):
    __slots__ = ("host", "role")
    HOST_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    host: str
    role: _qos_pb2.Role
    def __init__(self, host: _Optional[str] = ..., role: _Optional[_Union[_qos_pb2.Role, str]] = ...) -> None: ...

class SetRoleResponse(_message.Message):
    __slots__ = ("host",)
    HOST_FIELD_NUMBER: _ClassVar[int]
    host: Host
    def __init__(self, host: _Optional[_Union[Host, _Mapping]] = ...) -> None: ...
