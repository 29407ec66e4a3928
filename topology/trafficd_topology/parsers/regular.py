"""The short form of a fabric file: sets of equal hosts, cabled by two-tier fat trees. Format: docs/fabric.md.

``parsers.regular_form`` reads a ``Regular``; ``expand`` makes of it the hosts, switches and links that could have
been written out one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from trafficd_topology.model import Host, Link, LinkLayer, Nic, PortKey, Switch
from trafficd_topology.parsers.cabling import Placed


class Rails(StrEnum):
    """How a network treats rails: one tree for all NICs, leaves of their own per rail, or a whole tree per rail."""

    SHARED = "shared"
    LEAVES = "leaves"
    SEPARATE = "separate"


class Placement(StrEnum):
    """Which hosts share a leaf: neighbours in the file (racks), or dealt out one by one."""

    BLOCKS = "blocks"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Names:
    """One name, or one for each of ``numbers``, written with at least ``width`` digits between two texts."""

    before: str
    numbers: range = range(0)
    width: int = 1
    after: str = ""

    def __len__(self) -> int:
        return len(self.numbers) or 1

    def __iter__(self) -> Iterator[str]:
        if not self.numbers:
            yield self.before
        for n in self.numbers:
            yield f"{self.before}{n:0{self.width}}{self.after}"


@dataclass(frozen=True, slots=True)
class NicSet:
    """The same NICs on every host of a set. ``gpu`` and ``rail`` of ``nic`` are the first one's; each next is one more."""

    path: str
    names: Names
    nic: Nic
    network: str | None = None

    def nics(self) -> Iterator[Nic]:
        gpu, rail = self.nic.gpu, self.nic.rail
        for i, name in enumerate(self.names):
            yield replace(
                self.nic,
                name=name,
                gpu=None if gpu is None else gpu + i,
                rail=None if rail is None else rail + i,
            )


@dataclass(frozen=True, slots=True)
class HostSet:
    """Equal hosts; ``host`` is each of them but for its name and NICs."""

    path: str
    names: Names
    host: Host
    nics: tuple[NicSet, ...] = ()


@dataclass(frozen=True, slots=True)
class FatTree:
    """A network of two tiers. ``leaves`` and ``spines`` count per tree; with rails of their own leaves, leaves per rail.

    ``cables`` join each leaf to each spine. Each carries ``uplink_bps``, or, where that is None, what gives the
    leaf with most bandwidth to its hosts the ratio ``oversubscription`` of that to its bandwidth to the spines.
    """

    path: str
    name: str
    leaves: int
    spines: int
    link_layer: LinkLayer = LinkLayer.ETHERNET
    rails: Rails = Rails.SHARED
    placement: Placement = Placement.BLOCKS
    cables: int = 1
    uplink_bps: int | None = None
    oversubscription: Fraction = Fraction(1)
    managed: bool = False

    def leaf(self, rail: int | None, number: int) -> str:
        return f"{self.name}-leaf{number}" if rail is None else f"{self.name}-r{rail}-leaf{number}"

    def spine(self, rail: int | None, number: int) -> str:
        own = rail is not None and self.rails is Rails.SEPARATE
        return f"{self.name}-r{rail}-spine{number}" if own else f"{self.name}-spine{number}"


@dataclass(frozen=True, slots=True)
class Regular:
    """The short form, read: host sets and networks in the order of the file."""

    hosts: tuple[HostSet, ...] = ()
    networks: tuple[FatTree, ...] = ()


@dataclass(frozen=True, slots=True)
class Port:
    """A NIC's port at its leaf."""

    leaf: str
    key: PortKey
    rate_bps: int


def expand(regular: Regular) -> tuple[tuple[Host, ...], tuple[Switch, ...], tuple[Link, ...]]:
    """(hosts, switches, links) of the short form, in its order; links of a NIC carry what the NIC does."""
    hosts, switches, links = placed(regular)
    return tuple(h.item for h in hosts), tuple(s.item for s in switches), tuple(k.item for k in links)


def placed(regular: Regular) -> tuple[list[Placed[Host]], list[Placed[Switch]], list[Placed[Link]]]:
    """``expand`` with, beside each record, the place in the file it came from."""
    hosts = [host for group in regular.hosts for host in _hosts(group)]
    switches: list[Placed[Switch]] = []
    links: list[Placed[Link]] = []
    for tree in regular.networks:
        cabled = tuple(ports(tree, regular.hosts))
        rails = rails_of(tree, regular.hosts)
        names = dict.fromkeys(name for rail in rails for name in _switch_names(tree, rail))
        switches += [Placed(tree.path, Switch(n, tree.managed, tree.link_layer)) for n in names]
        links += [
            Placed(tree.path, link) for link in (*_down(cabled), *_up(tree, rails, uplink(tree, cabled)))
        ]
    return hosts, switches, links


def _hosts(group: HostSet) -> Iterator[Placed[Host]]:
    nics = tuple(nic for each in group.nics for nic in each.nics())
    paths = tuple(each.path for each in group.nics for _ in each.names)
    for name in group.names:
        yield Placed(group.path, replace(group.host, name=name, nics=nics), paths)


def _members(tree: FatTree, groups: Sequence[HostSet]) -> list[tuple[str, tuple[Nic, ...]]]:
    """The hosts of a network in order, each with its NICs there."""
    found = []
    for group in groups:
        nics = tuple(nic for each in group.nics if each.network == tree.name for nic in each.nics())
        found += [(name, nics) for name in group.names if nics]
    return found


def rails_of(tree: FatTree, groups: Sequence[HostSet]) -> tuple[int | None, ...]:
    """The rails that a network has leaves for; one None where all share them."""
    if tree.rails is Rails.SHARED:
        return (None,)
    sets = (each for group in groups for each in group.nics if each.network == tree.name)
    # A NIC without a rail is a problem of the file; it has no leaf.
    return tuple(sorted({n.rail for each in sets for n in each.nics() if n.rail is not None}))


def _switch_names(tree: FatTree, rail: int | None) -> Iterator[str]:
    yield from (tree.leaf(rail, i) for i in range(1, tree.leaves + 1))
    yield from (tree.spine(rail, i) for i in range(1, tree.spines + 1))


def ports(tree: FatTree, groups: Sequence[HostSet]) -> Iterator[Port]:
    members = _members(tree, groups)
    shared = tree.rails is Rails.SHARED
    for i, (host, nics) in enumerate(members):
        blocks = tree.placement is Placement.BLOCKS
        number = 1 + (i * tree.leaves // len(members) if blocks else i % tree.leaves)
        for nic in nics:
            if shared or nic.rail is not None:
                leaf = tree.leaf(None if shared else nic.rail, number)
                yield Port(leaf, PortKey(host, nic.name), nic.rate_bps)


def uplink(tree: FatTree, cabled: Sequence[Port]) -> int:
    """What each cable from a leaf to a spine carries, bits per second; 0 where there are no spines."""
    if tree.uplink_bps is not None or not tree.spines:
        return tree.uplink_bps or 0
    down: dict[str, int] = defaultdict(int)
    for port in cabled:
        down[port.leaf] += port.rate_bps
    # Rounded up: a bit more than asked for, never less.
    return -(-max(down.values(), default=0) // (tree.oversubscription * tree.spines * tree.cables))


def _down(cabled: Sequence[Port]) -> Iterator[Link]:
    """NICs to leaves; a leaf's ports are numbered from 1 in the order of its hosts."""
    used: dict[str, int] = defaultdict(int)
    for port in cabled:
        used[port.leaf] += 1
        yield Link(port.key, PortKey(port.leaf, str(used[port.leaf])))


def _up(tree: FatTree, rails: tuple[int | None, ...], rate_bps: int) -> Iterator[Link]:
    """Leaves to spines: port ``u1`` and on of a leaf, port ``1`` and on of a spine."""
    used: dict[str, int] = defaultdict(int)
    for rail in rails:
        for leaf in (tree.leaf(rail, i) for i in range(1, tree.leaves + 1)):
            spines = [tree.spine(rail, i) for i in range(1, tree.spines + 1) for _ in range(tree.cables)]
            for k, spine in enumerate(spines, 1):
                used[spine] += 1
                yield Link(PortKey(leaf, f"u{k}"), PortKey(spine, str(used[spine])), max(1, rate_bps))
