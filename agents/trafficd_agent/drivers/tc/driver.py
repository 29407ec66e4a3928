"""Programs a port's htb tree by rtnetlink; see the package."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from trafficd_agent.driver import (
    BusyError,
    Capability,
    DriverError,
    ForeignError,
    GoneError,
    Observation,
    PermissionMissingError,
    RefusedError,
    no_batch,
)
from trafficd_agent.drivers.tc import decode
from trafficd_agent.drivers.tc.changes import Place, requests
from trafficd_agent.drivers.tc.errors import named
from trafficd_agent.drivers.tc.found import Irreplaceable
from trafficd_agent.drivers.tc.steps import STEPS
from trafficd_agent.drivers.tc.survey import survey
from trafficd_agent.netlink import link, tc
from trafficd_agent.netlink.channel import Channel, KernelError, OwnPorts
from trafficd_agent.netlink.raw import batches
from trafficd_topology.diff import Change, Element, Op
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.tc import HANDLE_MAJOR

FAST_BPS = 25_000_000_000
"""htb takes one lock for every packet of a port; above this the lock is what limits, and the traffic is RDMA anyway."""
GERUND = {Op.ADD: "adding", Op.CHANGE: "changing", Op.REMOVE: "removing"}
MULTI_QUEUE_ROOTS = ("mq", "mqprio")


@dataclass(frozen=True, slots=True)
class TcOptions:
    """What the operator lets this driver do.

    ``allow_fast``: ports above 25 Gb/s. ``allow_multi_queue``: ports with several transmit queues, whose mq root is
    replaced by one queue. ``take_over``: a root that somebody else put there is displaced, and put back when we leave.
    """

    allow_fast: bool = False
    allow_multi_queue: bool = False
    take_over: bool = False


class TcDriver:
    """Scope: the name of a network device in the network namespace of the agent. Safe to share between threads.

    ``own`` knows the netlink port ids this driver writes from; hand it to ``TcWatch``.
    """

    name = "tc"
    scope_kind = ScopeKind.PORT
    steps = STEPS

    def __init__(self, options: TcOptions = TcOptions(), own: OwnPorts | None = None) -> None:
        self.options = options
        self.own = own if own is not None else OwnPorts()
        self._channel = Channel(self.own)

    def close(self) -> None:
        """Close the netlink socket; the next call opens another."""
        self._channel.close()

    def probe(self, scope: str) -> Capability:
        try:
            _index(scope)
            with _naming(scope, "probing"):
                reason = self._unfit(scope)
        except PermissionMissingError as e:  # reading takes none
            return Capability(supported=True, reason=str(e), writable=False)
        except DriverError as e:
            return Capability(supported=False, reason=str(e))
        return Capability(supported=not reason, reason=f"{scope} {reason}" if reason else "")

    def read(self, scope: str) -> Observation:
        """Unprivileged. A root of somebody else's is named in ``foreign`` unless we may take it over."""
        index = _index(scope)
        with _naming(scope, "reading"):
            qdiscs = tc.qdiscs(self._channel, index)
            root = decode.root_of(qdiscs)
            if root is None or not decode.is_ours(root):
                return replace(self._foreign(scope, index, root), identity=_identity(index))
            tree = decode.Tree(
                root,
                qdiscs,
                tc.classes(self._channel, index, HANDLE_MAJOR),
                tc.filters(self._channel, index, HANDLE_MAJOR),
            )
        return Observation(decode.elements(tree), identity=_identity(index))

    def write(self, scope: str, change: Change) -> None:
        """One change, sent as one datagram. Removing what is gone already is no error."""
        index = _index(scope)
        try:
            self._carry_out(index, change)
        except ValueError as e:
            raise RefusedError(f"{scope}: {e}") from e
        except KernelError as e:
            if change.op is not Op.REMOVE or e.number not in (errno.ENOENT, errno.EINVAL):
                raise self._explained(scope, index, change, e) from e
            self._confirm_gone(scope, change, e)

    def batch(self, scope: str) -> AbstractContextManager[None]:  # noqa: ARG002 - the seam names the scope
        return no_batch()

    def _foreign(self, scope: str, index: int, root: tc.Qdisc | None) -> Observation:
        """Where we may take it over, all of it as one element, so that it can be put back exactly."""
        if root is None:
            return Observation(())
        named = f"{scope} has a root qdisc {root.kind} {tc.shown(root.handle)} of somebody else's"
        if not self.options.take_over:
            return Observation((), (named,))
        try:
            return Observation((Element("found", "tree", survey(self._channel, index)),))
        except Irreplaceable as e:
            said = f"{named}, which could not be put back as it was because of {e}: remove that by hand"
            return Observation((), (said,))

    def _unfit(self, scope: str) -> str:
        """Why this port cannot be served, to stand behind its name; the cheap questions first."""
        found = link.find(self._channel, scope)
        if found.member_of in ("bond", "team"):
            return f"is a member of a {found.member_of}: select the {found.member_of} itself"
        speed = link.speed_bps(scope) or 0
        if speed > FAST_BPS and not self.options.allow_fast:
            return (
                f"runs at {speed / 1e9:g} Gb/s, and htb has one lock for all its packets and RDMA passes it by:"
                " use dcb, or set allow_fast for kernel traffic"
            )
        if self._many_queues(found) and not self.options.allow_multi_queue:
            return (
                "has several transmit queues, which htb would make one: set allow_multi_queue to accept that"
            )
        return self._without_htb(found.index)

    def _many_queues(self, found: link.Link) -> bool:
        roots = [q for q in tc.qdiscs(self._channel, found.index) if q.is_root]
        return any(q.kind in MULTI_QUEUE_ROOTS for q in roots) or link.tx_queues(found) > 1

    def _without_htb(self, index: int) -> str:
        try:
            self._channel.send(tc.try_htb_root(index, HANDLE_MAJOR))
        except KernelError as e:
            if e.number in (errno.EINVAL, errno.EEXIST):
                return ""
            if e.number == errno.ENOENT:
                return "is on a kernel without htb: load sch_htb"
            raise
        return "took an htb root without options, which no kernel should"

    def _carry_out(self, index: int, change: Change) -> None:
        channel = self._channel
        place = Place(
            index,
            self.options.take_over,
            lambda: tc.qdiscs(channel, index),
            lambda: tc.classes(channel, index, HANDLE_MAJOR),
            lambda: tc.filters(channel, index, HANDLE_MAJOR),
        )
        if change.op is Op.REMOVE and change.kind != "found" and not self._is_ours(index):
            return
        for part in batches(requests(place, change)):
            channel.send(*part)

    def _is_ours(self, index: int) -> bool:
        """What stands in the place of our root is not to be taken apart as if it were ours."""
        return decode.is_ours(decode.root_of(tc.qdiscs(self._channel, index)))

    def _confirm_gone(self, scope: str, change: Change, error: KernelError) -> None:
        if any(e.name == change.name for e in self.read(scope).state):
            raise named(error, scope, f"removing {change.name}") from error

    def _explained(self, scope: str, index: int, change: Change, error: KernelError) -> DriverError:
        """A request may have failed because somebody changed the tree under it: look once more."""
        found = named(error, scope, f"{GERUND[change.op]} {change.name}")
        if isinstance(found, GoneError):
            return found
        try:
            root = decode.root_of(tc.qdiscs(self._channel, index))
        except KernelError:
            return found
        if root is not None and not decode.is_ours(root) and isinstance(found, ForeignError):
            kind, shown = root.kind, tc.shown(root.handle)
            return ForeignError(
                f"{scope} has a root qdisc {kind} {shown} of somebody else's: delete it, or let the agent take over"
            )
        if change.kind != "qdisc" and not decode.is_ours(root):
            return BusyError(f"{scope}: our root went away before {change.name} was written: try again")
        return found


@contextmanager
def _naming(scope: str, what: str) -> Iterator[None]:
    """Library errors stop here."""
    try:
        yield
    except KernelError as e:
        raise named(e, scope, what) from e


def _index(scope: str) -> int:
    try:
        return socket.if_nametoindex(scope)
    except OSError as e:
        raise GoneError(
            f"there is no network device {scope} here: bring it back, or take it out of the fabric"
        ) from e


def _identity(index: int) -> str:
    """Another one when the device was made anew: its network namespace and index."""
    return f"{Path('/proc/thread-self/ns/net').stat().st_ino}:{index}"
