from trafficd.api.v1 import agent_pb2 as _agent_pb2
from trafficd.api.v1 import qos_pb2 as _qos_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PlannedAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLANNED_ACTION_UNSPECIFIED: _ClassVar[PlannedAction]
    PLANNED_ACTION_ADD: _ClassVar[PlannedAction]
    PLANNED_ACTION_CHANGE: _ClassVar[PlannedAction]
    PLANNED_ACTION_REMOVE: _ClassVar[PlannedAction]
    PLANNED_ACTION_PENDING: _ClassVar[PlannedAction]

class RolloutPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLLOUT_PHASE_UNSPECIFIED: _ClassVar[RolloutPhase]
    ROLLOUT_PHASE_VERIFYING: _ClassVar[RolloutPhase]
    ROLLOUT_PHASE_SOAKING: _ClassVar[RolloutPhase]
    ROLLOUT_PHASE_HALTED: _ClassVar[RolloutPhase]

class RolloutAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLLOUT_ACTION_UNSPECIFIED: _ClassVar[RolloutAction]
    ROLLOUT_ACTION_RESUME: _ClassVar[RolloutAction]
    ROLLOUT_ACTION_ABORT: _ClassVar[RolloutAction]
PLANNED_ACTION_UNSPECIFIED: PlannedAction
PLANNED_ACTION_ADD: PlannedAction
PLANNED_ACTION_CHANGE: PlannedAction
PLANNED_ACTION_REMOVE: PlannedAction
PLANNED_ACTION_PENDING: PlannedAction
ROLLOUT_PHASE_UNSPECIFIED: RolloutPhase
ROLLOUT_PHASE_VERIFYING: RolloutPhase
ROLLOUT_PHASE_SOAKING: RolloutPhase
ROLLOUT_PHASE_HALTED: RolloutPhase
ROLLOUT_ACTION_UNSPECIFIED: RolloutAction
ROLLOUT_ACTION_RESUME: RolloutAction
ROLLOUT_ACTION_ABORT: RolloutAction

class PlanPolicyRequest(_message.Message):
    __slots__ = ("policy_text", "fabric_text")
    POLICY_TEXT_FIELD_NUMBER: _ClassVar[int]
    FABRIC_TEXT_FIELD_NUMBER: _ClassVar[int]
    policy_text: str
    fabric_text: str
    def __init__(self, policy_text: _Optional[str] = ..., fabric_text: _Optional[str] = ...) -> None: ...

class PlanPolicyResponse(_message.Message):
    __slots__ = ("problems", "scopes", "waves", "notes", "unchanged")
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    WAVES_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Problem]
    scopes: _containers.RepeatedCompositeFieldContainer[PlannedScope]
    waves: _containers.RepeatedCompositeFieldContainer[RolloutWave]
    notes: _containers.RepeatedScalarFieldContainer[str]
    unchanged: int
    def __init__(self, problems: _Optional[_Iterable[_Union[_qos_pb2.Problem, _Mapping]]] = ..., scopes: _Optional[_Iterable[_Union[PlannedScope, _Mapping]]] = ..., waves: _Optional[_Iterable[_Union[RolloutWave, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ..., unchanged: _Optional[int] = ...) -> None: ...

class PlannedScope(_message.Message):
    __slots__ = ("node", "kind", "name", "driver", "action", "mode", "policy", "differences", "steps", "shares", "disruption", "notes")
    NODE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    DISRUPTION_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    node: str
    kind: _agent_pb2.ScopeKind
    name: str
    driver: str
    action: PlannedAction
    mode: _qos_pb2.Mode
    policy: str
    differences: _containers.RepeatedCompositeFieldContainer[_agent_pb2.FieldDifference]
    steps: _containers.RepeatedCompositeFieldContainer[PlannedStep]
    shares: _containers.RepeatedCompositeFieldContainer[ClassShare]
    disruption: _agent_pb2.Disruption
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node: _Optional[str] = ..., kind: _Optional[_Union[_agent_pb2.ScopeKind, str]] = ..., name: _Optional[str] = ..., driver: _Optional[str] = ..., action: _Optional[_Union[PlannedAction, str]] = ..., mode: _Optional[_Union[_qos_pb2.Mode, str]] = ..., policy: _Optional[str] = ..., differences: _Optional[_Iterable[_Union[_agent_pb2.FieldDifference, _Mapping]]] = ..., steps: _Optional[_Iterable[_Union[PlannedStep, _Mapping]]] = ..., shares: _Optional[_Iterable[_Union[ClassShare, _Mapping]]] = ..., disruption: _Optional[_Union[_agent_pb2.Disruption, str]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class PlannedStep(_message.Message):
    __slots__ = ("what", "disruption", "reason")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    DISRUPTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    what: str
    disruption: _agent_pb2.Disruption
    reason: str
    def __init__(self, what: _Optional[str] = ..., disruption: _Optional[_Union[_agent_pb2.Disruption, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ClassShare(_message.Message):
    __slots__ = ("traffic_class", "lane", "ratio")
    TRAFFIC_CLASS_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    RATIO_FIELD_NUMBER: _ClassVar[int]
    traffic_class: str
    lane: str
    ratio: float
    def __init__(self, traffic_class: _Optional[str] = ..., lane: _Optional[str] = ..., ratio: _Optional[float] = ...) -> None: ...

class SetPauseRequest(_message.Message):
    __slots__ = ("paused", "reason")
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    paused: bool
    reason: str
    def __init__(self, paused: bool = ..., reason: _Optional[str] = ...) -> None: ...

class SetPauseResponse(_message.Message):
    __slots__ = ("agents",)
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    agents: int
    def __init__(self, agents: _Optional[int] = ...) -> None: ...

class GetPauseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPauseResponse(_message.Message):
    __slots__ = ("pause", "scopes")
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    pause: PauseState
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pause: _Optional[_Union[PauseState, _Mapping]] = ..., scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class PauseState(_message.Message):
    __slots__ = ("paused", "reason", "by", "since_unix_ns")
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    paused: bool
    reason: str
    by: str
    since_unix_ns: int
    def __init__(self, paused: bool = ..., reason: _Optional[str] = ..., by: _Optional[str] = ..., since_unix_ns: _Optional[int] = ...) -> None: ...

class RetryScopesRequest(_message.Message):
    __slots__ = ("scopes",)
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class RetryScopesResponse(_message.Message):
    __slots__ = ("scopes",)
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class AllowDisruptionRequest(_message.Message):
    __slots__ = ("disruption", "max_nodes")
    DISRUPTION_FIELD_NUMBER: _ClassVar[int]
    MAX_NODES_FIELD_NUMBER: _ClassVar[int]
    disruption: _agent_pb2.Disruption
    max_nodes: int
    def __init__(self, disruption: _Optional[_Union[_agent_pb2.Disruption, str]] = ..., max_nodes: _Optional[int] = ...) -> None: ...

class AllowDisruptionResponse(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: _agent_pb2.Generation
    def __init__(self, generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ...) -> None: ...

class ListHistoryRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListHistoryResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[HistoryEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[HistoryEntry, _Mapping]]] = ...) -> None: ...

class HistoryEntry(_message.Message):
    __slots__ = ("generation", "accepted_unix_ns", "who", "cause", "policies")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    generation: _agent_pb2.Generation
    accepted_unix_ns: int
    who: str
    cause: str
    policies: _containers.RepeatedCompositeFieldContainer[HistoryPolicy]
    def __init__(self, generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ..., accepted_unix_ns: _Optional[int] = ..., who: _Optional[str] = ..., cause: _Optional[str] = ..., policies: _Optional[_Iterable[_Union[HistoryPolicy, _Mapping]]] = ...) -> None: ...

class HistoryPolicy(_message.Message):
    __slots__ = ("owner", "source", "digest", "names")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    owner: str
    source: str
    digest: str
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, owner: _Optional[str] = ..., source: _Optional[str] = ..., digest: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: _agent_pb2.Generation
    def __init__(self, generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("generation", "restored", "problems")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    generation: _agent_pb2.Generation
    restored: _agent_pb2.Generation
    problems: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Problem]
    def __init__(self, generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ..., restored: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ..., problems: _Optional[_Iterable[_Union[_qos_pb2.Problem, _Mapping]]] = ...) -> None: ...

class RolloutStatus(_message.Message):
    __slots__ = ("phase", "wave", "waves", "reason", "soak_seconds", "excused")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    WAVE_FIELD_NUMBER: _ClassVar[int]
    WAVES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SOAK_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EXCUSED_FIELD_NUMBER: _ClassVar[int]
    phase: RolloutPhase
    wave: int
    waves: _containers.RepeatedCompositeFieldContainer[RolloutWave]
    reason: str
    soak_seconds: float
    excused: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, phase: _Optional[_Union[RolloutPhase, str]] = ..., wave: _Optional[int] = ..., waves: _Optional[_Iterable[_Union[RolloutWave, _Mapping]]] = ..., reason: _Optional[str] = ..., soak_seconds: _Optional[float] = ..., excused: _Optional[_Iterable[str]] = ...) -> None: ...

class RolloutWave(_message.Message):
    __slots__ = ("nodes", "admitted", "verified")
    NODES_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedScalarFieldContainer[str]
    admitted: int
    verified: int
    def __init__(self, nodes: _Optional[_Iterable[str]] = ..., admitted: _Optional[int] = ..., verified: _Optional[int] = ...) -> None: ...

class GetRolloutRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRolloutResponse(_message.Message):
    __slots__ = ("rollout",)
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    rollout: RolloutStatus
    def __init__(self, rollout: _Optional[_Union[RolloutStatus, _Mapping]] = ...) -> None: ...

class SteerRolloutRequest(_message.Message):
    __slots__ = ("action",)
    ACTION_FIELD_NUMBER: _ClassVar[int]
    action: RolloutAction
    def __init__(self, action: _Optional[_Union[RolloutAction, str]] = ...) -> None: ...

class SteerRolloutResponse(_message.Message):
    __slots__ = ("rollout", "generation")
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    rollout: RolloutStatus
    generation: _agent_pb2.Generation
    def __init__(self, rollout: _Optional[_Union[RolloutStatus, _Mapping]] = ..., generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ...) -> None: ...

class ListLogRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class ListLogResponse(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[LogRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[LogRecord, _Mapping]]] = ...) -> None: ...

class LogRecord(_message.Message):
    __slots__ = ("number", "at_unix_ns", "who", "what", "subject", "before", "after", "generation")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    number: int
    at_unix_ns: int
    who: str
    what: str
    subject: str
    before: str
    after: str
    generation: _agent_pb2.Generation
    def __init__(self, number: _Optional[int] = ..., at_unix_ns: _Optional[int] = ..., who: _Optional[str] = ..., what: _Optional[str] = ..., subject: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ..., generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ...) -> None: ...

class GetRecoveryRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRecoveryResponse(_message.Message):
    __slots__ = ("allowed", "controller_uuid", "generation", "leads", "unheard", "withheld")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LEADS_FIELD_NUMBER: _ClassVar[int]
    UNHEARD_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    controller_uuid: str
    generation: _agent_pb2.Generation
    leads: _containers.RepeatedCompositeFieldContainer[RecoveryLead]
    unheard: _containers.RepeatedScalarFieldContainer[str]
    withheld: str
    def __init__(self, allowed: bool = ..., controller_uuid: _Optional[str] = ..., generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ..., leads: _Optional[_Iterable[_Union[RecoveryLead, _Mapping]]] = ..., unheard: _Optional[_Iterable[str]] = ..., withheld: _Optional[str] = ...) -> None: ...

class RecoveryLead(_message.Message):
    __slots__ = ("controller_uuid", "highest", "nodes")
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    controller_uuid: str
    highest: _agent_pb2.Generation
    nodes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, controller_uuid: _Optional[str] = ..., highest: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ..., nodes: _Optional[_Iterable[str]] = ...) -> None: ...

class RecoverRequest(_message.Message):
    __slots__ = ("controller_uuid",)
    CONTROLLER_UUID_FIELD_NUMBER: _ClassVar[int]
    controller_uuid: str
    def __init__(self, controller_uuid: _Optional[str] = ...) -> None: ...

class RecoverResponse(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: _agent_pb2.Generation
    def __init__(self, generation: _Optional[_Union[_agent_pb2.Generation, _Mapping]] = ...) -> None: ...
