"""The ports a policy can select, as the fabric describes them, and who claims each.

Host NICs are targets, and Ethernet ports of managed switches that a link names. InfiniBand ports are claimed one by
one but programmed a subnet at a time, because the subnet manager owns every port's tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from trafficd_topology.model import FabricSpec, Host, LinkLayer, Nic, PortKey, ScopeKind
from trafficd_topology.qos.policy import Policy, Selector


@dataclass(frozen=True, slots=True)
class Target:
    """A port that a policy can select.

    ``nic`` and ``host`` are the port's own on a host, and those of the other end on a switch (None where that is
    no host NIC). ``rate_bps`` is what the fabric file allows it, None where it does not say.
    """

    port: PortKey
    link_layer: LinkLayer
    rate_bps: int | None
    host: Host | None = None
    nic: Nic | None = None
    switch: bool = False

    @property
    def subnet(self) -> str:
        return self.nic.subnet if self.nic else ""

    def selected_by(self, selector: Selector) -> bool:
        """Whether this selector means this port."""
        peer = (self.host, self.nic) if self.host and self.nic else None
        if self.switch:
            return selector.selects_switch_port(self.port.node, self.port.port, peer)
        return peer is not None and selector.selects_nic(*peer)


@dataclass(frozen=True, slots=True)
class Claim:
    """A scope by its fabric name, its ports, and the policies that select any of them, by name.

    ``kind`` PORT: ``name`` is node/port. FABRIC: ``name`` is the subnet.
    """

    kind: ScopeKind
    name: str
    targets: tuple[Target, ...]
    policies: tuple[Policy, ...]


def least(rates: Iterable[int | None]) -> int | None:
    """The smallest of the rates that are known."""
    return min((r for r in rates if r is not None), default=None)


def targets(fabric: FabricSpec) -> tuple[Target, ...]:
    """Every selectable port, by name."""
    links: dict[PortKey, list[int | None]] = defaultdict(list)
    peers: dict[PortKey, PortKey] = {}
    for link in fabric.links:
        for here, there in ((link.a, link.b), (link.b, link.a)):
            links[here].append(link.rate_bps)
            peers[here] = there
    nics = {PortKey(h.name, n.name): (h, n) for h in fabric.hosts for n in h.nics}
    managed = {s.name for s in fabric.switches if s.managed and s.link_layer is LinkLayer.ETHERNET}
    own = [
        Target(key, nic.link_layer, least([nic.rate_bps, *links.get(key, ())]), host, nic)
        for key, (host, nic) in nics.items()
    ]
    facing = [
        _switch_port(key, peers[key], nics, links[key])
        for key in links
        if key.node in managed and key not in nics
    ]
    return tuple(sorted((*own, *facing), key=lambda t: t.port))


def _switch_port(
    key: PortKey, peer: PortKey, nics: dict[PortKey, tuple[Host, Nic]], rates: list[int | None]
) -> Target:
    host, nic = nics.get(peer, (None, None))
    rate = least([*rates, nic.rate_bps if nic else None])
    return Target(key, LinkLayer.ETHERNET, rate, host, nic, switch=True)


def selected(policy: Policy, among: Iterable[Target]) -> tuple[Target, ...]:
    """The ports that a policy selects."""
    return tuple(t for t in among if any(t.selected_by(s) for s in policy.selectors))


def claims(policies: Iterable[Policy], among: tuple[Target, ...]) -> tuple[Claim, ...]:
    """Every scope that some policy selects, and by whom."""
    found: dict[tuple[ScopeKind, str], tuple[dict[PortKey, Target], dict[str, Policy]]] = {}
    for policy in policies:
        for target in selected(policy, among):
            ports, by = found.setdefault(_scope(target), ({}, {}))
            ports[target.port] = target
            by[policy.name] = policy
    return tuple(
        Claim(kind, name, tuple(ports[k] for k in sorted(ports)), tuple(by[n] for n in sorted(by)))
        for (kind, name), (ports, by) in sorted(found.items())
    )


def _scope(target: Target) -> tuple[ScopeKind, str]:
    if target.link_layer is LinkLayer.INFINIBAND:
        return ScopeKind.FABRIC, target.subnet
    return ScopeKind.PORT, str(target.port)
