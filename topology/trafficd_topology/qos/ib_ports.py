"""What the ports of a subnet can hold, for tables that are to fit in them, and whether a policy's do.

Everything that OpenSM would take without a word and do otherwise is refused here with a sentence: see
docs/infiniband.md for the list. Sources: opensm/osm_qos.c, osm_subnet.c (3.3); IBA 1.4 sections 7.6.9 and 14.2.5.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from trafficd_topology.model import FabricInventory, FabricPortType, FabricSetting, Problem
from trafficd_topology.qos.ib import PORT_TYPES
from trafficd_topology.qos.ib_options import ENDLESS_LIFETIME, PLAIN, IbOptions, timeout_s
from trafficd_topology.qos.ib_wait import LaneWait, lane_waits
from trafficd_topology.qos.lanes import Lane, LaneSet
from trafficd_topology.qos.vlarb import COMMON_ENTRIES, IbTables, VlArb

ENGINES_WITH_SL = ("torus-2QoS", "nue", "dfsssp", "lash")
"""Routing engines that choose SLs and VLs themselves: the map from SL to VL is then theirs."""
COLLECTIVES = ("all-reduce", "allreduce", "collective", "model")
"""Intents of the class that SHARP's traffic belongs to."""
HOQ_DEFAULTS = {"head_of_queue_lifetime": 0x12, "leaf_head_of_queue_lifetime": 0x10}
"""OpenSM's: 1.07 s at ports between switches, 268 ms at those to adapters and routers."""
TWO_VLS = "a preset for two VLs (dualpath-two-vl, three-class-two-vl, two-lane-strict)"


@dataclass(frozen=True, slots=True)
class SubnetPorts:
    """What is known of a subnet: nothing, or what its agent offers. ``rate_bps`` is that of the slowest port."""

    types: tuple[FabricPortType, ...] = ()
    settings: tuple[FabricSetting, ...] = ()
    rate_bps: int | None = None

    @property
    def packet_bytes(self) -> int:
        """The smallest MTU in use; 4,096 where none is known."""
        return min((t.mtu_bytes for t in self.types if t.mtu_bytes), default=4096)

    @property
    def entries(self) -> int:
        """How many entries derived tables may have."""
        known = [n for t in self.types if t.vls > 1 for n in (t.high_entries, t.low_entries)]
        return max(1, min([COMMON_ENTRIES, *known]))

    def has(self, port_type: str) -> bool:
        return any(t.type == port_type and t.ports for t in self.types)

    def setting(self, name: str) -> str:
        return next((s.value for s in self.settings if s.name == name), "")


UNKNOWN = SubnetPorts()


def subnet_ports(offered: FabricInventory, rate_bps: int | None = None) -> SubnetPorts:
    """What an agent offers of a subnet."""
    return SubnetPorts(offered.port_types, offered.settings, rate_bps)


def number(text: str) -> int | None:
    """Decimal or 0x..., as OpenSM reads numbers."""
    try:
        return int(text, 0) if text and len(text) < 12 else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Case:
    lanes: LaneSet
    general: IbTables
    tables: Mapping[str, IbTables]
    """By type of port, every type."""
    options: IbOptions
    ports: SubnetPorts

    @property
    def sl2vl(self) -> Mapping[int, Lane]:
        claimed = {sl: self.lanes.lane(c.lane) for c in self.lanes.classes for sl in c.marking.sl}
        return {sl: claimed.get(sl, self.lanes.default) for sl in range(16)}


def unfit(
    lanes: LaneSet, tables: IbTables, options: IbOptions = PLAIN, ports: SubnetPorts = UNKNOWN
) -> tuple[Problem, ...]:
    """Everything for which this policy must not be programmed in this subnet, all at once."""
    own = options.by_type()
    case = _Case(lanes, tables, {t: own.get(t, tables) for t in PORT_TYPES}, options, ports)
    rules = (_vls, _entries, _engine, _adaptive, _aggregation, _management, _waits)
    return tuple(problem for rule in rules for problem in rule(case))


def _vls(case: _Case) -> Iterator[Problem]:
    for t in case.ports.types:
        wanted = case.tables[t.type].max_vls if t.type in case.tables else 0
        if t.type != "sw0" and t.vls < wanted:
            reason = (
                f"{t.ports} ports of type {t.type} can run {t.vls} data VL{'s' * (t.vls != 1)} only, and OpenSM "
                f"would fold the others onto these: choose {TWO_VLS}, or raise what the adapters' firmware runs (NUM_OF_VL_P1)"
            )
            yield Problem("infiniband.max_vls", str(wanted), reason)


def _entries(case: _Case) -> Iterator[Problem]:
    for t in case.ports.types:
        tables = case.tables.get(t.type)
        if tables is None or t.type == "sw0" or t.vls < 2:
            continue
        pairs: tuple[tuple[str, VlArb, int], ...] = (
            ("vlarb_high", tables.vlarb_high, t.high_entries),
            ("vlarb_low", tables.vlarb_low, t.low_entries),
        )
        for key, table, room in pairs:
            if len(table) > room:
                reason = (
                    f"ports of type {t.type} hold {room} entries: OpenSM would drop the rest; make it shorter"
                )
                yield Problem(f"infiniband.{key}", f"{len(table)} entries", reason)


def _engine(case: _Case) -> Iterator[Problem]:
    chosen = [e.strip() for e in case.ports.setting("routing_engine").split(",")]
    for engine in (e for e in chosen if e in ENGINES_WITH_SL):
        reason = "this routing engine owns SLs and VLs and overrides the map of the lanes: choose another in opensm.conf"
        yield Problem("routing_engine", engine, reason)


def _adaptive(case: _Case) -> Iterator[Problem]:
    """NVIDIA's OpenSM routes adaptively what ``ar_sl_mask`` names; with mask 0 nothing is."""
    text = case.ports.setting("ar_sl_mask")
    mask = number(text)
    claimed = {sl for c in case.lanes.classes for sl in c.marking.sl}
    outside = sorted(sl for sl in claimed if mask and not mask >> sl & 1)
    if mask and outside:
        sls = ", ".join(map(str, outside))
        whole = mask | sum(1 << sl for sl in outside)
        reason = f"the mask leaves SL {sls} of this policy's classes without adaptive routing: set it to 0x{whole:x}"
        yield Problem("ar_sl_mask", text, reason)


def _aggregation(case: _Case) -> Iterator[Problem]:
    known = number(case.ports.setting("aggregation_sl"))
    sl = case.options.aggregation_sl if case.options.aggregation_sl is not None else known
    model = next((c for i in COLLECTIVES if (c := case.lanes.class_for(i))), None)
    if sl is None or not 0 <= sl < 16 or model is None:
        return
    lane = case.sl2vl[sl]
    if lane.name != model.lane:
        reason = (
            f"in-network aggregation sends with SL {sl}, which goes to lane {lane.name} and not to {model.lane}, where "
            f"collectives run: add SL {sl} to the markings of class {model.name}"
        )
        yield Problem("infiniband.aggregation_sl", str(sl), reason)


def _management(case: _Case) -> Iterator[Problem]:
    """Subnet administration must not wait behind everything else."""
    sl = number(case.ports.setting("sm_sl"))
    if sl is None or not 0 <= sl < 16:
        return
    lane = case.sl2vl[sl]
    carriers = {case.lanes.default.name, case.lanes.control.name}
    carriers |= {c.lane for c in case.lanes.classes if c.name == "control"}
    if lane.name not in carriers:
        reason = f"the subnet manager answers with SL {sl}, which goes to lane {lane.name}: use an SL of the default or control lane"
        yield Problem("sm_sl", str(sl), reason)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a packet may wait at a port before it is lost, in seconds; None: for ever. The shortest decides."""

    rc_timeout_s: float
    queue_lifetime_s: float | None

    @property
    def seconds(self) -> float:
        return min(self.rc_timeout_s, self.queue_lifetime_s or self.rc_timeout_s)


def patience(options: IbOptions, ports: SubnetPorts) -> Patience:
    """From the applications' retry time-out and OpenSM's head-of-queue lifetimes."""
    lives = []
    for name, default in HOQ_DEFAULTS.items():
        said = number(ports.setting(name))
        lives.append(default if said is None else said)
    shortest = min(lives)
    life = None if shortest >= ENDLESS_LIFETIME else timeout_s(shortest)
    return Patience(timeout_s(options.rc_timeout), life)


def waits(lanes: LaneSet, tables: IbTables, options: IbOptions, ports: SubnetPorts) -> tuple[LaneWait, ...]:
    """The longest wait of every lane over the types of ports that there are."""
    own = options.by_type()
    several = [own.get(t, tables) for t in PORT_TYPES if not ports.types or ports.has(t)] or [tables]
    found = [lane_waits(lanes, t, ports.packet_bytes) for t in dict.fromkeys(several)]
    return tuple(_longest(column) for column in zip(*found, strict=True))


def _longest(column: Iterable[LaneWait]) -> LaneWait:
    return max(column, key=lambda w: float("inf") if w.wait_bytes is None else w.wait_bytes)


def _waits(case: _Case) -> Iterator[Problem]:
    """A lane whose first packet waits longer than it lives loses packets under load; so does one that waits for ever."""
    rate = case.ports.rate_bps
    limit = patience(case.options, case.ports)
    for wait in waits(case.lanes, case.general, case.options, case.ports) if rate else ():
        seconds = wait.seconds(rate or 1)
        if seconds is None or seconds < limit.seconds or case.lanes.lane(wait.lane).may_starve:
            continue
        what = "head-of-queue lifetime" if limit.seconds != limit.rc_timeout_s else "RC retry time-out"
        reason = (
            f"a packet of lane {wait.lane} may wait {seconds * 1e3:.3g} ms at a port of {(rate or 0) / 1e9:g} Gb/s, longer "
            f"than the {what} of {limit.seconds * 1e3:.3g} ms: make high_limit or the other weights smaller"
        )
        yield Problem("infiniband.high_limit", str(case.general.high_limit), reason)
