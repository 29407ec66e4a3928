"""Bad fabric files: a clear answer each time, in bounded time, and never an exception."""

import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trafficd_topology.fabric import Fabric
from trafficd_topology.model import (
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
from trafficd_topology.parsers.fabric import dump_fabric, parse_fabric
from trafficd_topology.parsers.tree import MAX_NODES, MAX_PROBLEMS
from trafficd_topology.show import describe, text

CASES = Path(__file__).parents[2] / "cases" / "fabric"
VALID = [
    (CASES / name / "fabric.yaml").read_bytes()
    for name in ("demo", "two-leaves", "uncabled", "ring", "regular")
]
SCRAPS = [
    b"\x00",
    b"\xff",
    b"\t",
    b"- ",
    b": ",
    b"{",
    b"]",
    b"&a",
    b"*a",
    b"!!x",
    b"|",
    b"'",
    b'"',
    b"#",
    b"\n---\n",
]
VALUES = [
    b"0",
    b"-1",
    b".nan",
    b".inf",
    b"1e999",
    b"~",
    b"true",
    b"[]",
    b"{}",
    b"''",
    b"9" * 400,
    b"x" * 300,
    b"? ",
]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four small harms: a byte, a scrap, a line, a value, or a word swapped for another word of the file."""
    for _ in range(rng.randint(1, 4)):
        lines, at = data.split(b"\n"), rng.randrange(len(data) + 1)
        words = re.findall(rb"[A-Za-z0-9._/-]+", data) or [b"x"]
        match rng.randrange(7):
            case 0:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + rng.choice(SCRAPS) + data[at:]
            case 2:
                del lines[rng.randrange(len(lines))]
                data = b"\n".join(lines)
            case 3:
                lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
                data = b"\n".join(lines)
            case 4:
                data = re.sub(re.escape(rng.choice(words)), lambda _: rng.choice(VALUES), data, count=1)
            case 5:
                old, new = rng.choice(words), rng.choice(words)
                data = re.sub(
                    rb"\b" + re.escape(old) + rb"\b", lambda _, new=new: new, data, count=rng.randint(1, 3)
                )
            case _:
                data = data[:at]
    return data


def test_a_thousand_mutations_each_get_an_answer() -> None:
    outcomes = {True: 0, False: 0}
    for seed in range(1_000):
        rng = random.Random(seed)
        harmed = mutate(rng.choice(VALID), rng)
        spec, problems = parse_fabric(harmed)
        assert (spec is None) == bool(problems)
        assert all(isinstance(p, Problem) and p.reason and "\n" not in str(p) for p in problems)
        if spec is not None:
            assert parse_fabric(dump_fabric(spec)) == (spec, ())
            assert text(describe(Fabric(spec)))
        outcomes[spec is not None] += 1
    assert min(outcomes.values()) > 50  # both sorts of answer were seen


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ": the file is empty"),
        (b"# only a comment\n", ": the file is empty"),
        (b"\x7fELF\x02\x01\x01\x00\xff", ": not a text file: byte 8 is not UTF-8"),
        (b"just words", ": must be a mapping of names to values (found 'just words')"),
        (b"version: 1\nname: a\nname: b\n", "line 3, column 1: not valid YAML: 'name' is given twice"),
        (
            b"version: true\nname: a\nhosts: []\n",
            "version: must be 1, the only version of this format (found True)",
        ),
        (b"version: 1\nname: a\n", "hosts: is missing"),
        (b"version: 1\nname: a\nhosts: 3\n", "hosts: must be a list (found 3)"),
        (b"x" * (17 * 2**20), ": the file is larger than 16777216 bytes: split it (found 17825792 bytes)"),
    ],
)
def test_no_fabric_at_all(data: bytes, expected: str) -> None:
    spec, problems = parse_fabric(data)
    assert spec is None
    assert [str(p) for p in problems] == [expected]


HEAD = "version: 1\nname: big\nhosts:\n"


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ("x: [" + "a," * 8_000_000 + "]", 1),  # more values than any fabric has
        (HEAD + "- x\n" * 100_000, MAX_PROBLEMS + 1),
        (HEAD + "- {name: same, nics: [{name: a, kind: storage, rate: 1}]}\n" * 10_000, MAX_PROBLEMS + 1),
        ("".join(f"key{i}: 1\n" for i in range(50_000)), MAX_PROBLEMS + 1),
        (
            HEAD
            + "- {name: h, nics: [{name: b, kind: storage, rate: 1, members: ["
            + "m, " * 100_000
            + "]}]}",
            1001,
        ),
        (HEAD + "- {name: h}\nlinks:\n" + "- [h/a, h/b]\n" * 20_000, MAX_PROBLEMS + 1),
    ],
    ids=["values", "items", "hosts", "keys", "members", "links"],
)
def test_huge_files_are_bounded(data: str, problems: int) -> None:
    began = time.process_time()
    spec, found = parse_fabric(data)
    assert spec is None
    assert len(found) == problems
    assert time.process_time() - began < 15
    assert "more than" in found[-1].reason


def test_what_bounds_values_lets_a_large_fabric_through() -> None:
    """2,500 hosts of four NICs with every field: 10,000 NICs."""
    nic = Nic(
        "n", NicKind.COMPUTE, LinkLayer.ETHERNET, 1, numa_node=1, pcie_switch="s", gpu=0, rail=1, subnet="x"
    )
    hosts = tuple(
        Host(
            f"h{i}",
            nics=tuple(
                Nic(
                    f"n{k}",
                    nic.kind,
                    nic.link_layer,
                    400 * 10**9,
                    f"0000:3b:0{k}.0",
                    f"0x{i * 8 + k + 1:016x}",
                    nic.numa_node,
                    nic.pcie_switch,
                    0,
                    k,
                )
                for k in range(4)
            ),
            gpus=(Gpu(0),),
        )
        for i in range(2_500)
    )
    links = tuple(
        Link(PortKey(h.name, n.name), PortKey("leaf", f"{h.name}{n.name}")) for h in hosts for n in h.nics
    )
    spec = FabricSpec("large", hosts, (Switch("leaf"),), links)
    written = dump_fabric(spec)
    assert written.count(",") + written.count("\n") < MAX_NODES
    assert parse_fabric(written) == (spec, ())


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,11}", fullmatch=True)
words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
rates = st.integers(1, 10**14) | st.sampled_from([10**8, 4 * 10**11, 25 * 10**8])
small = st.none() | st.integers(0, 4095)
nics = st.builds(
    Nic,
    name=names,
    kind=st.sampled_from(NicKind),
    link_layer=st.sampled_from(LinkLayer),
    rate_bps=rates,
    numa_node=small,
    pcie_switch=st.none() | words,
    rail=small,
    subnet=st.just("") | words,
)
hosts = st.builds(
    Host,
    name=names,
    role=st.sampled_from([Role.PREFILL, Role.DECODE, Role.OTHER]),
    nics=st.lists(nics, max_size=3, unique_by=lambda n: n.name).map(tuple),
    gpus=st.lists(
        st.builds(Gpu, index=st.integers(0, 9), numa_node=small), max_size=2, unique_by=lambda g: g.index
    ).map(tuple),
    memory_bytes_per_s=st.none() | st.integers(1, 10**15),
)
switches = st.builds(Switch, name=names, managed=st.booleans(), link_layer=st.sampled_from(LinkLayer))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(hosts | switches, max_size=5, unique_by=lambda n: n.name), names)
def test_any_valid_spec_survives_its_text(nodes: list[Host | Switch], name: str) -> None:
    spec = FabricSpec(
        name,
        tuple(n for n in nodes if isinstance(n, Host)),
        tuple(n for n in nodes if isinstance(n, Switch)),
    )
    assert parse_fabric(dump_fabric(spec)) == (spec, ())
