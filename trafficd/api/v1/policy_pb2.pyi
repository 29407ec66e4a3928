from trafficd.api.v1 import agent_pb2 as _agent_pb2
from trafficd.api.v1 import qos_pb2 as _qos_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CheckPolicyRequest(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class CheckPolicyResponse(_message.Message):
    __slots__ = ("problems", "policies")
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Problem]
    policies: _containers.RepeatedCompositeFieldContainer[CompiledPolicy]
    def __init__(self, problems: _Optional[_Iterable[_Union[_qos_pb2.Problem, _Mapping]]] = ..., policies: _Optional[_Iterable[_Union[CompiledPolicy, _Mapping]]] = ...) -> None: ...

class ApplyPolicyRequest(_message.Message):
    __slots__ = ("text", "remove")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    text: str
    remove: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, text: _Optional[str] = ..., remove: _Optional[_Iterable[str]] = ...) -> None: ...

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
    __slots__ = ("name", "mode", "owner", "digest", "lanes", "cases", "markings", "ports")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    CASES_FIELD_NUMBER: _ClassVar[int]
    MARKINGS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    mode: _qos_pb2.Mode
    owner: str
    digest: str
    lanes: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Lane]
    cases: _containers.RepeatedCompositeFieldContainer[_qos_pb2.ContentionCase]
    markings: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Marking]
    ports: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., mode: _Optional[_Union[_qos_pb2.Mode, str]] = ..., owner: _Optional[str] = ..., digest: _Optional[str] = ..., lanes: _Optional[_Iterable[_Union[_qos_pb2.Lane, _Mapping]]] = ..., cases: _Optional[_Iterable[_Union[_qos_pb2.ContentionCase, _Mapping]]] = ..., markings: _Optional[_Iterable[_Union[_qos_pb2.Marking, _Mapping]]] = ..., ports: _Optional[_Iterable[str]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("controller_uuid", "controller_version", "generation", "policies", "nodes", "rejected", "conditions", "notes")
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_VERSION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    controller_uuid: str
    controller_version: str
    generation: _agent_pb2.Generation
    policies: _containers.RepeatedCompositeFieldContainer[CompiledPolicy]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeStatus]
    rejected: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Problem]
    conditions: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Condition]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, controller_uuid: _Optional[str] = ..., controller_version: _Optional[str] = ..., generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ..., policies: _Optional[_Iterable[_Union[CompiledPolicy, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[NodeStatus, _Mapping]]] = ..., rejected: _Optional[_Iterable[_Union[_qos_pb2.Problem, _Mapping]]] = ..., conditions: _Optional[_Iterable[_Union[_qos_pb2.Condition, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

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
