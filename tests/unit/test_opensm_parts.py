"""What the OpenSM driver makes of packets, tables and log lines, without a fabric."""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficd_agent.drivers.opensm import mad, tables
from trafficd_agent.drivers.opensm.mad import Answer, Attribute, Query, Silence, Target
from trafficd_agent.drivers.opensm.manager import (
    MASTER,
    Manager,
    PathAsk,
    ask_manager,
    ask_paths,
    decode_manager,
    decode_path,
    decode_sl,
    encode_manager,
    encode_path,
    encode_sl,
)
from trafficd_agent.drivers.opensm.process import _argument
from trafficd_agent.drivers.opensm.survey import (
    ADAPTER,
    SWITCH,
    Link,
    Node,
    Port,
    Record,
    Silent,
    Survey,
    Table,
    decode,
    encode,
    gather,
)
from trafficd_agent.drivers.opensm.sweep import REST_SECONDS, Activity, mark, refusal, since, swept
from trafficd_agent.drivers.opensm.umad import why
from trafficd_agent.drivers.opensm.walk import every_pair, one_pair, walk
from trafficd_topology.diff import Element, render
from trafficd_topology.parsers.opensm_conf import Limits
from trafficd_topology.qos.ib import IbTable, canonical

NUMBERS = st.integers(0, 2**63)
ENTRIES = st.lists(st.integers(0, 255), max_size=64).map(tuple)
RECORDS = (
    st.builds(Node, *[NUMBERS] * 7, st.text())
    | st.builds(Port, *[NUMBERS] * 15)
    | st.builds(Link, *[NUMBERS] * 4)
    | st.builds(Table, st.sampled_from(tables.KINDS), NUMBERS, NUMBERS, ENTRIES, ENTRIES)
    | st.builds(Silent, NUMBERS, NUMBERS, st.sampled_from(["PortInfo", "sl2vl from port 3"]))
)


@given(RECORDS)
def test_a_record_survives_its_line(record: Record) -> None:
    assert decode(encode(record)) == record
    assert "\n" not in encode(record)


@pytest.mark.parametrize(
    "line", ["", "end", "node", "node 1 2 3 4 5 6 7 zz", "port", "port 1 2", "link 1", "table x", "silent 1"]
)
def test_another_line_is_no_record(line: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        decode(line)


def test_what_a_manager_says_survives_its_line() -> None:
    for said in (Manager(None, 1, None, None), Manager(1, 1, 7, MASTER)):
        assert decode_manager(encode_manager(said)) == said
    assert decode_path(encode_path(PathAsk(1, 2, 0xFFFF, 5))) == PathAsk(1, 2, 0xFFFF, 5)
    assert [decode_sl(encode_sl(sl)) for sl in (3, None)] == [3, None]
    for line in ("", "manager 1", "sl 1 2 3", "activity 7"):
        with pytest.raises(ValueError, match=r".*"):
            decode_manager(line)
        with pytest.raises(ValueError, match=r".*"):
            decode_sl(line)


ROUTES = {(): ("A", 1), (1,): ("S", 1), (1, 1): ("A", 1), (1, 2): ("B", 2)}
GUIDS = {"A": 0xA, "S": 0x5, "B": 0xB}
LIDS = {"A": 1, "S": 7, "B": 3}
PATH_SL = 5


@dataclass(slots=True)
class Subnet:
    """Adapter A (port 1) - switch S port 1; S port 2 - adapter B port 2; S port 3 has no link. By directed route.

    Every SL2VL is 16 times the out port's number; every arbitration entry is (port, block).
    """

    silent: set[tuple[tuple[int, ...], Attribute, int]] = field(default_factory=set)
    high_entries: int = 8
    asked: list[Target] = field(default_factory=list)
    most: int = 0

    def ask(self, queries: list[Query]) -> list[Answer]:
        self.most = max(self.most, len(queries))
        return [self._answer(q) for q in queries]

    def _answer(self, q: Query) -> Answer:
        self.asked.append(q.target)
        if q.management is mad.Management.SA:
            return b"\0" * 53 + bytes([PATH_SL]) if q.data[58:60] == b"\xff\xff" else Silence(0xC00)
        lids = (r for r, (n, _) in ROUTES.items() if LIDS[n] == q.target.lid)
        route = q.target.path if not q.target.lid else next(lids)
        attribute, modifier = Attribute(q.attribute), q.modifier
        if (route, attribute, modifier) in self.silent:
            return Silence()
        node, arrived = ROUTES[route]
        data = bytearray(64)
        match attribute:
            case Attribute.NODE_INFO:
                data[2], data[3], data[36] = (2, 3, arrived) if node == "S" else (1, 2, arrived)
                data[12:20] = GUIDS[node].to_bytes(8, "big")
                data[20:28] = (GUIDS[node] + arrived).to_bytes(8, "big")
            case Attribute.NODE_DESCRIPTION:
                data[: len(node)] = node.encode()
            case Attribute.PORT_INFO:
                data[16:18] = (LIDS[node] if node != "S" or modifier == 0 else 0).to_bytes(2, "big")
                data[18:20] = LIDS["A"].to_bytes(2, "big")
                data[31], data[36] = 2, 5 << 4
                data[32] = 1 if (node, modifier) == ("S", 3) else 4
                data[37], data[43] = 4 << 4, 3 << 4 | 7
                data[38], data[39], data[40] = 9, self.high_entries, 8
            case Attribute.VLARB:
                data[0:4] = bytes((modifier & 0xFF, modifier >> 16)) * 2
            case Attribute.SL2VL:
                data[0:8] = bytes([(modifier & 0xFF) * 0x11] * 8)
            case Attribute.SM_INFO:
                data[0:8] = (GUIDS["A"] + 1).to_bytes(8, "big")
                data[16:21] = (123456).to_bytes(4, "big") + bytes([MASTER])
        return bytes(data)


def lines(subnet: Subnet) -> list[str]:
    return [encode(r) for r in walk(subnet, every_pair)]


def sixteen(n: int) -> str:
    return ",".join([str(n)] * 16)


FOUND = [
    "node 10 0 1 2 0 0 0 41",
    "port 10 11 1 1 1 0 4 3 8 8 9 5 2 0 0",
    "link 10 1 5 1",
    "node 5 0 2 3 0 0 7 53",
    "port 5 6 1 2 7 0 4 3 8 8 9 5 2 0 0",
    "port 5 6 2 2 7 0 4 3 8 8 9 5 2 0 0",
    "link 5 1 10 1",
    "link 5 2 11 2",
    "node 11 0 1 2 0 0 0 42",
    "port 11 13 2 1 3 0 4 3 8 8 9 5 2 0 0",
]
TABLES = [
    "table vlarb_high 10 1 - 1,3,1,3",
    "table vlarb_high 5 1 - 1,3,1,3",
    "table vlarb_high 5 2 - 2,3,2,3",
    "table vlarb_high 11 2 - 2,3,2,3",
    "table vlarb_low 10 1 - 1,1,1,1",
    "table vlarb_low 5 1 - 1,1,1,1",
    "table vlarb_low 5 2 - 2,1,2,1",
    "table vlarb_low 11 2 - 2,1,2,1",
    f"table sl2vl 10 1 - {sixteen(0)}",
    f"table sl2vl 11 2 - {sixteen(0)}",
    f"table sl2vl 5 1 0,1,2,3 {sixteen(1)}",
    f"table sl2vl 5 2 0,1,2,3 {sixteen(2)}",
]


def test_the_walk_finds_every_node_port_and_link_once_and_asks_many_things_at_a_time() -> None:
    subnet = Subnet()
    assert lines(subnet) == FOUND + TABLES
    assert subnet.most == 10
    assert all(bool(t.lid) != bool(t.path) for t in subnet.asked if t != Target())
    assert [encode(r) for r in walk(subnet)] == FOUND


def test_samples_of_pairs_cover_all_in_as_many_turns_as_there_are() -> None:
    seen = set()
    for turn in range(4):
        found = [r for r in walk(Subnet(), one_pair(turn)) if isinstance(r, Table) and r.in_ports]
        assert [len(t.in_ports) for t in found] == [1, 1]
        seen |= {place for t in found for place in t.places}
    assert seen == {f"0x0000000000000005:{i}-{o}" for i in range(4) for o in (1, 2)}


def test_who_is_master_and_which_sl_a_path_gets() -> None:
    assert ask_manager(Subnet()) == Manager(0xB, 0xB, 123456, MASTER)
    assert ask_manager(Subnet(silent={((), Attribute.SM_INFO, 0)})) == Manager(None, 0xB, None, None)
    paths = (PathAsk(1, 3, 0xFFFF), PathAsk(1, 3, 0x8001))
    assert ask_paths(Subnet(), paths) == [PATH_SL, None]
    assert ask_paths(Subnet(silent={((), Attribute.PORT_INFO, 0)}), paths) == [None, None]


@pytest.mark.parametrize(
    ("silent", "line", "gone"),
    [
        (((1, 2), Attribute.NODE_INFO, 0), "silent 5 2 the node behind the link", [FOUND[7], *FOUND[8:], *TABLES[3:8:4], TABLES[9]]),
        (((1,), Attribute.PORT_INFO, 2), "silent 5 2 PortInfo", [FOUND[5], *FOUND[7:], *TABLES[2:4], *TABLES[6:8], TABLES[9], TABLES[11]]),
        (((1,), Attribute.VLARB, 3 << 16 | 1), "silent 5 1 vlarb_high", [TABLES[1]]),
        (((), Attribute.SL2VL, 0), "silent 10 1 sl2vl", [TABLES[8]]),
    ],
)  # fmt: skip
def test_what_does_not_answer_is_named_and_the_walk_goes_on(
    silent: tuple[tuple[int, ...], Attribute, int], line: str, gone: list[str]
) -> None:
    seen = lines(Subnet(silent={silent}))
    assert line in seen
    assert [x for x in seen if x != line] == [x for x in FOUND + TABLES if x not in gone]


def test_a_silent_pair_is_named_and_the_others_are_told() -> None:
    seen = lines(Subnet(silent={((1,), Attribute.SL2VL, 2 << 8 | 1)}))
    assert "silent 5 1 sl2vl from port 2" in seen
    assert f"table sl2vl 5 1 0,1,3 {sixteen(1)}" in seen


def test_long_tables_are_read_in_blocks() -> None:
    first = (
        next(line for line in lines(Subnet(high_entries=40)) if "vlarb_high" in line).split()[-1].split(",")
    )
    assert (len(first), first[:4], first[64:68]) == (68, ["1", "3", "1", "3"], ["1", "4", "1", "4"])


def packet(query: Query, number: int = 7) -> bytes:
    return mad.header(3, query) + number.to_bytes(8, "big") + mad.asked(query) + mad.body(query)


def test_packets_as_the_kernel_and_the_standard_want_them() -> None:
    directed = packet(Query(Target(path=(1, 5)), Attribute.PORT_INFO, 9))
    assert (len(directed), mad.transaction(directed)) == (mad.PACKET_BYTES, 7)
    assert directed[64:92].hex() == "018101010000000200000000000000070015000000000009" + "00" * 4
    assert directed[64 + 32 : 64 + 36].hex() == "ffffffff"
    assert directed[64 + 128 : 64 + 132].hex() == "00010500"
    counters = packet(Query(Target(lid=2), 0x1D, 0, mad.Management.PERFORMANCE, b"\0\5\xff\xff"))
    # Id, status, time limit, retries, length, queue pair 1, its key, LID 2.
    assert counters[:30].hex() == "0300000000000000c8000000020000000000000000000001800100000002"
    assert counters[64:68].hex() == "01040101"
    assert counters[128:132].hex() == "0005ffff"
    path = packet(Query(Target(lid=1), 0x35, 0, mad.Management.SA, b"\1" * 8 + b"\2" * 64))
    assert path[64:68].hex() == "01030201"
    assert (path[64 + 48 : 64 + 56], path[64 + 56 : 64 + 120]) == (b"\1" * 8, b"\2" * 64)


def test_answers_say_what_was_refused() -> None:
    sent = bytearray(packet(Query(Target(path=(1,)), Attribute.NODE_INFO)))
    sent[68] = 0x80  # a directed packet on its way back
    assert mad.answer(bytes(sent)) == bytes(64)
    sent[69] = 0x0C
    assert mad.answer(bytes(sent)) == Silence(0x0C)
    assert Silence(0x0C).unsupported
    assert not Silence(0x04).unsupported
    sent[4] = errno.ETIMEDOUT
    assert mad.answer(bytes(sent)) == Silence()


TYPES = {1: ADAPTER, 2: ADAPTER, 3: ADAPTER, 4: SWITCH, 0xFF: ADAPTER}


def table(kind: str, guid: int, entries: tuple[int, ...], *in_ports: int) -> Table:
    return Table(kind, guid, 1, in_ports, entries)


def test_most_ports_of_a_type_are_the_rule_and_each_other_one_is_named() -> None:
    survey = Survey(
        ports=tuple(replace(PORT, guid=guid, type=t) for guid, t in TYPES.items()),
        tables=(
            *(table("vlarb_high", g, (0, 64)) for g in (1, 2, 3)),
            table("vlarb_high", 0xFF, ()),
            table("sl2vl", 4, (0,) * 16, 0, 1, 2),
            table("sl2vl", 4, (1,) * 16, 3),
            table("vlarb_low", 4, (3, 1)),
            table("vlarb_low", 1, (2, 1)),
            table("vlarb_low", 2, (1, 1)),
        ),
    )
    assert render(tuple(tables.table_elements(survey))) == (
        f"sl2vl/* IbTable(entries={(0,) * 16})\n"
        f"sl2vl/0x0000000000000004:3-1 IbTable(entries={(1,) * 16})\n"
        "vlarb_high/* IbTable(entries=(0, 64))\n"
        "vlarb_high/0x00000000000000ff:1 IbTable(entries=())\n"
        "vlarb_low/* IbTable(entries=(3, 1))\n"
        "vlarb_low/0x0000000000000001:1 IbTable(entries=(2, 1))\n"
        "vlarb_low/ca IbTable(entries=(1, 1))\n"
    )


PORT = Port(
    1,
    1,
    1,
    ADAPTER,
    1,
    0,
    vl_cap=4,
    op_vls=3,
    high_entries=8,
    low_entries=64,
    high_limit=0,
    mtu=5,
    width=2,
    speed=0,
    speed_ext=4,
)


def test_limits_are_those_of_the_narrowest_port() -> None:
    narrow = replace(PORT, vl_cap=2, op_vls=2, high_entries=4)
    assert tables.limits((PORT, PORT), None) == Limits(4, 8, 64)
    assert tables.limits((PORT, narrow), None) == Limits(2, 4, 64)
    assert tables.limits((PORT, PORT), "5") == Limits(8, 8, 64)
    assert tables.limits((PORT, narrow), "1") == Limits(1, 4, 64)


def test_a_high_limit_that_ports_do_not_tell_is_hidden_and_one_that_differs_is_named() -> None:
    quiet, told = (
        Survey(ports=(PORT, PORT)),
        Survey(ports=(replace(PORT, high_limit=240), replace(PORT, guid=2, high_limit=4))),
    )
    said = {"qos_high_limit": "240"}
    assert (tables.high_limit_hidden(quiet, said), tuple(tables.high_limit_elements(quiet, said))) == (
        True,
        (),
    )
    assert not tables.high_limit_hidden(told, said)
    other = Element("high_limit", "0x0000000000000002:1", IbTable((4,)))
    assert tuple(tables.high_limit_elements(told, said)) == (other,)
    assert not tables.high_limit_hidden(quiet, {"qos_high_limit": "0"})
    assert not tables.high_limit_hidden(quiet, {"qos_high_limit": "-1"})


@given(st.sampled_from(tables.KINDS), st.lists(st.integers(0, 3), min_size=16, max_size=16))
def test_a_detour_differs_and_is_valid(kind: str, values: list[int]) -> None:
    entries = tuple(values) if kind == "sl2vl" else canonical(tuple(values))
    other = tables.detour(kind, entries, 4)
    assert other != entries
    assert tables.parse_table(kind, tables.table_text(kind, other)) == other
    assert sum(a != b for a, b in zip_longest(entries, other)) <= 2
    assert all(n < 4 for n in other[::2])


def test_the_detour_of_an_empty_table_has_an_entry() -> None:
    assert tables.detour("vlarb_low", (), 4) == (0, 1)


STAMP = "Nov 21 09:32:29 {:06d} [A7EAB6C0] 0x02 -> {}\n"


def test_only_an_end_of_sweep_after_the_mark_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old line\n")
    start = replace(mark(log), stamp=(11, 21, 9, 32, 29, 500))
    assert (since(start), swept(since(start), start)) == ([], False)
    with log.open("a") as f:
        f.write(STAMP.format(499, "SUBNET UP") + STAMP.format(501, "Entering MASTER state") + "SUBNET UP\n")
        f.write("SUBNET UP without its end")
    assert len(since(start)) == 3
    assert not swept(since(start), start)
    with log.open("a") as f:
        f.write("\n" + STAMP.format(500, "SUBNET UP"))
    assert swept(since(start), start)


def test_a_rotated_or_missing_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    missing = mark(log)
    log.write_text("one\n")
    assert since(missing) == ["one"]
    there = mark(log)
    log.rename(tmp_path / "log.1")
    log.write_text("two\n")
    assert since(there) == ["two"]
    os.truncate(log, 0)
    assert since(mark(None)) == since(replace(there, path=tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("osm_qos_parse_policy_file: ERR AC01: Failed opening QoS policy file x", False),
        ("osm_qos_policy_validate: ERR AC11: qos-level 'NOSUCH' not found", True),
        ("osm_subn_rescan_conf_files: ERR 331A: osm_subn_rescan_conf_file failed", True),
        ("sm_mad_ctrl_send_err_cb: ERR 3113: MAD completed in error (IB_TIMEOUT)", False),
        ("SUBNET UP", False),
    ],
)
def test_only_refused_files_are_refusals(text: str, refused: bool) -> None:
    assert refusal([STAMP.format(1, "fine").strip(), STAMP.format(2, text).strip()]) == (
        text if refused else ""
    )


def count_like(sweeps: list[int | None]) -> Iterator[int | None]:
    """ActCount as asked: what the subnet manager sent, and one for each answer."""
    for asked, sent in enumerate(sweeps, start=1):
        yield None if sent is None else sent + asked


@pytest.mark.parametrize(
    ("sent", "done"),
    [
        ([100, 100, 100], False),  # at rest, no sweep
        ([100, 104, 104], False),  # a light sweep: a packet for each switch
        ([100, 150, 200], False),  # still going on
        ([100, 150, 150], True),
        ([100, None, None], False),  # it does not answer
        ([100, 20, 20], False),  # another subnet manager, or a new one
    ],
)
def test_a_sweep_is_a_rise_of_the_count_and_then_rest(sent: list[int | None], done: bool) -> None:
    counts = count_like([*sent, sent[-1]])
    activity = Activity(lambda: next(counts), 24, now=1000.0)
    assert not activity.settled(1000.0)
    assert not activity.settled(1000.0 + REST_SECONDS * 0.9)
    assert activity.settled(1000.0 + REST_SECONDS * 1.8) is done


def test_options_of_a_command_line_in_every_form() -> None:
    words = ["opensm", "-B", "-F", "/a", "--log_file=/l", "-f", "/m", "-F/b"]
    assert (_argument(words, "-F", "--config"), _argument(words, "-f", "--log_file")) == ("/b", "/m")
    assert _argument(["opensm", "--config", "/c"], "-F", "--config") == "/c"


def test_what_cannot_be_opened_says_what_to_grant() -> None:
    assert why(errno.EACCES, "mlx5_0") == (
        "no permission to open the umad device of mlx5_0: run the agent as root, or give its group read and "
        "write access to /dev/infiniband/umad*"
    )
    assert gather(()) == Survey()
