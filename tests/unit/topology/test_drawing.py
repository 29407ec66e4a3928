"""The drawing of a fabric: everything is there, nothing overlaps, names are only text."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from trafficd.cli.files import checked
from trafficd_topology.drawing import Box, Drawing, draw
from trafficd_topology.model import FabricSpec, Host, LinkLayer, Nic, NicKind, PortKey, Role
from trafficd_topology.svg import level, printable, svg

CASES = Path(__file__).parents[2] / "cases"
NAMES = ("demo", "two-leaves", "ring", "uncabled", "regular", "48p96d")
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert("x")</script>&\x1b[31m\u202e]]>'


def fabric(name: str) -> FabricSpec:
    path = CASES / "fabric" / name / "fabric.yaml"
    spec = checked(str(path), path.read_bytes()).fabric
    assert spec is not None
    return spec


def overlaps(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def outside(inner: Box, outer: Box) -> bool:
    return not (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


@pytest.mark.parametrize("name", NAMES)
def test_everything_has_a_place_of_its_own(name: str) -> None:
    spec = fabric(name)
    d = draw(spec)
    page = Box(0, 0, d.width, d.height)
    assert [n.key for n in d.nics] == [PortKey(h.name, n.name) for h in spec.hosts for n in h.nics]
    assert {h.name for h in d.hosts} == {h.name for h in spec.hosts}
    assert {s.name for s in spec.switches} <= {s.name for s in d.switches}
    big = [x.box for x in (*d.hosts, *d.switches)]
    assert [b for b in big if outside(b, page)] == []
    assert [(a, b) for a, b in itertools.combinations(big, 2) if overlaps(a, b)] == []
    for host in d.hosts:
        first, count = host.nics
        mine = d.nics[first : first + count]
        assert {n.node for n in mine} <= {host.name}
        assert [n.key for n in mine if outside(n.box, host.box)] == []
        assert [p for p in itertools.combinations([n.box for n in mine], 2) if overlaps(*p)] == []


def test_cables_are_drawn_where_they_can_be_told_apart() -> None:
    small, large = draw(fabric("demo")), draw(fabric("48p96d"))
    assert [len(small.lines), small.left_out] == [9, ""]
    assert len(large.nics) == 1440
    assert [len(large.lines), large.left_out] == [612, "cables to NICs"]


def test_demo_as_svg() -> None:
    used = [0.0, 0.004, 0.2, 0.5, 0.76, 0.95, None, 1.0, 0.3]
    told = svg(draw(fabric("demo")), used, frozenset({8}))
    recorded = CASES / "drawing" / "demo.svg"
    assert told == recorded.read_text(), "look at what changed; then record it anew"


@pytest.mark.parametrize("name", NAMES)
def test_svg_is_one_document(name: str) -> None:
    drawing = draw(fabric(name))
    root = ET.fromstring(svg(drawing))
    assert len(list(root.iter(f"{SVG}title"))) == 1 + len(drawing.nics) + len(drawing.hosts) + len(
        drawing.switches
    )
    assert not [e for e in root.iter() if e.tag in (f"{SVG}script", f"{SVG}image", f"{SVG}a")]


def test_names_are_text_only() -> None:
    nic = Nic(HOSTILE, NicKind.STORAGE, LinkLayer.ETHERNET, 10**9)
    spec = FabricSpec(HOSTILE, (Host(HOSTILE, Role.PREFILL, (nic,)),))
    text = svg(draw(spec), [0.5])
    root = ET.fromstring(text)
    assert {e.tag.removeprefix(SVG) for e in root.iter()} == {
        "svg", "title", "desc", "style", "rect", "g", "text", "line",
    }  # fmt: skip
    assert "\x1b" not in text
    assert "\u202e" not in text
    said = [e.text for e in root.iter(f"{SVG}title")]
    assert f"prefill host {printable(HOSTILE)}" in said


def test_empty_fabrics_are_drawn() -> None:
    for spec in (FabricSpec("none"), FabricSpec("bare", (Host("h"),))):
        drawing: Drawing = draw(spec)
        ET.fromstring(svg(drawing, []))
        assert drawing.nics == ()


def test_a_role_that_changes_moves_the_host() -> None:
    spec = fabric("demo")
    changed = replace(spec, hosts=(replace(spec.hosts[0], role=Role.DECODE), *spec.hosts[1:]))
    assert [t.text for t in draw(changed).labels] == ["prefill (1)", "decode (3)", "storage (1)"]


def test_levels() -> None:
    assert [level(u) for u in (None, 0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 1.0)] == [0, 0, 1, 2, 3, 4, 5, 5]
