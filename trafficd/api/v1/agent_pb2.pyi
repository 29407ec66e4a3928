from trafficd.api.v1 import qos_pb2 as _qos_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Disruption(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISRUPTION_UNSPECIFIED: _ClassVar[Disruption]
    DISRUPTION_HITLESS: _ClassVar[Disruption]
    DISRUPTION_LINK_FLAP: _ClassVar[Disruption]
    DISRUPTION_FABRIC_FLAP: _ClassVar[Disruption]

class ScopeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCOPE_KIND_UNSPECIFIED: _ClassVar[ScopeKind]
    SCOPE_KIND_PORT: _ClassVar[ScopeKind]
    SCOPE_KIND_FABRIC: _ClassVar[ScopeKind]

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_TRANSMIT: _ClassVar[Direction]
    DIRECTION_RECEIVE: _ClassVar[Direction]

class CounterKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COUNTER_KIND_UNSPECIFIED: _ClassVar[CounterKind]
    COUNTER_KIND_WRAP64: _ClassVar[CounterKind]
    COUNTER_KIND_WRAP32: _ClassVar[CounterKind]
    COUNTER_KIND_SATURATE32: _ClassVar[CounterKind]
    COUNTER_KIND_GAUGE: _ClassVar[CounterKind]
DISRUPTION_UNSPECIFIED: Disruption
DISRUPTION_HITLESS: Disruption
DISRUPTION_LINK_FLAP: Disruption
DISRUPTION_FABRIC_FLAP: Disruption
SCOPE_KIND_UNSPECIFIED: ScopeKind
SCOPE_KIND_PORT: ScopeKind
SCOPE_KIND_FABRIC: ScopeKind
DIRECTION_UNSPECIFIED: Direction
DIRECTION_TRANSMIT: Direction
DIRECTION_RECEIVE: Direction
COUNTER_KIND_UNSPECIFIED: CounterKind
COUNTER_KIND_WRAP64: CounterKind
COUNTER_KIND_WRAP32: CounterKind
COUNTER_KIND_SATURATE32: CounterKind
COUNTER_KIND_GAUGE: CounterKind

class Generation(_message.Message):
    __slots__ = ("epoch", "number")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    number: int
    def __init__(self, epoch: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class ControlRequest(_message.Message):
    __slots__ = ("hello", "acknowledgement", "status", "inventory")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    acknowledgement: Acknowledgement
    status: StatusReport
    inventory: InventoryReport
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., acknowledgement: _Optional[_Union[Acknowledgement, _Mapping]] = ..., status: _Optional[_Union[StatusReport, _Mapping]] = ..., inventory: _Optional[_Union[InventoryReport, _Mapping]] = ...) -> None: ...

class ControlResponse(_message.Message):
    __slots__ = ("welcome", "desired", "header", "pause", "grant", "retry")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    desired: DesiredState
    header: Header
    pause: Pause
    grant: Grant
    retry: Retry
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., desired: _Optional[_Union[DesiredState, _Mapping]] = ..., header: _Optional[_Union[Header, _Mapping]] = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., grant: _Optional[_Union[Grant, _Mapping]] = ..., retry: _Optional[_Union[Retry, _Mapping]] = ...) -> None: ...

class Pause(_message.Message):
    __slots__ = ("controller_uuid", "paused", "reason")
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    controller_uuid: str
    paused: bool
    reason: str
    def __init__(self, controller_uuid: _Optional[str] = ..., paused: bool = ..., reason: _Optional[str] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("controller_uuid", "kind", "name", "generation", "disruption", "ttl_ms")
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DISRUPTION_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    controller_uuid: str
    kind: ScopeKind
    name: str
    generation: Generation
    disruption: Disruption
    ttl_ms: int
    def __init__(self, controller_uuid: _Optional[str] = ..., kind: _Optional[_Union[ScopeKind, str]] = ..., name: _Optional[str] = ..., generation: _Optional[_Union[Generation, _Mapping]] = ..., disruption: _Optional[_Union[Disruption, str]] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class Retry(_message.Message):
    __slots__ = ("controller_uuid", "scopes")
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    controller_uuid: str
    scopes: _containers.RepeatedCompositeFieldContainer[ScopeRef]
    def __init__(self, controller_uuid: _Optional[str] = ..., scopes: _Optional[_Iterable[_Union[ScopeRef, _Mapping]]] = ...) -> None: ...

class ScopeRef(_message.Message):
    __slots__ = ("kind", "name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    kind: ScopeKind
    name: str
    def __init__(self, kind: _Optional[_Union[ScopeKind, str]] = ..., name: _Optional[str] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("node", "agent_version", "boot_id", "controller_uuid", "accepted", "accepted_digest", "inventory", "sent_unix_ns", "element_kinds")
    NODE_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    SENT_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    ELEMENT_KINDS_FIELD_NUMBER: _ClassVar[int]
    node: str
    agent_version: str
    boot_id: str
    controller_uuid: str
    accepted: Generation
    accepted_digest: str
    inventory: InventoryReport
    sent_unix_ns: int
    element_kinds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node: _Optional[str] = ..., agent_version: _Optional[str] = ..., boot_id: _Optional[str] = ..., controller_uuid: _Optional[str] = ..., accepted: _Optional[_Union[Generation, _Mapping]] = ..., accepted_digest: _Optional[str] = ..., inventory: _Optional[_Union[InventoryReport, _Mapping]] = ..., sent_unix_ns: _Optional[int] = ..., element_kinds: _Optional[_Iterable[str]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("controller_uuid", "controller_version", "telemetry_interval_ms", "refusal", "paused")
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_VERSION_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    controller_uuid: str
    controller_version: str
    telemetry_interval_ms: int
    refusal: str
    paused: bool
    def __init__(self, controller_uuid: _Optional[str] = ..., controller_version: _Optional[str] = ..., telemetry_interval_ms: _Optional[int] = ..., refusal: _Optional[str] = ..., paused: bool = ...) -> None: ...

class DesiredState(_message.Message):
    __slots__ = ("generation", "digest", "scopes", "controller_uuid", "revert_in_ms")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    REVERT_IN_MS_FIELD_NUMBER: _ClassVar[int]
    generation: Generation
    digest: str
    scopes: _containers.RepeatedCompositeFieldContainer[DesiredScope]
    controller_uuid: str
    revert_in_ms: int
    def __init__(self, generation: _Optional[_Union[Generation, _Mapping]] = ..., digest: _Optional[str] = ..., scopes: _Optional[_Iterable[_Union[DesiredScope, _Mapping]]] = ..., controller_uuid: _Optional[str] = ..., revert_in_ms: _Optional[int] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("generation", "digest", "controller_uuid")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    generation: Generation
    digest: str
    controller_uuid: str
    def __init__(self, generation: _Optional[_Union[Generation, _Mapping]] = ..., digest: _Optional[str] = ..., controller_uuid: _Optional[str] = ...) -> None: ...

class DesiredScope(_message.Message):
    __slots__ = ("kind", "name", "driver", "mode", "policy", "elements", "lanes", "rate_bps", "nic_kind")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    NIC_KIND_FIELD_NUMBER: _ClassVar[int]
    kind: ScopeKind
    name: str
    driver: str
    mode: _qos_pb2.Mode
    policy: str
    elements: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Element]
    lanes: _containers.RepeatedCompositeFieldContainer[ScopeLane]
    rate_bps: int
    nic_kind: _qos_pb2.NicKind
    def __init__(self, kind: _Optional[_Union[ScopeKind, str]] = ..., name: _Optional[str] = ..., driver: _Optional[str] = ..., mode: _Optional[_Union[_qos_pb2.Mode, str]] = ..., policy: _Optional[str] = ..., elements: _Optional[_Iterable[_Union[_qos_pb2.Element, _Mapping]]] = ..., lanes: _Optional[_Iterable[_Union[ScopeLane, _Mapping]]] = ..., rate_bps: _Optional[int] = ..., nic_kind: _Optional[_Union[_qos_pb2.NicKind, str]] = ...) -> None: ...

class ScopeLane(_message.Message):
    __slots__ = ("id", "name", "traffic_classes", "guaranteed_ratio", "unmarked", "priority")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_CLASSES_FIELD_NUMBER: _ClassVar[int]
    GUARANTEED_RATIO_FIELD_NUMBER: _ClassVar[int]
    UNMARKED_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    traffic_classes: _containers.RepeatedScalarFieldContainer[str]
    guaranteed_ratio: float
    unmarked: bool
    priority: int
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., traffic_classes: _Optional[_Iterable[str]] = ..., guaranteed_ratio: _Optional[float] = ..., unmarked: bool = ..., priority: _Optional[int] = ...) -> None: ...

class Acknowledgement(_message.Message):
    __slots__ = ("generation", "digest", "accepted", "reason")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    generation: Generation
    digest: str
    accepted: bool
    reason: str
    def __init__(self, generation: _Optional[_Union[Generation, _Mapping]] = ..., digest: _Optional[str] = ..., accepted: bool = ..., reason: _Optional[str] = ...) -> None: ...

class StatusReport(_message.Message):
    __slots__ = ("scopes",)
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    scopes: _containers.RepeatedCompositeFieldContainer[ScopeStatus]
    def __init__(self, scopes: _Optional[_Iterable[_Union[ScopeStatus, _Mapping]]] = ...) -> None: ...

class ScopeStatus(_message.Message):
    __slots__ = ("kind", "name", "driver", "mode", "observed", "conditions", "differences", "unreadable", "foreign", "repairs", "drifts", "drift_cause", "apply_seconds", "paused", "waiting_for", "waiting_steps", "drained", "latched")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    FOREIGN_FIELD_NUMBER: _ClassVar[int]
    REPAIRS_FIELD_NUMBER: _ClassVar[int]
    DRIFTS_FIELD_NUMBER: _ClassVar[int]
    DRIFT_CAUSE_FIELD_NUMBER: _ClassVar[int]
    APPLY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    WAITING_STEPS_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    LATCHED_FIELD_NUMBER: _ClassVar[int]
    kind: ScopeKind
    name: str
    driver: str
    mode: _qos_pb2.Mode
    observed: Generation
    conditions: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Condition]
    differences: _containers.RepeatedCompositeFieldContainer[FieldDifference]
    unreadable: _containers.RepeatedScalarFieldContainer[str]
    foreign: _containers.RepeatedScalarFieldContainer[str]
    repairs: int
    drifts: int
    drift_cause: str
    apply_seconds: float
    paused: bool
    waiting_for: Disruption
    waiting_steps: _containers.RepeatedScalarFieldContainer[str]
    drained: bool
    latched: bool
    def __init__(self, kind: _Optional[_Union[ScopeKind, str]] = ..., name: _Optional[str] = ..., driver: _Optional[str] = ..., mode: _Optional[_Union[_qos_pb2.Mode, str]] = ..., observed: _Optional[_Union[Generation, _Mapping]] = ..., conditions: _Optional[_Iterable[_Union[_qos_pb2.Condition, _Mapping]]] = ..., differences: _Optional[_Iterable[_Union[FieldDifference, _Mapping]]] = ..., unreadable: _Optional[_Iterable[str]] = ..., foreign: _Optional[_Iterable[str]] = ..., repairs: _Optional[int] = ..., drifts: _Optional[int] = ..., drift_cause: _Optional[str] = ..., apply_seconds: _Optional[float] = ..., paused: bool = ..., waiting_for: _Optional[_Union[Disruption, str]] = ..., waiting_steps: _Optional[_Iterable[str]] = ..., drained: bool = ..., latched: bool = ...) -> None: ...

class FieldDifference(_message.Message):
    __slots__ = ("path", "desired", "observed")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    path: str
    desired: str
    observed: str
    def __init__(self, path: _Optional[str] = ..., desired: _Optional[str] = ..., observed: _Optional[str] = ...) -> None: ...

class InventoryReport(_message.Message):
    __slots__ = ("ports", "gpus", "memory_bytes", "fabrics")
    PORTS_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    FABRICS_FIELD_NUMBER: _ClassVar[int]
    ports: _containers.RepeatedCompositeFieldContainer[PortInventory]
    gpus: _containers.RepeatedCompositeFieldContainer[GpuInventory]
    memory_bytes: int
    fabrics: _containers.RepeatedCompositeFieldContainer[FabricInventory]
    def __init__(self, ports: _Optional[_Iterable[_Union[PortInventory, _Mapping]]] = ..., gpus: _Optional[_Iterable[_Union[GpuInventory, _Mapping]]] = ..., memory_bytes: _Optional[int] = ..., fabrics: _Optional[_Iterable[_Union[FabricInventory, _Mapping]]] = ...) -> None: ...

class FabricInventory(_message.Message):
    __slots__ = ("name", "ports", "offers", "port_types", "settings", "dump")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    PORT_TYPES_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    DUMP_FIELD_NUMBER: _ClassVar[int]
    name: str
    ports: int
    offers: _containers.RepeatedCompositeFieldContainer[DriverOffer]
    port_types: _containers.RepeatedCompositeFieldContainer[FabricPortType]
    settings: _containers.RepeatedCompositeFieldContainer[FabricSetting]
    dump: bytes
    def __init__(self, name: _Optional[str] = ..., ports: _Optional[int] = ..., offers: _Optional[_Iterable[_Union[DriverOffer, _Mapping]]] = ..., port_types: _Optional[_Iterable[_Union[FabricPortType, _Mapping]]] = ..., settings: _Optional[_Iterable[_Union[FabricSetting, _Mapping]]] = ..., dump: _Optional[bytes] = ...) -> None: ...

class FabricPortType(_message.Message):
    __slots__ = ("type", "ports", "vls", "operational_vls", "high_entries", "low_entries", "mtu_bytes")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    VLS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONAL_VLS_FIELD_NUMBER: _ClassVar[int]
    HIGH_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    LOW_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    MTU_BYTES_FIELD_NUMBER: _ClassVar[int]
    type: str
    ports: int
    vls: int
    operational_vls: int
    high_entries: int
    low_entries: int
    mtu_bytes: int
    def __init__(self, type: _Optional[str] = ..., ports: _Optional[int] = ..., vls: _Optional[int] = ..., operational_vls: _Optional[int] = ..., high_entries: _Optional[int] = ..., low_entries: _Optional[int] = ..., mtu_bytes: _Optional[int] = ...) -> None: ...

class FabricSetting(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class PortInventory(_message.Message):
    __slots__ = ("name", "link_layer", "rate_bps", "up", "pci", "guid", "rdma_device", "numa_node", "pcie_switch", "gpu", "tx_queues", "offers")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LINK_LAYER_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    PCI_FIELD_NUMBER: _ClassVar[int]
    GUID_FIELD_NUMBER: _ClassVar[int]
    RDMA_DEVICE_FIELD_NUMBER: _ClassVar[int]
    NUMA_NODE_FIELD_NUMBER: _ClassVar[int]
    PCIE_SWITCH_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    TX_QUEUES_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    link_layer: _qos_pb2.LinkLayer
    rate_bps: int
    up: bool
    pci: str
    guid: str
    rdma_device: str
    numa_node: int
    pcie_switch: str
    gpu: int
    tx_queues: int
    offers: _containers.RepeatedCompositeFieldContainer[DriverOffer]
    def __init__(self, name: _Optional[str] = ..., link_layer: _Optional[_Union[_qos_pb2.LinkLayer, str]] = ..., rate_bps: _Optional[int] = ..., up: bool = ..., pci: _Optional[str] = ..., guid: _Optional[str] = ..., rdma_device: _Optional[str] = ..., numa_node: _Optional[int] = ..., pcie_switch: _Optional[str] = ..., gpu: _Optional[int] = ..., tx_queues: _Optional[int] = ..., offers: _Optional[_Iterable[_Union[DriverOffer, _Mapping]]] = ...) -> None: ...

class DriverOffer(_message.Message):
    __slots__ = ("driver", "supported", "reason", "dcb")
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DCB_FIELD_NUMBER: _ClassVar[int]
    driver: str
    supported: bool
    reason: str
    dcb: DcbFeatures
    def __init__(self, driver: _Optional[str] = ..., supported: bool = ..., reason: _Optional[str] = ..., dcb: _Optional[_Union[DcbFeatures, _Mapping]] = ...) -> None: ...

class DcbFeatures(_message.Message):
    __slots__ = ("kinds", "traffic_classes", "lossless", "buffer_bytes", "cell_bytes", "kernel_driver")
    KINDS_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_CLASSES_FIELD_NUMBER: _ClassVar[int]
    LOSSLESS_FIELD_NUMBER: _ClassVar[int]
    BUFFER_BYTES_FIELD_NUMBER: _ClassVar[int]
    CELL_BYTES_FIELD_NUMBER: _ClassVar[int]
    KERNEL_DRIVER_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    traffic_classes: int
    lossless: int
    buffer_bytes: int
    cell_bytes: int
    kernel_driver: str
    def __init__(self, kinds: _Optional[_Iterable[str]] = ..., traffic_classes: _Optional[int] = ..., lossless: _Optional[int] = ..., buffer_bytes: _Optional[int] = ..., cell_bytes: _Optional[int] = ..., kernel_driver: _Optional[str] = ...) -> None: ...

class GpuInventory(_message.Message):
    __slots__ = ("index", "numa_node", "pcie_switch")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    NUMA_NODE_FIELD_NUMBER: _ClassVar[int]
    PCIE_SWITCH_FIELD_NUMBER: _ClassVar[int]
    index: int
    numa_node: int
    pcie_switch: str
    def __init__(self, index: _Optional[int] = ..., numa_node: _Optional[int] = ..., pcie_switch: _Optional[str] = ...) -> None: ...

class TelemetryRequest(_message.Message):
    __slots__ = ("hello", "sample")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    hello: TelemetryHello
    sample: Sample
    def __init__(self, hello: _Optional[_Union[TelemetryHello, _Mapping]] = ..., sample: _Optional[_Union[Sample, _Mapping]] = ...) -> None: ...

class TelemetryHello(_message.Message):
    __slots__ = ("node", "columns")
    NODE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    node: str
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    def __init__(self, node: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("port", "quantity", "direction", "kind", "lane_id", "priority")
    PORT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LANE_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    port: str
    quantity: str
    direction: Direction
    kind: CounterKind
    lane_id: int
    priority: int
    def __init__(self, port: _Optional[str] = ..., quantity: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ..., kind: _Optional[_Union[CounterKind, str]] = ..., lane_id: _Optional[int] = ..., priority: _Optional[int] = ...) -> None: ...

class Sample(_message.Message):
    __slots__ = ("measured_unix_ns", "measured_monotonic_ns", "values", "missing")
    MEASURED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    MEASURED_MONOTONIC_NS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    measured_unix_ns: int
    measured_monotonic_ns: int
    values: _containers.RepeatedScalarFieldContainer[int]
    missing: bytes
    def __init__(self, measured_unix_ns: _Optional[int] = ..., measured_monotonic_ns: _Optional[int] = ..., values: _Optional[_Iterable[int]] = ..., missing: _Optional[bytes] = ...) -> None: ...

class TelemetryResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
