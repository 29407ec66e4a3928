"""From a FabricSpec to cables with capacities: who owns a port, where a NIC is attached, what a cable carries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from trafficd_topology.model import FabricSpec, Link, Nic, PortKey
from trafficd_topology.routes import UNLIMITED, Cable, Cables, Network, cable

K_ = TypeVar("K_", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Attached:
    """Where one NIC's cables go, each cable leaving the NIC: to switches by number, to other NICs directly."""

    switches: Mapping[int, Cables]
    direct: Mapping[PortKey, Cables]


@dataclass(frozen=True, slots=True)
class Attachment:
    """NICs that the fabric cannot tell apart: attached to the same switches, or to each other by one cable.

    ``name`` is the switch's name, several joined by ``+`` (a bond over two leaves), ``link:...`` for a directly
    cabled pair, or ``nic:...`` for a NIC without a cable. ``switches`` is empty for the last two.
    """

    name: str
    switches: tuple[str, ...]
    ports: tuple[PortKey, ...]


@dataclass(frozen=True, slots=True)
class Wiring:
    """A fabric's ports and cables. ``owners`` gives the NIC of every NIC port and bond member."""

    nics: Mapping[PortKey, Nic]
    owners: Mapping[PortKey, PortKey]
    switches: tuple[str, ...]
    cables: Cables
    by_port: Mapping[PortKey, Cable]
    attached: Mapping[PortKey, Attached]
    network: Network

    def numbers(self) -> Mapping[str, int]:
        """A switch's number in the network, by name."""
        return {name: i for i, name in enumerate(self.switches)}


def wire(spec: FabricSpec) -> Wiring:
    """The wiring of a valid spec; ValueError for a link that ends nowhere.

    A spec without any link is taken as cabled to implied switches that never limit: one for each kind of NIC,
    link layer and subnet, named ``implied:<kind>-<link layer>``.
    """
    nics = {PortKey(h.name, n.name): n for h in spec.hosts for n in h.nics}
    owners = {p: key for key, nic in nics.items() for p in (key, *_members(key, nic))}
    if spec.links:
        switches = tuple(s.name for s in spec.switches)
        rates = _port_rates(nics)
        cables = tuple(_cable(link, rates, frozenset(switches)) for link in spec.links)
    else:
        cables = tuple(_implied(key, nic) for key, nic in nics.items())
        switches = tuple(dict.fromkeys([s.name for s in spec.switches] + [c.b.node for c in cables]))
    numbers = {name: i for i, name in enumerate(switches)}
    inner = [
        (numbers[c.a.node], numbers[c.b.node], c) for c in cables if {c.a.node, c.b.node} <= numbers.keys()
    ]
    attached = _attached(nics, cables, owners, numbers)
    by_port = {end: c for c in cables for end in (c.a, c.b)}
    return Wiring(nics, owners, switches, cables, by_port, attached, Network(len(switches), inner))


def _members(key: PortKey, nic: Nic) -> Iterator[PortKey]:
    return (PortKey(key.node, member) for member in nic.members)


def _implied(key: PortKey, nic: Nic) -> Cable:
    subnet = f"-{nic.subnet}" if nic.subnet else ""
    return cable(key, PortKey(f"implied:{nic.kind}-{nic.link_layer}{subnet}", str(key)), nic.rate_bps)


def _port_rates(nics: Mapping[PortKey, Nic]) -> Mapping[PortKey, int]:
    """Bits per second that a NIC or a bond's member can take; a bond's rate is that of its members together."""
    rates = {key: nic.rate_bps for key, nic in nics.items()}
    for key, nic in nics.items():
        rates |= {member: max(1, nic.rate_bps // len(nic.members)) for member in _members(key, nic)}
    return rates


def _cable(link: Link, port_rates: Mapping[PortKey, int], switches: frozenset[str]) -> Cable:
    """What a link can carry: the least of its own rate and of its ends' rates, as far as they are known."""
    rates = [link.rate_bps] if link.rate_bps else []
    for end in (link.a, link.b):
        if rate := port_rates.get(end):
            rates.append(rate)
        elif end.node not in switches:
            raise ValueError(f"the link {link.a} - {link.b} ends at {end}, which is no port of the fabric")
    return cable(link.a, link.b, min(rates, default=UNLIMITED))


def _attached(
    nics: Mapping[PortKey, Nic], cables: Cables, owners: Mapping[PortKey, PortKey], numbers: Mapping[str, int]
) -> Mapping[PortKey, Attached]:
    switches: dict[PortKey, dict[int, list[Cable]]] = {key: {} for key in nics}
    direct: dict[PortKey, dict[PortKey, list[Cable]]] = {key: {} for key in nics}
    for c in sorted(c for one in cables for c in (one, one.reverse())):
        owner, peer = owners.get(c.a), owners.get(c.b)
        if owner and peer:
            direct[owner].setdefault(peer, []).append(c)
        elif owner:
            switches[owner].setdefault(numbers[c.b.node], []).append(c)
    return {key: Attached(_frozen(switches[key]), _frozen(direct[key])) for key in nics}


def _frozen(cables: Mapping[K_, list[Cable]]) -> Mapping[K_, Cables]:
    return {key: tuple(found) for key, found in cables.items()}


def attachments(wiring: Wiring) -> tuple[Attachment, ...]:
    """Every NIC in exactly one attachment, by name; ports are sorted."""
    found: dict[tuple[str, tuple[str, ...]], list[PortKey]] = defaultdict(list)
    groups = _groups(wiring.attached)
    for key in sorted(wiring.nics):
        switches = tuple(sorted(wiring.switches[number] for number in wiring.attached[key].switches))
        found["+".join(switches) or groups.get(key, f"nic:{key}"), switches].append(key)
    return tuple(
        Attachment(name, switches, tuple(ports)) for (name, switches), ports in sorted(found.items())
    )


def _groups(attached: Mapping[PortKey, Attached]) -> Mapping[PortKey, str]:
    """For each directly cabled NIC the first cable of its group: a pair, or bonds cabled in a chain."""
    names: dict[PortKey, str] = {}
    for start in attached:
        group = [start] if start not in names and attached[start].direct else []
        seen = set(group)
        for member in group:  # grows while it is walked
            fresh = [peer for peer in attached[member].direct if peer not in seen]
            seen.update(fresh)
            group += fresh
        cables = (c.name for member in group for found in attached[member].direct.values() for c in found)
        names |= dict.fromkeys(group, min(cables, default=""))
    return names
