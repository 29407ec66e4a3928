"""opensm.conf: read as OpenSM reads it, edited without touching the rest, and nonsense told before it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficd_topology.parsers.opensm_conf import (
    Limits,
    check_options,
    edit_conf,
    is_unset,
    overrides,
    parse_conf,
    parse_sl2vl,
    parse_vlarb,
    sl2vl_text,
    vlarb_text,
)

FOUR = Limits(vls=4, high_entries=8, low_entries=8)
KEYS = st.sampled_from(["qos", "qos_sl2vl", "max_op_vls"])
TEXTS = st.text(st.characters(max_codepoint=255), max_size=200)


def test_read_as_opensm_reads_it() -> None:
    text = (
        "#qos FALSE\n# qos FALSE\n  qos\tTRUE \nqos_max_vls 2\nqos_max_vls\n"
        "qos_sl2vl \"0,1\"\nlog_file '/a b'\n\n \nlast (null)"
    )
    assert parse_conf(text) == {
        "qos": "TRUE",
        "qos_max_vls": "2",
        "qos_sl2vl": "0,1",
        "log_file": "/a b",
        "last": "(null)",
    }


def test_a_line_is_cut_where_opensm_cuts_it() -> None:
    assert len(parse_conf(f"key {'1' * 2000}\n")["key"]) == 1022 - len("key ")


@pytest.mark.parametrize(
    ("text", "values", "after"),
    [
        ("", {"qos": "TRUE"}, "qos TRUE\n"),
        ("a 1", {"qos": "TRUE"}, "a 1\nqos TRUE\n"),
        ("a 1", {"qos": None}, "a 1"),
        ("a 1\r", {"qos": "TRUE"}, "a 1\r\nqos TRUE\n"),
        ("qos FALSE\r\nb 2\r\n", {"qos": "TRUE"}, "qos TRUE\r\nb 2\r\n"),
        ("qos 1\na 1\nqos 2\nb 2\n", {"qos": "TRUE"}, "qos 1\na 1\nqos TRUE\nb 2\n"),
        ("qos 1\na 1\nqos 2\nb 2\n", {"qos": None}, "a 1\nb 2\n"),
        ("  qos   TRUE  # x\n", {"qos": "TRUE  # x"}, "  qos   TRUE  # x\n"),
        ("#qos FALSE\nqosx 1\n", {"qos": "TRUE"}, "#qos FALSE\nqosx 1\nqos TRUE\n"),
    ],
)
def test_edit(text: str, values: dict[str, str | None], after: str) -> None:
    assert edit_conf(text, values) == after


@given(TEXTS, st.dictionaries(KEYS, st.sampled_from(["TRUE", "0,1,2", "7"]), max_size=3))
def test_what_is_set_is_read_and_nothing_else_changes(text: str, values: dict[str, str]) -> None:
    before, after = parse_conf(text), parse_conf(edited := edit_conf(text, values))
    assert after == {**before, **values}
    assert edit_conf(edited, values) == edited
    others = {**dict.fromkeys(values)}
    assert edit_conf(edit_conf(text, values), others).rstrip("\n") == edit_conf(text, others).rstrip("\n")


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 255)), max_size=8))
def test_vlarb_text_round_trip(pairs: list[tuple[int, int]]) -> None:
    while pairs and pairs[-1] == (0, 0):
        pairs.pop()
    entries = tuple(n for pair in pairs for n in pair)
    assert parse_vlarb(vlarb_text(entries)) == entries


def test_tables_from_text() -> None:
    assert parse_vlarb("0:192,2:0,0:0") == (0, 192, 2, 0)
    assert [parse_vlarb(t) for t in ("", "0", "0:1,", "0:x", "0:-1", "0:1:2")] == [None] * 6
    assert parse_sl2vl(sl2vl_text(tuple(range(16)))) == tuple(range(16))
    assert [parse_sl2vl(t) for t in ("0,1", ",".join("0" * 17), "a" + ",0" * 15, "\u0663" + ",0" * 15)] == [
        None
    ] * 4


def test_unset_and_overrides() -> None:
    unset = {
        "qos_ca_max_vls": "0",
        "qos_ca_high_limit": "-1",
        "qos_rtr_sl2vl": "(null)",
        "qos_swe_max_vls": "4",
    }
    assert overrides(unset) == ("qos_swe_max_vls",)
    assert overrides({**unset, "qos_ca_high_limit": "0"}) == ("qos_ca_high_limit", "qos_swe_max_vls")
    assert not is_unset("max_op_vls", "0")
    assert not is_unset("qos_high_limit", "0")


def test_every_problem_at_once() -> None:
    options = {
        "max_op_vls": "0",
        "qos": "yes",
        "qos_max_vls": "16",
        "qos_high_limit": "-2",
        "qos_vlarb_high": "0:256",
        "qos_vlarb_low": "4:1",
        "qos_sl2vl": "4" + ",0" * 15,
        "sweep_interval": "10",
    }
    assert "\n".join(map(str, check_options(options, FOUR))) == (
        "max_op_vls: must be a whole number from 1 to 5 (found 0)\n"
        "qos: must be TRUE or FALSE (found yes)\n"
        "qos_max_vls: must be a whole number from 1 to 15 (found 16)\n"
        "qos_high_limit: must be a whole number from 0 to 255 (found -2)\n"
        "qos_vlarb_high: weight 256 is above 255, and OpenSM would cut it to 0 (found 0:256)\n"
        "qos_vlarb_low: VL 4 is named, but ports run VL 0 to 3 and OpenSM would fold it onto another (found 4:1)\n"
        "qos_sl2vl: SL 0 goes to VL 4, but ports run VL 0 to 3 and OpenSM would fold it onto another "
        "(found 4,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0)\n"
        "sweep_interval: is not a key of lanes; these are max_op_vls, qos, qos_max_vls, qos_high_limit, "
        "qos_vlarb_high, qos_vlarb_low, qos_sl2vl (found 10)"
    )


def test_a_line_too_long_for_opensm_is_a_problem() -> None:
    table = ",".join(["0:192"] * 200)
    found = check_options({"qos_vlarb_low": table}, Limits(4, 255, 255))
    assert [p.reason for p in found] == ["OpenSM reads no more than 1022 bytes of a line"]
