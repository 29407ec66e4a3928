"""How one change is carried out on one device. Each part of a port is one attribute; what an attribute carries besides is
read first and kept.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from trafficd_agent.driver import DriverError, RefusedError
from trafficd_agent.drivers.dcb import ecn
from trafficd_agent.drivers.dcb.decode import KBPS
from trafficd_agent.drivers.dcb.quirks import Quirks
from trafficd_agent.netlink import dcb, link
from trafficd_agent.netlink.channel import Channel, KernelError
from trafficd_agent.netlink.dcbmsg import DCB_CAP_DCBX_HOST, DCB_CAP_DCBX_VER_IEEE
from trafficd_topology.diff import Change
from trafficd_topology.qos.dcb import (
    DSCPS,
    MAX_CABLE_M,
    PRIORITIES,
    SELECTOR_NUMBERS,
    TSA_NUMBERS,
    DcbApp,
    DcbBuffer,
    DcbCable,
    DcbEts,
    DcbMaxrate,
    DcbPfc,
    DcbTrust,
    Dcbx,
    Selector,
    Tsa,
    app_of_key,
    bitmap,
)

FLAPPING = threading.Lock()
"""Whoever holds it may take a link down: never two of one node at once."""
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change is carried out. ``link_wait_s``: how long a link may take to come back."""

    channel: Channel
    name: str
    quirks: Quirks
    files: ecn.Files
    link_wait_s: float


def carry_out(place: Place, change: Change) -> None:
    """Raises KernelError, DriverError, and ValueError, one sentence, for values that no device could hold."""
    HANDLERS[change.kind](place, change)


def _whole(values: tuple[int, ...], most: int, what: str) -> tuple[int, ...]:
    if len(values) != PRIORITIES or not all(0 <= v <= most for v in values):
        raise ValueError(f"{what} {values} are not {PRIORITIES} numbers from 0 to {most}")
    return values


def _kept(change: Change) -> None:
    """A part that a device has cannot be taken away from it."""
    if change.new is None:
        raise ValueError(f"{change.name} can be changed and not removed: give it a value")


def _lacking(what: str) -> KernelError:
    return KernelError(errno.EOPNOTSUPP, f"the device has no {what}")


def _dcbx(place: Place, change: Change) -> None:
    new: Dcbx | None = change.new
    mode = (
        place.quirks.release
        if new is None
        else DCB_CAP_DCBX_HOST | (DCB_CAP_DCBX_VER_IEEE if new.ieee else 0)
    )
    dcb.set_dcbx(place.channel, place.name, mode)


def _trust(place: Place, change: Change) -> None:
    """Where trust follows the APP table, reading back says whether it did."""
    _kept(change)
    new: DcbTrust = change.new
    if not place.quirks.trust_from_apps:
        numbers = [SELECTOR_NUMBERS[Selector(s)] for s in new.selectors]
        dcb.set_trust(place.channel, place.name, numbers)


def _code_point(change: Change) -> tuple[int, int]:
    """Selector and protocol of an entry."""
    if change.kind == "app":
        selector, number = app_of_key(change.key)
        return SELECTOR_NUMBERS[selector], number
    number = int(change.key)
    if not 0 <= number < DSCPS:
        raise ValueError(f"dscp/{number} is no DSCP: use 0 to {DSCPS - 1}")
    return SELECTOR_NUMBERS[Selector.DSCP], number


def _app(place: Place, change: Change) -> None:
    """The new entry is there before an old one goes: NICs trust PCP while there is none. Some replace by themselves."""
    selector, number = _code_point(change)
    new: DcbApp | None = change.new
    want = set() if new is None else {dcb.App(selector, number, p) for p in new.priorities}
    if any(not 0 <= a.priority < PRIORITIES for a in want) or (new is not None and not want):
        raise ValueError(f"{change.name} has priorities {new}: use 0 to {PRIORITIES - 1}")
    missing = want - _entries(place, selector, number)
    if missing:
        _unless(errno.EEXIST, dcb.add_apps, place, missing)
    extra = _entries(place, selector, number) - want
    if extra:
        _unless(errno.ENOENT, dcb.delete_apps, place, extra)


def _entries(place: Place, selector: int, number: int) -> set[dcb.App]:
    apps = dcb.read(place.channel, place.name).apps
    return {a for a in apps if (a.selector, a.protocol) == (selector, number)}


def _unless(
    number: int, order: Callable[[Channel, str, Collection[dcb.App]], None], place: Place, apps: set[dcb.App]
) -> None:
    """Somebody else, or the device itself, may just have done it."""
    for app in sorted(apps):
        try:
            order(place.channel, place.name, (app,))
        except KernelError as e:
            if e.number != number:
                raise


def _ets(place: Place, change: Change) -> None:
    _kept(change)
    new: DcbEts = change.new
    tsa = tuple(TSA_NUMBERS[Tsa(t)] for t in new.tsa)
    shares = sum(p for p, t in zip(new.percent, new.tsa, strict=True) if t == Tsa.ETS)
    if Tsa.ETS in new.tsa and shares != 100:
        raise ValueError(f"the shares of ETS classes sum to {shares}: they must sum to 100")
    held = dcb.read(place.channel, place.name).ets
    if held is None:
        raise _lacking("ETS")
    value = replace(
        held,
        willing=new.willing,
        tx_percent=_whole(new.percent, 100, "shares"),
        tsa=_whole(tsa, 255, "algorithms"),
        prio_tc=_whole(new.prio_tc, PRIORITIES - 1, "traffic classes"),
    )
    dcb.set_ets(place.channel, place.name, value)


def _held_pfc(place: Place) -> dcb.Pfc:
    held = dcb.read(place.channel, place.name).pfc
    if held is None:
        raise _lacking("PFC")
    return held


def _pfc(place: Place, change: Change) -> None:
    """Written only where it differs; one link of the node at a time, and until it is back."""
    _kept(change)
    new: DcbPfc = change.new
    _whole((*new.priorities, *(0,) * (PRIORITIES - len(new.priorities))), PRIORITIES - 1, "priorities")
    if not FLAPPING.acquire(timeout=place.link_wait_s):
        raise DriverError(
            f"{place.name}: another link of this node is down for a change: try again when it is back"
        )
    try:
        held = _held_pfc(place)
        if held.enabled != bitmap(new.priorities):
            before = link.find(place.channel, place.name)
            dcb.set_pfc(place.channel, place.name, replace(held, enabled=bitmap(new.priorities)))
            _await_link(place, before)
    finally:
        FLAPPING.release()


def _await_link(place: Place, before: link.Link) -> None:
    """Until the carrier is there again, if it was: some drivers take it down a while after they answered."""
    if not before.carrier:
        return
    began = time.monotonic()
    while (now := link.find(place.channel, place.name)) and (not now.carrier or now.ups == before.ups):
        took = time.monotonic() - began
        if now.carrier and took > place.quirks.settle_s:
            return
        if took > place.link_wait_s:
            raise RefusedError(
                f"{place.name}: the link did not come back within {place.link_wait_s:g} s after its PFC set changed: "
                "look at the cable and at the switch's port"
            )
        time.sleep(POLL_S)


def _cable(place: Place, change: Change) -> None:
    _kept(change)
    new: DcbCable = change.new
    if not 1 <= new.length_m <= MAX_CABLE_M:
        raise ValueError(f"a cable of {new.length_m} m cannot be told to the NIC: use 1 to {MAX_CABLE_M}")
    dcb.set_pfc(place.channel, place.name, replace(_held_pfc(place), delay=new.length_m))


def _maxrate(place: Place, change: Change) -> None:
    _kept(change)
    new: DcbMaxrate = change.new
    rates = _whole(tuple(r // KBPS for r in new.rate_bps), 2**64 - 1, "ceilings")
    if any(r % KBPS for r in new.rate_bps):
        raise ValueError(f"ceilings {new.rate_bps} are not whole kilobits per second")
    dcb.set_rates(place.channel, place.name, rates)


def _buffer(place: Place, change: Change) -> None:
    _kept(change)
    new: DcbBuffer = change.new
    held = dcb.read(place.channel, place.name).buffer
    if held is None:
        raise _lacking("buffer settings")
    buffers = _whole(new.prio_buffer, PRIORITIES - 1, "buffers")
    sizes = _whole(new.size_bytes, 2**32 - 1, "buffer sizes")
    dcb.set_buffer(place.channel, place.name, replace(held, prio_buffer=buffers, size_bytes=sizes))


def _ecn(place: Place, change: Change) -> None:
    _kept(change)
    ecn.write_ecn(place.files, int(change.key), change.new)


def _cnp(place: Place, change: Change) -> None:
    _kept(change)
    ecn.write_cnp(place.files, change.new)


HANDLERS: dict[str, Callable[[Place, Change], None]] = {
    "dcbx": _dcbx,
    "trust": _trust,
    "dscp": _app,
    "app": _app,
    "ets": _ets,
    "pfc": _pfc,
    "cable": _cable,
    "maxrate": _maxrate,
    "buffer": _buffer,
    "ecn": _ecn,
    "cnp": _cnp,
}
