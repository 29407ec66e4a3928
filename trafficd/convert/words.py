"""Enumerations and the small records that several services share, message <-> domain."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from trafficd.api.v1 import agent_pb2, qos_pb2
from trafficd_topology.diff import Disruption, Element
from trafficd_topology.model import LinkLayer, NicKind, Problem, Role, ScopeKind
from trafficd_topology.qos.kinds import KINDS
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Condition, ConditionStatus, ConditionType, Generation

_PAIRS: tuple[tuple[StrEnum, int], ...] = (
    (Role.PREFILL, qos_pb2.ROLE_PREFILL),
    (Role.DECODE, qos_pb2.ROLE_DECODE),
    (Role.STORAGE, qos_pb2.ROLE_STORAGE),
    (Role.OTHER, qos_pb2.ROLE_OTHER),
    (NicKind.COMPUTE, qos_pb2.NIC_KIND_COMPUTE),
    (NicKind.STORAGE, qos_pb2.NIC_KIND_STORAGE),
    (LinkLayer.ETHERNET, qos_pb2.LINK_LAYER_ETHERNET),
    (LinkLayer.INFINIBAND, qos_pb2.LINK_LAYER_INFINIBAND),
    (Mode.OBSERVE, qos_pb2.MODE_OBSERVE),
    (Mode.ENFORCE, qos_pb2.MODE_ENFORCE),
    (ScopeKind.PORT, agent_pb2.SCOPE_KIND_PORT),
    (ScopeKind.FABRIC, agent_pb2.SCOPE_KIND_FABRIC),
    (ConditionType.APPLIED, qos_pb2.CONDITION_TYPE_APPLIED),
    (ConditionType.VERIFIED, qos_pb2.CONDITION_TYPE_VERIFIED),
    (ConditionType.DRIFTED, qos_pb2.CONDITION_TYPE_DRIFTED),
    (ConditionType.READY, qos_pb2.CONDITION_TYPE_READY),
    (ConditionStatus.TRUE, qos_pb2.CONDITION_STATUS_TRUE),
    (ConditionStatus.FALSE, qos_pb2.CONDITION_STATUS_FALSE),
    (ConditionStatus.UNKNOWN, qos_pb2.CONDITION_STATUS_UNKNOWN),
)
_NUMBER: dict[tuple[type, str], int] = {(type(word), word.value): number for word, number in _PAIRS}
_WORD: dict[tuple[type, int], Any] = {(type(word), number): word for word, number in _PAIRS}


def number(word: StrEnum) -> Any:
    """The message's number for a domain word."""
    return _NUMBER[type(word), word.value]


def word(kind: type[StrEnum], value: int, otherwise: Any) -> Any:
    """The domain word for a message's number; ``otherwise`` for unspecified and for what a newer peer may send."""
    return _WORD.get((kind, value), otherwise)


_DISRUPTIONS = {
    Disruption.HITLESS: agent_pb2.DISRUPTION_HITLESS,
    Disruption.LINK_FLAP: agent_pb2.DISRUPTION_LINK_FLAP,
    Disruption.FABRIC_FLAP: agent_pb2.DISRUPTION_FABRIC_FLAP,
}


def disruption_message(value: Disruption) -> agent_pb2.Disruption:
    return _DISRUPTIONS[value]


def disruption(value: int) -> Disruption | None:
    """None for unspecified; what a newer peer may send is the worst there is."""
    known = {int(v): k for k, v in _DISRUPTIONS.items()}
    return known.get(value, Disruption.FABRIC_FLAP) if value else None


def generation_message(value: Generation) -> agent_pb2.Generation:
    return agent_pb2.Generation(epoch=value.epoch, number=value.number)


def generation(message: agent_pb2.Generation) -> Generation:
    return Generation(message.epoch, message.number)


def problem_message(problem: Problem) -> qos_pb2.Problem:
    return qos_pb2.Problem(path=problem.path, value=problem.value, reason=problem.reason)


def problem(message: qos_pb2.Problem) -> Problem:
    return Problem(message.path, message.value, message.reason)


def condition_message(condition: Condition) -> qos_pb2.Condition:
    return qos_pb2.Condition(
        type=number(condition.type),
        status=number(condition.status),
        reason=condition.reason,
        message=condition.message,
        observed_generation=condition.observed_generation,
        last_transition_unix_ns=condition.since_ns,
    )


def condition(message: qos_pb2.Condition) -> Condition | None:
    """None for a type that this version does not know."""
    kind = word(ConditionType, message.type, None)
    if kind is None:
        return None
    return Condition(
        kind,
        word(ConditionStatus, message.status, ConditionStatus.UNKNOWN),
        message.reason,
        message.message,
        message.observed_generation,
        message.last_transition_unix_ns,
    )


def element_message(element: Element) -> qos_pb2.Element:
    """By the table ``qos.kinds.KINDS``: the message's fields are named as the value's."""
    _, field = KINDS[element.kind]
    message = qos_pb2.Element(kind=element.kind, key=element.key)
    target = getattr(message, field)
    target.SetInParent()
    for descriptor in target.DESCRIPTOR.fields:
        value = getattr(element.value, descriptor.name)
        if isinstance(value, tuple):
            getattr(target, descriptor.name).extend(value)
        else:
            setattr(target, descriptor.name, value)
    return message
