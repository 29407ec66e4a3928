"""Whatever a file holds, the audit answers: a seeded run over broken forms of every file of the cases."""

import json
import random
from pathlib import Path

import pytest

from trafficd_topology.audit import Facts, audit
from trafficd_topology.audit.facts import (
    ConfFacts,
    Count,
    EthernetQos,
    LaneFacts,
    NodeFacts,
    PortFacts,
    PortLanes,
)
from trafficd_topology.audit.kinds import KINDS, MAX_FILE_BYTES, judge, judge_tree
from trafficd_topology.audit.report import Report, plain, text
from trafficd_topology.counters import Column, CounterKind, Direction, Quantity
from trafficd_topology.model import Gpu, LinkLayer, NicKind, Role

CASES = Path(__file__).parents[2] / "cases" / "audit"
FILES = sorted(p for p in CASES.rglob("*") if p.is_file() and p.name != "findings.txt")
WORDS = (
    b"\n",
    b"\t",
    b" " * 99,
    b"\xff",
    b"0",
    b"99999999999999999999",
    b"-1",
    b":",
    b",",
    b'"',
    b"{",
    b"\n" * 300,
    b"qos_sl2vl ",
)
ROUNDS = 12


def broken(data: bytes, chance: random.Random) -> bytes:
    """Cut, doubled, and with words put in."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(out))
        action = chance.randrange(4)
        if action == 0:
            del out[at : at + chance.randint(1, 40)]
        elif action == 1:
            out[at:at] = chance.choice(WORDS)
        elif action == 2:
            out[at:at] = out[max(0, at - 60) : at]
        else:
            del out[at:]
    return bytes(out)


def held(name: str, data: bytes) -> None:
    """It is facts or a reason, and everything that can be said of it can be printed."""
    judged = judge(name, data)
    assert judged.facts is not None or judged.reason
    findings = audit(judged.facts) if judged.facts else ()
    report = Report((name,), findings)
    assert text(report)
    assert json.loads(json.dumps(plain(report)))["judged"] == [name]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_broken_files(path: Path) -> None:
    chance = random.Random(f"audit {path.name}")
    data = path.read_bytes()
    held(str(path), data)
    for _ in range(ROUNDS):
        held(path.name, broken(data, chance))


@pytest.mark.parametrize(
    "data",
    [
        b"\n" * 100_000,
        b" " * 100_000,
        b"x" + b"\n" * 60_000 + b"x",
        b"x" + b"\n \t" * 20_000 + b"x",
        b"CA ''\n" * 20_000,
        b"NIC statistics:\n" + b"  rx_prio0_bytes: 1\n" * 70_000,
        b"tc: 1 " * 20_000,
        b"==(" * 30_000,
        b"[" * 100_000,
        b'{"/sys/bus/' + b"a" * 1000,
        b"qos TRUE\n" * 50_000,
        b"0" * (MAX_FILE_BYTES + 1),
    ],
    ids=lambda d: repr(d[:12]),
)
def test_large_and_strange_files(data: bytes) -> None:
    held("strange", data)


def test_random_paths_of_a_tree() -> None:
    chance = random.Random(7)
    parts = [
        "sys",
        "class",
        "infiniband",
        "net",
        "mlx5_0",
        "ports",
        "1",
        "x",
        "state",
        "counters",
        "symbol_error",
        "type",
        "0000:11:00.0",
        "",
    ]
    values = ["1", "4: ACTIVE", "Ethernet", "", "\udcff", "9" * 30, "400 Gb/sec (4X NDR)"]
    for _ in range(300):
        files = {
            "/".join(chance.choices(parts, k=chance.randint(1, 8))): chance.choice(values) for _ in range(12)
        }
        judged = judge_tree("tree", files)
        assert judged.reason or text(Report(("tree",), audit(judged.facts or Facts())))


def some(chance: random.Random, *among: object) -> object:
    return chance.choice((None, *among))


def port(chance: random.Random, name: str) -> PortFacts:
    number = [0, 1, 4, 10**9, 400 * 10**9]
    return PortFacts(
        name,
        chance.choice(list(LinkLayer)),
        rate_bps=some(chance, *number),  # type: ignore[arg-type]
        up=some(chance, True, False),  # type: ignore[arg-type]
        state=chance.choice(("", "INIT", "ACTIVE")),
        physical=chance.choice(("", "LINKUP", "DISABLED")),
        width=some(chance, *number),  # type: ignore[arg-type]
        model=chance.choice(("", "a", "b")),
        numa_node=some(chance, 0, 1),  # type: ignore[arg-type]
        pcie_switch=some(chance, "a", "b"),  # type: ignore[arg-type]
        kind=some(chance, *NicKind),  # type: ignore[arg-type]
        expected_bps=some(chance, *number),  # type: ignore[arg-type]
        expected_gpu=some(chance, 0, 9),  # type: ignore[arg-type]
        traffic_class=some(chance, 0, 106),  # type: ignore[arg-type]
    )


def count(chance: random.Random) -> Count:
    column = Column(
        chance.choice("abc"),
        chance.choice(list(Quantity)),
        chance.choice((None, *Direction)),
        chance.choice(list(CounterKind)),
        chance.choice((None, 0, 3)),
        chance.choice((None, 0, 7)),
    )
    totals = (None, 0, 1, 2**20, 2**40, 2**64 - 1)
    return Count(column, chance.choice(totals), chance.choice(totals))


def node(chance: random.Random, name: str) -> NodeFacts:
    lanes = (LaneFacts(0, "d", unmarked=True), LaneFacts(3, "kv", kv=True))
    return NodeFacts(
        name,
        tuple(port(chance, n) for n in "abc"),
        tuple(count(chance) for _ in range(40)),
        chance.choice((0.0, 0.001, 10.0)),
        tuple(
            Gpu(i, chance.choice((None, 0, 1)), chance.choice((None, "a")))
            for i in range(chance.randint(0, 3))
        ),
        tuple(PortLanes(n, "p", lanes[: chance.randint(0, 2)]) for n in "ab"),
        chance.choice((None, *Role)),
    )


def test_random_facts() -> None:
    chance = random.Random(11)
    for _ in range(100):
        options = tuple(
            (k, chance.choice(("", "x", "0:300", "1", "15", ",".join("0123456789" * 2))))
            for k in ("max_op_vls", "qos", "qos_sl2vl", "qos_vlarb_low", "qos_ca_high_limit", "ar_sl_mask")
        )
        facts = Facts(
            tuple(node(chance, n) for n in "xy"),
            (ConfFacts("conf", options, ("qos",), ("qos",)),),
            (
                EthernetQos(
                    "e",
                    chance.choice(("", "pcp")),
                    chance.choice((None, (), (1, 2, 3))),
                    (("ets", chance.choice((None, 0, 100))),),
                ),
            ),
        )
        found = audit(facts)
        assert found == audit(facts)
        assert text(Report((), found))


def test_every_kind_without_a_reader_says_why() -> None:
    for kind in KINDS:
        assert kind.read is not None or kind.why
