"""Capacity against the paper's formulas at any size of set, and on any fabric against flows followed path by path."""

import math
import random
from collections import defaultdict
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trafficd_topology.capacity import Capacity, analyse
from trafficd_topology.capacity_report import report, text
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import FabricSpec, Host, Link, LinkLayer, Nic, NicKind, PortKey, Role, Switch
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.ratios import Demand, Side, ranges_text, ratio_text

CASES = Path(__file__).parents[2] / "cases" / "fabric"
GIGA = 10**9
ETHERNET = LinkLayer.ETHERNET


def nic(name: str, kind: NicKind, rate_bps: int, **more: object) -> Nic:
    return Nic(name, kind, ETHERNET, rate_bps, **more)  # type: ignore[arg-type]


def node(name: str, role: Role, g: int, b: int, store: int, memory: int | None) -> Host:
    nics = [nic(f"c{i}", NicKind.COMPUTE, b) for i in range(g)] + [nic("s", NicKind.STORAGE, store)]
    return Host(name, role, tuple(nics), memory_bytes_per_s=memory)


def uncabled(p: int, d: int, g: int, b: int, store: int, memory: int | None) -> FabricSpec:
    hosts = [node(f"p{i}", Role.PREFILL, g, b, store, memory) for i in range(p)]
    hosts += [node(f"d{i}", Role.DECODE, g, b, store, memory) for i in range(d)]
    return FabricSpec("set", tuple(hosts))


def capacity(spec: FabricSpec) -> Capacity:
    found, problems = analyse(spec)
    assert found, problems
    return found


def loads(found: Capacity, kind: str, side: Side, direction: str) -> set[float]:
    """The different loads of a kind, in bits per second rounded to what a float of this size can say."""
    return {
        float(f"{r.demand.at(1):.9e}")
        for r in found.resources
        if (r.kind, r.demand.side, r.direction) == (kind, side, direction)
    }


sizes = st.integers(1, 9)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(sizes, sizes, sizes, st.integers(1, 400), st.fractions(1, 40, max_denominator=4), st.integers(1, 4000))
def test_the_formulas_of_section_4_2(p: int, d: int, g: int, b: int, s: object, m: int) -> None:
    """s storage NICs' worth of B, M in units of 1/8 GB/s; every row of the paper's table, and its bounds."""
    band, memory = b * GIGA, m * GIGA
    store = round(s * band)  # type: ignore[operator]
    ratio, share = p / d, store / g  # share is B s / g
    found = capacity(uncabled(p, d, g, band, store, memory // 8))
    table = {
        ("compute NIC", Side.PREFILL, "read"): 2 * share,
        ("compute NIC", Side.PREFILL, "write"): share * (1 + d / p),
        ("compute NIC", Side.DECODE, "read"): share * (p / d + 2),
        ("compute NIC", Side.DECODE, "write"): share * (2 * p / d + 1),
        ("DRAM", Side.PREFILL, "read+write"): 2 * store,
        ("DRAM", Side.DECODE, "read+write"): (3 + 2 * p / d) * store,
    }
    for key, load in table.items():
        assert list(loads(found, *key)) == [pytest.approx(load, rel=1e-8)]
    low, high = paper_bounds(store / band, g, 8 * (memory // 8) / store)
    ranges = found.ranges()
    if low is None or high is None or low > high * (1 + 1e-9):
        assert ranges == ()
    else:
        assert [(r.low, r.high) for r in ranges] == [pytest.approx((low, high), rel=1e-8)]
    free = bool(ranges) and low * (1 - 1e-9) <= ratio <= high * (1 + 1e-9)  # type: ignore[operator]
    assert found.bottleneck_free() == free


def paper_bounds(s: float, g: int, m: float) -> tuple[float | None, float | None]:
    """Equation 9, with what it presumes: 2 s <= g on the prefill CNIC (the text says s <= g), and 2 s B <= M.

    ``m`` is M / (B s).
    """
    if 2 * s > g or m < 2 or s >= g:
        return None, None
    high = min((g - 2 * s) / s, (g - s) / (2 * s), (m - 3) / 2)
    return s / (g - s), high if high > 0 else None


def test_the_node_of_the_paper() -> None:
    """g = 8, s = 1, M = 500 GB/s, B = 400 Gb/s."""
    found = capacity(uncabled(2, 4, 8, 400 * GIGA, 400 * GIGA, 500 * GIGA))
    assert ranges_text(found.ranges()) == "1/7..7/2"
    assert found.bottleneck_free()
    (one,) = found.ranges()
    low, high = found.ends(one)
    assert low is not None
    assert high is not None
    assert (low.kind, low.demand.side, low.direction) == ("compute NIC", Side.PREFILL, "write")
    # Decode CNIC write and decode DRAM bind together at 7/2.
    assert high.demand.side is Side.DECODE
    at_end = {r.kind for r in found.resources if r.fits(found.ratio)[-1].high == pytest.approx(3.5)}
    assert at_end == {"compute NIC", "DRAM"}
    assert [found.bottleneck_free(r) for r in (1 / 8, 1 / 7, 1, 7 / 2, 4)] == [False, True, True, True, False]


def test_the_largest_run_of_the_paper() -> None:
    spec, _ = parse_fabric((CASES / "48p96d" / "fabric.yaml").read_bytes())
    assert spec
    nodes = [h for h in spec.hosts if h.role in (Role.PREFILL, Role.DECODE)]
    assert sum(len(h.nics) for h in nodes) == 1_296
    found = capacity(spec)
    assert (found.prefill, found.decode, ranges_text(found.ranges())) == (48, 96, "1/7..7/2")
    assert found.read_bps == 144 * 400 * GIGA
    # 24 nodes of a storage leaf read 9.6 Tb/s, five sixths of it from other leaves over 6 x 1.6 Tb/s.
    full = {r.kind: r.utilisation() for r in found.resources if r.element.startswith("link:storage-leaf1/u")}
    assert full == {"switch link": pytest.approx(5 / 6)}
    assert found.first()[0] == next(r for r in found.resources if r.kind == "server NIC")


def random_set(seed: int) -> FabricSpec:
    """A small network joined at random, one NIC of each kind on nodes of both roles; some are bonds; two servers."""
    rng = random.Random(seed)
    switches = tuple(Switch(f"s{i}") for i in range(rng.randint(2, 6)))
    links: list[Link] = []

    def port(name: str) -> PortKey:
        return PortKey(name, f"{len(links)}")

    for _ in range(rng.randint(1, 2 * len(switches))):
        a, b = rng.sample(switches, 2)
        links.append(Link(port(a.name), port(b.name), rng.randint(1, 9) * GIGA))
    hosts = []
    roles = [Role.PREFILL, Role.DECODE, Role.STORAGE]
    for i, role in enumerate(roles * 2 + rng.choices(roles, k=rng.randint(0, 3))):
        nics = []
        for kind in [NicKind.STORAGE] if role is Role.STORAGE else list(NicKind):
            name, rate = kind.value[0], rng.randint(2, 20) * GIGA
            members = (f"{name}0", f"{name}1") if rng.random() < 0.3 else ()
            nics.append(nic(name, kind, rate, members=members))
            ends = [PortKey(f"h{i}", end) for end in members or (name,)]
            links += [Link(end, port(rng.choice(switches).name)) for end in ends]
        hosts.append(Host(f"h{i}", role, tuple(nics)))
    return FabricSpec("random", tuple(hosts), switches, tuple(links))


def follow(fabric: Fabric, a: PortKey, b: PortKey, rate: float) -> dict[tuple[str, str], float]:
    """What a flow puts on (cable, from node): at every port the next cables of all its paths share it evenly."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    paths = [p.ports for p in fabric.paths(a, b, limit=100_000)]
    parts: dict[tuple[PortKey, ...], float] = {(): rate}
    for depth in range(0, max(map(len, paths)), 2):
        after: dict[tuple[PortKey, ...], float] = {}
        for so_far, amount in parts.items():
            ways = sorted({p[: depth + 2] for p in paths if p[:depth] == so_far})
            for way in ways:
                x, y = way[-2:]
                first, second = sorted((x, y))
                found[f"link:{first}-{second}", f"{x.node}>{y.node}"] += amount / len(ways)
                after[way] = amount / len(ways)
        parts = after
    return found


def flows(spec: FabricSpec, fabric: Fabric) -> list[tuple[PortKey, PortKey, float]]:
    """Every flow on the network, pair by pair."""

    def ports(role: Role, kind: NicKind) -> list[PortKey]:
        return [
            PortKey(h.name, n.name) for h in spec.hosts if h.role is role for n in h.nics if n.kind is kind
        ]

    def reach(a: PortKey, b: PortKey) -> bool:
        return fabric.bottleneck(a, b) is not None

    rate = {port: n.rate_bps for port, n in fabric.nics.items()}
    prefill, decode = (ports(role, NicKind.COMPUTE) for role in (Role.PREFILL, Role.DECODE))
    made = []
    for a, b in product(prefill, decode):
        if reach(a, b):
            made += [(a, b, rate[PortKey(a.node, "s")] / len(decode))]
            made += [(b, a, rate[PortKey(b.node, "s")] / len(prefill))]
    for role in (Role.PREFILL, Role.DECODE):
        for store in ports(role, NicKind.STORAGE):
            servers = [s for s in ports(Role.STORAGE, NicKind.STORAGE) if reach(s, store)]
            made += [(s, store, rate[store] * rate[s] / sum(rate[t] for t in servers)) for s in servers]
    return made


@pytest.mark.parametrize("seed", range(120))
def test_cables_against_flows_followed_one_by_one(seed: int) -> None:
    spec = random_set(seed)
    fabric = Fabric(spec)
    expected: dict[tuple[str, str], float] = defaultdict(float)
    for a, b, rate in flows(spec, fabric):
        for key, part in follow(fabric, a, b, rate).items():
            expected[key] += part
    found = {
        (r.element, r.direction): r.demand.at(1) for r in capacity(spec).resources if r.kind.endswith("link")
    }
    assert set(found) == set(expected)
    assert found == pytest.approx(dict(expected), rel=1e-9)


def ample(seed: int) -> FabricSpec:
    """A random set whose network and compute NICs have room to spare, more or less."""
    spec, rng = random_set(seed), random.Random(seed)

    def wider(host: Host) -> Host:
        more = 1 if host.role is not Role.STORAGE else 4
        nics = tuple(replace(n, rate_bps=n.rate_bps * (8 if n.name == "c" else more)) for n in host.nics)
        return replace(host, nics=nics, memory_bytes_per_s=rng.randint(6, 30) * GIGA)

    links = tuple(replace(k, rate_bps=k.rate_bps * 6 if k.rate_bps else None) for k in spec.links)
    return replace(spec, hosts=tuple(map(wider, spec.hosts)), links=links)


def test_random_sets_have_no_range_and_one_and_two() -> None:
    assert {len(capacity(ample(seed)).ranges()) for seed in range(120)} == {0, 1, 2}


@pytest.mark.parametrize("seed", range(120))
def test_ranges_hold_what_every_load_says(seed: int) -> None:
    """Inside a range of ratios nothing is overloaded, just outside its ends something is."""
    found = capacity(ample(seed))
    for one in found.ranges():
        top = one.high if math.isfinite(one.high) else max(1.0, one.low) * 100
        for ratio in (max(one.low, 1e-6), (one.low + top) / 2, top):
            assert found.bottleneck_free(ratio)
        if one.low > 0:
            assert not found.bottleneck_free(one.low * 0.999)
        if math.isfinite(one.high):
            assert not found.bottleneck_free(one.high * 1.001)
    outside = [
        r for r in (0.01, 0.1, 0.3, 1, 2, 5, 50) if not any(x.low <= r <= x.high for x in found.ranges())
    ]
    assert not any(found.bottleneck_free(r) for r in outside)
    assert found.bottleneck_free() == any(x.low <= found.ratio <= x.high for x in found.ranges())


def test_a_shared_link_excludes_the_ratios_around_the_present_one() -> None:
    shared = Demand(Side.SHARED, pe=6, de=6)
    assert ranges_text(shared.fits(9, ratio=1)) == "<= 1/2 or >= 2/1"
    assert ranges_text(shared.fits(12, ratio=1)) == "any"
    assert ranges_text(shared.fits(6, ratio=1)) == "none"
    assert ranges_text(Demand(Side.SHARED, pe=2, de=9).fits(9, ratio=1)) == ">= 9/7"


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(1 / 7, "1/7"), (3.5, "7/2"), (1, "1/1"), (0.12345678, "0.123"), (math.inf, "any")],
)
def test_ratios_are_written_as_people_say_them(ratio: float, expected: str) -> None:
    assert ratio_text(ratio) == expected


def test_what_cannot_be_judged() -> None:
    alone = FabricSpec("alone", (node("p", Role.PREFILL, 1, 1, 1, None),))
    assert [str(p) for p in analyse(alone)[1]] == [
        "hosts: no host of role decode has a NIC of kind compute: name roles and kinds first"
    ]
    bare = [
        Host(name, role, (nic("c", NicKind.COMPUTE, 1),))
        for name, role in (("p", Role.PREFILL), ("d", Role.DECODE))
    ]
    assert [str(p) for p in analyse(FabricSpec("bare", tuple(bare)))[1]] == [
        "hosts: no prefill or decode host has a NIC of kind storage to read with"
    ]
    two = uncabled(1, 1, 2, 400, 100, None)
    some = replace(two, hosts=(*two.hosts, Host("p9", Role.PREFILL, (nic("s", NicKind.STORAGE, 1),))))
    assert capacity(some).notes == (
        "p0, d0: no memory bandwidth is given, so DRAM is not judged there",
        "p9: no NIC of kind compute, so left out",
        "no host of role storage: the storage network and its servers are not judged",
    )


def test_engines_without_a_way_between_them_are_counted() -> None:
    spec = uncabled(1, 1, 2, 400, 100, 1000)
    cut = replace(
        spec,
        switches=(Switch("a"), Switch("b")),
        links=(
            Link(PortKey("p0", "c0"), PortKey("a", "1")),
            Link(PortKey("d0", "c0"), PortKey("a", "2")),
            Link(PortKey("p0", "c1"), PortKey("b", "1")),
        ),
    )
    found = capacity(cut)
    assert (
        found.notes[-1]
        == "2 pairs of prefill and decode engines have no path between them: their KV is not counted"
    )
    # c0 of the decode node stands for both engines: all that p0/c0 sends, and half of what the node reads for it.
    writes = {r.element: r.demand for r in found.resources if r.direction == "write" and not r.premise}
    assert (writes["nic:d0/c0"].pe, writes["nic:d0/c1"].pe) == (75, 25)
    assert (writes["nic:p0/c0"].de, writes["nic:p0/c1"].de) == (50, 0)


def test_the_report_names_the_fullest_of_each_kind_or_everything() -> None:
    spec, _ = parse_fabric((CASES / "regular" / "fabric.yaml").read_bytes())
    assert spec
    found = capacity(spec)
    brief, whole = (report(spec.name, found, every) for every in (False, True))
    assert len(whole.resources) == len(found.resources) == sum(row.count for row in brief.resources)
    assert set(text(brief)) <= set(map(chr, range(32, 127))) | {"\n"}
    assert {r.element for r in whole.resources if r.binding == "yes"} == {
        f"nic:d0{n}/ib{i}" for n in (8, 9) for i in (0, 1)
    }
