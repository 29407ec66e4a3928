"""Which driver serves which scope, by the operator's rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from trafficd_agent.config import Config, DriverRule
from trafficd_agent.desired import ScopeId
from trafficd_agent.driver import Driver
from trafficd_agent.drivers.registry import OffersFabrics, OffersPorts, OffersReaders, Wanted, create
from trafficd_agent.netlink.channel import OwnPorts
from trafficd_agent.sysfs.inventory import read_inventory
from trafficd_topology.counters import Reader
from trafficd_topology.model import (
    DriverOffer,
    FabricInventory,
    NodeInventory,
    PortInventory,
    Problem,
    ScopeKind,
)


@dataclass(frozen=True, slots=True)
class Bound:
    """A rule and the driver made for it."""

    rule: DriverRule
    driver: Driver

    def serves(self, scope: ScopeId) -> bool:
        if scope.kind is not self.rule.kind or self.driver.scope_kind is not self.rule.kind:
            return False
        return fnmatchcase(scope.name, self.rule.match)


@dataclass(frozen=True, slots=True)
class DriverTable:
    """The rules in the operator's order. ``own`` knows the netlink port ids that our drivers write from."""

    bound: tuple[Bound, ...]
    own: OwnPorts

    def find(self, scope: ScopeId, driver: str) -> Driver | None:
        return next((b.driver for b in self.bound if b.driver.name == driver and b.serves(scope)), None)

    def offers(self, scope: ScopeId) -> tuple[DriverOffer, ...]:
        """What each driver whose rules match the scope says of it; the first rule of a driver counts."""
        found: dict[str, DriverOffer] = {}
        for b in self.bound:
            if b.serves(scope) and b.driver.name not in found:
                can = b.driver.probe(scope.name)
                found[b.driver.name] = DriverOffer(b.driver.name, can.supported, can.reason, can.dcb)
        return tuple(found.values())

    def readers(self) -> tuple[Reader, ...]:
        """The counters that drivers read themselves."""
        offering = (b.driver for b in self.bound if isinstance(b.driver, OffersReaders))
        return tuple(reader for driver in offering for reader in driver.readers())


def bind(config: Config) -> tuple[DriverTable, tuple[Problem, ...]]:
    """A driver for each rule, or every problem with their options."""
    own, problems, bound = OwnPorts(), list[Problem](), list[Bound]()
    for rule in config.rules:
        fabric = rule.match if rule.kind is ScopeKind.FABRIC else ""
        driver = create(Wanted(rule.driver, rule.options, rule.path, fabric), own, problems)
        if driver is None:
            continue
        if driver.scope_kind is not rule.kind:
            reason = f"this driver serves a {driver.scope_kind}, not a {rule.kind}"
            problems.append(Problem(f"{rule.path}.driver", rule.driver, reason))
        bound.append(Bound(rule, driver))
    return DriverTable(tuple(bound), own), tuple(problems)


def _fabrics(table: DriverTable) -> tuple[FabricInventory, ...]:
    """Fabrics that their driver counts, and those that only a rule names."""
    found: dict[str, FabricInventory] = {}
    for b in table.bound:
        if b.rule.kind is not ScopeKind.FABRIC:
            continue
        if isinstance(b.driver, OffersFabrics):
            found |= {f.name: f for f in b.driver.fabrics()}
        else:
            offers = table.offers(ScopeId(ScopeKind.FABRIC, b.rule.match))
            found.setdefault(b.rule.match, FabricInventory(b.rule.match, offers=offers))
    return tuple(found.values())


def take_inventory(root: Path, node: str, table: DriverTable) -> NodeInventory:
    """What the machine has, what drivers add, and what each driver says of every port.

    Raises OSError when the machine's directories cannot be listed.
    """
    found = read_inventory(root, node)
    ports: dict[str, PortInventory] = {p.name: p for p in found.ports}
    for b in table.bound:
        if isinstance(b.driver, OffersPorts):
            ports |= {p.name: p for p in b.driver.ports()}
    offered = [replace(p, offers=table.offers(ScopeId(ScopeKind.PORT, p.name))) for p in ports.values()]
    return replace(found, ports=tuple(sorted(offered, key=lambda p: p.name)), fabrics=_fabrics(table))
