"""Saved outputs of tc: what is read of them, and that nothing breaks on what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficd.cli import main
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.parsers.tc_show import parse_tc_show

TWO = """\
qdisc noqueue 0: dev lo root refcnt 2
qdisc htb 1: dev eth0 root refcnt 2 r2q 10 default 0x20 direct_packets_stat 1 direct_qlen 1000
 Sent 1234 bytes 5 pkt (dropped 0, overlimits 0 requeues 0)
qdisc bfifo 30: dev eth0 parent 1:30 limit 20000b
class htb 1:1 root rate 100Mbit ceil 100Mbit burst 1600b cburst 1600b
class htb 1:20 parent 1:1 prio 1 rate 20Mbit ceil 100Mbit burst 1600b cburst 1600b
class htb 1:30 parent 1:1 leaf 30: prio 2 rate 12.5Mbit ceil 1Gbit burst 1600b cburst 1600b
filter parent 1: protocol ip pref 3 u32 chain 0 fh 802: ht divisor 1
filter parent 1: protocol ip pref 3 u32 chain 0 fh 802::800 order 2048 key ht 802 bkt 0 *flowid 1:30 not_in_hw
  match 00200000/00fc0000 at 0
filter parent 1: protocol all pref 9 flower chain 0 handle 0x1 classid 1:20
filter parent 1: protocol ip pref x
"""


def test_devices_are_told_apart_and_strange_lines_are_named() -> None:
    trees, strange = parse_tc_show(TWO)
    assert strange == ("filter parent 1: protocol ip pref x",)
    assert list(trees) == ["lo", "eth0"]
    assert trees["lo"] is None
    held = trees["eth0"]
    assert held is not None
    assert [(c.handle, c.parent, c.rate_bps, c.ceil_bps, c.prio) for c in held.classes] == [
        (0x10001, 0xFFFFFFFF, 100_000_000, 100_000_000, 0),
        (0x10020, 0x10001, 20_000_000, 100_000_000, 1),
        (0x10030, 0x10001, 12_500_000, 1_000_000_000, 2),
    ]
    assert [(f.kind, f.pref, f.target, f.keys) for f in held.filters] == [
        ("u32", 3, 0x10030, ((0x00FC0000, 0x00200000, 0),)),
        ("flower", 9, 0x10020, None),
    ]


@given(st.text(st.sampled_from("qdiscltrhb 0123456789:x\n*fopwemk/"), max_size=300))
def test_any_text_has_an_answer(text: str) -> None:
    parse_tc_show("qdisc htb 1: dev e root default 1\n" + text + "\nfilter " + text)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tc").write_text(TWO)
    (tmp_path / "conf").write_text("qos FALSE\n")
    assert main(["adopt", "--node", "n1", str(tmp_path / "tc"), str(tmp_path / "conf")]) == 0
    out = capsys.readouterr().out
    policies, problems = parse_policies(out)
    assert problems == ()
    assert policies is not None
    (policy,) = policies.policies
    assert [(n.name, n.share) for n in policy.lanes.lanes] == [("default", 0.2), ("class-30", 0.125)]
    assert "# not said: lo has no htb root: there is nothing that a policy could say" in out
    assert "not understood: filter parent 1: protocol ip pref x" in out
    assert main(["adopt", str(tmp_path / "conf")]) == 2
    assert capsys.readouterr().err == (
        "trafficd: ib0: its opensm.conf sets no complete qos tables: there is nothing to adopt\n"
    )
    assert main(["adopt", str(tmp_path / "none")]) == 2
