"""Reads the section ``regular`` of a fabric file, the short form of ``parsers.regular``.

A name with a range in it, ``p[01-48]``, stands for one name for each number, as in Slurm's host lists. What has a
problem is left out or read as its default, so that the rest can still be held against the rest of the file.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Map
from fractions import Fraction
from typing import Any

from trafficd_topology.model import Gpu, Host, LinkLayer, Nic, NicKind, Problem, Role
from trafficd_topology.parsers import units
from trafficd_topology.parsers.fields import MAX_INDEX, NODE, NODE_RULE, PORT, PORT_RULE, index, named, read
from trafficd_topology.parsers.regular import (
    FatTree,
    HostSet,
    Names,
    NicSet,
    Placement,
    Rails,
    Regular,
    ports,
    rails_of,
    uplink,
)
from trafficd_topology.parsers.tree import Mapping, note

MAX_HOSTS, MAX_NICS, MAX_SWITCHES, MAX_CABLES = 10_000, 40_000, 10_000, 100_000
"""Largest expansion: a few lines must not become a fabric that fills the memory."""
MAX_GPUS = 64
MAX_TIER = 1_024
"""Most leaves or spines of one tree, and most cables from a leaf to a spine."""
_RANGE = re.compile(r"([^\[\]]*)\[([0-9]{1,6})-([0-9]{1,6})\]([^\[\]]*)", re.ASCII)
_RANGE_RULE = f", or have one range of at most {MAX_HOSTS} numbers such as p[01-48]"
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NETWORK_RULE = (
    "must be a name of letters, digits and . _ - and at most 64 of them: switches are named after it"
)


def read_regular(m: Mapping) -> Regular:
    """What the section says; problems go to the mapping's list."""
    networks = [_network(n) for n in m.mappings("networks")]
    by_name = {n.name: n for n in reversed(networks)}
    groups = [g for x in m.mappings("hosts") if (g := _group(x, by_name))]
    m.done()
    regular = Regular(tuple(groups), tuple(n for n in networks if n.name and by_name[n.name] is n))
    if reason := _too_large(regular):
        m.problem("", None, reason)
        return Regular()
    for problem in (*_twice(networks, by_name), *(p for t in regular.networks for p in _wrong(t, regular))):
        note(m.problems, problem)
    return regular


def _twice(networks: Iterable[FatTree], by_name: Map[str, FatTree]) -> Iterator[Problem]:
    for tree in networks:
        if tree.name and (first := by_name[tree.name]) is not tree:
            yield Problem(f"{tree.path}.name", tree.name, f"is already at {first.path}.name: rename one")


def _wrong(tree: FatTree, regular: Regular) -> Iterator[Problem]:
    """What is wrong between a network and the NICs in it."""
    if tree.leaves > 1 and not tree.spines:
        yield Problem(f"{tree.path}.spines", "0", f"must be above 0: nothing else joins {tree.leaves} leaves")
    cabled = tuple(ports(tree, regular.hosts))
    if not any(n.network == tree.name for g in regular.hosts for n in g.nics):
        yield Problem(
            f"{tree.path}.name", tree.name, "serves no NIC: name it at a NIC's network, or leave it out"
        )
    if (rate := uplink(tree, cabled)) > units.MAX_RATE_BPS:
        yield Problem(
            tree.path,
            f"{rate} b/s",
            "a cable from leaf to spine would carry more than 100T: add spines or cables",
        )


def _names(m: Mapping, pattern: re.Pattern[str], rule: str) -> Names | None:
    """The names that ``name`` stands for; None, with a problem, where it is no name."""
    value = m.raw("name")
    if value is None:
        m.problem("name", None, "is missing")
        return None
    names = _range(value) if isinstance(value, str) else None
    # The last name of a range is as long as any of it and made of the same characters.
    if names and pattern.fullmatch(deque(names, maxlen=1)[0]):
        return names
    m.problem("name", value, rule + _RANGE_RULE)
    return None


def _range(text: str) -> Names | None:
    match = _RANGE.fullmatch(text)
    if match is None:
        return Names(text)
    before, first, last, after = match.groups()
    numbers = range(int(first), int(last) + 1)
    # As many digits as the first number has: [01-48] is 01, 02; [8-12] is 8, 9, 10.
    return Names(before, numbers, len(first), after) if 0 < len(numbers) <= MAX_HOSTS else None


def _group(m: Mapping, networks: Map[str, FatTree]) -> HostSet | None:
    gpus = m.whole("gpus", None, high=MAX_GPUS)
    if gpus is None:  # where it is wrong no pairing is called wrong too
        gpus = MAX_GPUS if m.has("gpus") else 0
    host = Host(
        name="",
        role=m.choice("role", Role, Role.OTHER),
        gpus=tuple(Gpu(i) for i in range(gpus)),
        memory_bytes_per_s=read(m, "memory", units.bandwidth, units.BANDWIDTH_RULE),
        pool=m.text("pool", None),
    )
    names = _names(m, NODE, NODE_RULE)
    nics = tuple(n for x in m.mappings("nics") if (n := _nics(x, networks)))
    m.done()
    return HostSet(m.path, names, host, nics) if names else None


def _nics(m: Mapping, networks: Map[str, FatTree]) -> NicSet | None:
    if not m.has("rate"):
        m.problem("rate", None, "is missing")
    names, tree = _names(m, PORT, PORT_RULE), _tree(m, networks)
    nic = Nic(
        name="",
        kind=m.choice("kind", NicKind) or NicKind.COMPUTE,
        link_layer=_layer(m, tree),
        rate_bps=read(m, "rate", units.rate, units.RATE_RULE) or 0,
        gpu=index(m, "gpu"),
        rail=index(m, "rail"),
        subnet=m.text("subnet", ""),
    )
    if tree and tree.rails is not Rails.SHARED and nic.rail is None:
        m.problem("rail", None, f"is missing: {tree.name} has leaves for each rail")
    if nic.rail is not None and nic.rail + len(names or ()) > MAX_INDEX + 1:
        m.problem("rail", nic.rail, f"must leave the last NIC a rail of at most {MAX_INDEX}")
    m.done()
    return NicSet(m.path, names, nic, tree.name if tree else None) if names else None


def _tree(m: Mapping, networks: Map[str, FatTree]) -> FatTree | None:
    name = m.text("network", None)
    # A network whose name was refused may be the one meant here.
    if name is not None and name not in networks and "" not in networks:
        m.problem("network", name, "is no network of regular.networks")
    return networks.get(name) if name else None


def _layer(m: Mapping, tree: FatTree | None) -> LinkLayer:
    """A NIC's link layer: that of its network, which it may repeat."""
    own = tree.link_layer if tree else LinkLayer.ETHERNET
    said: LinkLayer = m.choice("link_layer", LinkLayer, own)
    if tree and said is not own:
        m.problem("link_layer", said.value, f"must be {own}, the link layer of {tree.name}, or left out")
        return own
    return said


def _over(value: Any) -> Fraction | None:
    """A ratio of at least 0.01 and at most 100, exactly as it is written: ``3``, ``1.5``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Fraction(str(value)) if 0.01 <= value <= 100 else None


def _network(m: Mapping) -> FatTree:
    over = read(m, "oversubscription", _over, "must be a ratio from 0.01 to 100")
    rate = read(m, "uplink", units.rate, units.RATE_RULE)
    if over is not None and rate is not None:
        m.problem("oversubscription", over, "cannot stand beside uplink: leave one of them out")
    tree = FatTree(
        path=m.path,
        name=named(m, "name", _NETWORK, _NETWORK_RULE),
        leaves=_count(m, "leaves", 1),
        spines=_count(m, "spines", 0),
        link_layer=m.choice("link_layer", LinkLayer, LinkLayer.ETHERNET),
        rails=m.choice("rails", Rails, Rails.SHARED),
        placement=m.choice("placement", Placement, Placement.BLOCKS),
        cables=m.whole("cables", 1, low=1, high=MAX_TIER),
        uplink_bps=rate,
        oversubscription=over or Fraction(1),
        managed=m.flag("managed", default=False),
    )
    m.done()
    return tree


def _count(m: Mapping, key: str, low: int) -> int:
    """A required number of switches; 1 where it is not given or wrong, so that nothing else is called wrong for it."""
    found = m.whole(key, low=low, high=MAX_TIER)
    return 1 if found is None else int(found)


def _too_large(regular: Regular) -> str:
    """Why this is not expanded; empty when it is."""
    return next((f"makes {n} {what}, more than {most}" for what, n, most in _sizes(regular) if n > most), "")


def _sizes(regular: Regular) -> Iterator[tuple[str, int, int]]:
    """(what, how many, at most), each counted once what it is made of is known to be few enough."""
    groups = regular.hosts
    yield "hosts", sum(len(g.names) for g in groups), MAX_HOSTS
    yield "NICs", sum(len(g.names) * len(n.names) for g in groups for n in g.nics), MAX_NICS
    trees = [(len(rails_of(t, groups)), t) for t in regular.networks]
    yield "switches", sum(rails * (t.leaves + t.spines) for rails, t in trees), MAX_SWITCHES
    yield "cables", sum(rails * t.leaves * t.spines * t.cables for rails, t in trees), MAX_CABLES
