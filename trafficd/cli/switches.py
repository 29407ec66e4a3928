"""``trafficd check --switch NAME=FILE``: a switch's configuration, or what it announces, against the policies."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import read
from trafficd.core.agreement import digest_of
from trafficd.core.targets import selected, targets
from trafficd_topology.model import FabricSpec, LinkLayer, PortKey, Problem
from trafficd_topology.parsers.lldp import parse_lldp
from trafficd_topology.parsers.sonic import SonicConfig, parse_sonic
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.roce import arrange
from trafficd_topology.qos.switch import UNSAID_BY_DCBX, PeerDcb, compare_peer, compare_switch

MOST_PORTS = 3
"""Ports that differ alike are told together, and so many of them by name."""


@dataclass(frozen=True, slots=True)
class Export:
    """What is known of one switch, from which file: its configuration, or what it announces."""

    switch: str
    path: str
    config: SonicConfig | None = None
    peers: tuple[PeerDcb, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """A policy held against a switch. ``stanza``: the agreement to put into the fabric file, where nothing differs."""

    problems: tuple[Problem, ...] = ()
    said: tuple[str, ...] = ()
    stanza: str = ""


def parse(given: str) -> tuple[Export | None, tuple[Problem, ...]]:
    """``leaf1=export.json``. Raises CliError where it is not of that form or cannot be read."""
    switch, equals, path = given.partition("=")
    if not (switch and equals and path):
        raise CliError(Exit.USAGE, f"--switch {given}: give NAME=FILE, such as leaf1=config_db.json")
    data = read(path)
    if b'"lldp"' in data[:4096]:
        peers, problems = parse_lldp(data)
        return Export(switch, path, peers=peers), _placed(path, problems)
    config, problems = parse_sonic(data)
    return (Export(switch, path, config) if config else None), _placed(path, problems)


def _placed(path: str, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(Problem(f"{path}: {p.path}" if p.path else path, p.value, p.reason) for p in problems)


def compare(export: Export, policies: Sequence[Policy], fabric: FabricSpec) -> tuple[Compared, ...]:
    """Every policy that selects a NIC on this switch and speaks of RoCE."""
    if export.switch not in {s.name for s in fabric.switches}:
        known = ", ".join(s.name for s in fabric.switches) or "none"
        reason = f"the fabric file has no switch of this name: it has {known}"
        return (Compared((Problem(f"--switch {export.switch}", "", reason),)),)
    found = [(p, _ports(export.switch, p, fabric)) for p in policies if p.roce is not None]
    compared = tuple(_compare(export, policy, ports) for policy, ports in found if ports)
    reason = "no policy with a roce section selects a NIC on this switch: there is nothing to compare"
    return compared or (Compared((Problem(f"--switch {export.switch}", "", reason),)),)


def _ports(switch: str, policy: Policy, fabric: FabricSpec) -> tuple[str, ...]:
    """The switch's ports that the policy's Ethernet NICs are cabled to."""
    ends: dict[PortKey, PortKey] = {}
    for link in fabric.links:
        ends |= {link.a: link.b, link.b: link.a}
    nics = [t for t in selected(policy, targets(fabric)) if t.link_layer is LinkLayer.ETHERNET and t.nic]
    mine = (PortKey(t.port.node, n) for t in nics if t.nic for n in (t.port.port, *t.nic.members))
    return tuple(sorted(ends[e].port for e in mine if e in ends and ends[e].node == switch))


def _compare(export: Export, policy: Policy, ports: tuple[str, ...]) -> Compared:
    rows = tuple(_by_config(export.config, policy, ports) if export.config else _by_peers(export, policy))
    differing: dict[str, list[str]] = {}
    for port, sentence in rows:
        differing.setdefault(sentence, []).append(port)
    where = f"{export.path}: switch {export.switch}, policy {policy.name}"
    if differing:
        return Compared(tuple(Problem(f"{where}, {_named(p)}", "", s) for s, p in differing.items()))
    means = "DCBX" if export.config is None else "its configuration"
    said = (f"switch {export.switch} agrees with policy {policy.name} by {means} on {len(ports)} ports",)
    more = (UNSAID_BY_DCBX,) if export.config is None else ()
    return Compared((), (*said, *more), _stanza(export, policy, means))


def _named(ports: Sequence[str]) -> str:
    shown = ", ".join(ports[:MOST_PORTS])
    more = f" and {len(ports) - MOST_PORTS} more" if len(ports) > MOST_PORTS else ""
    return f"port{'s' if len(ports) > 1 else ''} {shown}{more}"


def _by_config(config: SonicConfig, policy: Policy, ports: Sequence[str]) -> Iterator[tuple[str, str]]:
    arranged = arrange(policy.lanes, policy.roce) if policy.roce else ()
    for name in ports:
        port = config.port(name)
        if port is None:
            yield name, "the export has no PORT_QOS_MAP for it: it is not set up, or the export is incomplete"
            continue
        yield from ((name, sentence) for sentence in compare_switch(arranged, port))


def _by_peers(export: Export, policy: Policy) -> Iterator[tuple[str, str]]:
    arranged = arrange(policy.lanes, policy.roce) if policy.roce else ()
    heard = [p for p in export.peers if p.chassis == export.switch]
    if not heard:
        others = ", ".join(sorted({p.chassis for p in export.peers})) or "nobody"
        yield "none", f"no neighbour is called {export.switch}: heard of {others}"
    for peer in heard:
        yield from ((peer.port or peer.interface, s) for s in compare_peer(arranged, peer))


def _stanza(export: Export, policy: Policy, means: str) -> str:
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    by = json.dumps(f"trafficd check, {means}")
    switches = json.dumps([export.switch])
    return (
        f'agreements:\n  - {{switches: {switches}, digest: "{digest_of(policy)}", date: "{today}", by: {by}}}'
    )
