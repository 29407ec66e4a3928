"""A saved sysfs tree to facts: paths and texts in, a node out. Live machines are read by the agent's own readers.

Recognised are ``infiniband/<device>/ports/<n>/...`` and ``net/<interface>/...`` wherever they lie, since support
reports keep /sys/class, /sys/devices or /sys/bus, and seldom all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from trafficd_topology.audit.facts import Count, NodeFacts, PcieLink, PortFacts
from trafficd_topology.counters import Column
from trafficd_topology.model import LinkLayer
from trafficd_topology.parsers import sysfs as parse

Text = Callable[[str], str]
"""An attribute's text by its name; empty when it is not there."""
_RDMA = re.compile(r"(?:(.*)/)?infiniband/([^/]{1,64})/ports/([0-9]{1,3})/(.+)")
_DEVICE = re.compile(r"(?:(.*)/)?infiniband/([^/]{1,64})/([^/]+|tc/[0-9]{1,3}/traffic_class)")
_NET = re.compile(r"(.*/[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|.*class)/net/([^/]{1,15})/(.+)")
_WIDTH = re.compile(r"\((\d{1,2})X\b")
_CLASS = re.compile(r"\s*(?:Global tclass=)?(\d{1,3})\s*")
_GTS = re.compile(r"(\d{1,3}(?:\.\d)?) GT/s")
ARPHRD_ETHER = 1
WANTED = re.compile(
    r"(^|/)(infiniband/[^/]+/(ports|tc|[^/]+$)|net/[^/]+/(statistics/)?[^/]+$|(max|current)_link_|numa_node$)"
)
"""What of a tree is worth reading."""


def width(rate: str) -> int | None:
    """Lanes of an InfiniBand link, from ``ports/<n>/rate``: 4 in ``400 Gb/sec (4X NDR)``."""
    found = _WIDTH.search(rate)
    return int(found[1]) if found else None


def global_class(text: str) -> int | None:
    """``tc/<n>/traffic_class`` of MLNX_OFED: a ToS byte; None when no global one is set."""
    found = next(filter(None, map(_CLASS.fullmatch, text.splitlines())), None)
    number = int(found[1]) if found else None
    return number if number is not None and number < 256 and "Global" in text else None


def pcie_link(text: Text) -> PcieLink:
    """From a PCI function's ``current_link_*`` and ``max_link_*``; widths of 0 or 255 are not known."""
    lanes = [parse.whole(text(f"{w}_link_width")) for w in ("current", "max")]
    speeds = [_GTS.match(text(f"{w}_link_speed").strip()) for w in ("current", "max")]
    now, most = (n if n is not None and 0 < n < 64 else None for n in lanes)
    return PcieLink(now, most, *(float(m[1]) if m else None for m in speeds))


def model(text: Text) -> str:
    """What tells one make of adapter from another."""
    return " ".join(w for w in (text("hca_type").strip(), text("board_id").strip()) if w)


def state_words(text: Text) -> tuple[str, str]:
    """(state, physical state) of an RDMA port, in capitals."""
    return (parse.port_state(text("state")) or "").upper(), (
        parse.port_state(text("phys_state")) or ""
    ).upper()


@dataclass(slots=True)
class _Device:
    """What lies below one RDMA device, and the PCI function that it hangs at."""

    above: str
    ports: dict[int, dict[str, str]] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)


def _devices(files: Mapping[str, str]) -> dict[str, _Device]:
    found: dict[str, _Device] = {}
    for path, text in files.items():
        if m := _RDMA.fullmatch(path):
            device = found.setdefault(m[2], _Device(m[1] or ""))
            device.ports.setdefault(int(m[3]), {})[m[4]] = text
        elif m := _DEVICE.fullmatch(path):
            found.setdefault(m[2], _Device(m[1] or "")).own[m[3]] = text
    return found


def _rdma_port(files: Mapping[str, str], name: str, device: _Device, number: int) -> PortFacts:
    def text(attribute: str) -> str:
        return device.ports[number].get(attribute, "")

    def above(attribute: str) -> str:
        return files.get(f"{device.above}/{attribute}", "")

    state, physical = state_words(text)
    numa = parse.signed(above("numa_node"))
    return PortFacts(
        name if number == 1 else f"{name}:{number}",
        parse.link_layer(text("link_layer")) or LinkLayer.ETHERNET,
        rate_bps=parse.rate_bps(text("rate")),
        up=state == "ACTIVE" if state else None,
        state=state,
        physical=physical,
        width=width(text("rate")),
        model=model(lambda a: device.own.get(a, "")),
        rdma=True,
        numa_node=numa if numa is not None and numa >= 0 else None,
        pcie=pcie_link(above),
        traffic_class=global_class(device.own.get(f"tc/{number}/traffic_class", "")),
    )


def _rdma_counts(port: PortFacts, attributes: Mapping[str, str]) -> Iterator[Count]:
    for folder, table in (("counters", parse.COUNTERS), ("hw_counters", parse.HW_COUNTERS)):
        for name, file in table.items():
            text = attributes.get(f"{folder}/{name}")
            if text is None:
                continue
            if port.link_layer is LinkLayer.ETHERNET:
                file = replace(file, quantity=parse.ETHERNET_RDMA.get(file.quantity, file.quantity))  # noqa: PLW2901
            yield Count(Column(port.name, file.quantity, file.direction, file.kind), file.value(text))


def _interfaces(files: Mapping[str, str]) -> Iterator[tuple[PortFacts, dict[str, str]]]:
    """Ethernet interfaces of a PCI function that has no RDMA device, which would say the same better."""
    rdma = {m[1] for path in files if (m := _RDMA.fullmatch(path))}
    found: dict[tuple[str, str], dict[str, str]] = {}
    for path, text in files.items():
        if m := _NET.fullmatch(path):
            found.setdefault((m[1], m[2]), {})[m[3]] = text
    for (above, name), own in sorted(found.items()):
        physical = not above.endswith("class") or "device" in own
        if physical and above not in rdma and parse.whole(own.get("type", "")) == ARPHRD_ETHER:
            up = parse.operstate(own.get("operstate", ""))
            yield PortFacts(name, LinkLayer.ETHERNET, parse.speed_bps(own.get("speed", "")), up), own


def _statistics(port: PortFacts, own: Mapping[str, str]) -> Iterator[Count]:
    for name, file in parse.STATISTICS.items():
        if (text := own.get(f"statistics/{name}")) is not None:
            yield Count(Column(port.name, file.quantity, file.direction, file.kind), file.value(text))


def tree_facts(name: str, files: Mapping[str, str]) -> NodeFacts:
    """A node from a saved tree: ``files`` maps paths below its root to what they hold. Never raises."""
    ports: list[PortFacts] = []
    counts: list[Count] = []
    for device_name, device in sorted(_devices(files).items()):
        for number in sorted(device.ports):
            port = _rdma_port(files, device_name, device, number)
            ports.append(port)
            counts += _rdma_counts(port, device.ports[number])
    for port, own in _interfaces(files):
        if port.name not in {p.name for p in ports}:
            ports.append(port)
            counts += _statistics(port, own)
    return NodeFacts(name, tuple(ports), tuple(counts))
