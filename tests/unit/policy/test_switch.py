"""A switch's configuration, or what it announces, held against a policy."""

import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from trafficd.cli import main
from trafficd.convert.fabric import fabric, fabric_message
from trafficd_topology.parsers.fabric import dump_fabric, parse_fabric
from trafficd_topology.parsers.lldp import parse_lldp
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.parsers.sonic import parse_sonic
from trafficd_topology.qos.dcb import DcbEts
from trafficd_topology.qos.roce import RoceLane, arrange
from trafficd_topology.qos.switch import compare_peer, compare_switch, switch_digest

DATA = Path(__file__).parents[4] / "shared" / "data"
EXPECTED = Path(__file__).parents[2] / "data" / "sonic" / "captured.txt"
data = pytest.mark.data
absent = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")


def lanes(text: str = "preset: dualpath") -> tuple[RoceLane, ...]:
    policies, problems = parse_policies(f"version: 1\npolicies: [{{name: p, {text}}}]")
    assert policies is not None, problems
    policy = policies.policies[0]
    assert policy.roce is not None
    return arrange(policy.lanes, policy.roce)


def export() -> dict[str, Any]:
    """What `dualpath` asks of a switch, written by hand: classes and queues have numbers of the switch's own."""
    dscp = {str(d): "1" for d in range(64)} | {"24": "3", "32": "4", "48": "6"}
    row = {
        "dscp_to_tc_map": "LLM",
        "tc_to_queue_map": "LLM",
        "tc_to_pg_map": "LLM",
        "pfc_to_queue_map": "LLM",
        "pfc_enable": "3,4",
        "pfcwd_sw_enable": "3,4",
    }
    queues = {
        "Ethernet0,Ethernet4|1": {"scheduler": "tenth"},
        "Ethernet0,Ethernet4|3": {"scheduler": "most", "wred_profile": "MARK"},
        "Ethernet0|4": {"scheduler": "least", "wred_profile": "MARK"},
        "Ethernet4|4": {"scheduler": "least", "wred_profile": "MARK"},
        "Ethernet0,Ethernet4|6-7": {"scheduler": "first"},
    }
    return {
        "VERSIONS": {"DATABASE": {"VERSION": "version_202411_01"}},
        "DEVICE_METADATA": {"localhost": {"hostname": "leaf1"}},
        "PORT": {"Ethernet0": {"alias": "etp1"}, "Ethernet4": {"alias": "etp2"}},
        "DSCP_TO_TC_MAP": {"LLM": dscp},
        "TC_TO_QUEUE_MAP": {"LLM": {str(n): str(n) for n in range(8)}},
        "TC_TO_PRIORITY_GROUP_MAP": {"LLM": {str(n): str(n) if n in (3, 4) else "0" for n in range(8)}},
        "MAP_PFC_PRIORITY_TO_QUEUE": {"LLM": {str(n): str(n) for n in range(8)}},
        "PORT_QOS_MAP": {"global": {"dscp_to_tc_map": "LLM"}, "Ethernet0": row, "Ethernet4": row},
        "SCHEDULER": {
            "first": {"type": "STRICT"},
            "most": {"type": "DWRR", "weight": "89"},
            "tenth": {"type": "DWRR", "weight": "10"},
            "least": {"type": "DWRR", "weight": "1"},
        },
        "QUEUE": queues,
        "WRED_PROFILE": {"MARK": {"ecn": "ecn_all"}},
    }


def flat(tree: dict[str, Any]) -> dict[str, Any]:
    """As a dump of the database has it, with references in the old form."""
    tables = {"scheduler": "SCHEDULER", "wred_profile": "WRED_PROFILE", "dscp_to_tc_map": "DSCP_TO_TC_MAP"}
    out = {}
    for table, rows in tree.items():
        for key, row in rows.items():
            out[f"{table}|{key}"] = {k: f"[{tables[k]}|{v}]" if k in tables else v for k, v in row.items()}
    return out


def differences(tree: dict[str, Any], port: str = "Ethernet0") -> list[str]:
    config, problems = parse_sonic(json.dumps(tree))
    assert config is not None, problems
    found = config.port(port)
    assert found is not None
    return list(compare_switch(lanes(), found))


def test_a_switch_that_agrees_in_either_style_of_export() -> None:
    for tree in (export(), flat(export())):
        assert differences(tree, "Ethernet0") == differences(tree, "etp2") == []


def changed(path: str, value: Any) -> dict[str, Any]:
    tree = json.loads(json.dumps(export()))
    *way, last = path.split("/")
    at = tree
    for step in way:
        at = at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return tree


DIFFERENCES = [
    ("PORT_QOS_MAP/Ethernet0/pfc_enable", "3", [
        "PFC is on for priorities 3 there and for 3, 4 here",
        "DSCP 32 of lossless lane kv is in priority group 4 there: map it to a class of group 4, with PFC",
    ]),
    ("DSCP_TO_TC_MAP/LLM/24", "1", [
        "DSCP 24 of lossless lane model is in priority group 0 there: map it to a class of group 3, with PFC",
        "lanes default and model wait in one queue there (1): map their DSCPs to classes of their own",
        "lane model has 47.6 % of the weights there (queue 1) and 89 % here",
        "lane default has 47.6 % of the weights there (queue 1) and 10 % here",
        "lane kv has 4.76 % of the weights there (queue 4) and 1 % here",
        "queue 1 (lane model) marks no packets: give it a WRED profile with ECN",
    ]),
    ("DSCP_TO_TC_MAP/LLM/3", "3", ["lossless there and lossy here: DSCP 3; map to a class without PFC"]),
    ("MAP_PFC_PRIORITY_TO_QUEUE/LLM/3", "5", [
        "pauses of priority 3 stop queue 5 there, and DSCP 24 waits in queue 3",
    ]),
    ("SCHEDULER/first", {"type": "DWRR", "weight": "10"}, [
        "lane control is weighted there (queue 6) and strict here",
        "lane model has 80.9 % of the weights there (queue 3) and 89 % here",
    ]),
    ("SCHEDULER/most/weight", "50", [
        "lane default has 16.4 % of the weights there (queue 1) and 10 % here",
        "lane model has 82 % of the weights there (queue 3) and 89 % here",
    ]),
    ("QUEUE/Ethernet0|4", None, [
        "queue 4 (lane kv) has no scheduler there: give it one",
        "queue 4 (lane kv) marks no packets: give it a WRED profile with ECN",
    ]),
    ("WRED_PROFILE/MARK/ecn", "ecn_none", [
        "queue 3 (lane model) marks no packets: give it a WRED profile with ECN",
        "queue 4 (lane kv) marks no packets: give it a WRED profile with ECN",
    ]),
    ("PORT_QOS_MAP/Ethernet0/pfcwd_sw_enable", "3", [
        "no PFC watchdog guards priorities 4: turn pfcwd on, or one stuck host stops the fabric",
    ]),
    ("PORT_QOS_MAP/Ethernet0/tc_to_pg_map", None, ["nothing says its tc_to_pg_map: set one in PORT_QOS_MAP"]),
    ("TC_TO_QUEUE_MAP/LLM", None, [
        "its tc_to_queue_map LLM is not in TC_TO_QUEUE_MAP: the export is incomplete",
        "nothing says its tc_to_queue_map: set one in PORT_QOS_MAP",
    ]),
    ("PORT_QOS_MAP/Ethernet0/pfc_enable", "3,9", [
        "its pfc_enable is '3,9', no list of priorities: the export is damaged",
        "nothing says its pfc_enable: set one in PORT_QOS_MAP",
    ]),
    ("DSCP_TO_TC_MAP/LLM/7", "12", [
        "DSCP_TO_TC_MAP LLM holds a number out of range: the export is damaged",
        "nothing says its dscp_to_tc_map: set one in PORT_QOS_MAP",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "expected"), DIFFERENCES, ids=[d[0] for d in DIFFERENCES])
def test_every_difference_is_told(path: str, value: Any, expected: list[str]) -> None:
    assert sorted(differences(changed(path, value))) == sorted(expected)


def test_the_watchdog_of_older_releases() -> None:
    tree = changed("PORT_QOS_MAP/Ethernet0/pfcwd_sw_enable", None)
    assert "no PFC watchdog" in differences(tree)[0]
    assert differences({**tree, "PFC_WD": {"Ethernet0": {"action": "drop"}}}) == []


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({}, "holds no PORT_QOS_MAP"),
        ([], "not a configuration"),
        (changed("VERSIONS/DATABASE/VERSION", "version_9_1"), "a version of CONFIG_DB that this program does not know"),
        ({"COUNTERS:oid:0x1": {"A": "1"}}, "a dump of COUNTERS_DB"),
        ({"PORT_TABLE:Ethernet0": {"mtu": "9100"}}, "a dump of APPL_DB"),
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_named(tree: Any, said: str) -> None:
    config, problems = parse_sonic(json.dumps(tree))
    assert config is None
    assert said in problems[0].reason


def test_an_export_that_was_cut_off_anywhere_is_named_and_never_agrees() -> None:
    whole = json.dumps(export(), indent=1)
    rng = random.Random(1)
    for end in {0, 1, 2, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(300))}:
        config, problems = parse_sonic(whole[:end])
        assert config is None
        assert re.search("cut off|not JSON", problems[0].reason), (end, problems)
    assert "cut off" in parse_sonic(whole[:-1])[1][0].reason
    for junk in (b"\xff\xfe", b"[" * 100_000, b'{"a": ' + b"1" * 10_000 + b"}"):
        assert parse_sonic(junk)[0] is None


@data
@absent
def test_every_captured_file() -> None:
    rows = []
    for path in sorted((DATA / "sonic").rglob("*")):
        if not path.is_file():
            continue
        config, problems = parse_sonic(path.read_bytes())
        name = str(path.relative_to(DATA / "sonic"))
        if config is None:
            rows += [f"{name}: {problems[0]}"]
            continue
        alike: dict[tuple[str, ...], list[str]] = {}
        for port in config.ports:
            alike.setdefault(compare_switch(lanes(), port), []).append(port.name)
        rows += [f"{name}: {len(config.ports)} ports, version {config.version or 'not said'}"]
        for said, ports in alike.items():
            rows += [f"  {len(ports)} such as {ports[0]}:", *(f"    {s}" for s in said or ("agrees",))]
    text = "".join(f"{row}\n" for row in rows)
    if os.environ.get("REWRITE") == "1":
        EXPECTED.parent.mkdir(exist_ok=True)
        EXPECTED.write_text(text)
    assert text == EXPECTED.read_text(), "REWRITE=1 makes it anew"


def tlv(subtype: int, value: bytes) -> dict[str, str]:
    """As lldpd's src/client/display.c prints a TLV that it does not know."""
    text = ",".join(f"{b:02X}" for b in value)
    return {"oui": "00,80,C2", "subtype": str(subtype), "len": str(len(value)), "value": text}


def announced(pfc: int = 0x18, percent: tuple[int, ...] = (10, 89, 1, 0, 0, 0, 0, 0)) -> list[dict[str, str]]:
    """802.1Q D.2.8, D.2.10, D.2.11, octet by octet: priorities 0..7 in TCs 0, 0, 0, 1, 2, 0, 3, 0; TC 3 strict."""
    ets = bytes([0x03, 0x00, 0x01, 0x20, 0x30, *percent, 2, 2, 2, 0, 0, 0, 0, 0])
    app = bytes([0x00, 3 << 5 | 5, 0, 24, 4 << 5 | 5, 0, 32, 3 << 5 | 1, 0x89, 0x06])
    return [tlv(9, ets), tlv(11, bytes([0x08, pfc])), tlv(12, app), tlv(1, b"\x00")]


def neighbours(tlvs: Any) -> dict[str, Any]:
    chassis = {"leaf1": {"id": {"type": "mac", "value": "m"}}}
    port = {"id": {"type": "ifname", "value": "Ethernet0"}}
    inner = {"chassis": chassis, "port": port, "unknown-tlvs": {"unknown-tlv": tlvs}}
    return {"lldp": {"interface": {"ens1": inner}}}


def neighbours0(tlvs: Any) -> dict[str, Any]:
    """The same by -f json0."""
    chassis = [{"id": [{"type": "mac", "value": "m"}], "name": [{"value": "leaf1"}]}]
    port = [{"id": [{"type": "ifname", "value": "Ethernet0"}]}]
    inner = {"name": "ens1", "chassis": chassis, "port": port, "unknown-tlvs": [{"unknown-tlv": tlvs}]}
    return {"lldp": [{"interface": [inner]}]}


@pytest.mark.parametrize("form", [neighbours, neighbours0])
def test_what_a_neighbour_announces(form: Any) -> None:
    peers, problems = parse_lldp(json.dumps(form(announced())))
    assert problems == ()
    (peer,) = peers
    assert (peer.chassis, peer.port, peer.interface) == ("leaf1", "Ethernet0", "ens1")
    assert peer.pfc == (3, 4)
    assert peer.dscps == ((24, 3), (32, 4))
    tsa = ("ets", "ets", "ets", "strict", "strict", "strict", "strict", "strict")
    assert peer.ets == DcbEts((0, 0, 0, 1, 2, 0, 3, 0), tsa, (10, 89, 1, 0, 0, 0, 0, 0))
    assert compare_peer(lanes(), peer) == ()


def heard(tlvs: Any) -> tuple[str, ...]:
    peers, problems = parse_lldp(json.dumps(neighbours(tlvs)))
    assert problems == ()
    return compare_peer(lanes(), peers[0])


def test_what_a_neighbour_announces_otherwise() -> None:
    assert heard(announced(pfc=0x08)) == ("PFC is on for priorities 3 there and for 3, 4 here",)
    assert heard(announced(percent=(50, 49, 1, 0, 0, 0, 0, 0))) == (
        "lane default has 50 % there and 10 % here",
        "lane model has 49 % there and 89 % here",
    )
    app = tlv(12, bytes([0, 5 << 5 | 5, 0, 24]))
    assert heard([*announced()[:2], app]) == ("DSCP 24 is priority 5 there and 3 here",)
    assert "neither PFC nor ETS" in heard([])[0]
    assert heard(announced()[1]) == ()  # one TLV alone is no list in lldpctl's JSON
    assert "shares a traffic class there with" in heard([tlv(9, bytes(21))])[0]


@data
@absent
def test_captured_neighbours() -> None:
    for path in sorted((DATA / "lldp").rglob("*.json")):
        peers, problems = parse_lldp(path.read_bytes())
        assert bool(peers) != bool(problems)
        assert all(compare_peer(lanes(), p) for p in peers)  # none of them announces DCBX


def test_text_of_any_sort_is_survived() -> None:
    rng = random.Random(2)
    texts = [json.dumps(neighbours(announced())), json.dumps(export())]
    for _ in range(400):
        text = rng.choice(texts)
        at = rng.randrange(len(text))
        broken = text[:at] + rng.choice(['"', "{", "[", "null", "1", ""]) + text[at + rng.randint(0, 9) :]
        config, _ = parse_sonic(broken)
        for port in config.ports if config else ():
            compare_switch(lanes(), port)
        for peer in parse_lldp(broken)[0]:
            compare_peer(lanes(), peer)


def test_what_an_agreement_is_about() -> None:
    same = switch_digest(lanes())
    assert switch_digest(lanes("preset: dualpath, roce: {cable_length: 100, mtu: 1500}")) == same
    others = [
        "roce: {lossless: [model]}",
        "roce: {ecn: [model, kv]}",
        "lanes: [{name: kv, share: 5%}, {name: model, share: 80%}]",
    ]
    assert len({same, *(switch_digest(lanes(f"preset: dualpath, {o}")) for o in others)}) == 4


FABRIC = """version: 1
name: f
hosts: [{name: h1, nics: [{name: ens1, kind: compute, rate: 100G}, {name: ens2, kind: compute, rate: 100G}]}]
switches: [{name: leaf1}]
links: [[h1/ens1, leaf1/Ethernet0], [h1/ens2, leaf1/etp2]]
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(
        "version: 1\npolicies: [{name: p, preset: dualpath, mode: enforce}]\n"
    )
    (tmp_path / "fabric.yaml").write_text(FABRIC)
    (tmp_path / "good.json").write_text(json.dumps(export()))
    (tmp_path / "bad.json").write_text(json.dumps(changed("PORT_QOS_MAP/Ethernet0/pfc_enable", "3")))
    (tmp_path / "cut.json").write_text(json.dumps(export())[:500])
    (tmp_path / "lldp.json").write_text(json.dumps(neighbours(announced())))
    return tmp_path


def check(files: Path, *switches: str) -> int:
    given = [a for s in switches for a in ("--switch", s.replace("=", f"={files}/"))]
    return main(["check", str(files / "policy.yaml"), str(files / "fabric.yaml"), *given])


def test_the_command_prints_the_agreement_that_the_fabric_file_takes(files: Path, capsys: Any) -> None:
    assert check(files, "leaf1=good.json") == 0
    out = capsys.readouterr().out
    assert "switch leaf1 agrees with policy p by its configuration on 2 ports" in out
    stanza = out[out.index("agreements:") :].replace("no problems\n", "")
    (files / "fabric.yaml").write_text(FABRIC + stanza)
    assert check(files) == 0
    assert f'digest: "{switch_digest(lanes())}"' in stanza
    assert check(files, "leaf1=lldp.json") == 0
    assert "DCBX says nothing of ECN marking" in capsys.readouterr().out


def test_the_command_names_what_differs(files: Path, capsys: Any) -> None:
    assert check(files, "leaf1=bad.json", "leaf1=cut.json", "leaf9=good.json") == 1
    err = capsys.readouterr().err
    assert (
        f"{files}/bad.json: switch leaf1, policy p, port Ethernet0: PFC is on for priorities 3 there and for 3, 4 here"
        in err
    )
    assert "cut.json: line 1, column" in err
    assert "the export is cut off: take it again" in err
    assert "the fabric file has no switch of this name: it has leaf1" in err


def test_agreements_survive_a_dump_and_the_wire() -> None:
    case = Path(__file__).parents[2] / "cases" / "plan" / "roce-switches" / "fabric.yaml"
    spec, _ = parse_fabric(case.read_bytes())
    assert spec is not None
    assert [a.switches for a in spec.agreements] == [("leaf1", "spine*"), ("leaf2",)]
    assert parse_fabric(dump_fabric(spec)) == (spec, ())
    assert fabric(fabric_message(spec)) == spec
