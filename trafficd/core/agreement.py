"""Whether the switches beside a RoCE port are known to treat packets as the policy does; else it is only observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from trafficd.core.targets import Target
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import Agreement, FabricSpec, PortKey
from trafficd_topology.qos.policy import Policy
from trafficd_topology.qos.roce import arrange
from trafficd_topology.qos.switch import switch_digest


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What is at the other end of each port, and what is known of switches.

    ``managed``: switches whose own agents program them. ``cycle``: channels such as ``s1>s2`` whose buffers wait for each
    other in a ring.
    """

    peers: Mapping[PortKey, str]
    switches: frozenset[str]
    managed: frozenset[str]
    agreements: tuple[Agreement, ...]
    cycle: tuple[str, ...] = ()


@lru_cache(maxsize=4)
def _cycle(fabric: FabricSpec) -> tuple[str, ...]:
    """The first cyclic buffer dependency, as channels; empty where there is none."""
    found = Fabric(fabric).cyclic_buffer_dependencies()
    return found[0] if found else ()


def neighbours(fabric: FabricSpec) -> Neighbours:
    ends = [(link.a, link.b) for link in fabric.links]
    peers = {a: b.node for a, b in (*ends, *((b, a) for a, b in ends))}
    names = frozenset(s.name for s in fabric.switches)
    managed = frozenset(s.name for s in fabric.switches if s.managed)
    return Neighbours(peers, names, managed, fabric.agreements, _cycle(fabric))


@lru_cache(maxsize=64)
def digest_of(policy: Policy) -> str:
    """What the policy asks of switches, in short; empty where it says nothing of RoCE."""
    return "" if policy.roce is None else switch_digest(arrange(policy.lanes, policy.roce))


def disagreement(target: Target, policy: Policy, near: Neighbours) -> str:
    """Why the port must not be enforced, a sentence that begins after its name; empty where all switches agree."""
    if near.cycle and policy.roce and policy.roce.lossless and not policy.roce.pfc_cycles:
        return (
            f"only observed: the fabric's routes have a cyclic buffer dependency ({' '.join(near.cycle)}), in which "
            f"lossless lanes can lock up for good: route it away, or say pfc_cycles: true in policy {policy.name}"
        )
    members = target.nic.members if target.nic and not target.switch else ()
    ends = [PortKey(target.port.node, m) for m in (target.port.port, *members)]
    peers = sorted({near.peers[e] for e in ends if e in near.peers})
    if not peers:
        return "only observed: no link of the fabric file says which switch it is on, and the switch must agree first"
    wanted = digest_of(policy)
    open_ = [p for p in peers if p in near.switches - near.managed and not _agrees(p, wanted, near)]
    if not open_:
        return ""
    named = " and ".join(open_)
    return (
        f"only observed: {named} is not known to agree with policy {policy.name}: compare its configuration by trafficd "
        f"check --switch {open_[0]}=EXPORT, and put the agreement on {wanted} that it prints into the fabric file"
    )


def _agrees(switch: str, wanted: str, near: Neighbours) -> bool:
    return any(
        a.digest == wanted and any(fnmatchcase(switch, g) for g in a.switches) for a in near.agreements
    )
