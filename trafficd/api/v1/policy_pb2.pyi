from trafficd.api.v1 import agent_pb2 as _agent_pb2
from trafficd.api.v1 import operation_pb2 as _operation_pb2
from trafficd.api.v1 import qos_pb2 as _qos_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SettingForm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SETTING_FORM_UNSPECIFIED: _ClassVar[SettingForm]
    SETTING_FORM_ENV: _ClassVar[SettingForm]
    SETTING_FORM_UNSET: _ClassVar[SettingForm]
    SETTING_FORM_ARGUMENT: _ClassVar[SettingForm]
    SETTING_FORM_FILE: _ClassVar[SettingForm]
SETTING_FORM_UNSPECIFIED: SettingForm
SETTING_FORM_ENV: SettingForm
SETTING_FORM_UNSET: SettingForm
SETTING_FORM_ARGUMENT: SettingForm
SETTING_FORM_FILE: SettingForm

class CheckPolicyRequest(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class CheckPolicyResponse(_message.Message):
    __slots__ = ("problems", "policies", "notes")
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Problem]
    policies: _containers.RepeatedCompositeFieldContainer[CompiledPolicy]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, problems: _Optional[_Iterable[_Union[_qos_pb2.Problem, _Mapping]]] = ..., policies: _Optional[_Iterable[_Union[CompiledPolicy, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class ApplyPolicyRequest(_message.Message):
    __slots__ = ("text", "remove", "allow")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    text: str
    remove: _containers.RepeatedScalarFieldContainer[str]
    allow: _operation_pb2.AllowDisruptionRequest
    def __init__(self, text: _Optional[str] = ..., remove: _Optional[_Iterable[str]] = ..., allow: _Optional[_Union[_operation_pb2.AllowDisruptionRequest, _Mapping]] = ...) -> None: ...

class ApplyPolicyResponse(_message.Message):
    __slots__ = ("problems", "generation", "policies")
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Problem]
    generation: _agent_pb2.Generation
    policies: _containers.RepeatedCompositeFieldContainer[CompiledPolicy]
    def __init__(self, problems: _Optional[_Iterable[_Union[_qos_pb2.Problem, _Mapping]]] = ..., generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ..., policies: _Optional[_Iterable[_Union[CompiledPolicy, _Mapping]]] = ...) -> None: ...

class CompiledPolicy(_message.Message):
    __slots__ = ("name", "mode", "owner", "digest", "lanes", "cases", "markings", "ports", "roce", "switch_digest", "subnets")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    CASES_FIELD_NUMBER: _ClassVar[int]
    MARKINGS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    ROCE_FIELD_NUMBER: _ClassVar[int]
    SWITCH_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SUBNETS_FIELD_NUMBER: _ClassVar[int]
    name: str
    mode: _qos_pb2.Mode
    owner: str
    digest: str
    lanes: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Lane]
    cases: _containers.RepeatedCompositeFieldContainer[_qos_pb2.ContentionCase]
    markings: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Marking]
    ports: _containers.RepeatedScalarFieldContainer[str]
    roce: _containers.RepeatedCompositeFieldContainer[_qos_pb2.RoceLane]
    switch_digest: str
    subnets: _containers.RepeatedCompositeFieldContainer[SubnetLanes]
    def __init__(self, name: _Optional[str] = ..., mode: _Optional[_Union[_qos_pb2.Mode, str]] = ..., owner: _Optional[str] = ..., digest: _Optional[str] = ..., lanes: _Optional[_Iterable[_Union[_qos_pb2.Lane, _Mapping]]] = ..., cases: _Optional[_Iterable[_Union[_qos_pb2.ContentionCase, _Mapping]]] = ..., markings: _Optional[_Iterable[_Union[_qos_pb2.Marking, _Mapping]]] = ..., ports: _Optional[_Iterable[str]] = ..., roce: _Optional[_Iterable[_Union[_qos_pb2.RoceLane, _Mapping]]] = ..., switch_digest: _Optional[str] = ..., subnets: _Optional[_Iterable[_Union[SubnetLanes, _Mapping]]] = ...) -> None: ...

class SubnetLanes(_message.Message):
    __slots__ = ("subnet", "rate_bps", "packet_bytes", "waits", "rc_timeout_seconds", "queue_lifetime_seconds")
    SUBNET_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    PACKET_BYTES_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    RC_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LIFETIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    subnet: str
    rate_bps: int
    packet_bytes: int
    waits: _containers.RepeatedCompositeFieldContainer[LaneWait]
    rc_timeout_seconds: float
    queue_lifetime_seconds: float
    def __init__(self, subnet: _Optional[str] = ..., rate_bps: _Optional[int] = ..., packet_bytes: _Optional[int] = ..., waits: _Optional[_Iterable[_Union[LaneWait, _Mapping]]] = ..., rc_timeout_seconds: _Optional[float] = ..., queue_lifetime_seconds: _Optional[float] = ...) -> None: ...

class LaneWait(_message.Message):
    __slots__ = ("lane", "bytes", "seconds")
    LANE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    lane: str
    bytes: int
    seconds: float
    def __init__(self, lane: _Optional[str] = ..., bytes: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("controller_uuid", "controller_version", "generation", "policies", "nodes", "rejected", "conditions", "notes", "pause", "rollout")
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_VERSION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    controller_uuid: str
    controller_version: str
    generation: _agent_pb2.Generation
    policies: _containers.RepeatedCompositeFieldContainer[CompiledPolicy]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeStatus]
    rejected: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Problem]
    conditions: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Condition]
    notes: _containers.RepeatedScalarFieldContainer[str]
    pause: _operation_pb2.PauseState
    rollout: _operation_pb2.RolloutStatus
    def __init__(self, controller_uuid: _Optional[str] = ..., controller_version: _Optional[str] = ..., generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ..., policies: _Optional[_Iterable[_Union[CompiledPolicy, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[NodeStatus, _Mapping]]] = ..., rejected: _Optional[_Iterable[_Union[_qos_pb2.Problem, _Mapping]]] = ..., conditions: _Optional[_Iterable[_Union[_qos_pb2.Condition, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ..., pause: _Optional[_Union[_operation_pb2.PauseState, _Mapping]] = ..., rollout: _Optional[_Union[_operation_pb2.RolloutStatus, _Mapping]] = ...) -> None: ...

class NodeStatus(_message.Message):
    __slots__ = ("node", "connected", "agent_version", "acknowledged", "scopes", "telemetry_age_seconds", "clock_offset_seconds")
    NODE_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_OFFSET_SECONDS_FIELD_NUMBER: _ClassVar[int]
    node: str
    connected: bool
    agent_version: str
    acknowledged: _agent_pb2.Generation
    scopes: _containers.RepeatedCompositeFieldContainer[_agent_pb2.ScopeStatus]
    telemetry_age_seconds: float
    clock_offset_seconds: float
    def __init__(self, node: _Optional[str] = ..., connected: bool = ..., agent_version: _Optional[str] = ..., acknowledged: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ..., scopes: _Optional[_Iterable[_Union[_agent_pb2.ScopeStatus, _Mapping]]] = ..., telemetry_age_seconds: _Optional[float] = ..., clock_offset_seconds: _Optional[float] = ...) -> None: ...

class GetMarkingRequest(_message.Message):
    __slots__ = ("traffic_class", "library", "node")
    TRAFFIC_CLASS_FIELD_NUMBER: _ClassVar[int]
    LIBRARY_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    traffic_class: str
    library: str
    node: str
    def __init__(self, traffic_class: _Optional[str] = ..., library: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class GetMarkingResponse(_message.Message):
    __slots__ = ("traffic_class", "library", "node", "role", "title", "ends", "cautions", "notes")
    TRAFFIC_CLASS_FIELD_NUMBER: _ClassVar[int]
    LIBRARY_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    CAUTIONS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    traffic_class: str
    library: str
    node: str
    role: _qos_pb2.Role
    title: str
    ends: _containers.RepeatedCompositeFieldContainer[MarkingEnd]
    cautions: _containers.RepeatedCompositeFieldContainer[MarkingStatement]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, traffic_class: _Optional[str] = ..., library: _Optional[str] = ..., node: _Optional[str] = ..., role: _Optional[_Union[_qos_pb2.Role, str]] = ..., title: _Optional[str] = ..., ends: _Optional[_Iterable[_Union[MarkingEnd, _Mapping]]] = ..., cautions: _Optional[_Iterable[_Union[MarkingStatement, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class MarkingEnd(_message.Message):
    __slots__ = ("here", "nodes", "ports", "link_layer", "policy", "mode", "lane", "marking", "carries", "settings", "ask_vendor", "notes")
    HERE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    LINK_LAYER_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    MARKING_FIELD_NUMBER: _ClassVar[int]
    CARRIES_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    ASK_VENDOR_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    here: bool
    nodes: _containers.RepeatedScalarFieldContainer[str]
    ports: _containers.RepeatedScalarFieldContainer[str]
    link_layer: _qos_pb2.LinkLayer
    policy: str
    mode: _qos_pb2.Mode
    lane: str
    marking: _qos_pb2.Marking
    carries: _containers.RepeatedCompositeFieldContainer[MarkingStatement]
    settings: _containers.RepeatedCompositeFieldContainer[MarkingSetting]
    ask_vendor: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, here: bool = ..., nodes: _Optional[_Iterable[str]] = ..., ports: _Optional[_Iterable[str]] = ..., link_layer: _Optional[_Union[_qos_pb2.LinkLayer, str]] = ..., policy: _Optional[str] = ..., mode: _Optional[_Union[_qos_pb2.Mode, str]] = ..., lane: _Optional[str] = ..., marking: _Optional[_Union[_qos_pb2.Marking, _Mapping]] = ..., carries: _Optional[_Iterable[_Union[MarkingStatement, _Mapping]]] = ..., settings: _Optional[_Iterable[_Union[MarkingSetting, _Mapping]]] = ..., ask_vendor: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class MarkingStatement(_message.Message):
    __slots__ = ("text", "source")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    text: str
    source: str
    def __init__(self, text: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class MarkingSetting(_message.Message):
    __slots__ = ("form", "name", "value", "place", "covers", "source")
    FORM_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    COVERS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    form: SettingForm
    name: str
    value: str
    place: str
    covers: str
    source: str
    def __init__(self, form: _Optional[_Union[SettingForm, str]] = ..., name: _Optional[str] = ..., value: _Optional[str] = ..., place: _Optional[str] = ..., covers: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...
