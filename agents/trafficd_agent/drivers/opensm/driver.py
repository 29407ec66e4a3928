"""InfiniBand lanes through OpenSM: options into opensm.conf, SIGHUP, and every port read back by SMP.

OpenSM owns VLArb and SL2VL of all ports, so the scope is a whole fabric. It takes any nonsense silently and
does not see a table that somebody else overwrote: values are checked before, and ports are read after.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.driver import Capability, DriverError, Observation, UnsupportedError
from trafficd_agent.drivers.opensm import tables
from trafficd_agent.drivers.opensm.commit import commit, foreign
from trafficd_agent.drivers.opensm.conf import read_conf, writable
from trafficd_agent.drivers.opensm.options import OpensmOptions
from trafficd_agent.drivers.opensm.process import find
from trafficd_agent.drivers.opensm.smp import Smp
from trafficd_topology.diff import Change, Element, Steps, state
from trafficd_topology.model import DriverOffer, FabricInventory, ScopeKind
from trafficd_topology.parsers.opensm_conf import MANAGED, parse_conf
from trafficd_topology.qos.ib import IbOption
from trafficd_topology.qos.steps import IB_STEPS

STEPS: Steps = IB_STEPS


@dataclass(frozen=True, slots=True)
class FabricPorts:
    """A fabric in numbers: ports with a link, and the fewest and most data VLs that they run."""

    count: int
    least_vls: int
    most_vls: int


@dataclass(slots=True)
class _Fabric:
    options: OpensmOptions
    smp: Smp
    pending: list[Change] | None = None


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
            if reason := writable(Path(fabric.options.conf)):
                return Capability(supported=False, reason=reason)
            find(fabric.options)
            fabric.smp.activity()
        except DriverError as e:
            return Capability(supported=False, reason=str(e))
        return Capability(supported=True)

    def fabrics(self) -> Iterator[FabricInventory]:
        """Every fabric, with its ports where they can be counted, and whether this driver can serve it."""
        for scope in self._fabrics:
            can = self.probe(scope)
            try:
                count = self.fabric_ports(scope).count
            except DriverError:
                count = None
            yield FabricInventory(scope, count, (DriverOffer(self.name, can.supported, can.reason),))

    def fabric_ports(self, scope: str) -> FabricPorts:
        """What the subnet manager serves. Raises DriverError."""
        survey = self._fabric(scope).smp.ports()
        least = tables.limits(survey.ports, None).vls
        most = max(tables.limits((p,), None).vls for p in survey.ports)
        return FabricPorts(len(survey.ports), least, most)

    def read(self, scope: str) -> Observation:
        """Options from opensm.conf, tables from every port with a link, all switch port pairs included.

        With ``qos`` off OpenSM programs no tables: what ports hold then is nobody's, and not part of the state.
        """
        fabric = self._fabric(scope)
        process = find(fabric.options)
        options = parse_conf(read_conf(Path(fabric.options.conf)))
        survey = fabric.smp.survey()
        elements = [Element("option", k, IbOption(options[k])) for k in MANAGED if k in options]
        if options.get("qos") == "TRUE":
            elements += tables.table_elements(survey)
            elements += tables.high_limit_elements(survey, options)
        unreadable = {s.name for s in survey.silent}
        if tables.high_limit_hidden(survey, options):
            unreadable.add(tables.HIGH_LIMIT)
        return Observation(
            state(elements),
            foreign(Path(fabric.options.conf), options),
            frozenset(unreadable),
            process.identity,
        )

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
        if changes:
            commit(fabric.options, fabric.smp, changes)

    def _fabric(self, scope: str) -> _Fabric:
        fabric = self._fabrics.get(scope)
        if fabric is None:
            raise UnsupportedError(
                f"this agent serves no fabric {scope}: name it in the agent's configuration on the host of its subnet manager"
            )
        return fabric
