"""What Data Center Bridging holds on a port, asked of the kernel and told to it, as typed values.

Sources: include/uapi/linux/dcbnl.h, net/dcb/dcbnl.c; IEEE 802.1Q clauses 36, 37 and annex D.2. Arrays have one value for
each of 8 priorities or traffic classes (TCs). Every function raises KernelError: EOPNOTSUPP where the device's driver
speaks no DCB or lacks that part, ENODEV where there is no such device in the socket's network namespace, EPERM without
CAP_NET_ADMIN in the initial user namespace; anything else is the driver's own answer.

The kernel undoes nothing when it fails half-way: read again after every order.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl import RTM_GETDCB, RTM_SETDCB

from trafficd_agent.netlink.channel import Channel, KernelError
from trafficd_agent.netlink.dcbmsg import (
    DCB_APP_SEL_PCP,
    DCB_CMD_IEEE_DEL,
    DCB_CMD_IEEE_GET,
    DCB_CMD_IEEE_SET,
    DCB_CMD_SDCBX,
    dcbmsg,
)

Eight = tuple[int, ...]
"""A value for each of 8 priorities or TCs."""
NONE: Eight = (0,) * 8
NO_COMMAND = 255


@dataclass(frozen=True, slots=True)
class Ets:
    """struct ieee_ets. ``cap``: TCs the device has; ``tsa``: IEEE_8021QAZ_TSA_*; percentages are whole."""

    willing: bool = False
    cap: int = 0
    cbs: bool = False
    tx_percent: Eight = NONE
    rx_percent: Eight = NONE
    tsa: Eight = NONE
    prio_tc: Eight = NONE
    reco_percent: Eight = NONE
    reco_tsa: Eight = NONE
    reco_prio_tc: Eight = NONE


@dataclass(frozen=True, slots=True)
class Pfc:
    """struct ieee_pfc. ``enabled``: bit n is priority n; ``requests`` frames sent and ``indications`` received."""

    cap: int = 0
    enabled: int = 0
    mbc: bool = False
    delay: int = 0
    requests: Eight = NONE
    indications: Eight = NONE


@dataclass(frozen=True, slots=True, order=True)
class App:
    """struct dcb_app: packets of ``protocol`` (what that is, ``selector`` says) have ``priority``."""

    selector: int
    protocol: int
    priority: int


@dataclass(frozen=True, slots=True)
class Buffer:
    """struct dcbnl_buffer: for each priority its receive buffer, and the sizes in bytes."""

    prio_buffer: Eight = NONE
    size_bytes: Eight = NONE
    total_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """Everything the kernel tells of one port; None: the device's driver lacks that part. ``rates_kbps`` are ceilings."""

    ets: Ets | None = None
    pfc: Pfc | None = None
    apps: tuple[App, ...] = ()
    rates_kbps: Eight | None = None
    buffer: Buffer | None = None
    trust: tuple[int, ...] | None = None
    dcbx: int | None = None
    peer_ets: Ets | None = None
    peer_pfc: Pfc | None = None


def request(kind: int, command: int, name: str, *attributes: list[Any]) -> dcbmsg:
    """A message about one port, to be numbered and sent."""
    made = dcbmsg()
    made["cmd"] = command
    made["attrs"] = [["DCB_ATTR_IFNAME", name], *attributes]
    made["header"]["type"] = kind
    return made


def ets_fields(v: Ets) -> dict[str, Any]:
    return {
        "willing": int(v.willing),
        "ets_cap": v.cap,
        "cbs": int(v.cbs),
        "tc_tx_bw": v.tx_percent,
        "tc_rx_bw": v.rx_percent,
        "tc_tsa": v.tsa,
        "prio_tc": v.prio_tc,
        "tc_reco_bw": v.reco_percent,
        "tc_reco_tsa": v.reco_tsa,
        "reco_prio_tc": v.reco_prio_tc,
    }


def ets_value(found: nlmsg) -> Ets:
    return Ets(
        bool(found["willing"]),
        found["ets_cap"],
        bool(found["cbs"]),
        found["tc_tx_bw"],
        found["tc_rx_bw"],
        found["tc_tsa"],
        found["prio_tc"],
        found["tc_reco_bw"],
        found["tc_reco_tsa"],
        found["reco_prio_tc"],
    )


def pfc_fields(v: Pfc) -> dict[str, Any]:
    return {
        "pfc_cap": v.cap,
        "pfc_en": v.enabled,
        "mbc": int(v.mbc),
        "delay": v.delay,
        "requests": v.requests,
        "indications": v.indications,
    }


def pfc_value(found: nlmsg) -> Pfc:
    return Pfc(
        found["pfc_cap"],
        found["pfc_en"],
        bool(found["mbc"]),
        found["delay"],
        found["requests"],
        found["indications"],
    )


def buffer_fields(v: Buffer) -> dict[str, Any]:
    return {"prio2buffer": v.prio_buffer, "buffer_size": v.size_bytes, "total_size": v.total_bytes}


def buffer_value(found: nlmsg) -> Buffer:
    return Buffer(found["prio2buffer"], found["buffer_size"], found["total_size"])


def app_attribute(v: App) -> list[Any]:
    """An entry of a table; the PCP selector has a kind of its own since it was added."""
    kind = "DCB_ATTR_DCB_APP" if v.selector == DCB_APP_SEL_PCP else "DCB_ATTR_IEEE_APP"
    return [kind, {"selector": v.selector, "priority": v.priority, "protocol": v.protocol}]


def app_value(found: nlmsg) -> App:
    return App(found["selector"], found["protocol"], found["priority"])


def held_value(message: nlmsg) -> Held:
    """What an answer to DCB_CMD_IEEE_GET, or a notification, says."""
    nest = message.get_attr("DCB_ATTR_IEEE")
    if not isinstance(nest, nlmsg.__mro__[1]):
        return Held(dcbx=message.get_attr("DCB_ATTR_DCBX"))

    def part(name: str, value: Any) -> Any:
        found = nest.get_attr(name)
        return None if found is None else value(found)

    apps = nest.get_attr("DCB_ATTR_IEEE_APP_TABLE")
    return Held(
        part("DCB_ATTR_IEEE_ETS", ets_value),
        part("DCB_ATTR_IEEE_PFC", pfc_value),
        tuple(sorted(app_value(a[1]) for a in apps["attrs"])) if apps is not None else (),
        part("DCB_ATTR_IEEE_MAXRATE", lambda found: found["tc_maxrate"]),
        part("DCB_ATTR_DCB_BUFFER", buffer_value),
        part("DCB_ATTR_DCB_APP_TRUST_TABLE", lambda found: tuple(a[1] for a in found["attrs"])),
        message.get_attr("DCB_ATTR_DCBX"),
        part("DCB_ATTR_IEEE_PEER_ETS", ets_value),
        part("DCB_ATTR_IEEE_PEER_PFC", pfc_value),
    )


def read(channel: Channel, name: str) -> Held:
    """One question; takes no capability."""
    return held_value(channel.ask(request(RTM_GETDCB, DCB_CMD_IEEE_GET, name)))


def may_write(channel: Channel, name: str) -> bool:
    """Whether the kernel takes orders from us: a command that is none is refused before or after it looks at our rights."""
    try:
        channel.ask(request(RTM_SETDCB, NO_COMMAND, name))
    except KernelError as e:
        return e.number not in (errno.EPERM, errno.EACCES)
    return True


def ieee_order(command: int, name: str, attribute: list[Any]) -> dcbmsg:
    """A message of DCB_CMD_IEEE_SET or _DEL."""
    return request(RTM_SETDCB, command, name, ["DCB_ATTR_IEEE", {"attrs": [attribute]}])


def set_ets(channel: Channel, name: str, value: Ets) -> None:
    _carry_out(channel, DCB_CMD_IEEE_SET, name, ["DCB_ATTR_IEEE_ETS", ets_fields(value)])


def set_pfc(channel: Channel, name: str, value: Pfc) -> None:
    _carry_out(channel, DCB_CMD_IEEE_SET, name, ["DCB_ATTR_IEEE_PFC", pfc_fields(value)])


def set_rates(channel: Channel, name: str, rates_kbps: Eight) -> None:
    _carry_out(channel, DCB_CMD_IEEE_SET, name, ["DCB_ATTR_IEEE_MAXRATE", {"tc_maxrate": rates_kbps}])


def set_buffer(channel: Channel, name: str, value: Buffer) -> None:
    _carry_out(channel, DCB_CMD_IEEE_SET, name, ["DCB_ATTR_DCB_BUFFER", buffer_fields(value)])


def set_trust(channel: Channel, name: str, selectors: Iterable[int]) -> None:
    """From Linux 6.2; an older kernel says EINVAL or nothing: see whether ``Held.trust`` is None."""
    table = {"attrs": [["DCB_ATTR_IEEE_APP_TRUST", s] for s in selectors]}
    _carry_out(channel, DCB_CMD_IEEE_SET, name, ["DCB_ATTR_DCB_APP_TRUST_TABLE", table])


def add_apps(channel: Channel, name: str, apps: Iterable[App]) -> None:
    """EEXIST when an entry is there."""
    _carry_out(channel, DCB_CMD_IEEE_SET, name, _table(apps))


def delete_apps(channel: Channel, name: str, apps: Iterable[App]) -> None:
    """ENOENT when an entry is not there."""
    _carry_out(channel, DCB_CMD_IEEE_DEL, name, _table(apps))


def set_dcbx(channel: Channel, name: str, mode: int) -> None:
    """DCB_CAP_DCBX_*; a device that keeps its mode says so with one byte, which becomes EINVAL."""
    answer = channel.ask(request(RTM_SETDCB, DCB_CMD_SDCBX, name, ["DCB_ATTR_DCBX", mode]))
    if answer.get_attr("DCB_ATTR_DCBX"):
        raise KernelError(errno.EINVAL, f"the device does not take DCBX mode 0x{mode:02x}")


def _table(apps: Iterable[App]) -> list[Any]:
    return ["DCB_ATTR_IEEE_APP_TABLE", {"attrs": [app_attribute(a) for a in apps]}]


def _carry_out(channel: Channel, command: int, name: str, attribute: list[Any]) -> None:
    """One part at a time, so that an error names what it is about."""
    error = channel.ask(ieee_order(command, name, attribute)).get_attr("DCB_ATTR_IEEE")
    if isinstance(error, int) and error:
        raise KernelError(abs(error))
