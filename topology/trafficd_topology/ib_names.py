"""Names for nodes of an InfiniBand subnet, from the descriptions they carry: any text at all, often shared by many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trafficd_topology.parsers.fields import NODE, PORT
from trafficd_topology.subnet import IbNode, NodeKind

_DEVICE = re.compile(r"(\S+)\s+(HCA-\d+|[a-z][a-z0-9]*_\d+|rdmap\w+|ib[ps]\w+)(?:\s.*)?", re.DOTALL)
_MANAGED = re.compile(r"\s*[A-Z]{2}\d+;([^:;]+):\S+\s*")
"""How NVIDIA's managed switches describe themselves: ``MF0;leaf01:MQM9700/U1``."""
_NOT_HOSTS = frozenset(["localhost", "ubuntu", "localhost.localdomain", "(none)", "mlnx", "host", "linux"])
_MAKERS = ("mellanox", "infinihost", "connectx", "nvidia", "cornelis", "omni-path")
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
MAX_NAME = 120


@dataclass(frozen=True, slots=True)
class AdapterName:
    """``host`` is None where the description names none; ``device`` is empty where it names none."""

    host: str | None
    device: str


def adapter_name(description: str) -> AdapterName:
    """``node7 mlx5_0`` and ``node7 HCA-1`` name host and device, ``node7`` a host; a product's name neither."""
    text = description.strip()
    found = _DEVICE.fullmatch(text)
    host, device = (found[1], found[2]) if found else (text, "")
    unknown = host.lower() in _NOT_HOSTS or any(maker in text.lower() for maker in _MAKERS)
    if unknown or not NODE.fullmatch(host):
        return AdapterName(None, device)
    return AdapterName(host, device)


def nic_name(device: str, port: int, taken: Iterable[str], guid: int) -> str:
    """A port's name as agents name it: the device, and ``:2`` for further ports; unlike ``taken``."""
    base = device or f"hca-{guid:016x}"
    name = base if port == 1 else f"{base}:{port}"
    if PORT.fullmatch(name) and name not in set(taken):
        return name
    return f"{base}-{guid:016x}" + (f":{port}" if port != 1 else "")


def _plain(node: IbNode) -> str:
    managed = _MANAGED.fullmatch(node.name)
    text = _OTHER.sub("-", managed[1] if managed else node.name.strip()).strip("-._")[:MAX_NAME]
    maker = any(word in node.name.lower() for word in _MAKERS) and not managed
    return text if NODE.fullmatch(text) and not maker else ""


def switch_names(nodes: Iterable[IbNode], taken: Iterable[str]) -> Mapping[int, str]:
    """A name of its own for every switch, by GUID: from its description, else its GUID."""
    switches = [n for n in nodes if n.kind is NodeKind.SWITCH]
    wanted = {n.guid: _plain(n) for n in switches}
    count: dict[str, int] = {}
    for name in wanted.values():
        count[name] = count.get(name, 0) + 1
    others = set(taken)
    return {
        guid: name if name and count[name] == 1 and name not in others else f"switch-{guid:016x}"
        for guid, name in wanted.items()
    }
