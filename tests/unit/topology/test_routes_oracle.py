"""Equal-cost sets and cuts against brute force on small random fabrics; attachment paths on a real size."""

import random
import time
from itertools import combinations, pairwise

import networkx as nx
import pytest

from trafficd_topology.fabric import Fabric, Path
from trafficd_topology.model import FabricSpec, Host, Link, LinkLayer, Nic, NicKind, PortKey, Role, Switch
from trafficd_topology.parsers.fabric import dump_fabric, parse_fabric

GIGA = 10**9


def random_fabric(seed: int) -> FabricSpec:
    """Up to 7 switches joined at random (parallel cables too), hosts with single NICs and bonds on one to two."""
    rng = random.Random(seed)
    switches = tuple(Switch(f"s{i}") for i in range(rng.randint(2, 7)))
    links: list[Link] = []

    def port(node: str) -> PortKey:
        return PortKey(node, f"{len(links)}.{node}")

    for _ in range(rng.randint(1, 2 * len(switches))):
        a, b = rng.sample(switches, 2)
        links.append(Link(port(a.name), port(b.name), rng.randint(1, 9) * GIGA))
    hosts = []
    for h in range(rng.randint(2, 5)):
        members = ("e0", "e1") if rng.random() < 0.4 else ()
        rate = rng.randint(2, 20) * GIGA
        hosts.append(
            Host(f"h{h}", nics=(Nic("n", NicKind.COMPUTE, LinkLayer.ETHERNET, rate, members=members),))
        )
        for end in members or ("n",):
            limit = rng.choice([None, rng.randint(1, 9) * GIGA])
            links.append(Link(PortKey(f"h{h}", end), port(rng.choice(switches).name), limit))
    return FabricSpec("random", tuple(hosts), switches, tuple(links))


def cable_graph(spec: FabricSpec, a: PortKey, b: PortKey) -> nx.MultiGraph:
    """Nodes are switches and the two NICs; one edge a cable, with its capacity and its ends."""
    graph = nx.MultiGraph()
    graph.add_nodes_from([a.node, b.node])
    hosts = {h.name: h for h in spec.hosts}
    for link in spec.links:
        ends = [end.node for end in (link.a, link.b)]
        if any(n in hosts and n not in (a.node, b.node) for n in ends):
            continue
        limits = [link.rate_bps] if link.rate_bps else []
        limits += [
            hosts[n].nics[0].rate_bps // max(1, len(hosts[n].nics[0].members)) for n in ends if n in hosts
        ]
        graph.add_edge(*ends, capacity=min(limits), ends=(link.a, link.b))
    return graph


def brute(spec: FabricSpec, a: PortKey, b: PortKey) -> tuple[set[tuple[PortKey, ...]], int | None]:
    """All shortest paths by walking every simple path; their narrowest cut by trying every set of cables."""
    graph = cable_graph(spec, a, b)
    walks = [list(w) for w in nx.all_simple_edge_paths(graph, a.node, b.node)]
    if not walks:
        return set(), None
    least = min(map(len, walks))
    walks = [w for w in walks if len(w) == least]
    paths = set()
    for walk in walks:
        ports: list[PortKey] = []
        for u, v, key in walk:
            ends = graph.edges[u, v, key]["ends"]
            ports += ends if ends[0].node == u else ends[::-1]
        paths.add(tuple(ports))
    cables = {frozenset(graph.edges[e]["ends"]): graph.edges[e]["capacity"] for w in walks for e in w}
    on_path = [{frozenset(graph.edges[e]["ends"]) for e in w} for w in walks]
    cuts = (
        sum(cables[c] for c in cut)
        for size in range(1, len(cables) + 1)
        for cut in combinations(cables, size)
        if all(path & set(cut) for path in on_path)
    )
    nics = [h.nics[0].rate_bps for h in spec.hosts if h.name in (a.node, b.node)]
    return paths, min(*cuts, *nics) if len(cables) <= 12 else None


@pytest.mark.parametrize("seed", range(150))
def test_against_brute_force(seed: int) -> None:
    spec = random_fabric(seed)
    fabric = Fabric(spec)
    for a, b in combinations(fabric.nics, 2):
        expected, capacity = brute(spec, a, b)
        found = fabric.equal_cost(a, b, limit=10_000)
        assert {p.ports for p in found.paths} == expected
        assert found.count == len(found.paths) == len(expected)
        assert {p.hops for p in found.paths} <= {found.hops}
        limit = fabric.bottleneck(a, b)
        assert (limit is None) == (not expected)
        if limit and capacity:
            assert limit.capacity_bps == capacity
        back = fabric.bottleneck(b, a)
        assert (back and back.capacity_bps) == (limit and limit.capacity_bps)


@pytest.mark.parametrize("seed", range(60))
def test_cut_separates_and_adds_up(seed: int) -> None:
    spec = random_fabric(seed)
    fabric = Fabric(spec)
    capacities = fabric.capacities()
    for a, b in combinations(fabric.nics, 2):
        if limit := fabric.bottleneck(a, b):
            assert limit.capacity_bps == sum(capacities[e] for e in limit.elements)
            assert capacities[limit.element] == min(capacities[e] for e in limit.elements)


@pytest.mark.parametrize("seed", range(60))
def test_attachment_paths_are_those_of_their_nics(seed: int) -> None:
    """Hops and counts between attachments plus one cable at each end are those between single-cabled NICs."""
    fabric = Fabric(random_fabric(seed))
    pairs = {(p.a, p.b): p for p in fabric.attachment_paths()}
    single = [p for p, nic in fabric.nics.items() if not nic.members]
    for x, y in combinations(single, 2):
        a, b = sorted((x, y), key=lambda p: fabric.attachment(p).name)
        found, names = fabric.equal_cost(a, b), (fabric.attachment(a).name, fabric.attachment(b).name)
        if names[0] == names[1]:
            assert (found.count, found.hops) == (1, 2)
        elif pair := pairs.get(names):
            assert (pair.equal_cost_paths, pair.hops + 2) == (found.count, found.hops)
        else:
            assert found.count == 0


def fat_tree(leaves: int = 72, spines: int = 18, down: int = 18) -> FabricSpec:
    hosts, links, rate = [], [], 400 * GIGA
    for leaf in range(leaves):
        for d in range(down):
            name = f"h{leaf}-{d}"
            hosts.append(Host(name, Role.OTHER, (Nic("c0", NicKind.COMPUTE, LinkLayer.INFINIBAND, rate),)))
            links.append(Link(PortKey(name, "c0"), PortKey(f"leaf{leaf}", f"d{d}")))
        links += [
            Link(PortKey(f"leaf{leaf}", f"u{s}"), PortKey(f"spine{s}", f"{leaf}"), rate)
            for s in range(spines)
        ]
    names = [f"leaf{i}" for i in range(leaves)] + [f"spine{i}" for i in range(spines)]
    switches = tuple(Switch(n, link_layer=LinkLayer.INFINIBAND) for n in names)
    return FabricSpec("fat-tree", tuple(hosts), switches, tuple(links))


def test_fat_tree_of_1296_nics() -> None:
    spec = fat_tree()
    began = time.process_time()
    fabric = Fabric(spec)
    paths = fabric.attachment_paths()
    assert time.process_time() - began < 2.0
    assert (len(fabric.nics), len(spec.switches), len(fabric.attachments())) == (1296, 90, 72)
    assert len(paths) == 72 * 71 // 2
    assert {(p.hops, p.equal_cost_paths, p.capacity_bps) for p in paths} == {(2, 18, 7200 * GIGA)}
    assert fabric.cyclic_buffer_dependencies() == ()
    far = fabric.bottleneck(PortKey("h0-0", "c0"), PortKey("h71-17", "c0"))
    assert far is not None
    assert (far.capacity_bps, far.element) == (400 * GIGA, "nic:h0-0/c0")
    assert parse_fabric(dump_fabric(spec)) == (spec, ())


def test_a_lost_uplink_shows_in_the_cut() -> None:
    spec = fat_tree(leaves=4, spines=3, down=2)
    lost = tuple(link for link in spec.links if str(link.a) != "leaf0/u1")
    paths = Fabric(FabricSpec(spec.name, spec.hosts, spec.switches, lost)).attachment_paths()
    found = {(p.a, p.b): (p.equal_cost_paths, p.capacity_bps, p.bottleneck) for p in paths}
    assert found["leaf0", "leaf1"] == (2, 800 * GIGA, "link:leaf0/u0-spine0/0")
    assert found["leaf1", "leaf2"] == (3, 1200 * GIGA, "link:leaf1/u0-spine0/1")


def test_long_chains_and_ladders_stay_bounded() -> None:
    """5,000 switches in a row do not recurse; a ladder of 40 rungs has 2^40 paths and still answers."""
    a, b = (Host(n, nics=(Nic("n", NicKind.COMPUTE, LinkLayer.ETHERNET, GIGA),)) for n in ("a", "b"))
    ends = (PortKey("a", "n"), PortKey("b", "n"))
    for length, parallel in ((5_000, 1), (40, 2)):
        links = [
            Link(PortKey(f"s{i}", f"e{k}"), PortKey(f"s{i + 1}", f"w{k}"), GIGA)
            for i in range(length)
            for k in range(parallel)
        ]
        links += [Link(ends[0], PortKey("s0", "h")), Link(ends[1], PortKey(f"s{length}", "h"))]
        switches = tuple(Switch(f"s{i}") for i in range(length + 1))
        fabric = Fabric(FabricSpec("chain", (a, b), switches, tuple(links)))
        found = fabric.equal_cost(*ends, limit=5)
        assert (found.hops, len(found.paths)) == (length + 2, min(5, parallel**length))
        assert found.count == min(parallel**length, 2**32 - 1)
        assert isinstance(found.paths[0], Path)
        assert len(fabric.attachment_paths()) == 1


@pytest.mark.parametrize("seed", range(100))
def test_cuts_of_layered_fabrics_against_networkx(seed: int) -> None:
    """Three layers of up to five switches, joined at random: what is tried first is often in the way."""
    rng = random.Random(seed)
    layers = [["in"], *([f"s{layer}{i}" for i in range(rng.randint(2, 5))] for layer in range(3)), ["out"]]
    nic = Nic("n", NicKind.COMPUTE, LinkLayer.ETHERNET, 99 * GIGA)
    links = [Link(PortKey("a", "n"), PortKey("in", "h")), Link(PortKey("b", "n"), PortKey("out", "h"))]
    graph = nx.DiGraph()
    for a, b in ((a, b) for left, right in pairwise(layers) for a in left for b in right):
        if "in" in (a, b) or "out" in (a, b) or rng.random() < 0.45:
            rate = rng.randint(1, 3) * GIGA
            graph.add_edge(a, b, capacity=rate)
            links.append(Link(PortKey(a, f"to-{b}"), PortKey(b, f"to-{a}"), rate))
    switches = [Switch(name) for layer in layers for name in layer]
    rng.shuffle(switches)
    spec = FabricSpec(
        "layers", (Host("a", nics=(nic,)), Host("b", nics=(nic,))), tuple(switches), tuple(links)
    )
    paths = Fabric(spec).attachment_paths()
    if nx.has_path(graph, "in", "out"):
        assert [p.hops for p in paths] == [4]
        assert [p.capacity_bps for p in paths] == [nx.maximum_flow_value(graph, "in", "out")]
