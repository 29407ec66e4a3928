"""``trafficd-agent audit``: what is wrong on this node already. Reads sysfs, counters, opensm.conf and the accepted
state; writes nothing and needs no running agent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.app.drivers import DriverTable, take_inventory
from trafficd_agent.config import Config
from trafficd_agent.desired import Desired, DesiredScope, ScopeLane
from trafficd_agent.drivers.opensm.options import OpensmOptions
from trafficd_agent.drivers.tc_counters import LinkReader, TcReader
from trafficd_agent.files import peek_accepted
from trafficd_agent.readers import Collector, standard_readers
from trafficd_agent.sysfs import hardware
from trafficd_topology.audit import Facts, audit
from trafficd_topology.audit.facts import LaneFacts, NodeFacts, PortLanes, merged
from trafficd_topology.audit.gather import counts, seconds
from trafficd_topology.audit.kinds import MAX_FILE_BYTES, read_conf
from trafficd_topology.audit.report import Report, Unjudged
from trafficd_topology.counters import Column, Reader, Sample
from trafficd_topology.model import LinkLayer, NodeInventory, ScopeKind

CONTROL = "control"
"""The lane of this class, or of this name, need not be used."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to audit. ``root`` is the machine's root, ``/`` or a copy; ``watch_s`` is how long counters are watched."""

    config: Config
    drivers: DriverTable
    root: Path
    watch_s: float


@dataclass(frozen=True, slots=True)
class Watched:
    """Two readings of the same counters, and the readers that failed, a sentence each."""

    columns: tuple[Column, ...]
    first: Sample
    last: Sample
    errors: tuple[str, ...]


def _readers(root: Path, found: NodeInventory) -> tuple[Reader, ...]:
    """As the running agent has them; a copy of another machine has no kernel to ask."""
    if root != Path("/"):
        return standard_readers(root)
    names = tuple(p.name for p in found.ports if p.link_layer is LinkLayer.ETHERNET)
    return (TcReader(lambda: names), *standard_readers(root), LinkReader(lambda: names))


def _watch(request: Request, found: NodeInventory) -> Watched:
    collector = Collector(_readers(request.root, found))
    collector.refresh()
    first = last = collector.collect()
    if request.root == Path("/") and request.watch_s > 0:
        time.sleep(request.watch_s)
        last = collector.collect()
    errors = tuple(o.error for o in last.outcomes if o.error)
    return Watched(collector.columns, first.sample, last.sample, errors)


def _lane(lane: ScopeLane) -> LaneFacts:
    fine = CONTROL in (lane.name, *lane.traffic_classes)
    return LaneFacts(lane.id, lane.name, lane.traffic_classes, unmarked=lane.unmarked, idle_is_fine=fine)


def _lanes(accepted: Desired | None) -> tuple[PortLanes, ...]:
    scopes: tuple[DesiredScope, ...] = accepted.scopes if accepted else ()
    ports = (s for s in scopes if s.id.kind is ScopeKind.PORT)
    return tuple(PortLanes(s.id.name, s.policy, tuple(map(_lane, s.lanes))) for s in ports)


def conf_paths(config: Config) -> tuple[str, ...]:
    """The opensm.conf of each fabric in the settings; without any, the usual one."""
    named = [
        r.options.get("conf") for r in config.rules if r.driver == "opensm" and isinstance(r.options, dict)
    ]
    return tuple(dict.fromkeys(p for p in named if isinstance(p, str))) or (OpensmOptions().conf,)


def _confs(request: Request) -> Iterator[tuple[str, Facts | Unjudged]]:
    """Each opensm.conf that is there; that there is none is no finding: most nodes run no subnet manager."""
    for path in conf_paths(request.config):
        try:
            with (request.root / path.lstrip("/")).open("rb") as file:
                data = file.read(MAX_FILE_BYTES)
        except FileNotFoundError:
            continue
        except OSError as e:
            yield path, Unjudged(path, f"it cannot be read: {e.strerror}")
            continue
        judged = read_conf(path, data.decode("utf-8", "replace"))
        yield path, judged.facts or Unjudged(path, judged.reason)


def run(request: Request) -> Report:
    """Raises OSError when there is no such machine, or its directories cannot be listed."""
    config = request.config
    (request.root / "sys").stat()
    found = take_inventory(request.root, config.node, request.drivers)
    watched = _watch(request, found)
    accepted, problem = peek_accepted(Path(config.state_dir))
    node = NodeFacts(
        config.node,
        hardware.ports(request.root, found),
        counts(watched.columns, watched.first, watched.last),
        seconds(watched.first, watched.last),
        found.gpus,
        _lanes(accepted) if request.root == Path("/") else (),
    )
    confs = tuple(_confs(request))
    facts = merged(Facts((node,)), *(f for _, f in confs if isinstance(f, Facts)))
    none = [] if found.ports else ["no port was found on it: is this the host's network namespace?"]
    said = [Unjudged(config.node, e) for e in (*none, *watched.errors, *filter(None, (problem,)))]
    said += [u for _, u in confs if isinstance(u, Unjudged)]
    judged = (config.node, *(path for path, f in confs if isinstance(f, Facts)))
    return Report(judged, audit(facts), tuple(said))
