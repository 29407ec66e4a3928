"""Lanes on a RoCE NIC: what Data Center Bridging holds on a port, as values.

Sources: IEEE 802.1Q clauses 36 (PFC) and 37 (ETS), include/uapi/linux/dcbnl.h, net/dcb/dcbnl.c; for ECN and CNP the
attributes of mlx5 (sysfs ``ecn/``, debugfs ``cc_params/``). A **priority** (0..7) is the PCP of 802.1Q, a **TC** (0..7)
a transmit queue; DSCP -> priority -> TC.

One element is one thing that is written at once. A driver reads, and a plan desires, every kind that the port's
``DcbFeatures`` names and no other, so that a port that a policy selects is managed whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PRIORITIES = 8
DSCPS = 64
MAX_CABLE_M = 999
"""mlx5 keeps the cable length in the PFC attribute's ``delay`` and takes less than 1,000 m (en_dcbnl.c)."""


class Tsa(StrEnum):
    """Transmission selection algorithm of a TC (802.1Q table 8-5; dcbnl.h IEEE_8021QAZ_TSA_*)."""

    STRICT = "strict"
    CBS = "cbs"
    ETS = "ets"
    VENDOR = "vendor"


TSA_NUMBERS: dict[Tsa, int] = {Tsa.STRICT: 0, Tsa.CBS: 1, Tsa.ETS: 2, Tsa.VENDOR: 255}


class Selector(StrEnum):
    """What an entry of the APP table is about (dcbnl.h IEEE_8021QAZ_APP_SEL_*, DCB_APP_SEL_PCP)."""

    ETHERTYPE = "ethertype"
    STREAM = "stream"  # TCP and SCTP ports
    DGRAM = "dgram"  # UDP and DCCP ports
    ANY = "any"  # ports of either
    DSCP = "dscp"
    PCP = "pcp"


SELECTOR_NUMBERS: dict[Selector, int] = {
    Selector.ETHERTYPE: 1,
    Selector.STREAM: 2,
    Selector.DGRAM: 3,
    Selector.ANY: 4,
    Selector.DSCP: 5,
    Selector.PCP: 255,
}


@dataclass(frozen=True, slots=True)
class Dcbx:
    """Element ``dcbx``: there while the host owns the settings (DCB_CAP_DCBX_HOST); absent while firmware or an LLDP agent
    does. ``ieee``: IEEE 802.1Qaz is spoken (DCB_CAP_DCBX_VER_IEEE); other versions beside it do not matter.
    """

    ieee: bool = True


@dataclass(frozen=True, slots=True)
class DcbTrust:
    """Element ``trust``: what the priority of an arriving or sent packet is taken from, the first that fits.

    The APP trust table where the kernel has one (6.3: DCB_ATTR_IEEE_APP_TRUST_TABLE); on mlx5 what the driver makes of
    the APP table: dscp while it has a DSCP entry, else pcp.
    """

    selectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DcbApp:
    """Elements ``dscp/<0..63>`` and ``app/<selector>-<number>``: the priorities of one entry of the APP table.

    The kernel allows several priorities for one code point; desired is always one. Ascending.
    """

    priorities: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DcbEts:
    """Element ``ets``, one attribute: for each priority its TC, for each TC its algorithm and its whole percent.

    ``percent`` is 0 for a TC that is not ``ets``; those that are sum to 100, or to 0 where there are none.
    """

    prio_tc: tuple[int, ...]
    tsa: tuple[str, ...]
    percent: tuple[int, ...]
    willing: bool = False


@dataclass(frozen=True, slots=True)
class DcbPfc:
    """Element ``pfc``: the lossless priorities, ascending."""

    priorities: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DcbCable:
    """Element ``cable``: the cable's length in metres (1..999), from which the NIC's driver sizes headroom.

    It travels in the PFC attribute (``delay``) and is an element of its own because it does not touch the link.
    """

    length_m: int


@dataclass(frozen=True, slots=True)
class DcbMaxrate:
    """Element ``maxrate``, one attribute: a ceiling for each TC in bits per second; 0: none. The kernel's unit is 1,000
    bits per second.
    """

    rate_bps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DcbBuffer:
    """Element ``buffer``, one attribute: for each priority its receive buffer, and the size of each buffer in bytes."""

    prio_buffer: tuple[int, ...]
    size_bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DcbEcn:
    """Element ``ecn/<priority>``: DCQCN on one priority. ``notify``: the receiver answers marked packets with CNPs
    (roce_np); ``react``: the sender slows down when it gets them (roce_rp).
    """

    notify: bool
    react: bool


@dataclass(frozen=True, slots=True)
class DcbCnp:
    """Element ``cnp``: how congestion notification packets are marked."""

    dscp: int
    priority: int


@dataclass(frozen=True, slots=True)
class DcbFeatures:
    """What DCB can do on one port, as its agent found it.

    ``kinds``: the element kinds that can be read there, and written. ``traffic_classes``: TCs with a queue (0: not said).
    ``lossless``: how many priorities may have PFC at once (0: not said). ``buffer_bytes``: the port's receive buffer
    (0: not said), ``cell_bytes`` the unit its parts are kept in. ``kernel_driver``: such as ``mlx5_core``.
    """

    kinds: tuple[str, ...] = ()
    traffic_classes: int = 0
    lossless: int = 0
    buffer_bytes: int = 0
    cell_bytes: int = 0
    kernel_driver: str = ""


def app_key(selector: Selector, number: int) -> str:
    """The key of an ``app`` element: ``dgram-4791``, ``ethertype-0x8915``."""
    return f"{selector}-0x{number:04x}" if selector is Selector.ETHERTYPE else f"{selector}-{number}"


def app_of_key(key: str) -> tuple[Selector, int]:
    """Selector and number of such a key; ValueError when it is none."""
    word, _, number = key.partition("-")
    return Selector(word), int(number, 0)


def bitmap(priorities: tuple[int, ...]) -> int:
    """Priorities as the byte that PFC carries: bit n is priority n."""
    return sum(1 << p for p in set(priorities))


def from_bitmap(bits: int) -> tuple[int, ...]:
    """The priorities of such a byte, ascending."""
    return tuple(p for p in range(PRIORITIES) if bits >> p & 1)
