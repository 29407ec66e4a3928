"""What a port holds, as elements. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trafficd_agent.drivers.dcb.quirks import Quirks
from trafficd_agent.netlink.dcb import App, Held
from trafficd_agent.netlink.dcbmsg import DCB_CAP_DCBX_HOST, DCB_CAP_DCBX_LLD_MANAGED, DCB_CAP_DCBX_VER_IEEE
from trafficd_topology.diff import Element, State, state
from trafficd_topology.qos.dcb import (
    MAX_CABLE_M,
    SELECTOR_NUMBERS,
    TSA_NUMBERS,
    DcbApp,
    DcbBuffer,
    DcbCable,
    DcbCnp,
    DcbEcn,
    DcbEts,
    DcbFeatures,
    DcbMaxrate,
    DcbPfc,
    DcbTrust,
    Dcbx,
    Selector,
    Tsa,
    app_key,
    from_bitmap,
)

TSAS: dict[int, Tsa] = {number: tsa for tsa, number in TSA_NUMBERS.items()}
SELECTORS: dict[int, Selector] = {number: selector for selector, number in SELECTOR_NUMBERS.items()}
KBPS = 1000


@dataclass(frozen=True, slots=True)
class Port:
    """What was read of one device: by DCB netlink, and of ECN from files. None: it has none of that."""

    held: Held
    quirks: Quirks
    ecn: tuple[DcbEcn, ...] | None = None
    cnp: DcbCnp | None = None


def firmware_owns(held: Held) -> bool:
    return bool((held.dcbx or 0) & DCB_CAP_DCBX_LLD_MANAGED)


def elements(port: Port) -> State:
    """The State of one device."""
    held = port.held
    found = [*_dcbx(held), *_trust(port), *_apps(held), *_pfc(port), *_ecn(port)]
    if held.ets is not None:
        found.append(Element("ets", "", _ets(held)))
    if held.rates_kbps is not None:
        found.append(Element("maxrate", "", DcbMaxrate(tuple(r * KBPS for r in held.rates_kbps))))
    if held.buffer is not None:
        found.append(Element("buffer", "", DcbBuffer(held.buffer.prio_buffer, held.buffer.size_bytes)))
    return state(found)


def _dcbx(held: Held) -> Iterator[Element]:
    mode = held.dcbx or 0
    if mode & DCB_CAP_DCBX_HOST:
        yield Element("dcbx", "", Dcbx(ieee=bool(mode & DCB_CAP_DCBX_VER_IEEE)))


def _trust(port: Port) -> Iterator[Element]:
    if port.held.trust is not None:
        yield Element("trust", "", DcbTrust(tuple(_selector(s) for s in port.held.trust)))
    elif port.quirks.trust_from_apps:
        dscp = any(SELECTORS.get(a.selector) is Selector.DSCP for a in port.held.apps)
        yield Element("trust", "", DcbTrust((str(Selector.DSCP if dscp else Selector.PCP),)))


def _selector(number: int) -> str:
    return str(SELECTORS.get(number, number))


def place(app: App) -> tuple[str, str] | None:
    """Kind and key of the element that an entry is a part of; None for a selector that nobody knows."""
    selector = SELECTORS.get(app.selector)
    if selector is None:
        return None
    if selector is Selector.DSCP:
        return "dscp", str(app.protocol)
    return "app", app_key(selector, app.protocol)


def _apps(held: Held) -> Iterator[Element]:
    entries: dict[tuple[str, str], list[int]] = {}
    for app in held.apps:
        if (found := place(app)) is not None:
            entries.setdefault(found, []).append(app.priority)
    for (kind, key), priorities in entries.items():
        yield Element(kind, key, DcbApp(tuple(sorted(priorities))))


def _ets(held: Held) -> DcbEts:
    """Percentages of TCs that are not ETS mean nothing, and drivers leave anything there."""
    e = held.ets
    assert e is not None
    tsa = tuple(str(TSAS.get(n, n)) for n in e.tsa)
    percent = tuple(p if t == Tsa.ETS else 0 for p, t in zip(e.tx_percent, tsa, strict=True))
    return DcbEts(e.prio_tc, tsa, percent, e.willing)


def _pfc(port: Port) -> Iterator[Element]:
    pfc = port.held.pfc
    if pfc is None:
        return
    yield Element("pfc", "", DcbPfc(from_bitmap(pfc.enabled)))
    if port.quirks.cable:
        yield Element("cable", "", DcbCable(pfc.delay))


def _ecn(port: Port) -> Iterator[Element]:
    for priority, value in enumerate(port.ecn or ()):
        yield Element("ecn", str(priority), value)
    if port.cnp is not None:
        yield Element("cnp", "", port.cnp)


def features(port: Port, kernel_driver: str) -> DcbFeatures:
    """What the device can hold."""
    held = port.held
    there = {
        "dcbx": held.dcbx is not None,
        "trust": held.trust is not None or port.quirks.trust_from_apps,
        "dscp": True,
        "app": not port.quirks.trust_from_apps,
        "ets": held.ets is not None,
        "pfc": held.pfc is not None,
        "cable": held.pfc is not None and port.quirks.cable,
        "maxrate": held.rates_kbps is not None,
        "buffer": held.buffer is not None,
        "ecn": port.ecn is not None,
        "cnp": port.cnp is not None,
    }
    return DcbFeatures(
        kinds=tuple(kind for kind, has in there.items() if has),
        traffic_classes=held.ets.cap if held.ets else 0,
        lossless=held.pfc.cap if held.pfc else 0,
        buffer_bytes=held.buffer.total_bytes if held.buffer else 0,
        kernel_driver=kernel_driver,
    )


__all__ = ["MAX_CABLE_M", "Port", "elements", "features", "firmware_owns", "place"]
