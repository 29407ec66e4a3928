"""Programs a port's DCB settings by netlink; see the package."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.driver import (
    Capability,
    DriverError,
    GoneError,
    Observation,
    PermissionMissingError,
    RefusedError,
    UnsupportedError,
    no_batch,
)
from trafficd_agent.drivers.dcb import bond, ecn
from trafficd_agent.drivers.dcb.changes import Place, carry_out
from trafficd_agent.drivers.dcb.decode import Port, elements, features, firmware_owns
from trafficd_agent.drivers.dcb.errors import RIGHTS, named
from trafficd_agent.drivers.dcb.quirks import quirks
from trafficd_agent.drivers.whereabouts import Whereabouts
from trafficd_agent.netlink import dcb, link
from trafficd_agent.netlink.channel import Channel, KernelError, OwnPorts
from trafficd_agent.netlink.rivals import lldpad_runs
from trafficd_topology.diff import Change, Op, Steps
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.dcb import DcbFeatures
from trafficd_topology.qos.steps import DCB_STEPS

GERUND = {Op.ADD: "adding", Op.CHANGE: "changing", Op.REMOVE: "removing"}
BONDS = ("bond", "team")


@dataclass(frozen=True, slots=True)
class DcbOptions:
    """What the operator lets this driver do.

    ``take_over``: write although lldpad runs here and may write too. ``link_wait_s``: how long a link may take to come back
    after its PFC set changed. ``root``: where ``/sys`` is found.
    """

    take_over: bool = False
    link_wait_s: float = 30.0
    root: str = "/"


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a scope, and what it holds."""

    name: str
    index: int
    kernel_driver: str
    port: Port


class DcbDriver:
    """Scope: the name of a network device in the network namespace of the agent, or of a bond whose members speak DCB.
    Safe to share between threads.

    ``own`` knows what this driver asks of the kernel; hand it to ``TcWatch``.
    """

    name = "dcb"
    scope_kind = ScopeKind.PORT
    steps: Steps = DCB_STEPS

    def __init__(self, options: DcbOptions = DcbOptions(), own: OwnPorts | None = None) -> None:
        self.options = options
        self.own = own if own is not None else OwnPorts()
        self._channel = Channel(self.own)
        self._root = Path(options.root)
        self._whereabouts = Whereabouts(self._root)

    def close(self) -> None:
        """Close the netlink socket; the next call opens another."""
        self._channel.close()

    def probe(self, scope: str) -> Capability:
        try:
            devices = self._devices(scope)
            self._check_rights(scope)
        except PermissionMissingError as e:  # reading takes none
            return Capability(supported=True, reason=str(e), writable=False, dcb=_features(devices))
        except DriverError as e:
            return Capability(supported=False, reason=str(e))
        return Capability(supported=True, dcb=_features(devices))

    def read(self, scope: str) -> Observation:
        """Unprivileged, but for ECN in debugfs. Who else writes here is named in ``foreign``."""
        devices = self._devices(scope)
        held = bond.merged({d.name: elements(d.port) for d in devices})
        identity = ",".join(f"{d.name}:{d.index}" for d in devices)
        space = (self._root / "proc/thread-self/ns/net").stat().st_ino
        return Observation(held, self._foreign(scope, devices), identity=f"{space}:{identity}")

    def write(self, scope: str, change: Change) -> None:
        """One change, on every device of the scope. What is as it should be already is not written."""
        links = self._links(scope)
        if len(links) == 1:
            self._carry_out(links[0], change, links[0].name)
            return
        members = {f.name: f for f in links}
        held = {name: elements(self._member(f).port) for name, f in members.items()}
        for name, part in bond.parts(change, held):
            self._carry_out(members[name], part, f"{scope}, {name}")

    def _carry_out(self, found: link.Link, change: Change, text: str) -> None:
        with self._naming(found.name, f"{GERUND[change.op]} {change.name}", text):
            carry_out(self._place(found.name), change)

    def batch(self, scope: str) -> AbstractContextManager[None]:  # noqa: ARG002 - the seam names the scope
        return no_batch()

    def _place(self, name: str) -> Place:
        files = ecn.find(self._root, name, self._whereabouts.hardware(name))
        return Place(self._channel, name, quirks(link.driver_name(name)), files, self.options.link_wait_s)

    def _links(self, scope: str) -> tuple[link.Link, ...]:
        """What serves the scope: the device itself, or the members of a bond. Raises DriverError."""
        with self._naming(scope, "reading"):
            found = link.find(self._channel, scope)
            if found.member_of in BONDS:
                text = f"{scope} is a member of a {found.member_of}: select the {found.member_of} itself"
                raise UnsupportedError(text)
            if found.kind not in BONDS:
                return (found,)
            members = link.members(self._channel, found.index)
        if not members:
            raise UnsupportedError(f"{scope} is a {found.kind} without members: enslave a device to it")
        return members

    def _devices(self, scope: str) -> tuple[Device, ...]:
        return tuple(self._member(f) for f in self._links(scope))

    def _member(self, found: link.Link) -> Device:
        with self._naming(found.name, "reading"):
            return self._device(found)

    def _device(self, found: link.Link) -> Device:
        """Raises KernelError, DriverError."""
        name, kernel_driver = found.name, link.driver_name(found.name)
        try:
            held = dcb.read(self._channel, name)
        except KernelError as e:
            if e.number != errno.EOPNOTSUPP:
                raise
            what = f"its driver {kernel_driver}" if kernel_driver else "its driver"
            raise UnsupportedError(f"{name}: {what} has no DCB: use tc for this port") from e
        self._whereabouts.seen(name)
        files = ecn.find(self._root, name, self._whereabouts.hardware(name))
        port = Port(held, quirks(kernel_driver), ecn.read_ecn(files), ecn.read_cnp(files))
        return Device(name, found.index, kernel_driver, port)

    def _check_rights(self, scope: str) -> None:
        """Whether the kernel would let us write; raises PermissionMissingError, and writes nothing."""
        with self._naming(scope, "probing"):
            if not dcb.may_write(self._channel, scope):
                raise PermissionMissingError(
                    f"{scope}: the kernel lets this agent read DCB and not write it: {RIGHTS}"
                )

    def _foreign(self, scope: str, devices: tuple[Device, ...]) -> tuple[str, ...]:
        found = [
            f"firmware on {d.name} runs an LLDP agent that owns DCB: {d.port.quirks.firmware.format(port=d.name)}"
            for d in devices
            if firmware_owns(d.port.held)
        ]
        if not self.options.take_over and lldpad_runs(self._root):
            found.append(
                f"lldpad runs on this node and programs DCB by its own settings: stop it, or keep it off {scope} "
                "and set take_over"
            )
        return tuple(found)

    @contextmanager
    def _naming(self, name: str, what: str, text: str = "") -> Iterator[None]:
        """Library errors stop here. ``text`` is what to call the device, where that is more than its name."""
        try:
            yield
        except KernelError as e:
            if e.number in (errno.ENODEV, errno.ENXIO) or not _here(name):
                raise self._whereabouts.missing(name) from e
            raise named(e, text or name, what) from e
        except GoneError as e:
            raise (e if _here(name) else self._whereabouts.missing(name)) from e
        except ValueError as e:
            raise RefusedError(f"{text or name}: {e}") from e


def _here(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _features(devices: tuple[Device, ...]) -> DcbFeatures:
    """What every device of the scope can hold."""
    found = [features(d.port, d.kernel_driver) for d in devices]
    first = found[0]
    return DcbFeatures(
        kinds=tuple(k for k in first.kinds if all(k in f.kinds for f in found)),
        traffic_classes=min(f.traffic_classes for f in found),
        lossless=min(f.lossless for f in found),
        buffer_bytes=min(f.buffer_bytes for f in found),
        cell_bytes=max(f.cell_bytes for f in found),
        kernel_driver=first.kernel_driver,
    )
