"""The seam between the apply loop and a device: what every driver offers, and how it fails.

A driver is synchronous and may block; the loop runs it on a thread of the scope it works on, with a deadline.
Errors are named by who must act.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from trafficd_topology.diff import Change, State, Steps
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.dcb import DcbFeatures


class DriverError(Exception):
    """Base of what a driver raises. The text is one sentence: what is wrong, where, and what to do."""


class UnsupportedError(DriverError):
    """This device or kernel cannot do it: choose another driver or another device."""


class RefusedError(DriverError):
    """The device or kernel said no to this value: change the policy."""


class ForeignError(DriverError):
    """Somebody else's configuration is there: the operator removes it, or tells us to take it over."""


class PermissionMissingError(DriverError):
    """The agent lacks a capability or a file permission: the platform engineer grants it."""


class BusyError(DriverError):
    """Try again: the device is in use or answered with a passing error."""


class GoneError(DriverError):
    """The device is no longer there (unplugged, moved to another network namespace, renamed)."""


class InPodError(GoneError):
    """The device was given to a pod's network namespace and is served there by nobody: no drift, and nothing to do."""


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether this driver can serve a scope; ``reason`` says why not.

    A scope that is supported and not ``writable`` can be read and compared, and nothing else; ``reason`` says what the
    agent lacks. ``dcb``: what the port can hold, where this driver speaks DCB.
    """

    supported: bool
    reason: str = ""
    writable: bool = True
    dcb: DcbFeatures | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a device holds now.

    ``state``: what the driver manages there, in the same element types as desired. ``foreign``: one sentence per
    thing of somebody else's that an apply would have to displace. ``unreadable``: ``kind`` or ``kind.field``
    names that read-back cannot see; they are reported and do not block. ``identity`` changes when the
    device was re-created (ifindex, boot of a subnet manager), so that a drift can be named ``recreated``. ``cause``: why
    it holds something else than at the last read, as far as the driver knows; empty where the loop is to tell.
    """

    state: State
    foreign: tuple[str, ...] = ()
    unreadable: frozenset[str] = frozenset()
    identity: str = ""
    cause: str = ""


class Driver(Protocol):
    """Programs one sort of device.

    ``steps`` is the order table (see ``trafficd_topology.diff.Steps``). Every method takes the scope's name: a
    port name of this node, or a fabric's name.
    """

    name: str
    scope_kind: ScopeKind
    steps: Steps

    def probe(self, scope: str) -> Capability:
        """Can this driver serve the scope? Never raises."""
        ...

    def read(self, scope: str) -> Observation:
        """Read everything back from the device. Raises DriverError."""
        ...

    def write(self, scope: str, change: Change) -> None:
        """Carry out one change. Raises DriverError; may have been carried out in part."""
        ...

    def batch(self, scope: str) -> AbstractContextManager[None]:
        """A context around the writes of one plan, for devices that commit many changes at once."""
        ...


@contextmanager
def no_batch() -> Iterator[None]:
    """The batch of a driver whose every write takes effect by itself."""
    yield
