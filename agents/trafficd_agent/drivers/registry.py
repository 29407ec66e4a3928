"""Every driver there is, in one list."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from trafficd_agent.driver import Driver
from trafficd_agent.drivers.dcb import DcbDriver, DcbOptions
from trafficd_agent.drivers.fake import FakeDriver, FakeOptions
from trafficd_agent.drivers.opensm import OpensmDriver, OpensmOptions
from trafficd_agent.drivers.tc import TcDriver, TcOptions
from trafficd_agent.netlink.channel import OwnPorts
from trafficd_topology.counters import Reader
from trafficd_topology.model import FabricInventory, PortInventory, Problem
from trafficd_topology.parsers.tree import Mapping

DRIVERS: dict[str, tuple[type[Any], Callable[[Any, OwnPorts], Driver]]] = {
    # name -> (options, constructor)
    "tc": (TcOptions, TcDriver),
    "dcb": (DcbOptions, DcbDriver),
    "opensm": (OpensmOptions, lambda options, _: OpensmDriver(options)),
    "fake": (FakeOptions, lambda options, _: FakeDriver(options)),
}


@runtime_checkable
class OffersPorts(Protocol):
    """A driver whose ports exist only because it says so."""

    def ports(self) -> Iterator[PortInventory]: ...


@runtime_checkable
class OffersFabrics(Protocol):
    """A driver that knows fabrics, with an offer for each."""

    def fabrics(self) -> Iterator[FabricInventory]: ...


@runtime_checkable
class OffersReaders(Protocol):
    """A driver that reads counters of its own."""

    def readers(self) -> Iterator[Reader]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A driver as the operator's settings ask for it. ``options`` are as written there, at ``path``.

    ``fabric`` is the fabric's name where the driver is to serve one.
    """

    driver: str
    options: Any
    path: str
    fabric: str = ""


def _value(m: Mapping, name: str, wanted: Any, default: Any) -> Any:
    """One option, read as its annotation asks."""
    bare = [t for t in typing.get_args(wanted) if t is not type(None)]
    if isinstance(wanted, types.UnionType) and len(bare) == 1:
        wanted = bare[0]
    if wanted is bool:
        return m.flag(name, default)
    if wanted is int:
        return m.whole(name, default)
    if wanted is float:
        return m.number(name, default)
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return m.choice(name, wanted, default)
    if typing.get_origin(wanted) is tuple:
        return _texts(m, name) if m.has(name) else default
    return m.text(name, default)


def _texts(m: Mapping, name: str) -> tuple[str, ...]:
    found = []
    for path, item in m.items(name):
        if isinstance(item, str) and item:
            found.append(item)
        else:
            m.problems.append(Problem(path, str(item), "must be a word"))
    return tuple(found)


def options_of(driver: str, written: Any, path: str) -> tuple[Any, tuple[Problem, ...]]:
    """A driver's options as an operator wrote them, and everything wrong with them."""
    kind, _ = DRIVERS[driver]
    m = Mapping({} if written is None else written, f"{path}.options", problems := list[Problem]())
    hints, base = typing.get_type_hints(kind), kind()
    given = {f.name: _value(m, f.name, hints[f.name], getattr(base, f.name)) for f in fields(kind)}
    m.done()
    return kind(**given) if not problems else base, tuple(problems)


def create(wanted: Wanted, own: OwnPorts, problems: list[Problem]) -> Driver | None:
    """A driver with the options an operator wrote; what is wrong with them goes to ``problems`` (then None).

    Each option is a field of the driver's options, read as its type asks. ``own`` collects the netlink port ids
    that our drivers write from.
    """
    if wanted.driver not in DRIVERS:
        known = ", ".join(sorted(DRIVERS))
        reason = f"there is no such driver: choose one of {known}"
        problems.append(Problem(f"{wanted.path}.driver", wanted.driver, reason))
        return None
    kind, make = DRIVERS[wanted.driver]
    options, mine = options_of(wanted.driver, wanted.options, wanted.path)
    if wanted.fabric and any(f.name == "fabric" for f in fields(kind)):
        options = replace(options, fabric=wanted.fabric)
    problems += mine
    return None if mine else make(options, own)
