"""The OpenSM driver on a simulated fabric of 8 adapters and a real OpenSM, checked by tools that are not ours."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from lab.ibbench import FOUR_VLS, helper_env, overwrite, paper
from lab.ibsim import FatTree, IbLab, IbLabError, ib_lab, wait_until
from lab.smpquery import padded, read_ports

from trafficd_agent.driver import BusyError, ForeignError, GoneError, RefusedError
from trafficd_agent.drivers.opensm import FabricPorts, OpensmDriver, OpensmOptions
from trafficd_topology.diff import Disruption, Element, State, diff, disruption, ordered, render, state
from trafficd_topology.qos.ib import IbFile, IbOption, IbTable
from trafficd_topology.qos.ib_files import Partition, PathRule, partitions_text, qos_policy_text

pytestmark = pytest.mark.ib

LEVELS = "qos-levels\nqos-level\nname: DEFAULT\nsl: 0\nend-qos-level\nend-qos-levels\n"

PAPER = """\
option/max_op_vls IbOption(text='3')
option/qos IbOption(text='TRUE')
option/qos_high_limit IbOption(text='240')
option/qos_max_vls IbOption(text='4')
option/qos_sl2vl IbOption(text='0,1,2,3,0,0,0,0,0,0,0,0,0,0,0,0')
option/qos_vlarb_high IbOption(text='0:192,1:192,2:0,3:192')
option/qos_vlarb_low IbOption(text='0:192,1:192,2:64,3:192')
sl2vl/* IbTable(entries=(0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
vlarb_high/* IbTable(entries=(0, 192, 1, 192, 2, 0, 3, 192))
vlarb_low/* IbTable(entries=(0, 192, 1, 192, 2, 64, 3, 192))
"""


def kv_weight(weight: int) -> State:
    """The paper's lanes with another weight of the KV lane."""
    entries = (0, 192, 1, 192, 2, weight, 3, 192)
    new = {
        "option/qos_vlarb_low": IbOption(f"0:192,1:192,2:{weight},3:192"),
        "vlarb_low/*": IbTable(entries),
    }
    return state([replace(e, value=new.get(e.name, e.value)) for e in paper()])


def with_option(key: str, text: str) -> State:
    return state([e for e in paper() if e.name != f"option/{key}"] + [Element("option", key, IbOption(text))])


@dataclass(frozen=True, slots=True)
class Rig:
    """A fabric, and the driver that sits on its second adapter."""

    lab: IbLab
    driver: OpensmDriver
    options: OpensmOptions

    def apply(self, wanted: State) -> Disruption:
        seen = self.driver.read("ib")
        plan = ordered(diff(wanted, seen.state, seen.unreadable), self.driver.steps)
        with self.driver.batch("ib"):
            for change in plan:
                self.driver.write("ib", change)
        return disruption(plan, self.driver.steps)

    def text(self) -> str:
        return render(self.driver.read("ib").state)


def options(lab: IbLab) -> OpensmOptions:
    return OpensmOptions("ib", str(lab.conf), helper_env=helper_env(lab, "Hca2"), sweep_seconds=10.0)


@contextmanager
def rig_on(lab: IbLab, given: OpensmOptions | None = None) -> Iterator[Rig]:
    mine = given or options(lab)
    driver = OpensmDriver(mine)
    try:
        yield Rig(lab, driver, mine)
    finally:
        driver.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with ib_lab(FOUR_VLS) as lab, rig_on(lab) as made:
        yield made


@pytest.fixture
def laned(rig: Rig) -> Rig:
    """With the paper's lanes in force."""
    rig.apply(paper())
    return rig


def test_paper_values_reach_every_port_and_smpquery_agrees(rig: Rig) -> None:
    assert rig.driver.probe("ib").supported
    assert rig.driver.fabric_ports("ib") == FabricPorts(24, 4, 4)
    assert render(paper()) == PAPER
    assert rig.apply(paper()) is Disruption.HITLESS
    assert rig.text() == PAPER
    assert rig.driver.read("ib").unreadable == {"high_limit"}
    ports = read_ports(rig.lab, "Hca3")
    assert len(ports) == FatTree().ports == 24
    assert {(p.high, p.low, p.sl2vl, p.operational_vls) for p in ports} == {
        (
            "0:192,1:192,2:0,3:192,0:0,0:0,0:0,0:0",
            "0:192,1:192,2:64,3:192,0:0,0:0,0:0,0:0",
            frozenset({"0,1,2,3" + ",0" * 12}),
            "VL0-3",
        )
    }


def test_applied_twice_changed_and_returned(rig: Rig) -> None:
    as_found, file = rig.driver.read("ib").state, rig.lab.conf.read_bytes()
    rig.apply(paper())
    status = rig.lab.conf.stat()
    rig.apply(paper())
    assert rig.lab.conf.stat().st_ino == status.st_ino  # nothing to do, nothing written
    rig.apply(kv_weight(128))
    assert rig.text() == render(kv_weight(128))
    assert {p.low for p in read_ports(rig.lab, "Hca3")} == {padded("0:192,1:192,2:128,3:192")}
    rig.apply(as_found)
    assert (rig.driver.read("ib").state, rig.lab.conf.read_bytes()) == (as_found, file)


@pytest.mark.parametrize(
    ("words", "element"),
    [
        # Leaf1 has LID 2: its port 2, high table; and from port 1 to port 5.
        (("2", "0x18", "0x30002", "000a"), "vlarb_high/0x0000000000200000:2 IbTable(entries=(0, 10))"),
        (("2", "0x18", "0x10002", "000a"), "vlarb_low/0x0000000000200000:2 IbTable(entries=(0, 10))"),
        (
            ("2", "0x17", "0x0105", "1111111111111111"),
            f"sl2vl/0x0000000000200000:1-5 IbTable(entries={(1,) * 16})",
        ),
    ],
)
def test_a_table_overwritten_behind_opensm_is_named_and_sent_again(
    laned: Rig, words: tuple[str, ...], element: str
) -> None:
    file = laned.lab.conf.read_bytes()
    overwrite(laned.lab, *words)
    assert laned.text() == "".join(sorted([*PAPER.splitlines(keepends=True), f"{element}\n"]))
    # Reading its files again does not make OpenSM send what it believes to be there.
    laned.lab.hang_up()
    assert laned.text() != PAPER
    assert laned.apply(paper()) is Disruption.HITLESS
    assert laned.text() == PAPER
    assert laned.lab.conf.read_bytes() == file


def test_drift_and_a_new_policy_at_once(laned: Rig) -> None:
    overwrite(laned.lab, "2", "0x18", "0x30002", "000a")
    laned.apply(kv_weight(192))
    assert laned.text() == render(kv_weight(192))


def test_lines_that_are_not_ours_stay_byte_for_byte(rig: Rig) -> None:
    before = rig.lab.conf.read_bytes()
    odd = b"# caf\xe9 \t\x85 \nsubnet_timeout   18 \n\n  m_key_lease_period\t0\r\nqos_max_vls 2\nqos_max_vls 3\nlast_line 1"
    rig.lab.conf.write_bytes(before + odd)
    rig.lab.conf.chmod(0o640)
    rig.lab.hang_up()
    rig.apply(paper())
    after = rig.lab.conf.read_bytes()
    ours = [
        line.split()[0]
        for line in after.split(b"\n")
        if re.match(rb"(qos|max_op_vls)\b|qos_(?!policy)", line)
    ]
    kept = odd.replace(b"qos_max_vls 3", b"qos_max_vls 4")
    assert after.startswith(before + kept + b"\n")
    assert len(ours) == 7 + 1  # every key of ours once, and the first line of the double one
    assert rig.lab.conf.stat().st_mode & 0o777 == 0o640
    assert rig.text() == PAPER


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("qos_vlarb_high", "0:300", "weight 300 is above 255, and OpenSM would cut it to 44"),
        ("qos_vlarb_high", "0:1,9:77", "VL 9 is named, but ports run VL 0 to 3 and OpenSM would fold it"),
        ("qos_vlarb_low", ",".join(["0:1"] * 9), "9 entries, but a port holds 8: OpenSM would drop the rest"),
        ("qos_vlarb_low", "2:xx", "must be VL:weight pairs separated by commas"),
        ("qos_sl2vl", "0,1,2,3", "must be 16 VLs separated by commas, one for each SL"),
        ("qos_sl2vl", "0,15" + ",0" * 14, "SL 1 goes to VL 15, which drops its packets"),
        ("qos_sl2vl", "0,4" + ",0" * 14, "SL 1 goes to VL 4, but ports run VL 0 to 3"),
        ("qos_high_limit", "256", "must be a whole number from 0 to 255"),
        ("max_op_vls", "6", "must be a whole number from 1 to 5"),
        ("qos", "true", "must be TRUE or FALSE"),
    ],
)
def test_nonsense_that_opensm_would_take_is_refused_before_anything_is_written(
    laned: Rig, key: str, text: str, reason: str
) -> None:
    file, log = laned.lab.conf.read_bytes(), laned.lab.log.read_bytes()
    with pytest.raises(RefusedError, match=re.escape(f"fabric ib: {key}: {reason}")):
        laned.apply(with_option(key, text))
    assert (laned.lab.conf.read_bytes(), laned.lab.log.read_bytes()) == (file, log)


def test_fewer_operational_vls_are_a_flap_and_checked_against_the_tables(laned: Rig) -> None:
    seen = laned.driver.read("ib")
    plan = diff(with_option("max_op_vls", "2"), seen.state, seen.unreadable)
    assert disruption(plan, laned.driver.steps) is Disruption.FABRIC_FLAP
    with pytest.raises(RefusedError, match="qos_vlarb_high: VL 3 is named, but ports run VL 0 to 1"):
        laned.apply(state([*with_option("max_op_vls", "2")]))


def test_the_sweep_is_seen_though_opensm_keeps_its_log_in_a_buffer() -> None:
    with ib_lab(FOUR_VLS) as lab:
        lab.stop_opensm()
        lab.conf.write_text(lab.conf.read_text().replace("force_log_flush TRUE", "force_log_flush FALSE"))
        # Without such a file every sweep logs an error, and an error empties the buffer.
        (lab.directory / "qos-policy.conf").write_text(LEVELS)
        with pytest.raises(IbLabError, match="not within"):
            lab.start_opensm(seconds=1.0)
        size = lab.log.stat().st_size
        with rig_on(lab) as rig:
            rig.apply(paper())
            assert rig.text() == PAPER
            assert lab.log.stat().st_size == size


def test_a_lost_signal_is_an_error_in_time(laned: Rig, tmp_path: Path) -> None:
    deaf = ["bash", "-c", "trap '' HUP; exec -a opensm sleep 60"]
    with subprocess.Popen(deaf) as process:
        try:
            (tmp_path / "pid").write_text(f"{process.pid}\n")
            wait_until(
                "its name", lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(b"opensm")
            )
            given = replace(
                laned.options, pid_file=str(tmp_path / "pid"), sweep_seconds=2.0, log=str(laned.lab.log)
            )
            with (
                rig_on(laned.lab, given) as rig,
                pytest.raises(
                    BusyError, match=rf"fabric ib: OpenSM \(pid {process.pid}\) did not sweep .* 2 s"
                ),
            ):
                rig.apply(kv_weight(128))
        finally:
            process.kill()


def test_a_stopped_opensm_is_named_and_nothing_is_written(laned: Rig) -> None:
    file, pid = laned.lab.conf.read_bytes(), laned.lab.opensm_pid
    os.kill(pid, signal.SIGSTOP)
    wait_until("stopped", lambda: ") T " in Path(f"/proc/{pid}/stat").read_text())
    with pytest.raises(
        BusyError, match=rf"OpenSM \(pid {pid}\) is stopped: continue it with kill -CONT {pid}"
    ):
        laned.apply(kv_weight(128))
    assert laned.lab.conf.read_bytes() == file
    os.kill(pid, signal.SIGCONT)
    laned.apply(kv_weight(128))
    assert laned.text() == render(kv_weight(128))


def test_a_dead_opensm_is_named_and_a_new_one_has_another_identity(laned: Rig) -> None:
    was = laned.driver.read("ib")
    laned.lab.stop_opensm()
    sentence = f"fabric ib: no OpenSM runs with {laned.lab.conf}: start it"
    assert laned.driver.probe("ib").reason == sentence
    with pytest.raises(GoneError, match=re.escape(sentence)):
        laned.driver.read("ib")
    laned.lab.start_opensm()
    now = laned.driver.read("ib")
    assert (now.state, now.identity != was.identity) == (was.state, True)


def test_a_broken_policy_file_is_named(laned: Rig) -> None:
    (laned.lab.directory / "qos-policy.conf").write_text(
        f"{LEVELS}qos-match-rules\nqos-match-rule\nqos-level-name: NOSUCH\nend-qos-match-rule\nend-qos-match-rules\n"
    )
    laned.lab.hang_up()
    with pytest.raises(RefusedError, match=r"OpenSM refused a file it read again: .*ERR AC.*NOSUCH"):
        laned.apply(kv_weight(128))


def test_options_of_one_port_type_are_lanes_like_others(laned: Rig) -> None:
    with laned.lab.conf.open("a") as f:
        f.write("qos_swe_vlarb_high 0:1\nqos_ca_vlarb_low (null)\nqos_ca_vlarb_high 1:1\n")
    laned.lab.hang_up()
    other = PAPER.replace(
        "option/qos_high_limit", "option/qos_ca_vlarb_high IbOption(text='1:1')\noption/qos_high_limit"
    )
    other = other.replace(
        "option/qos_vlarb_high",
        "option/qos_swe_vlarb_high IbOption(text='0:1')\noption/qos_vlarb_high",
    )
    table = "vlarb_high/* IbTable(entries=(0, 192, 1, 192, 2, 0, 3, 192))"
    other = other.replace(
        table, "vlarb_high/* IbTable(entries=(0, 1))\nvlarb_high/ca IbTable(entries=(1, 1))"
    )
    assert laned.text() == other
    laned.apply(paper())
    assert laned.text() == PAPER
    assert "qos_ca_vlarb_low (null)" in laned.lab.conf.read_text()


def test_an_option_of_one_port_type_is_put_to_the_same_tests(laned: Rig) -> None:
    with pytest.raises(RefusedError, match="qos_ca_sl2vl: SL 1 goes to VL 4, but ports run VL 0 to 3"):
        laned.apply(state([*paper(), Element("option", "qos_ca_sl2vl", IbOption("0,4" + ",0" * 14))]))


def test_adapters_may_hold_another_map_than_switches(laned: Rig) -> None:
    other = (0, 1, 1, 3, *[0] * 12)
    wanted = state(
        [
            *paper(),
            Element("option", "qos_ca_sl2vl", IbOption(",".join(map(str, other)))),
            Element("sl2vl", "ca", IbTable(other)),
        ]
    )
    laned.apply(wanted)
    assert laned.text() == render(wanted)
    assert len({p.sl2vl for p in read_ports(laned.lab, "Hca3")}) == 2
    # Overwritten in an adapter, it is sent again by the option for adapters.
    overwrite(laned.lab, "7", "0x17", "0x0", "1111111111111111")
    assert laned.text() != render(wanted)
    laned.apply(wanted)
    assert laned.text() == render(wanted)


def test_a_file_changed_meanwhile_is_not_overwritten(laned: Rig) -> None:
    plan = diff(kv_weight(128), laned.driver.read("ib").state)
    laned.lab.conf.write_text(laned.lab.conf.read_text().replace("2:64", "2:32"))
    with pytest.raises(
        BusyError, match="qos_vlarb_low was changed to 0:192,1:192,2:32,3:192 by somebody else"
    ):
        laned.driver.write("ib", next(c for c in plan if c.kind == "option"))


def test_an_edit_that_opensm_has_not_read_stops_the_apply_and_is_shown(laned: Rig) -> None:
    before = laned.lab.conf.read_text()
    laned.lab.conf.write_text(before + "subnet_timeout 17\n")
    sentence = (
        rf"{laned.lab.conf} was edited at .* UTC \(with 'subnet_timeout 17'\) and OpenSM \(pid \d+\) has not"
    )
    assert re.match(sentence, laned.driver.read("ib").foreign[0])
    with pytest.raises(ForeignError, match=sentence):
        laned.apply(kv_weight(128))
    assert laned.lab.conf.read_text() == before + "subnet_timeout 17\n"
    # An edit of our own lines is drift, not somebody's setting that waits for a signal.
    laned.lab.conf.write_text(before.replace("2:64", "2:32"))
    assert laned.driver.read("ib").foreign == ()
    laned.apply(paper())
    assert laned.text() == PAPER
    # Signalled by whoever made it, it is in force.
    laned.lab.conf.write_text(laned.lab.conf.read_text() + "subnet_timeout 17\n")
    laned.lab.hang_up()
    laned.apply(kv_weight(128))
    assert laned.lab.conf.read_text().endswith("subnet_timeout 17\n")


def test_without_a_log_that_tells_what_we_signalled_ourselves_is_in_force_for_the_next_agent(
    laned: Rig,
) -> None:
    given = replace(laned.options, log="/dev/null")
    with rig_on(laned.lab, given) as other:
        assert other.driver.read("ib").foreign == ()
        laned.lab.conf.write_text(laned.lab.conf.read_text() + "subnet_timeout 17\n")
        assert "with 'subnet_timeout 17'" in other.driver.read("ib").foreign[0]


FILES = (
    Element(
        "file",
        "qos_policy",
        IbFile(qos_policy_text([PathRule(2, pkey=2), PathRule(1, service_ids=(0x106, 0x107))], 0, 0)),
    ),
    Element("file", "partitions", IbFile(partitions_text([Partition("kv", 2, 2)]))),
)


def with_files() -> State:
    return state([*paper(), *FILES])


def test_policy_and_partition_files_are_written_answered_by_and_taken_back(rig: Rig) -> None:
    as_found = rig.driver.read("ib").state
    assert rig.apply(with_files()) is Disruption.HITLESS
    seen = rig.driver.read("ib")
    assert (render(seen.state), seen.unreadable) == (render(with_files()), {"high_limit"})
    lids = [p.lid for p in read_ports(rig.lab, "Hca3")]
    for pkey, sl in (("0x8002", "0x2"), ("0xffff", "0x0")):
        answer = rig.lab.run("Hca3", "saquery", "PR", "--src-to-dst", f"{lids[0]}:{lids[-1]}", "--pkey", pkey)
        assert re.search(r"^\s+sl\.+(\S+)$", answer, re.MULTILINE)[1] == sl  # type: ignore[index]
    # Ports stay full members of the default partition, as they were without a partition file.
    assert "0xffff 0x8002" in rig.lab.run("Hca3", "smpquery", "pkeys", str(lids[-1]))
    rig.apply(as_found)
    assert not (rig.lab.directory / "qos-policy.conf").exists()
    assert not (rig.lab.directory / "partitions.conf").exists()
    assert rig.driver.read("ib").state == as_found


def test_a_policy_file_edited_by_hand_is_drift_and_wrong_answers_are_named(rig: Rig) -> None:
    rig.apply(with_files())
    path = rig.lab.directory / "qos-policy.conf"
    text = path.read_text()
    path.write_text(text.replace("pkey 0x0002 : 2", "pkey 0x0002 : 3"))
    rig.lab.hang_up()
    assert render(rig.driver.read("ib").state) != render(with_files())
    assert rig.apply(with_files()) is Disruption.HITLESS
    assert path.read_text() == text
    # What OpenSM answers is asked: here it is told otherwise and the file put back behind its back.
    path.write_text(text.replace("pkey 0x0002 : 2", "pkey 0x0002 : 3"))
    rig.lab.hang_up()
    path.write_text(text)
    seen = [e for e in rig.driver.read("ib").state if e.kind == "path_sl"]
    assert seen == [Element("path_sl", "pkey 0x0002", IbTable((3,)))]
    assert rig.apply(with_files()) is Disruption.HITLESS
    assert render(rig.driver.read("ib").state) == render(with_files())


def test_a_policy_file_of_somebody_else_is_left_alone(rig: Rig) -> None:
    path = rig.lab.directory / "qos-policy.conf"
    path.write_text(LEVELS)
    rig.lab.hang_up()
    rig.apply(paper())
    assert rig.text() == PAPER
    with pytest.raises(ForeignError, match=f"{path} holds rules that are not ours"):
        rig.apply(with_files())
    assert (path.read_text(), rig.text()) == (LEVELS, PAPER)


def test_a_failed_body_writes_nothing(laned: Rig) -> None:
    file = laned.lab.conf.read_bytes()
    plan = diff(kv_weight(128), laned.driver.read("ib").state)
    with suppress(KeyError), laned.driver.batch("ib"):
        laned.driver.write("ib", plan[0])
        raise KeyError
    assert laned.lab.conf.read_bytes() == file


def test_a_link_that_goes_is_no_longer_counted(laned: Rig) -> None:
    laned.lab.console('Unlink "Spine1"[1]')
    wait_until("link down", lambda: laned.driver.fabric_ports("ib").count == 22)
    assert laned.text() == PAPER
    laned.lab.console('ReLink "Spine1"[1]')
    wait_until(
        "link up and laned", lambda: laned.driver.fabric_ports("ib").count == 24 and laned.text() == PAPER
    )


def kill_helpers() -> None:
    mine = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "smp_helper"], capture_output=True, text=True, check=True
    )
    for pid in mine.stdout.split():
        os.kill(int(pid), signal.SIGKILL)


def test_a_killed_helper_is_replaced(laned: Rig) -> None:
    kill_helpers()
    assert laned.text() == PAPER


def test_nothing_is_left_where_a_lab_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ib_lab(FOUR_VLS) as lab, rig_on(lab) as rig:
        assert rig.driver.probe("ib").supported
        kill_helpers()
        assert list(lab.directory.glob("sys-*")), "what a killed helper leaves"
        read_ports(lab, "Hca3")
    assert (Path.cwd(), list(tmp_path.iterdir())) == (tmp_path, [])


def test_without_a_device_the_reason_says_what_to_do(laned: Rig) -> None:
    with rig_on(laned.lab, replace(laned.options, helper_env=())) as rig:
        assert not rig.driver.probe("ib").supported
        assert rig.driver.probe("ib").reason == (
            "fabric ib: the first active InfiniBand device has no umad device to send packets through: "
            "load the ib_umad module and see that a port is up"
        )
    assert laned.driver.probe("other").reason.startswith("this agent serves no fabric other")


def test_64_adapters() -> None:
    tree = FatTree(spines=4, leaves=8, hcas_per_leaf=8)
    with ib_lab(FOUR_VLS, tree) as lab, rig_on(lab) as rig:
        rig.apply(paper())
        assert rig.text() == PAPER
        assert rig.driver.fabric_ports("ib").count == tree.ports == 192
