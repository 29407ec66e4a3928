"""Rules about opensm.conf: what OpenSM takes without a word and does otherwise than it reads.

Sources: opensm/osm_qos.c and osm_subnet.c (version 3.3), IBA volume 1 sections 7.6.9 and 14.2.5.6, and
doc/QoS_management_in_OpenSM.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trafficd_topology.audit.facts import ConfFacts, Facts
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.parsers.opensm_conf import MAX_LINE_BYTES, is_unset, parse_sl2vl
from trafficd_topology.qos.ib import PORT_TYPES
from trafficd_topology.qos.vlarb import (
    COMMON_ENTRIES,
    MAX_ENTRIES,
    MAX_WEIGHT,
    OPERATIONAL_VLS,
    UNLIMITED,
    VlArb,
    parse_arb,
)

ENGINES_WITH_SL = ("torus-2QoS", "nue", "dfsssp", "lash")
"""Routing engines that choose SL and VL themselves and overwrite SL2VL."""
SURE_VLS = 4
"""HCAs may be configured to fewer VLs than the port could have (NUM_OF_VL_P1 of NVIDIA's: often 4)."""
NUMBERS = {"max_vls": (0, 15), "high_limit": (-1, 255)}
DROP_VL = 15


@dataclass(frozen=True, slots=True)
class Tables:
    """One set of tables: the general one (``prefix`` "qos_"), or that of one type of port."""

    conf: ConfFacts
    prefix: str
    vls: int
    sl2vl: str | None
    high: str | None
    low: str | None

    def at(self, key: str) -> str:
        return f"{self.conf.where}: {self.prefix}{key}"

    @property
    def arb(self) -> VlArb | None:
        """Both arbitration tables together; None unless both are set and can be read."""
        high, low = (None if t is None else parse_arb(t) for t in (self.high, self.low))
        return None if high is None or low is None else (*high, *low)


def option(conf: ConfFacts, key: str) -> str | None:
    """The value, None where OpenSM would take its default."""
    value = dict(conf.options).get(key)
    return None if value is None or is_unset(key, value) else value


def operational_vls(conf: ConfFacts) -> int:
    """How many data VLs ``max_op_vls`` lets ports run; 15 without it."""
    code = option(conf, "max_op_vls")
    by_code = {str(number): vls for vls, number in OPERATIONAL_VLS.items()}
    return by_code.get(code or "", 15)


def folded(vl: int, vls: int) -> int:
    """The VL that OpenSM makes of this one: it masks by the operational VLs (sl2vl_update_table)."""
    return vl & (max(vls, 1) - 1 if vls < 15 else 15)


def qos_is_on(conf: ConfFacts) -> bool:
    return (option(conf, "qos") or "FALSE").upper() == "TRUE"


def _sets(facts: Facts) -> Iterator[Tables]:
    for conf in facts.subnets:
        for prefix in ("qos_", *(f"qos_{t}_" for t in PORT_TYPES)):
            own = [option(conf, f"{prefix}{k}") for k in ("sl2vl", "vlarb_high", "vlarb_low")]
            if any(t is not None for t in own):
                yield Tables(conf, prefix, operational_vls(conf), *own)


def off(facts: Facts) -> Iterator[Finding]:
    for conf in facts.subnets:
        if qos_is_on(conf):
            continue
        tables = any(option(conf, f"qos_{k}") for k in ("vlarb_high", "vlarb_low", "sl2vl"))
        yield Finding(
            "opensm-qos-off",
            Severity.WARNING if tables else Severity.INFO,
            f"{conf.where}: qos",
            "qos is not TRUE, so that the tables in this file are never sent"
            if tables
            else "qos is not TRUE: ports keep the tables they booted with, and lanes are not told apart",
            "Set qos TRUE once the tables are right; OpenSM takes it over at SIGHUP.",
        )


def aliases(facts: Facts) -> Iterator[Finding]:
    for t in _sets(facts):
        table = None if t.sl2vl is None else parse_sl2vl(t.sl2vl)
        if table is None:
            continue
        folds = {vl: folded(vl, t.vls) for vl in sorted(set(table)) if t.vls <= vl < DROP_VL}
        for vl, lands in folds.items():
            sls = ", ".join(str(sl) for sl, v in enumerate(table) if v == vl)
            beside = [
                str(sl) for sl, v in enumerate(table) if v != vl and v < DROP_VL and folded(v, t.vls) == lands
            ]
            shared = f", shared with SL {', '.join(beside)}" if beside else ""
            yield Finding(
                "opensm-vl-alias",
                Severity.ERROR,
                t.at("sl2vl"),
                f"SL {sls} goes to VL {vl}, but ports run VL 0 to {t.vls - 1}: OpenSM makes it VL {lands}{shared}",
                "Use VLs below the operational ones, or raise max_op_vls (which takes links down).",
            )


def unsure_vls(facts: Facts) -> Iterator[Finding]:
    for t in _sets(facts):
        table = (None if t.sl2vl is None else parse_sl2vl(t.sl2vl)) or ()
        most = max((v for v in table if v < DROP_VL), default=0)
        if option(t.conf, "max_op_vls") is None and most >= SURE_VLS and qos_is_on(t.conf):
            yield Finding(
                "opensm-vls-unsure",
                Severity.INFO,
                t.at("sl2vl"),
                f"it uses VL {most}, and the file does not say how many VLs ports run: many HCAs run {SURE_VLS}",
                "Compare with OperVLs of smpquery portinfo: a VL that a port does not run is folded onto another.",
            )


def dropped_sl(facts: Facts) -> Iterator[Finding]:
    for t in _sets(facts):
        table = (None if t.sl2vl is None else parse_sl2vl(t.sl2vl)) or ()
        if sls := [str(sl) for sl, vl in enumerate(table) if vl == DROP_VL]:
            yield Finding(
                "opensm-sl-dropped",
                Severity.WARNING,
                t.at("sl2vl"),
                f"packets of SL {', '.join(sls)} are dropped (VL 15)",
                "Map them to a data VL unless you mean to block them.",
            )


def unserved_vl(facts: Facts) -> Iterator[Finding]:
    """Held against the general tables where a port type sets only some of its own."""
    for t in _sets(facts):
        whole = _completed(t)
        table = None if whole.sl2vl is None else parse_sl2vl(whole.sl2vl)
        if table is None or whole.arb is None:
            continue
        served = {folded(e.vl, t.vls) for e in whole.arb if e.weight % 256}
        used = {folded(v, t.vls) for v in table if v < DROP_VL}
        for vl in sorted(used - served):
            sls = ", ".join(str(sl) for sl, v in enumerate(table) if v < DROP_VL and folded(v, t.vls) == vl)
            yield Finding(
                "opensm-vl-without-turn",
                Severity.ERROR,
                t.at("vlarb_low"),
                f"SL {sls} goes to VL {vl}, which has no weight in either table and may never send",
                f"Give VL {vl} a weight, or map its SLs to a VL that has one.",
            )


def _completed(t: Tables) -> Tables:
    general = [option(t.conf, f"qos_{k}") for k in ("sl2vl", "vlarb_high", "vlarb_low")]
    mine = [
        own if own is not None else other
        for own, other in zip((t.sl2vl, t.high, t.low), general, strict=True)
    ]
    return Tables(t.conf, t.prefix, t.vls, *mine)


def bad_tables(facts: Facts) -> Iterator[Finding]:
    for t in _sets(facts):
        if t.sl2vl is not None and (reason := _bad_sl2vl(t.sl2vl)):
            yield _bad(t.at("sl2vl"), reason, "Write 16 VLs separated by commas, one for each SL.")
        for key, text in (("vlarb_high", t.high), ("vlarb_low", t.low)):
            if text is not None and parse_arb(text) is None:
                yield _bad(
                    t.at(key),
                    f"{text[:40]!r} is no list of VL:weight",
                    "Write VL:weight pairs separated by commas.",
                )


def _bad_sl2vl(text: str) -> str:
    table = parse_sl2vl(text)
    if table is None:
        return f"{text[:60]!r} is not 16 numbers: what OpenSM cannot read becomes 0"
    return f"VL {max(table)} does not exist" if max(table) > DROP_VL else ""


def _bad(where: str, evidence: str, remedy: str) -> Finding:
    return Finding("opensm-bad-value", Severity.ERROR, where, evidence, remedy)


def bad_numbers(facts: Facts) -> Iterator[Finding]:
    for conf in facts.subnets:
        for prefix in ("qos_", *(f"qos_{t}_" for t in PORT_TYPES)):
            for key, (low, high) in NUMBERS.items():
                text = option(conf, prefix + key)
                if text is not None and not _within(text, low, high):
                    yield _bad(
                        f"{conf.where}: {prefix}{key}",
                        f"{text[:40]!r} is no whole number from {low} to {high}",
                        "Write a number within that range.",
                    )
        code = option(conf, "max_op_vls")
        if code is not None and not _within(code, 1, 5):
            yield _bad(
                f"{conf.where}: max_op_vls",
                f"{code[:40]!r} is no code from 1 to 5",
                "Write 1, 2, 3, 4 or 5, for 1, 2, 4, 8 or 15 data VLs.",
            )


def _within(text: str, low: int, high: int) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 6 and low <= int(text) <= high


def weights(facts: Facts) -> Iterator[Finding]:
    for t in _sets(facts):
        for key, text in (("vlarb_high", t.high), ("vlarb_low", t.low)):
            table = (None if text is None else parse_arb(text)) or ()
            for e in (e for e in table if e.weight > MAX_WEIGHT):
                yield Finding(
                    "opensm-weight-too-large",
                    Severity.ERROR,
                    t.at(key),
                    f"VL {e.vl} has weight {e.weight}, which OpenSM cuts to {e.weight % 256}",
                    f"Write at most {MAX_WEIGHT}, and list a VL several times to give it more.",
                )


def lengths(facts: Facts) -> Iterator[Finding]:
    for t in _sets(facts):
        for key, text in (("vlarb_high", t.high), ("vlarb_low", t.low)):
            entries = 0 if text is None else sum(1 for e in parse_arb(text) or () if e.weight)
            if entries > COMMON_ENTRIES:
                yield Finding(
                    "opensm-table-too-long",
                    Severity.ERROR if entries > MAX_ENTRIES else Severity.WARNING,
                    t.at(key),
                    f"{entries} entries with a weight; many ports hold {COMMON_ENTRIES} and drop the rest",
                    "Compare with VLArbHighCap and VLArbLowCap of smpquery portinfo, and shorten the table.",
                )


def unlimited(facts: Facts) -> Iterator[Finding]:
    for conf in facts.subnets:
        for prefix in ("qos_", *(f"qos_{t}_" for t in PORT_TYPES)):
            if option(conf, f"{prefix}high_limit") == str(UNLIMITED):
                yield Finding(
                    "opensm-low-table-starved",
                    Severity.WARNING,
                    f"{conf.where}: {prefix}high_limit",
                    "255 lets the high table send without end: VLs of the low table get nothing while it has packets",
                    "Use 254 or less, so that the low table gets a packet in between.",
                )


def engine(facts: Facts) -> Iterator[Finding]:
    for conf in facts.subnets:
        chosen = [e.strip() for e in (option(conf, "routing_engine") or "").split(",")]
        if owner := next((e for e in chosen if e in ENGINES_WITH_SL), None):
            yield Finding(
                "opensm-engine-owns-sl",
                Severity.WARNING,
                f"{conf.where}: routing_engine",
                f"{owner} chooses SLs and VLs itself and overrides qos_sl2vl",
                "Choose another routing engine for lanes by SL, or leave the lanes to it.",
            )


def port_types(facts: Facts) -> Iterator[Finding]:
    for t in _sets(facts):
        pairs = (("sl2vl", t.sl2vl), ("vlarb_high", t.high), ("vlarb_low", t.low))
        differ = [k for k, v in pairs if v is not None and v != option(t.conf, f"qos_{k}")]
        if t.prefix != "qos_" and differ:
            yield Finding(
                "opensm-port-types-differ",
                Severity.INFO,
                t.at(differ[0]),
                f"ports of this type follow their own {' and '.join(differ)}, not the general one",
                "Keep one set of tables for all types unless you mean lanes to change on the way.",
            )


def lines(facts: Facts) -> Iterator[Finding]:
    for conf in facts.subnets:
        for key in conf.cut:
            yield Finding(
                "opensm-line-cut",
                Severity.ERROR,
                f"{conf.where}: {key}",
                f"the line is longer than the {MAX_LINE_BYTES} bytes that OpenSM reads: the rest is lost",
                "Shorten the line.",
            )
        for key in conf.twice:
            yield Finding(
                "opensm-key-twice",
                Severity.WARNING,
                f"{conf.where}: {key}",
                "it is given twice with different values, and the last one holds",
                "Remove the other line.",
            )


def adaptive_routing(facts: Facts) -> Iterator[Finding]:
    """NVIDIA's OpenSM: SLs outside ``ar_sl_mask`` are not routed adaptively."""
    for conf in facts.subnets:
        text = (option(conf, "ar_sl_mask") or "").lower()
        digits = text.removeprefix("0x")
        if not qos_is_on(conf) or not digits or len(digits) > 4 or set(digits) - set("0123456789abcdef"):
            continue
        mask = int(digits, 16)
        outside = [str(sl) for sl in range(16) if not mask >> sl & 1]
        if outside:
            yield Finding(
                "opensm-ar-mask",
                Severity.INFO,
                f"{conf.where}: ar_sl_mask",
                f"{text} leaves SL {', '.join(outside)} without adaptive routing",
                "Add the SLs of your lanes to the mask, or they are slower where paths are uneven.",
            )
