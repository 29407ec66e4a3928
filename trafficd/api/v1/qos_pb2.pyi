from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_OBSERVE: _ClassVar[Mode]
    MODE_ENFORCE: _ClassVar[Mode]

class LinkLayer(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINK_LAYER_UNSPECIFIED: _ClassVar[LinkLayer]
    LINK_LAYER_ETHERNET: _ClassVar[LinkLayer]
    LINK_LAYER_INFINIBAND: _ClassVar[LinkLayer]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_PREFILL: _ClassVar[Role]
    ROLE_DECODE: _ClassVar[Role]
    ROLE_STORAGE: _ClassVar[Role]
    ROLE_OTHER: _ClassVar[Role]

class NicKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NIC_KIND_UNSPECIFIED: _ClassVar[NicKind]
    NIC_KIND_COMPUTE: _ClassVar[NicKind]
    NIC_KIND_STORAGE: _ClassVar[NicKind]

class ConditionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONDITION_TYPE_UNSPECIFIED: _ClassVar[ConditionType]
    CONDITION_TYPE_APPLIED: _ClassVar[ConditionType]
    CONDITION_TYPE_VERIFIED: _ClassVar[ConditionType]
    CONDITION_TYPE_DRIFTED: _ClassVar[ConditionType]
    CONDITION_TYPE_READY: _ClassVar[ConditionType]

class ConditionStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONDITION_STATUS_UNSPECIFIED: _ClassVar[ConditionStatus]
    CONDITION_STATUS_TRUE: _ClassVar[ConditionStatus]
    CONDITION_STATUS_FALSE: _ClassVar[ConditionStatus]
    CONDITION_STATUS_UNKNOWN: _ClassVar[ConditionStatus]
MODE_UNSPECIFIED: Mode
MODE_OBSERVE: Mode
MODE_ENFORCE: Mode
LINK_LAYER_UNSPECIFIED: LinkLayer
LINK_LAYER_ETHERNET: LinkLayer
LINK_LAYER_INFINIBAND: LinkLayer
ROLE_UNSPECIFIED: Role
ROLE_PREFILL: Role
ROLE_DECODE: Role
ROLE_STORAGE: Role
ROLE_OTHER: Role
NIC_KIND_UNSPECIFIED: NicKind
NIC_KIND_COMPUTE: NicKind
NIC_KIND_STORAGE: NicKind
CONDITION_TYPE_UNSPECIFIED: ConditionType
CONDITION_TYPE_APPLIED: ConditionType
CONDITION_TYPE_VERIFIED: ConditionType
CONDITION_TYPE_DRIFTED: ConditionType
CONDITION_TYPE_READY: ConditionType
CONDITION_STATUS_UNSPECIFIED: ConditionStatus
CONDITION_STATUS_TRUE: ConditionStatus
CONDITION_STATUS_FALSE: ConditionStatus
CONDITION_STATUS_UNKNOWN: ConditionStatus

class Element(_message.Message):
    __slots__ = ("kind", "key", "tc_qdisc", "tc_class", "tc_leaf", "tc_filter", "ib_option", "ib_table", "dcbx", "dcb_trust", "dcb_app", "dcb_ets", "dcb_pfc", "dcb_cable", "dcb_maxrate", "dcb_buffer", "dcb_ecn", "dcb_cnp", "ib_file")
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    TC_QDISC_FIELD_NUMBER: _ClassVar[int]
    TC_CLASS_FIELD_NUMBER: _ClassVar[int]
    TC_LEAF_FIELD_NUMBER: _ClassVar[int]
    TC_FILTER_FIELD_NUMBER: _ClassVar[int]
    IB_OPTION_FIELD_NUMBER: _ClassVar[int]
    IB_TABLE_FIELD_NUMBER: _ClassVar[int]
    DCBX_FIELD_NUMBER: _ClassVar[int]
    DCB_TRUST_FIELD_NUMBER: _ClassVar[int]
    DCB_APP_FIELD_NUMBER: _ClassVar[int]
    DCB_ETS_FIELD_NUMBER: _ClassVar[int]
    DCB_PFC_FIELD_NUMBER: _ClassVar[int]
    DCB_CABLE_FIELD_NUMBER: _ClassVar[int]
    DCB_MAXRATE_FIELD_NUMBER: _ClassVar[int]
    DCB_BUFFER_FIELD_NUMBER: _ClassVar[int]
    DCB_ECN_FIELD_NUMBER: _ClassVar[int]
    DCB_CNP_FIELD_NUMBER: _ClassVar[int]
    IB_FILE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    key: str
    tc_qdisc: TcQdisc
    tc_class: TcClass
    tc_leaf: TcLeaf
    tc_filter: TcFilter
    ib_option: IbOption
    ib_table: IbTable
    dcbx: Dcbx
    dcb_trust: DcbTrust
    dcb_app: DcbApp
    dcb_ets: DcbEts
    dcb_pfc: DcbPfc
    dcb_cable: DcbCable
    dcb_maxrate: DcbMaxrate
    dcb_buffer: DcbBuffer
    dcb_ecn: DcbEcn
    dcb_cnp: DcbCnp
    ib_file: IbFile
    def __init__(self, kind: _Optional[str] = ..., key: _Optional[str] = ..., tc_qdisc: _Optional[_Union[TcQdisc, _Mapping]] = ..., tc_class: _Optional[_Union[TcClass, _Mapping]] = ..., tc_leaf: _Optional[_Union[TcLeaf, _Mapping]] = ..., tc_filter: _Optional[_Union[TcFilter, _Mapping]] = ..., ib_option: _Optional[_Union[IbOption, _Mapping]] = ..., ib_table: _Optional[_Union[IbTable, _Mapping]] = ..., dcbx: _Optional[_Union[Dcbx, _Mapping]] = ..., dcb_trust: _Optional[_Union[DcbTrust, _Mapping]] = ..., dcb_app: _Optional[_Union[DcbApp, _Mapping]] = ..., dcb_ets: _Optional[_Union[DcbEts, _Mapping]] = ..., dcb_pfc: _Optional[_Union[DcbPfc, _Mapping]] = ..., dcb_cable: _Optional[_Union[DcbCable, _Mapping]] = ..., dcb_maxrate: _Optional[_Union[DcbMaxrate, _Mapping]] = ..., dcb_buffer: _Optional[_Union[DcbBuffer, _Mapping]] = ..., dcb_ecn: _Optional[_Union[DcbEcn, _Mapping]] = ..., dcb_cnp: _Optional[_Union[DcbCnp, _Mapping]] = ..., ib_file: _Optional[_Union[IbFile, _Mapping]] = ...) -> None: ...

class TcQdisc(_message.Message):
    __slots__ = ("default_minor", "rate_bps")
    DEFAULT_MINOR_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    default_minor: int
    rate_bps: int
    def __init__(self, default_minor: _Optional[int] = ..., rate_bps: _Optional[int] = ...) -> None: ...

class TcClass(_message.Message):
    __slots__ = ("rate_bps", "ceil_bps", "prio", "quantum_bytes", "burst_bytes", "cburst_bytes")
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    CEIL_BPS_FIELD_NUMBER: _ClassVar[int]
    PRIO_FIELD_NUMBER: _ClassVar[int]
    QUANTUM_BYTES_FIELD_NUMBER: _ClassVar[int]
    BURST_BYTES_FIELD_NUMBER: _ClassVar[int]
    CBURST_BYTES_FIELD_NUMBER: _ClassVar[int]
    rate_bps: int
    ceil_bps: int
    prio: int
    quantum_bytes: int
    burst_bytes: int
    cburst_bytes: int
    def __init__(self, rate_bps: _Optional[int] = ..., ceil_bps: _Optional[int] = ..., prio: _Optional[int] = ..., quantum_bytes: _Optional[int] = ..., burst_bytes: _Optional[int] = ..., cburst_bytes: _Optional[int] = ...) -> None: ...

class TcLeaf(_message.Message):
    __slots__ = ("limit_packets",)
    LIMIT_PACKETS_FIELD_NUMBER: _ClassVar[int]
    limit_packets: int
    def __init__(self, limit_packets: _Optional[int] = ...) -> None: ...

class TcFilter(_message.Message):
    __slots__ = ("minor", "pref")
    MINOR_FIELD_NUMBER: _ClassVar[int]
    PREF_FIELD_NUMBER: _ClassVar[int]
    minor: int
    pref: int
    def __init__(self, minor: _Optional[int] = ..., pref: _Optional[int] = ...) -> None: ...

class IbOption(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class IbTable(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, entries: _Optional[_Iterable[int]] = ...) -> None: ...

class Dcbx(_message.Message):
    __slots__ = ("ieee",)
    IEEE_FIELD_NUMBER: _ClassVar[int]
    ieee: bool
    def __init__(self, ieee: bool = ...) -> None: ...

class DcbTrust(_message.Message):
    __slots__ = ("selectors",)
    SELECTORS_FIELD_NUMBER: _ClassVar[int]
    selectors: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, selectors: _Optional[_Iterable[str]] = ...) -> None: ...

class DcbApp(_message.Message):
    __slots__ = ("priorities",)
    PRIORITIES_FIELD_NUMBER: _ClassVar[int]
    priorities: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, priorities: _Optional[_Iterable[int]] = ...) -> None: ...

class DcbEts(_message.Message):
    __slots__ = ("prio_tc", "tsa", "percent", "willing")
    PRIO_TC_FIELD_NUMBER: _ClassVar[int]
    TSA_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    WILLING_FIELD_NUMBER: _ClassVar[int]
    prio_tc: _containers.RepeatedScalarFieldContainer[int]
    tsa: _containers.RepeatedScalarFieldContainer[str]
    percent: _containers.RepeatedScalarFieldContainer[int]
    willing: bool
    def __init__(self, prio_tc: _Optional[_Iterable[int]] = ..., tsa: _Optional[_Iterable[str]] = ..., percent: _Optional[_Iterable[int]] = ..., willing: bool = ...) -> None: ...

class DcbPfc(_message.Message):
    __slots__ = ("priorities",)
    PRIORITIES_FIELD_NUMBER: _ClassVar[int]
    priorities: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, priorities: _Optional[_Iterable[int]] = ...) -> None: ...

class DcbCable(_message.Message):
    __slots__ = ("length_m",)
    LENGTH_M_FIELD_NUMBER: _ClassVar[int]
    length_m: int
    def __init__(self, length_m: _Optional[int] = ...) -> None: ...

class DcbMaxrate(_message.Message):
    __slots__ = ("rate_bps",)
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    rate_bps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, rate_bps: _Optional[_Iterable[int]] = ...) -> None: ...

class DcbBuffer(_message.Message):
    __slots__ = ("prio_buffer", "size_bytes")
    PRIO_BUFFER_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    prio_buffer: _containers.RepeatedScalarFieldContainer[int]
    size_bytes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, prio_buffer: _Optional[_Iterable[int]] = ..., size_bytes: _Optional[_Iterable[int]] = ...) -> None: ...

class DcbEcn(_message.Message):
    __slots__ = ("notify", "react")
    NOTIFY_FIELD_NUMBER: _ClassVar[int]
    REACT_FIELD_NUMBER: _ClassVar[int]
    notify: bool
    react: bool
    def __init__(self, notify: bool = ..., react: bool = ...) -> None: ...

class DcbCnp(_message.Message):
    __slots__ = ("dscp", "priority")
    DSCP_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    dscp: int
    priority: int
    def __init__(self, dscp: _Optional[int] = ..., priority: _Optional[int] = ...) -> None: ...

class IbFile(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class Marking(_message.Message):
    __slots__ = ("traffic_class", "link_layer", "lane_id", "service_levels", "dscps", "tos", "so_priority", "intents")
    TRAFFIC_CLASS_FIELD_NUMBER: _ClassVar[int]
    LINK_LAYER_FIELD_NUMBER: _ClassVar[int]
    LANE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_LEVELS_FIELD_NUMBER: _ClassVar[int]
    DSCPS_FIELD_NUMBER: _ClassVar[int]
    TOS_FIELD_NUMBER: _ClassVar[int]
    SO_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    INTENTS_FIELD_NUMBER: _ClassVar[int]
    traffic_class: str
    link_layer: LinkLayer
    lane_id: int
    service_levels: _containers.RepeatedScalarFieldContainer[int]
    dscps: _containers.RepeatedScalarFieldContainer[int]
    tos: int
    so_priority: int
    intents: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, traffic_class: _Optional[str] = ..., link_layer: _Optional[_Union[LinkLayer, str]] = ..., lane_id: _Optional[int] = ..., service_levels: _Optional[_Iterable[int]] = ..., dscps: _Optional[_Iterable[int]] = ..., tos: _Optional[int] = ..., so_priority: _Optional[int] = ..., intents: _Optional[_Iterable[str]] = ...) -> None: ...

class Lane(_message.Message):
    __slots__ = ("id", "name", "strict", "guaranteed_ratio", "limit_ratio", "priority")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    GUARANTEED_RATIO_FIELD_NUMBER: _ClassVar[int]
    LIMIT_RATIO_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    strict: bool
    guaranteed_ratio: float
    limit_ratio: float
    priority: int
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., strict: bool = ..., guaranteed_ratio: _Optional[float] = ..., limit_ratio: _Optional[float] = ..., priority: _Optional[int] = ...) -> None: ...

class ContentionCase(_message.Message):
    __slots__ = ("backlogged", "shares", "link_layer", "scheduler")
    BACKLOGGED_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    LINK_LAYER_FIELD_NUMBER: _ClassVar[int]
    SCHEDULER_FIELD_NUMBER: _ClassVar[int]
    backlogged: _containers.RepeatedScalarFieldContainer[str]
    shares: _containers.RepeatedCompositeFieldContainer[LaneShare]
    link_layer: LinkLayer
    scheduler: str
    def __init__(self, backlogged: _Optional[_Iterable[str]] = ..., shares: _Optional[_Iterable[_Union[LaneShare, _Mapping]]] = ..., link_layer: _Optional[_Union[LinkLayer, str]] = ..., scheduler: _Optional[str] = ...) -> None: ...

class LaneShare(_message.Message):
    __slots__ = ("lane", "ratio")
    LANE_FIELD_NUMBER: _ClassVar[int]
    RATIO_FIELD_NUMBER: _ClassVar[int]
    lane: str
    ratio: float
    def __init__(self, lane: _Optional[str] = ..., ratio: _Optional[float] = ...) -> None: ...

class RoceLane(_message.Message):
    __slots__ = ("lane", "priority", "traffic_class", "strict", "percent", "lossless", "ecn", "dscps")
    LANE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_CLASS_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    LOSSLESS_FIELD_NUMBER: _ClassVar[int]
    ECN_FIELD_NUMBER: _ClassVar[int]
    DSCPS_FIELD_NUMBER: _ClassVar[int]
    lane: str
    priority: int
    traffic_class: int
    strict: bool
    percent: int
    lossless: bool
    ecn: bool
    dscps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, lane: _Optional[str] = ..., priority: _Optional[int] = ..., traffic_class: _Optional[int] = ..., strict: bool = ..., percent: _Optional[int] = ..., lossless: bool = ..., ecn: bool = ..., dscps: _Optional[_Iterable[int]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("path", "value", "reason")
    PATH_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    path: str
    value: str
    reason: str
    def __init__(self, path: _Optional[str] = ..., value: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("type", "status", "reason", "message", "observed_generation", "last_transition_unix_ns")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    LAST_TRANSITION_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str
    observed_generation: int
    last_transition_unix_ns: int
    def __init__(self, type: _Optional[_Union[ConditionType, str]] = ..., status: _Optional[_Union[ConditionStatus, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., observed_generation: _Optional[int] = ..., last_transition_unix_ns: _Optional[int] = ...) -> None: ...
