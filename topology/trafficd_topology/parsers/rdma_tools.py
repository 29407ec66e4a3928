"""What ``ibstat``, ``ibstatus``, ``rdma link`` and ``rdma statistic -j`` print. Text in, records out; never raises.

Sources: infiniband-diags ibstat.c and ibstatus, iproute2 rdma/link.c and rdma/stat.c.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from trafficd_topology.model import LinkLayer
from trafficd_topology.parsers.sysfs import link_layer, port_state, rate_bps

MAX_LINES = 200_000


@dataclass(frozen=True, slots=True)
class RdmaPort:
    """A port as a tool shows it; ``state`` and ``physical`` in capitals without separators, as LINKUP."""

    device: str
    number: int
    state: str
    physical: str
    link_layer: LinkLayer | None = None
    rate_bps: int | None = None
    model: str = ""
    netdev: str = ""

    @property
    def name(self) -> str:
        return self.device if self.number == 1 else f"{self.device}:{self.number}"


_CA = re.compile(r"\s*CA '([^']{1,64})'\s*")
_PORT = re.compile(r"\s*Port (\d{1,3}):\s*")
_FIELD = re.compile(r"\s*([A-Za-z][A-Za-z _]{0,40}):\s*(.*?)\s*")
_STATUS = re.compile(r"\s*Infiniband device '([^']{1,64})' port (\d{1,3}) status:\s*")
_LINK = re.compile(r"\s*(?:\d+: )?link ([^\s/]{1,64})/(\d{1,3}) (.*)")


def _capital(word: str) -> str:
    letters = re.sub(r"[^A-Z]", "", word.upper())
    return "INIT" if letters == "INITIALIZING" else letters


def _port(device: str, number: int, fields: Mapping[str, str], model: str = "") -> RdmaPort:
    rate = fields.get("rate", "")
    state, physical = (
        fields.get("state", ""),
        fields.get("physical state", "") or fields.get("phys state", ""),
    )
    return RdmaPort(
        device,
        number,
        _capital(port_state(state) or state),
        _capital(port_state(physical) or physical),
        link_layer(fields.get("link layer", "") or fields.get("link_layer", "")),
        rate_bps(rate if "Gb" in rate else f"{rate} Gb/sec"),
        model,
    )


def parse_ibstat(text: str) -> tuple[RdmaPort, ...]:
    """``ibstat``: the good part too where it ends in ``ibpanic`` (see ``panic``)."""
    found: list[RdmaPort] = []
    device, model, number = "", "", 0
    fields: dict[str, str] = {}
    for line in (*text.splitlines()[:MAX_LINES], "CA ''"):
        ca, port = _CA.fullmatch(line) or (line == "CA ''"), _PORT.fullmatch(line)
        if (ca or port) and number:
            found.append(_port(device, number, fields, model))
            fields, number = {}, 0
        if isinstance(ca, re.Match):
            device, model = ca[1], ""
        elif port:
            number = int(port[1])
        elif field := _FIELD.fullmatch(line):
            key = field[1].lower()
            fields[key] = field[2]
            model = field[2] if key == "ca type" else model
    return tuple(found)


def panic(text: str) -> str:
    """The line with which a diagnostic gave up; empty when it did not."""
    return next((line.strip() for line in text.splitlines()[:MAX_LINES] if line.startswith("ibpanic:")), "")


def parse_ibstatus(text: str) -> tuple[RdmaPort, ...]:
    """``ibstatus``."""
    found: list[tuple[str, int, dict[str, str]]] = []
    for line in text.splitlines()[:MAX_LINES]:
        if head := _STATUS.fullmatch(line):
            found.append((head[1], int(head[2]), {}))
        elif found and (field := _FIELD.fullmatch(line)):
            found[-1][2][field[1].lower()] = field[2]
    return tuple(_port(device, number, fields) for device, number, fields in found)


def parse_rdma_link(text: str) -> tuple[RdmaPort, ...]:
    """``rdma link``: an InfiniBand port has a ``subnet_prefix``, the others are Ethernet."""
    found = []
    for line in text.splitlines()[:MAX_LINES]:
        if m := _LINK.fullmatch(line):
            words = m[3].split()
            said = dict(zip(words[::2], words[1::2], strict=False))
            layer = LinkLayer.INFINIBAND if "subnet_prefix" in said else LinkLayer.ETHERNET
            state, physical = _capital(said.get("state", "")), _capital(said.get("physical_state", ""))
            found.append(RdmaPort(m[1], int(m[2]), state, physical, layer, netdev=said.get("netdev", "")))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class RdmaStatistics:
    """The counters of one port by the kernel's names."""

    port: str
    values: tuple[tuple[str, int], ...]


def parse_rdma_statistic(text: str) -> tuple[RdmaStatistics, ...]:
    """``rdma statistic -j``; empty when it is not that."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    rows = (
        [r for r in tree if isinstance(r, dict) and isinstance(r.get("ifname"), str)]
        if isinstance(tree, list)
        else []
    )
    found = []
    for row in rows:
        number = row.get("port")
        name = row["ifname"] if number in (None, 1) else f"{row['ifname']}:{number}"
        values = tuple((k, v) for k, v in row.items() if type(v) is int and k != "port" and 0 <= v < 2**64)
        found.append(RdmaStatistics(name, values))
    return tuple(f for f in found if f.values)
