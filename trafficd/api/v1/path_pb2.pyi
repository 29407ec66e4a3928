from trafficd.api.v1 import qos_pb2 as _qos_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_PREFILL: _ClassVar[Side]
    SIDE_DECODE: _ClassVar[Side]

class FallbackReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FALLBACK_REASON_UNSPECIFIED: _ClassVar[FallbackReason]
    FALLBACK_REASON_NO_TELEMETRY: _ClassVar[FallbackReason]
    FALLBACK_REASON_STALE_TELEMETRY: _ClassVar[FallbackReason]
    FALLBACK_REASON_NO_QUEUE: _ClassVar[FallbackReason]
    FALLBACK_REASON_LOCAL: _ClassVar[FallbackReason]
    FALLBACK_REASON_STATIC: _ClassVar[FallbackReason]
SIDE_UNSPECIFIED: Side
SIDE_PREFILL: Side
SIDE_DECODE: Side
FALLBACK_REASON_UNSPECIFIED: FallbackReason
FALLBACK_REASON_NO_TELEMETRY: FallbackReason
FALLBACK_REASON_STALE_TELEMETRY: FallbackReason
FALLBACK_REASON_NO_QUEUE: FallbackReason
FALLBACK_REASON_LOCAL: FallbackReason
FALLBACK_REASON_STATIC: FallbackReason

class EngineRef(_message.Message):
    __slots__ = ("node", "rank")
    NODE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    node: str
    rank: int
    def __init__(self, node: _Optional[str] = ..., rank: _Optional[int] = ...) -> None: ...

class Fallback(_message.Message):
    __slots__ = ("reason", "detail")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: FallbackReason
    detail: str
    def __init__(self, reason: _Optional[_Union[FallbackReason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("nodes", "pool")
    NODES_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[SourceNode]
    pool: str
    def __init__(self, nodes: _Optional[_Iterable[_Union[SourceNode, _Mapping]]] = ..., pool: _Optional[str] = ...) -> None: ...

class SourceNode(_message.Message):
    __slots__ = ("node", "bytes")
    NODE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    node: str
    bytes: int
    def __init__(self, node: _Optional[str] = ..., bytes: _Optional[int] = ...) -> None: ...

class Abilities(_message.Message):
    __slots__ = ("read_on_decode_side", "relay", "max_legs", "no_prefill_side")
    READ_ON_DECODE_SIDE_FIELD_NUMBER: _ClassVar[int]
    RELAY_FIELD_NUMBER: _ClassVar[int]
    MAX_LEGS_FIELD_NUMBER: _ClassVar[int]
    NO_PREFILL_SIDE_FIELD_NUMBER: _ClassVar[int]
    read_on_decode_side: bool
    relay: bool
    max_legs: int
    no_prefill_side: bool
    def __init__(self, read_on_decode_side: bool = ..., relay: bool = ..., max_legs: _Optional[int] = ..., no_prefill_side: bool = ...) -> None: ...

class RecommendRequest(_message.Message):
    __slots__ = ("request_id", "source", "bytes", "prefill", "decode", "intent", "abilities", "reserve_ttl_ms", "max_plans", "strategy", "engine_rule", "prompt_tokens", "prefill_hit_tokens", "strict", "explain", "own_choice")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    PREFILL_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    ABILITIES_FIELD_NUMBER: _ClassVar[int]
    RESERVE_TTL_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_PLANS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    ENGINE_RULE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PREFILL_HIT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    OWN_CHOICE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    source: Source
    bytes: int
    prefill: _containers.RepeatedCompositeFieldContainer[EngineRef]
    decode: _containers.RepeatedCompositeFieldContainer[EngineRef]
    intent: str
    abilities: Abilities
    reserve_ttl_ms: int
    max_plans: int
    strategy: str
    engine_rule: str
    prompt_tokens: int
    prefill_hit_tokens: _containers.RepeatedScalarFieldContainer[int]
    strict: bool
    explain: bool
    own_choice: PathPlan
    def __init__(self, request_id: _Optional[str] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., bytes: _Optional[int] = ..., prefill: _Optional[_Iterable[_Union[EngineRef, _Mapping]]] = ..., decode: _Optional[_Iterable[_Union[EngineRef, _Mapping]]] = ..., intent: _Optional[str] = ..., abilities: _Optional[_Union[Abilities, _Mapping]] = ..., reserve_ttl_ms: _Optional[int] = ..., max_plans: _Optional[int] = ..., strategy: _Optional[str] = ..., engine_rule: _Optional[str] = ..., prompt_tokens: _Optional[int] = ..., prefill_hit_tokens: _Optional[_Iterable[int]] = ..., strict: bool = ..., explain: bool = ..., own_choice: _Optional[_Union[PathPlan, _Mapping]] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("plans", "snapshot_version", "measured_unix_ns", "valid_for_ms", "fallback", "lease", "problems", "explanation", "shadow")
    PLANS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_VERSION_FIELD_NUMBER: _ClassVar[int]
    MEASURED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    VALID_FOR_MS_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    plans: _containers.RepeatedCompositeFieldContainer[PathPlan]
    snapshot_version: str
    measured_unix_ns: int
    valid_for_ms: int
    fallback: Fallback
    lease: Lease
    problems: _containers.RepeatedCompositeFieldContainer[ItemProblem]
    explanation: Explanation
    shadow: Shadow
    def __init__(self, plans: _Optional[_Iterable[_Union[PathPlan, _Mapping]]] = ..., snapshot_version: _Optional[str] = ..., measured_unix_ns: _Optional[int] = ..., valid_for_ms: _Optional[int] = ..., fallback: _Optional[_Union[Fallback, _Mapping]] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ..., problems: _Optional[_Iterable[_Union[ItemProblem, _Mapping]]] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ..., shadow: _Optional[_Union[Shadow, _Mapping]] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("strategy", "engine_rule", "reason", "plans")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    ENGINE_RULE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PLANS_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    engine_rule: str
    reason: str
    plans: _containers.RepeatedCompositeFieldContainer[ExplainedPlan]
    def __init__(self, strategy: _Optional[str] = ..., engine_rule: _Optional[str] = ..., reason: _Optional[str] = ..., plans: _Optional[_Iterable[_Union[ExplainedPlan, _Mapping]]] = ...) -> None: ...

class ExplainedPlan(_message.Message):
    __slots__ = ("note", "resources")
    NOTE_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    note: str
    resources: _containers.RepeatedCompositeFieldContainer[ExplainedResource]
    def __init__(self, note: _Optional[str] = ..., resources: _Optional[_Iterable[_Union[ExplainedResource, _Mapping]]] = ...) -> None: ...

class ExplainedResource(_message.Message):
    __slots__ = ("name", "leg", "seconds", "queue_seconds", "higher_lane_seconds", "serialisation_seconds", "weight", "data_age_seconds", "learned_ratio", "hops")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LEG_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    HIGHER_LANE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SERIALISATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    DATA_AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LEARNED_RATIO_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    name: str
    leg: int
    seconds: float
    queue_seconds: float
    higher_lane_seconds: float
    serialisation_seconds: float
    weight: float
    data_age_seconds: float
    learned_ratio: float
    hops: int
    def __init__(self, name: _Optional[str] = ..., leg: _Optional[int] = ..., seconds: _Optional[float] = ..., queue_seconds: _Optional[float] = ..., higher_lane_seconds: _Optional[float] = ..., serialisation_seconds: _Optional[float] = ..., weight: _Optional[float] = ..., data_age_seconds: _Optional[float] = ..., learned_ratio: _Optional[float] = ..., hops: _Optional[int] = ...) -> None: ...

class Shadow(_message.Message):
    __slots__ = ("own_seconds", "our_seconds", "saved_seconds", "problem")
    OWN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    OUR_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SAVED_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    own_seconds: float
    our_seconds: float
    saved_seconds: float
    problem: str
    def __init__(self, own_seconds: _Optional[float] = ..., our_seconds: _Optional[float] = ..., saved_seconds: _Optional[float] = ..., problem: _Optional[str] = ...) -> None: ...

class ItemProblem(_message.Message):
    __slots__ = ("item", "code", "reason")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    item: str
    code: int
    reason: str
    def __init__(self, item: _Optional[str] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class PathPlan(_message.Message):
    __slots__ = ("prefill", "decode", "legs", "expected_seconds", "score")
    PREFILL_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    LEGS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    prefill: EngineRef
    decode: EngineRef
    legs: _containers.RepeatedCompositeFieldContainer[PathLeg]
    expected_seconds: float
    score: float
    def __init__(self, prefill: _Optional[_Union[EngineRef, _Mapping]] = ..., decode: _Optional[_Union[EngineRef, _Mapping]] = ..., legs: _Optional[_Iterable[_Union[PathLeg, _Mapping]]] = ..., expected_seconds: _Optional[float] = ..., score: _Optional[float] = ...) -> None: ...

class PathLeg(_message.Message):
    __slots__ = ("side", "reader", "source", "nics", "bytes", "expected_seconds", "bottleneck", "queue_bytes", "available_bps", "lane_id", "traffic_class", "resources", "weights")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    READER_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NICS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_SECONDS_FIELD_NUMBER: _ClassVar[int]
    BOTTLENECK_FIELD_NUMBER: _ClassVar[int]
    QUEUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_BPS_FIELD_NUMBER: _ClassVar[int]
    LANE_ID_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_CLASS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    side: Side
    reader: str
    source: str
    nics: _containers.RepeatedScalarFieldContainer[str]
    bytes: int
    expected_seconds: float
    bottleneck: str
    queue_bytes: int
    available_bps: int
    lane_id: int
    traffic_class: str
    resources: _containers.RepeatedScalarFieldContainer[str]
    weights: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, side: _Optional[_Union[Side, str]] = ..., reader: _Optional[str] = ..., source: _Optional[str] = ..., nics: _Optional[_Iterable[str]] = ..., bytes: _Optional[int] = ..., expected_seconds: _Optional[float] = ..., bottleneck: _Optional[str] = ..., queue_bytes: _Optional[int] = ..., available_bps: _Optional[int] = ..., lane_id: _Optional[int] = ..., traffic_class: _Optional[str] = ..., resources: _Optional[_Iterable[str]] = ..., weights: _Optional[_Iterable[float]] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("id", "ttl_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    ttl_ms: int
    def __init__(self, id: _Optional[str] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class LegBytes(_message.Message):
    __slots__ = ("nic", "bytes")
    NIC_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    nic: str
    bytes: int
    def __init__(self, nic: _Optional[str] = ..., bytes: _Optional[int] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("request_id", "legs", "ttl_ms")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LEGS_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    legs: _containers.RepeatedCompositeFieldContainer[LegBytes]
    ttl_ms: int
    def __init__(self, request_id: _Optional[str] = ..., legs: _Optional[_Iterable[_Union[LegBytes, _Mapping]]] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class ReserveRequest(_message.Message):
    __slots__ = ("reservation",)
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    reservation: Reservation
    def __init__(self, reservation: _Optional[_Union[Reservation, _Mapping]] = ...) -> None: ...

class ReserveResponse(_message.Message):
    __slots__ = ("lease", "problems")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    problems: _containers.RepeatedCompositeFieldContainer[ItemProblem]
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., problems: _Optional[_Iterable[_Union[ItemProblem, _Mapping]]] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("lease_id", "reservation")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    reservation: Reservation
    def __init__(self, lease_id: _Optional[str] = ..., reservation: _Optional[_Union[Reservation, _Mapping]] = ...) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ("lease",)
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("lease_id", "cancelled")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    cancelled: bool
    def __init__(self, lease_id: _Optional[str] = ..., cancelled: bool = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class RecommendBatchRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[RecommendRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[RecommendRequest, _Mapping]]] = ...) -> None: ...

class RecommendBatchResponse(_message.Message):
    __slots__ = ("responses",)
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    responses: _containers.RepeatedCompositeFieldContainer[RecommendResponse]
    def __init__(self, responses: _Optional[_Iterable[_Union[RecommendResponse, _Mapping]]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("lease_id", "moved_bytes")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    MOVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    moved_bytes: int
    def __init__(self, lease_id: _Optional[str] = ..., moved_bytes: _Optional[int] = ...) -> None: ...

class ProgressResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class ConverseRequest(_message.Message):
    __slots__ = ("tag", "recommend", "batch", "reserve", "renew", "progress", "release", "releases", "progresses")
    TAG_FIELD_NUMBER: _ClassVar[int]
    RECOMMEND_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    RENEW_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    PROGRESSES_FIELD_NUMBER: _ClassVar[int]
    tag: int
    recommend: RecommendRequest
    batch: RecommendBatchRequest
    reserve: ReserveRequest
    renew: RenewRequest
    progress: Progress
    release: ReleaseRequest
    releases: _containers.RepeatedCompositeFieldContainer[ReleaseRequest]
    progresses: _containers.RepeatedCompositeFieldContainer[Progress]
    def __init__(self, tag: _Optional[int] = ..., recommend: _Optional[_Union[RecommendRequest, _Mapping]] = ..., batch: _Optional[_Union[RecommendBatchRequest, _Mapping]] = ..., reserve: _Optional[_Union[ReserveRequest, _Mapping]] = ..., renew: _Optional[_Union[RenewRequest, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., release: _Optional[_Union[ReleaseRequest, _Mapping]] = ..., releases: _Optional[_Iterable[_Union[ReleaseRequest, _Mapping]]] = ..., progresses: _Optional[_Iterable[_Union[Progress, _Mapping]]] = ...) -> None: ...

class ConverseResponse(_message.Message):
    __slots__ = ("tag", "recommend", "batch", "reserve", "renew", "progress", "release", "problem")
    TAG_FIELD_NUMBER: _ClassVar[int]
    RECOMMEND_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    RENEW_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    tag: int
    recommend: RecommendResponse
    batch: RecommendBatchResponse
    reserve: ReserveResponse
    renew: RenewResponse
    progress: ProgressResponse
    release: ReleaseResponse
    problem: ItemProblem
    def __init__(self, tag: _Optional[int] = ..., recommend: _Optional[_Union[RecommendResponse, _Mapping]] = ..., batch: _Optional[_Union[RecommendBatchResponse, _Mapping]] = ..., reserve: _Optional[_Union[ReserveResponse, _Mapping]] = ..., renew: _Optional[_Union[RenewResponse, _Mapping]] = ..., progress: _Optional[_Union[ProgressResponse, _Mapping]] = ..., release: _Optional[_Union[ReleaseResponse, _Mapping]] = ..., problem: _Optional[_Union[ItemProblem, _Mapping]] = ...) -> None: ...

class ReportEnginesRequest(_message.Message):
    __slots__ = ("engines",)
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    engines: _containers.RepeatedCompositeFieldContainer[EngineReport]
    def __init__(self, engines: _Optional[_Iterable[_Union[EngineReport, _Mapping]]] = ...) -> None: ...

class EngineReport(_message.Message):
    __slots__ = ("engine", "role", "gpu", "read_queue_bytes", "read_queue_tokens", "bytes_per_token", "unfinished_tokens", "unfinished_sequences", "free_hbm_bytes", "free_dram_bytes", "gone", "tokens_per_s")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    READ_QUEUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    READ_QUEUE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    FREE_HBM_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_DRAM_BYTES_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_S_FIELD_NUMBER: _ClassVar[int]
    engine: EngineRef
    role: _qos_pb2.Role
    gpu: int
    read_queue_bytes: int
    read_queue_tokens: int
    bytes_per_token: int
    unfinished_tokens: int
    unfinished_sequences: int
    free_hbm_bytes: int
    free_dram_bytes: int
    gone: bool
    tokens_per_s: int
    def __init__(self, engine: _Optional[_Union[EngineRef, _Mapping]] = ..., role: _Optional[_Union[_qos_pb2.Role, str]] = ..., gpu: _Optional[int] = ..., read_queue_bytes: _Optional[int] = ..., read_queue_tokens: _Optional[int] = ..., bytes_per_token: _Optional[int] = ..., unfinished_tokens: _Optional[int] = ..., unfinished_sequences: _Optional[int] = ..., free_hbm_bytes: _Optional[int] = ..., free_dram_bytes: _Optional[int] = ..., gone: bool = ..., tokens_per_s: _Optional[int] = ...) -> None: ...

class ReportEnginesResponse(_message.Message):
    __slots__ = ("problems",)
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[ItemProblem]
    def __init__(self, problems: _Optional[_Iterable[_Union[ItemProblem, _Mapping]]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("min_interval_ms",)
    MIN_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    min_interval_ms: int
    def __init__(self, min_interval_ms: _Optional[int] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("snapshot",)
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("version", "built_unix_ns", "valid_for_ms", "nodes", "nics", "markings", "engines", "attachments", "paths", "settings")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BUILT_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    VALID_FOR_MS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    NICS_FIELD_NUMBER: _ClassVar[int]
    MARKINGS_FIELD_NUMBER: _ClassVar[int]
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    version: str
    built_unix_ns: int
    valid_for_ms: int
    nodes: _containers.RepeatedCompositeFieldContainer[SnapshotNode]
    nics: _containers.RepeatedCompositeFieldContainer[SnapshotNic]
    markings: _containers.RepeatedCompositeFieldContainer[_qos_pb2.Marking]
    engines: _containers.RepeatedCompositeFieldContainer[SnapshotEngine]
    attachments: _containers.RepeatedCompositeFieldContainer[SnapshotAttachment]
    paths: _containers.RepeatedCompositeFieldContainer[SnapshotPath]
    settings: PathSettings
    def __init__(self, version: _Optional[str] = ..., built_unix_ns: _Optional[int] = ..., valid_for_ms: _Optional[int] = ..., nodes: _Optional[_Iterable[_Union[SnapshotNode, _Mapping]]] = ..., nics: _Optional[_Iterable[_Union[SnapshotNic, _Mapping]]] = ..., markings: _Optional[_Iterable[_Union[_qos_pb2.Marking, _Mapping]]] = ..., engines: _Optional[_Iterable[_Union[SnapshotEngine, _Mapping]]] = ..., attachments: _Optional[_Iterable[_Union[SnapshotAttachment, _Mapping]]] = ..., paths: _Optional[_Iterable[_Union[SnapshotPath, _Mapping]]] = ..., settings: _Optional[_Union[PathSettings, _Mapping]] = ...) -> None: ...

class PathSettings(_message.Message):
    __slots__ = ("strategy", "engine_rule", "through_compute_nics", "alpha_s", "beta_s", "min_part_bytes", "max_parts", "hysteresis", "setup_s")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    ENGINE_RULE_FIELD_NUMBER: _ClassVar[int]
    THROUGH_COMPUTE_NICS_FIELD_NUMBER: _ClassVar[int]
    ALPHA_S_FIELD_NUMBER: _ClassVar[int]
    BETA_S_FIELD_NUMBER: _ClassVar[int]
    MIN_PART_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PARTS_FIELD_NUMBER: _ClassVar[int]
    HYSTERESIS_FIELD_NUMBER: _ClassVar[int]
    SETUP_S_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    engine_rule: str
    through_compute_nics: bool
    alpha_s: float
    beta_s: float
    min_part_bytes: int
    max_parts: int
    hysteresis: float
    setup_s: float
    def __init__(self, strategy: _Optional[str] = ..., engine_rule: _Optional[str] = ..., through_compute_nics: bool = ..., alpha_s: _Optional[float] = ..., beta_s: _Optional[float] = ..., min_part_bytes: _Optional[int] = ..., max_parts: _Optional[int] = ..., hysteresis: _Optional[float] = ..., setup_s: _Optional[float] = ...) -> None: ...

class SnapshotNode(_message.Message):
    __slots__ = ("name", "role", "pool")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: _qos_pb2.Role
    pool: str
    def __init__(self, name: _Optional[str] = ..., role: _Optional[_Union[_qos_pb2.Role, str]] = ..., pool: _Optional[str] = ...) -> None: ...

class SnapshotNic(_message.Message):
    __slots__ = ("node", "name", "kind", "link_layer", "rate_bps", "kv_available_bps", "kv_bytes_per_s", "outstanding_bytes", "telemetry_age_ms", "up", "gpu", "rail", "kv_lane_id", "learned_ratio")
    NODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LINK_LAYER_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    KV_AVAILABLE_BPS_FIELD_NUMBER: _ClassVar[int]
    KV_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    OUTSTANDING_BYTES_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    RAIL_FIELD_NUMBER: _ClassVar[int]
    KV_LANE_ID_FIELD_NUMBER: _ClassVar[int]
    LEARNED_RATIO_FIELD_NUMBER: _ClassVar[int]
    node: int
    name: str
    kind: _qos_pb2.NicKind
    link_layer: _qos_pb2.LinkLayer
    rate_bps: int
    kv_available_bps: int
    kv_bytes_per_s: int
    outstanding_bytes: int
    telemetry_age_ms: int
    up: bool
    gpu: int
    rail: int
    kv_lane_id: int
    learned_ratio: float
    def __init__(self, node: _Optional[int] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[_qos_pb2.NicKind, str]] = ..., link_layer: _Optional[_Union[_qos_pb2.LinkLayer, str]] = ..., rate_bps: _Optional[int] = ..., kv_available_bps: _Optional[int] = ..., kv_bytes_per_s: _Optional[int] = ..., outstanding_bytes: _Optional[int] = ..., telemetry_age_ms: _Optional[int] = ..., up: bool = ..., gpu: _Optional[int] = ..., rail: _Optional[int] = ..., kv_lane_id: _Optional[int] = ..., learned_ratio: _Optional[float] = ...) -> None: ...

class SnapshotEngine(_message.Message):
    __slots__ = ("node", "rank", "role", "gpu", "read_queue_bytes", "unfinished_tokens", "unfinished_sequences", "free_hbm_bytes", "free_dram_bytes", "tokens_per_s")
    NODE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    READ_QUEUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    FREE_HBM_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_DRAM_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_S_FIELD_NUMBER: _ClassVar[int]
    node: int
    rank: int
    role: _qos_pb2.Role
    gpu: int
    read_queue_bytes: int
    unfinished_tokens: int
    unfinished_sequences: int
    free_hbm_bytes: int
    free_dram_bytes: int
    tokens_per_s: int
    def __init__(self, node: _Optional[int] = ..., rank: _Optional[int] = ..., role: _Optional[_Union[_qos_pb2.Role, str]] = ..., gpu: _Optional[int] = ..., read_queue_bytes: _Optional[int] = ..., unfinished_tokens: _Optional[int] = ..., unfinished_sequences: _Optional[int] = ..., free_hbm_bytes: _Optional[int] = ..., free_dram_bytes: _Optional[int] = ..., tokens_per_s: _Optional[int] = ...) -> None: ...

class SnapshotAttachment(_message.Message):
    __slots__ = ("switch", "nics")
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    NICS_FIELD_NUMBER: _ClassVar[int]
    switch: str
    nics: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, switch: _Optional[str] = ..., nics: _Optional[_Iterable[int]] = ...) -> None: ...

class SnapshotPath(_message.Message):
    __slots__ = ("to", "hops", "equal_cost_paths", "capacity_bps", "bottleneck")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    EQUAL_COST_PATHS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BPS_FIELD_NUMBER: _ClassVar[int]
    BOTTLENECK_FIELD_NUMBER: _ClassVar[int]
    to: int
    hops: int
    equal_cost_paths: int
    capacity_bps: int
    bottleneck: str
    def __init__(self, to: _Optional[int] = ..., hops: _Optional[int] = ..., equal_cost_paths: _Optional[int] = ..., capacity_bps: _Optional[int] = ..., bottleneck: _Optional[str] = ..., **kwargs) -> None: ...
