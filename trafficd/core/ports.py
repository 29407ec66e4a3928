"""What each driver of ports is told: from a policy and what a port is, to its elements.

One port is one scope of one driver. DCB lanes are the NIC's own: RDMA runs in them, and so does what the host's own
stack sends, because the NIC maps DSCPs whoever wrote them. tc is for ports where there is nothing but Linux.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from trafficd_topology.diff import State
from trafficd_topology.model import DriverOffer
from trafficd_topology.qos.dcb import DcbFeatures
from trafficd_topology.qos.dcb_render import render_dcb
from trafficd_topology.qos.ets_shares import ets_guarantees
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.render import render_tc
from trafficd_topology.qos.roce import arrange
from trafficd_topology.qos.shares import guarantees


@dataclass(frozen=True, slots=True)
class Wire:
    """A port as far as its elements depend on it: rate in bits per second, and what DCB can do there."""

    rate_bps: int
    dcb: DcbFeatures | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a port is told, what each lane is then guaranteed, and its 802.1p priority where it has one (else empty); or
    ``problems``, why it cannot hold the policy.

    Problems and notes are sentences that begin after the port's name.
    """

    elements: State = ()
    guaranteed: tuple[float, ...] = ()
    priorities: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Render = Callable[[Policy, Wire, str], Rendered]
"""(policy, port, driver) -> what it is told."""
Renderer = Callable[[Policy, Wire, tuple[int, ...]], Rendered]


def _tc(policy: Policy, on: Wire, control_ports: tuple[int, ...]) -> Rendered:
    elements = render_tc(policy.lanes, on.rate_bps, policy.tc, control_ports)
    return Rendered(elements, tuple(float(ratio) for ratio in guarantees(policy.lanes.lanes)))


def _dcb(policy: Policy, on: Wire, _: tuple[int, ...]) -> Rendered:
    if policy.roce is None:
        reason = f"policy {policy.name} says nothing of RoCE: add a roce section to it, which may be empty"
        return Rendered(problems=(reason,))
    if on.dcb is None:
        return Rendered(problems=("its agent does not say what DCB can do there: update the agent",))
    made = render_dcb(policy.lanes, policy.roce, on.rate_bps, on.dcb)
    arranged = arrange(policy.lanes, policy.roce)
    priorities = tuple(x.priority for x in arranged)
    return Rendered(made.elements, ets_guarantees(arranged), priorities, made.problems, made.notes)


def _fake(policy: Policy, on: Wire, control_ports: tuple[int, ...]) -> Rendered:
    return (_tc if on.dcb is None else _dcb)(policy, on, control_ports)


PORT_DRIVERS: tuple[tuple[str, Renderer], ...] = (("dcb", _dcb), ("tc", _tc), ("fake", _fake))
"""Drivers of ports, the preferred first, and what each is told."""


def renderer(control_ports: tuple[int, ...]) -> Render:
    """``control_ports``: TCP ports, at either end, that belong to the control lane."""
    table = dict(PORT_DRIVERS)
    return lambda policy, wire, driver: table[driver](policy, wire, control_ports)


def chosen(offers: Iterable[DriverOffer]) -> DriverOffer | None:
    """The preferred driver of those that an agent offers for a port."""
    supported = {o.driver: o for o in offers if o.supported}
    return next((supported[name] for name, _ in PORT_DRIVERS if name in supported), None)


def is_dcb(offer: DriverOffer) -> bool:
    """Whether the port is told DCB elements."""
    return offer.driver == "dcb" or offer.dcb is not None


MOST_NAMED = 4


def notes_of(said: Iterable[tuple[str, str]]) -> Iterable[str]:
    """(port, sentence) pairs, a line a sentence: ports of which the same is to be said are told together."""
    ports: dict[str, list[str]] = {}
    for port, sentence in said:
        ports.setdefault(sentence, []).append(port)
    for sentence, names in ports.items():
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield f"port{'s' if len(names) > 1 else ''} {', '.join(names[:MOST_NAMED])}{more}: {sentence}"
