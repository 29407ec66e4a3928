"""InfiniBand lanes through OpenSM: files and SIGHUP, and every port read back by SMP.

OpenSM owns VLArb and SL2VL of all ports, so the scope is a whole fabric. It takes any nonsense silently and
does not see a table that somebody else overwrote: values are checked before, and ports are read after.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.driver import Capability, DriverError, Observation, UnsupportedError
from trafficd_agent.drivers.opensm import pathcheck, tables
from trafficd_agent.drivers.opensm.cause import Glance, why
from trafficd_agent.drivers.opensm.commit import commit, commit_files, log_of
from trafficd_agent.drivers.opensm.conf import writable
from trafficd_agent.drivers.opensm.counters import FabricReader
from trafficd_agent.drivers.opensm.found import subnet_of
from trafficd_agent.drivers.opensm.manager import STANDBY
from trafficd_agent.drivers.opensm.options import OpensmOptions
from trafficd_agent.drivers.opensm.process import find
from trafficd_agent.drivers.opensm.running import unapplied
from trafficd_agent.drivers.opensm.smp import Smp
from trafficd_agent.drivers.opensm.survey import Port, Survey
from trafficd_agent.drivers.opensm.texts import Texts, read_texts, text_elements
from trafficd_topology.counters import Reader
from trafficd_topology.diff import Change, Element, Steps, state
from trafficd_topology.model import DriverOffer, FabricInventory, FabricSetting, ScopeKind
from trafficd_topology.parsers.ibnetdiscover import dump
from trafficd_topology.parsers.opensm_conf import INFORMING
from trafficd_topology.qos.kinds import IB_TABLES
from trafficd_topology.qos.steps import IB_STEPS

STEPS: Steps = IB_STEPS
RECENT_S = 10.0
"""How old what was found may be that an inventory tells."""
NOT_OURS = (
    "this subnet manager is not ours to write (render_only): make its files with trafficd-agent subnet render, and apply "
    "them there"
)


@dataclass(frozen=True, slots=True)
class FabricPorts:
    """A fabric in numbers: ports with a link, and the fewest and most data VLs that they run."""

    count: int
    least_vls: int
    most_vls: int


@dataclass(slots=True)
class _Fabric:
    """``whole``: SL2VL of every pair is read next; else that of one pair for each out port, of ``turn``."""

    options: OpensmOptions
    smp: Smp
    pending: list[Change] | None = None
    whole: bool = True
    whole_at: float = 0.0
    turn: int = 0
    identity: str = ""
    found: Survey | None = None
    found_at: float = 0.0
    last: Glance | None = None

    def cause(self, seen: Glance) -> str:
        """Why it is another than at the last look; that is this one from now on."""
        last, self.last = self.last, seen
        return "" if last is None else why(last, seen)

    def last_seen(self) -> tuple[Port, ...]:
        """Ports with a link at the last look; empty before the first."""
        return self.found.ports if self.found is not None else ()

    def recent(self) -> Survey:
        """The subnet without regard to tables, as of a few seconds ago at most. Raises DriverError."""
        found = self.found
        if found is None or time.monotonic() - self.found_at > RECENT_S:
            found = self._keep(self.smp.ports())
        return found

    def _keep(self, survey: Survey) -> Survey:
        self.found, self.found_at = survey, time.monotonic()
        return survey

    def look(self, identity: str) -> Survey:
        """Read the subnet, every pair of it where that is due. Raises DriverError."""
        due = time.monotonic() - self.whole_at >= self.options.full_sweep_seconds
        if self.whole or due or identity != self.identity:
            began = time.monotonic()
            survey = self.smp.survey()
            self.whole_at, self.identity = began, identity
        else:
            self.turn += 1
            survey = self.smp.survey(self.turn)
        return self._keep(survey)


class OpensmDriver:
    """The driver of every fabric whose subnet manager runs beside this agent. Scope: a fabric's name."""

    name = "opensm"
    scope_kind = ScopeKind.FABRIC
    steps: Steps = STEPS

    def __init__(self, *fabrics: OpensmOptions) -> None:
        self._fabrics = {o.fabric: _Fabric(o, Smp(o)) for o in fabrics}

    @property
    def scopes(self) -> tuple[str, ...]:
        """Names of the fabrics."""
        return tuple(self._fabrics)

    def close(self) -> None:
        """End the helper processes."""
        for fabric in self._fabrics.values():
            fabric.smp.close()

    def probe(self, scope: str) -> Capability:
        """Whether opensm.conf can be replaced, OpenSM runs, and packets can be sent."""
        try:
            fabric = self._fabric(scope)
            if fabric.options.render_only:
                fabric.smp.activity()
                return Capability(supported=True, reason=NOT_OURS, writable=False)
            if reason := writable(Path(fabric.options.conf)):
                return Capability(supported=False, reason=reason)
            find(fabric.options)
            fabric.smp.activity()
        except DriverError as e:
            return Capability(supported=False, reason=str(e))
        return Capability(supported=True)

    def readers(self) -> Iterator[Reader]:
        """Counters of the fabrics' switches, each through a helper process of its own."""
        for fabric in self._fabrics.values():
            if fabric.options.counters:
                yield FabricReader(fabric.options, fabric.last_seen)

    def fabrics(self) -> Iterator[FabricInventory]:
        """Every fabric, with what its ports can hold where that can be read, and whether this driver can serve it."""
        for scope, fabric in self._fabrics.items():
            can = self.probe(scope)
            offers = (DriverOffer(self.name, can.supported, can.reason),)
            try:
                survey = fabric.recent()
                options = read_texts(Path(fabric.options.conf)).options
            except DriverError:
                yield FabricInventory(scope, None, offers)
                continue
            settings = tuple(FabricSetting(k, options[k]) for k in INFORMING if k in options)
            types = tuple(tables.port_types(survey))
            yield FabricInventory(scope, len(survey.ports), offers, types, settings, dump(subnet_of(survey)))

    def fabric_ports(self, scope: str) -> FabricPorts:
        """What the subnet manager serves. Raises DriverError."""
        survey = self._fabric(scope).smp.ports()
        least = tables.limits(survey.ports, None).vls
        most = max(tables.limits((p,), None).vls for p in survey.ports)
        return FabricPorts(len(survey.ports), least, most)

    def read(self, scope: str) -> Observation:
        """What is ours in OpenSM's files, and tables from every port with a link.

        SL2VL of switches is read of every pair of ports where any was found different, may have changed, or was not
        read for long; else of a sample that is another one each time. Beside a standby the files alone are read. With
        ``qos`` off OpenSM programs no tables: what ports hold then is nobody's, and not part of the state.
        """
        fabric = self._fabric(scope)
        if fabric.options.render_only:
            return self._read_only(fabric)
        process = find(fabric.options)
        texts = read_texts(Path(fabric.options.conf))
        foreign = unapplied(texts, process, log_of(fabric.options, process, texts.options))
        manager = fabric.smp.manager()
        if manager.local_state == STANDBY:
            seen = Glance(process, manager, state(text_elements(texts)))
            kinds = frozenset(IB_TABLES)
            return Observation(seen.state, foreign, kinds, f"{process.identity} standby", fabric.cause(seen))
        survey = fabric.look(process.identity)
        elements = [*text_elements(texts)]
        unreadable = {s.name for s in survey.silent}
        if texts.options.get("qos") == "TRUE":
            elements += _tables(fabric, texts, survey, unreadable)
        if tables.high_limit_hidden(survey, texts.options):
            unreadable.add(tables.HIGH_LIMIT)
        seen = Glance(process, manager, state(elements))
        identity = f"{process.identity} master"
        return Observation(seen.state, foreign, frozenset(unreadable), identity, fabric.cause(seen))

    def _read_only(self, fabric: _Fabric) -> Observation:
        """Ports as they are, and an exported configuration where there is one. Nothing is known of a process."""
        path = Path(fabric.options.conf)
        texts = read_texts(path) if path.exists() else None
        survey = fabric.look(NOT_OURS)
        elements = [*tables.table_elements(survey), *(text_elements(texts) if texts else ())]
        unreadable = {s.name for s in survey.silent} | ({"option", "file"} if texts is None else {"file"})
        if texts is None or tables.high_limit_hidden(survey, texts.options):
            unreadable.add(tables.HIGH_LIMIT)
        if texts is not None:
            elements += [*tables.high_limit_elements(survey, texts.options)]
        return Observation(state(elements), unreadable=frozenset(unreadable))

    def write(self, scope: str, change: Change) -> None:
        """Note a change for the end of the batch; outside a batch, carry it out."""
        fabric = self._fabric(scope)
        if fabric.pending is None:
            with self.batch(scope):
                self.write(scope, change)
            return
        fabric.pending.append(change)

    @contextmanager
    def batch(self, scope: str) -> Iterator[None]:
        """One write of the file and one sweep for all changes made inside; nothing when the body fails."""
        fabric = self._fabric(scope)
        fabric.pending = []
        try:
            yield
            changes = tuple(fabric.pending)
        finally:
            fabric.pending = None
        if not changes:
            return
        # What is written now is no drift.
        fabric.last = None
        if fabric.smp.manager().local_state == STANDBY:
            commit_files(fabric.options, changes)
        else:
            fabric.whole = fabric.whole or tables.switch_pairs(changes)
            commit(fabric.options, fabric.smp, changes)

    def _fabric(self, scope: str) -> _Fabric:
        fabric = self._fabrics.get(scope)
        if fabric is None:
            raise UnsupportedError(
                f"this agent serves no fabric {scope}: name it in the agent's configuration on the host of its subnet manager"
            )
        return fabric


def _tables(fabric: _Fabric, texts: Texts, survey: Survey, unreadable: set[str]) -> Iterator[Element]:
    found = list(tables.table_elements(survey))
    fabric.whole = any(e.kind == "sl2vl" and "-" in e.key for e in found)
    yield from found
    yield from tables.high_limit_elements(survey, texts.options)
    yield from tables.op_vls_elements(survey, texts.options)
    asked = pathcheck.samples(texts.our_policy, texts.partitions, survey.ports, fabric.options.path_samples)
    sls = fabric.smp.sls(s.ask for s in asked)
    yield from pathcheck.wrong(asked, sls)
    unreadable.update(pathcheck.unanswered(asked, sls))
