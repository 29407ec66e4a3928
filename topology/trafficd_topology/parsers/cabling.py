"""Holds the records of a fabric file against each other: names, addresses, pairings, cables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from trafficd_topology.model import Host, Link, LinkLayer, Nic, NicKind, PortKey, Problem, Role, Switch
from trafficd_topology.parsers.tree import note

T_ = TypeVar("T_")


@dataclass(frozen=True, slots=True)
class Placed(Generic[T_]):
    """A record and the path it stood at in the file, such as ``hosts[3]``.

    ``nics`` are the paths of a host's NICs where these are not ``hosts[3].nics[0]`` and on.
    """

    path: str
    item: T_
    nics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ports:
    """Where a cable may end: NICs and bond members by port, switches by name."""

    nics: dict[PortKey, Nic]
    hosts: frozenset[str]
    switches: dict[str, Switch]

    def layer(self, end: PortKey) -> LinkLayer | None:
        """The link layer at one end of a cable; None where there is no such end."""
        if switch := self.switches.get(end.node):
            return switch.link_layer
        nic = self.nics.get(end)
        return nic.link_layer if nic else None


def check(
    hosts: Sequence[Placed[Host]],
    switches: Sequence[Placed[Switch]],
    links: Sequence[Placed[Link]],
    problems: list[Problem],
) -> None:
    """Add to ``problems`` everything that is wrong between records. Empty names were reported before."""
    nodes = [(f"{h.path}.name", h.item.name) for h in hosts]
    nodes += [(f"{s.path}.name", s.item.name) for s in switches]
    found = [*_twice(nodes, "hosts and switches need names of their own")]
    guids: dict[str, str] = {}
    for host in hosts:
        found += _host(host, guids)
    found += _links(links, _ports(hosts, switches))
    # Hosts of one set share what is wrong with them.
    for problem in dict.fromkeys(found):
        note(problems, problem)


def _twice(
    named: Iterable[tuple[str, Any]], rule: str, seen: dict[Any, str] | None = None
) -> Iterator[Problem]:
    """A problem for each (path, value) whose value stood before. Empty values are passed over."""
    first: dict[Any, str] = {} if seen is None else seen
    for path, value in named:
        if value is None or value in ("", -1):
            continue
        if value in first:
            yield Problem(path, str(value), f"is already at {first[value]}: {rule}")
        else:
            first[value] = path


def _host(placed: Placed[Host], guids: dict[str, str]) -> Iterator[Problem]:
    path, host = placed.path, placed.item
    paths = placed.nics or [f"{path}.nics[{i}]" for i in range(len(host.nics))]
    nics = [Placed(at, nic) for at, nic in zip(paths, host.nics, strict=True)]
    gpus = [(f"{path}.gpus[{i}].index", gpu.index) for i, gpu in enumerate(host.gpus)]
    yield from _twice(gpus, "a GPU is listed once")
    yield from _twice(_port_names(nics), "a port is one NIC, or a member of one bond")
    yield from _twice([(f"{n.path}.pci", n.item.pci) for n in nics], "a PCI address is one NIC of a host")
    yield from _twice(
        [(f"{n.path}.guid", n.item.guid) for n in nics], "a GUID is one port of the fabric", guids
    )
    yield from _pairings(nics, {index for _, index in gpus})
    yield from _role(placed)


def _port_names(nics: Sequence[Placed[Nic]]) -> Iterator[tuple[str, str]]:
    for n in nics:
        yield f"{n.path}.name", n.item.name
    for n in nics:
        yield from ((f"{n.path}.members[{i}]", member) for i, member in enumerate(n.item.members))


def _pairings(nics: Sequence[Placed[Nic]], gpus: set[int]) -> Iterator[Problem]:
    for n in nics:
        if n.item.gpu is not None and n.item.gpu not in gpus:
            yield Problem(f"{n.path}.gpu", str(n.item.gpu), "is no GPU of this host: list it under gpus")


def _role(placed: Placed[Host]) -> Iterator[Problem]:
    host, storage = placed.item, placed.item.role is Role.STORAGE
    if host.pool is not None and not storage:
        yield Problem(f"{placed.path}.pool", host.pool, "only a host of role storage serves a pool")
    if storage and not any(nic.kind is NicKind.STORAGE for nic in host.nics):
        yield Problem(f"{placed.path}.nics", "", "a host of role storage needs a NIC of kind storage")


def _ports(hosts: Sequence[Placed[Host]], switches: Sequence[Placed[Switch]]) -> _Ports:
    nics = {
        PortKey(h.item.name, port): nic
        for h in hosts
        for nic in h.item.nics
        for port in (nic.name, *nic.members)
    }
    names = frozenset(h.item.name for h in hosts)
    return _Ports(nics, names, {s.item.name: s.item for s in switches if s.item.name not in names})


def _links(links: Sequence[Placed[Link]], ports: _Ports) -> Iterator[Problem]:
    cabled: dict[PortKey, str] = {}
    for placed in links:
        link, ends = placed.item, (placed.item.a, placed.item.b)
        yield from (p for end in ends for p in _end(placed.path, end, ports))
        if link.a.node == link.b.node:
            yield Problem(placed.path, f"{link.a} - {link.b}", "joins a node to itself")
            continue
        yield from _twice(((placed.path, end) for end in ends), "a port takes one cable", cabled)
        yield from _unlike(placed, ports)
    yield from _bonds(cabled, ports)


def _end(path: str, end: PortKey, ports: _Ports) -> Iterator[Problem]:
    if end.node in ports.hosts:
        if end not in ports.nics:
            yield Problem(path, str(end), f"host {end.node} has no NIC or bond member {end.port}")
    elif end.node not in ports.switches:
        yield Problem(path, str(end), f"there is no host or switch {end.node}")


def _unlike(placed: Placed[Link], ports: _Ports) -> Iterator[Problem]:
    link = placed.item
    a, b = ports.layer(link.a), ports.layer(link.b)
    if a and b and a is not b:
        yield Problem(placed.path, f"{link.a} - {link.b}", f"joins {a} to {b}: a link has one link layer")
    if link.rate_bps is None and link.a.node in ports.switches and link.b.node in ports.switches:
        yield Problem(
            f"{placed.path}.rate", "", "is missing: between switches no port of a host says how fast it is"
        )


def _bonds(cabled: dict[PortKey, str], ports: _Ports) -> Iterator[Problem]:
    for port, path in cabled.items():
        nic = ports.nics.get(port)
        if nic and nic.members and port.port == nic.name:
            wired = [m for m in nic.members if PortKey(port.node, m) in cabled]
            if wired:
                yield Problem(
                    path, str(port), f"cable the bond or its members, not both ({wired[0]} is cabled)"
                )
