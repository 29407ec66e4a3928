"""What every port of a simulated fabric holds, by smpquery and ibnetdiscover: no code of ours in between."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.ibsim import IbLab


@dataclass(frozen=True, slots=True)
class PortTables:
    """One port with a link. Arbitration tables are in opensm.conf's form, padding and all; ``sl2vl``: one per in port."""

    lid: int
    port: int
    high: str
    low: str
    sl2vl: frozenset[str]
    operational_vls: str


def read_ports(lab: IbLab, host: str) -> tuple[PortTables, ...]:
    """Every port, asked from an adapter."""
    # CA 5 1 0x... 4x HDR - SW 2 2 0x... ( 'Hca2' - 'Leaf1' )
    links = lab.run(host, "ibnetdiscover", "-p")
    found = re.findall(r"^(?:CA|SW) +(\d+) +(\d+) ", links, re.MULTILINE)
    return tuple(_port(lab, host, lid, port) for lid, port in sorted(set(found)))


def _port(lab: IbLab, host: str, lid: str, port: str) -> PortTables:
    arb = lab.run(host, "smpquery", "vlarb", lid, port)
    vls = re.findall(r"^VL    : \|(.*)\|$", arb, re.MULTILINE)
    weights = re.findall(r"^WEIGHT: \|(.*)\|$", arb, re.MULTILINE)
    low, high = (_pairs(v, w) for v, w in zip(vls, weights, strict=True))
    rows = re.findall(r"out +\d+: \|(.*)\|", lab.run(host, "smpquery", "sl2vl", lid, port))
    info = lab.run(host, "smpquery", "portinfo", lid, port)
    operational = re.findall(r"^OperVLs:\.*(.*)$", info, re.MULTILINE)
    sl2vl = frozenset(row.replace(" ", "").replace("|", ",") for row in rows)
    return PortTables(int(lid), int(port), high, low, sl2vl, operational[0])


def _pairs(vls: str, weights: str) -> str:
    both = zip(vls.split("|"), weights.split("|"), strict=True)
    return ",".join(f"{int(vl, 16)}:{int(weight, 16)}" for vl, weight in both)


def padded(text: str, entries: int = 8) -> str:
    """A table of opensm.conf as a port of so many entries holds it."""
    pairs = text.split(",")
    return ",".join(pairs + ["0:0"] * (entries - len(pairs)))
