"""The fabric file: YAML to a FabricSpec and back. The format is described in docs/fabric.md.

Reading makes records, each with the place it stood at; ``parsers.cabling`` then holds the records against each
other. A file with any problem gives no FabricSpec: all problems come back together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from trafficd_topology.model import (
    Agreement,
    FabricSpec,
    Gpu,
    Host,
    Link,
    LinkLayer,
    Nic,
    NicKind,
    PortKey,
    Problem,
    Role,
    Switch,
)
from trafficd_topology.parsers import units
from trafficd_topology.parsers.agreements import read_agreements
from trafficd_topology.parsers.cabling import Placed, check
from trafficd_topology.parsers.fields import MAX_INDEX, NODE, NODE_RULE, PORT, PORT_RULE, index, named, read
from trafficd_topology.parsers.regular import placed
from trafficd_topology.parsers.regular_form import read_regular
from trafficd_topology.parsers.tree import Mapping, load, note, short

VERSION = 1
_END_RULE = "must be node/port, such as p1/c0"
_LINK_RULE = "must be [node/port, node/port], or the same with a rate as third"
_PCI_RULE = "must be a PCI address such as 0000:3b:00.0"
_GUID_RULE = "must be a GUID of 16 hexadecimal digits such as 0x506b4b03005c2740"


def parse_fabric(text: str | bytes) -> tuple[FabricSpec | None, tuple[Problem, ...]]:
    """A fabric file's text (bytes are UTF-8) to (FabricSpec, ()) or (None, problems); never raises.

    Time and memory are linear in the text, which is bounded by ``tree.MAX_TEXT_BYTES`` and ``tree.MAX_NODES``, and
    in what its regular part expands to, which is bounded by ``regular_form.MAX_NICS`` and the like.
    """
    tree, unreadable = load(text)
    if unreadable:
        return None, unreadable
    problems: list[Problem] = []
    top = Mapping(tree, "", problems)
    if not top.ok:
        return None, tuple(problems)
    if (version := top.raw("version")) != VERSION or isinstance(version, bool):
        top.problem("version", version, f"must be {VERSION}, the only version of this format")
    name = named(top, "name", NODE, NODE_RULE)
    regular = top.mapping("regular")
    if top.raw("hosts") is None and top.raw("regular") is None:
        top.problem("hosts", None, "is missing")
    # What is regular comes first: a clash is then named where it was written out by hand.
    hosts, switches, links = placed(read_regular(regular)) if regular else ([], [], [])
    hosts += [Placed(m.path, _host(m)) for m in top.mappings("hosts")]
    switches += [Placed(m.path, _switch(m)) for m in top.mappings("switches")]
    links += [p for path, item in top.items("links") if (p := _link(path, item, problems))]
    agreements = read_agreements(top)
    top.done()
    spec = FabricSpec(name, _items(hosts), _items(switches), _items(links), agreements)
    check(hosts, switches, links, problems)
    return (None if problems else spec), tuple(problems)


def _items(placed: Iterable[Placed[Any]]) -> tuple[Any, ...]:
    return tuple(p.item for p in placed)


def _host(m: Mapping) -> Host:
    host = Host(
        name=named(m, "name", NODE, NODE_RULE),
        role=m.choice("role", Role, Role.OTHER),
        nics=tuple(_nic(n) for n in _each(m, "nics")),
        gpus=tuple(_gpu(g) for g in _each(m, "gpus")),
        memory_bytes_per_s=read(m, "memory", units.bandwidth, units.BANDWIDTH_RULE),
        pool=m.text("pool", None),
    )
    m.done()
    return host


def _each(m: Mapping, key: str) -> Iterator[Mapping]:
    """Items that are mappings; ``parsers.cabling`` counts positions, so a wrong one is kept as an empty mapping."""
    for path, item in m.items(key):
        yield Mapping(item, path, m.problems)


def _gpu(m: Mapping) -> Gpu:
    found = m.whole("index", high=MAX_INDEX) if m.ok else None
    gpu = Gpu(-1 if found is None else found, index(m, "numa_node"), m.text("pcie_switch", None))
    m.done()
    return gpu


def _nic(m: Mapping) -> Nic:
    if m.ok and not m.has("rate"):
        m.problem("rate", None, "is missing")
    nic = Nic(
        name=named(m, "name", PORT, PORT_RULE) if m.ok else "",
        kind=(m.choice("kind", NicKind) if m.ok else None) or NicKind.COMPUTE,
        link_layer=m.choice("link_layer", LinkLayer, LinkLayer.ETHERNET),
        rate_bps=read(m, "rate", units.rate, units.RATE_RULE) or 0,
        pci=read(m, "pci", units.pci, _PCI_RULE),
        guid=read(m, "guid", units.guid, _GUID_RULE),
        numa_node=index(m, "numa_node"),
        pcie_switch=m.text("pcie_switch", None),
        gpu=index(m, "gpu"),
        rail=index(m, "rail"),
        members=tuple(_members(m)),
        subnet=m.text("subnet", ""),
    )
    m.done()
    return nic


def _members(m: Mapping) -> Iterator[str]:
    for path, item in m.items("members"):
        fits = isinstance(item, str) and PORT.fullmatch(item)
        if not fits:
            note(m.problems, Problem(path, short(item), PORT_RULE))
        yield item if fits else ""


def _switch(m: Mapping) -> Switch:
    switch = Switch(
        name=named(m, "name", NODE, NODE_RULE),
        managed=m.flag("managed", default=False),
        link_layer=m.choice("link_layer", LinkLayer, LinkLayer.ETHERNET),
        guid=read(m, "guid", units.guid, _GUID_RULE),
    )
    m.done()
    return switch


def _link(path: str, item: Any, problems: list[Problem]) -> Placed[Link] | None:
    """A link in either form: ``[a, b]`` or ``[a, b, rate]``, or a mapping of ``a``, ``b`` and ``rate``."""
    if isinstance(item, list) and len(item) in (2, 3):
        item = dict(zip(("a", "b", "rate"), item, strict=False))
    if not isinstance(item, dict):
        note(problems, Problem(path, short(item), _LINK_RULE))
        return None
    m = Mapping(item, path, problems)
    for key in ("a", "b"):
        if not m.has(key):
            m.problem(key, None, "is missing")
    a, b = read(m, "a", _end, _END_RULE), read(m, "b", _end, _END_RULE)
    rate = read(m, "rate", units.rate, units.RATE_RULE)
    if rate is None and m.has("rate"):
        rate = units.MAX_RATE_BPS  # reported above: not missing too
    m.done()
    return Placed(path, Link(a, b, rate)) if a and b else None


def _end(value: Any) -> PortKey | None:
    if not isinstance(value, str):
        return None
    node, _, port = value.partition("/")
    return PortKey(node, port) if NODE.fullmatch(node) and PORT.fullmatch(port) else None


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9._/-]*", re.ASCII)
_WORDS = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n", "null"])


def _scalar(value: Any) -> str:
    """A value as YAML: plain where every version of YAML reads the plain word as this text, quoted elsewhere."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    return (
        text
        if _PLAIN.fullmatch(text) and text.lower() not in _WORDS
        else json.dumps(text, ensure_ascii=False)
    )


def _flow(pairs: Iterable[tuple[str, str | None]]) -> str:
    return "{" + ", ".join(f"{k}: {v}" for k, v in pairs if v is not None) + "}"


def _maybe(value: Any) -> str | None:
    return None if value is None or value == "" else _scalar(value)


def _dump_nic(nic: Nic) -> str:
    layer = None if nic.link_layer is LinkLayer.ETHERNET else nic.link_layer.value
    members = f"[{', '.join(_scalar(name) for name in nic.members)}]" if nic.members else None
    keys = ("pci", "guid", "numa_node", "pcie_switch", "gpu", "rail", "subnet")
    known = [("name", _scalar(nic.name)), ("kind", nic.kind.value), ("link_layer", layer)]
    known += [("rate", units.rate_text(nic.rate_bps)), ("members", members)]
    return _flow([*known, *((k, _maybe(getattr(nic, k))) for k in keys)])


def _dump_gpu(gpu: Gpu) -> str:
    return _flow((k, _maybe(getattr(gpu, k))) for k in ("index", "numa_node", "pcie_switch"))


def _dump_host(host: Host) -> Iterator[str]:
    yield f"  - name: {_scalar(host.name)}"
    yield f"    role: {host.role.value}"
    if host.pool is not None:
        yield f"    pool: {_scalar(host.pool)}"
    if host.memory_bytes_per_s is not None:
        yield f"    memory: {units.bandwidth_text(host.memory_bytes_per_s)}"
    for key, items in (("gpus", map(_dump_gpu, host.gpus)), ("nics", map(_dump_nic, host.nics))):
        lines = [f"      - {text}" for text in items]
        yield from ([f"    {key}:", *lines] if lines else [])


def _dump_switch(switch: Switch) -> Iterator[str]:
    layer = None if switch.link_layer is LinkLayer.ETHERNET else switch.link_layer.value
    managed = "true" if switch.managed else None
    pairs = (("name", _scalar(switch.name)), ("managed", managed), ("link_layer", layer))
    yield "  - " + _flow((*pairs, ("guid", _maybe(switch.guid))))


def _dump_link(link: Link) -> Iterator[str]:
    rate = [] if link.rate_bps is None else [units.rate_text(link.rate_bps)]
    yield f"  - [{', '.join([_scalar(link.a), _scalar(link.b), *rate])}]"


def _dump_agreement(a: Agreement) -> Iterator[str]:
    switches = f"[{', '.join(json.dumps(g, ensure_ascii=False) for g in a.switches)}]"
    known = (("switches", switches), ("digest", json.dumps(a.digest)), ("date", json.dumps(a.date)))
    yield "  - " + _flow((*known, ("by", json.dumps(a.by, ensure_ascii=False))))


def _section(key: str, items: Iterable[Iterator[str]]) -> Iterator[str]:
    lines = [line for item in items for line in item]
    yield from ["", f"{key}:", *lines] if lines else ["", f"{key}: []"]


def dump_fabric(spec: FabricSpec, comments: Iterable[str] = ()) -> str:
    """A fabric file's text; ``parse_fabric`` of it gives ``spec`` back. ``comments`` stand before everything."""
    texts = (line for comment in comments for line in comment.splitlines() or [""])
    # YAML refuses control characters even in a comment, and names from agents may stand here.
    lines = [f"# {''.join(c if c.isprintable() else '?' for c in text)}".rstrip() for text in texts]
    lines += [f"version: {VERSION}", f"name: {_scalar(spec.name)}"]
    lines += _section("hosts", map(_dump_host, spec.hosts))
    lines += _section("switches", map(_dump_switch, spec.switches))
    lines += _section("links", map(_dump_link, spec.links))
    lines += _section("agreements", map(_dump_agreement, spec.agreements)) if spec.agreements else []
    return "\n".join(lines) + "\n"
