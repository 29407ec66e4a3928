"""The agent's settings, drivers by name, and the command: every problem at once, one sentence each, no traceback."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from trafficd_agent.app.drivers import bind
from trafficd_agent.app.run import refuse_plaintext
from trafficd_agent.cli import Code, main
from trafficd_agent.config import Config, DriverRule, default_config, parse_config
from trafficd_agent.desired import ScopeId
from trafficd_agent.drivers.fake import Behaviour, Error, FakeDriver, Hang, parse_control
from trafficd_agent.drivers.opensm import OpensmDriver
from trafficd_agent.drivers.tc import TcDriver, TcOptions
from trafficd_topology.model import ScopeKind

WHOLE = """\
node: gpu-17
controller: [10.0.0.1:7600, "[::1]:7600"]
insecure: true
state_dir: /tmp/s
http: ""
sysfs: /sys
verify_seconds: 5
deadline_seconds: 2.5
telemetry_milliseconds: 500
ports:
  - {match: "c*", driver: tc, options: {take_over: true}}
  - {match: "*", driver: tc}
fabrics:
  - {name: ib0, driver: opensm, options: {conf: /etc/o.conf, helper_env: [A=b], sweep_seconds: 9}}
"""


def test_whole_settings() -> None:
    config, problems = parse_config(WHOLE)
    assert problems == ()
    assert config == Config(
        "gpu-17",
        ("10.0.0.1:7600", "[::1]:7600"),
        insecure=True,
        state_dir="/tmp/s",
        http="",
        verify_s=5,
        deadline_s=2.5,
        telemetry_ms=500,
        rules=(
            DriverRule(ScopeKind.PORT, "c*", "tc", {"take_over": True}, "ports[0]"),
            DriverRule(ScopeKind.PORT, "*", "tc", None, "ports[1]"),
            DriverRule(
                ScopeKind.FABRIC,
                "ib0",
                "opensm",
                {"conf": "/etc/o.conf", "helper_env": ["A=b"], "sweep_seconds": 9},
                "fabrics[0]",
            ),
        ),
    )
    assert config is not None
    table, wrong = bind(config)
    assert wrong == ()
    first = table.find(ScopeId(ScopeKind.PORT, "c1"), "tc")
    second = table.find(ScopeId(ScopeKind.PORT, "d1"), "tc")
    assert isinstance(first, TcDriver)
    assert isinstance(second, TcDriver)
    assert (first.options, second.options) == (TcOptions(take_over=True), TcOptions())
    fabric = table.find(ScopeId(ScopeKind.FABRIC, "ib0"), "opensm")
    assert isinstance(fabric, OpensmDriver)
    assert fabric.scopes == ("ib0",)
    assert table.find(ScopeId(ScopeKind.PORT, "ib0"), "opensm") is None
    for driver in (first, second):
        driver.close()


BAD = """\
nodes: x
controller: [nowhere, 7]
verify_seconds: .nan
telemetry_milliseconds: 0
http: 1
ports:
  - {match: "*", driver: tcc}
  - {driver: tc}
  - {match: e1, driver: tc, options: {take_ovr: true, allow_fast: 3}}
  - {match: e2, driver: opensm}
  - 5
"""
SAID = """\
BAD: controller[0]: must be host:port (found nowhere)
BAD: controller[1]: must be host:port (found 7)
BAD: http: must be host:port, or "" to serve nothing (found 1)
BAD: verify_seconds: must be a number from 0.1 to 86400 (found nan)
BAD: telemetry_milliseconds: must be a whole number from 10 to 3600000 (found 0)
BAD: ports[4]: must be a mapping of names to values (found 5)
BAD: ports[1].match: is missing
BAD: nodes: unknown key: did you mean node?
BAD: ports[0].driver: there is no such driver: choose one of dcb, fake, opensm, tc (found tcc)
BAD: ports[2].options.allow_fast: must be true or false (found 3)
BAD: ports[2].options.take_ovr: unknown key: did you mean take_over?
BAD: ports[3].driver: this driver serves a fabric, not a port (found opensm)
"""


def test_every_problem_of_the_settings_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(BAD)
    for command in ("run", "inventory"):
        assert main([command, "--config", str(path)]) == Code.USAGE
        said = capsys.readouterr().err.replace("trafficd-agent: ", "").replace(str(path), "BAD")
        assert sorted(said.splitlines()) == sorted(SAID.splitlines())


def test_seeded_mutations_of_the_settings_are_answered_in_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, path = random.Random(7), tmp_path / "agent.yaml"
    codes = set()
    for _ in range(300):
        text = bytearray(WHOLE.encode())
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(text))
            text[at : at + chance.randint(0, 3)] = bytes(
                chance.randrange(256) for _ in range(chance.randint(0, 3))
            )
        path.write_bytes(bytes(text))
        config, problems = parse_config(bytes(text))
        more = bind(config)[1] if config is not None else ()
        assert all(p.reason and "\n" not in str(p) for p in (*problems, *more))
        codes.add(bool(problems or more))
    assert codes == {True, False}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("127.0.0.1:7600", False),
        ("[::1]:7600", False),
        ("localhost:1", False),
        ("10.1.2.3:1", True),
        ("ctl:1", True),
    ],
)
def test_plaintext_leaves_the_machine_only_when_allowed(address: str, refused: bool) -> None:
    config = Config("n", (address,))
    assert bool(refuse_plaintext(config)) is refused
    assert refuse_plaintext(Config("n", (address,), insecure=True)) == ""


@pytest.mark.parametrize(
    ("argv", "code", "sentence"),
    [
        (["status", "--http", "127.0.0.1:9"], Code.UNREACHABLE, "no agent answers at 127.0.0.1:9: "),
        (["run", "--controller", "10.9.8.7:1"], Code.FAILED, "controller 10.9.8.7:1 is on another machine"),
        (
            ["run", "--config", "/nowhere.yaml"],
            Code.USAGE,
            "cannot read /nowhere.yaml: No such file or directory",
        ),
        (["run", "--state-dir", "/dev/null/x"], Code.FAILED, "cannot make /dev/null/x: Not a directory"),
    ],
)
def test_one_sentence_and_a_code(
    argv: list[str], code: Code, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"trafficd-agent: {sentence}")


def test_inventory_as_a_program_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sys").mkdir()
    settings = tmp_path / "agent.yaml"
    settings.write_text(
        'node: n1\nports: [{match: "*", driver: fake, options: {ports: [c0], rate_bps: 1000}}]\n'
    )
    assert (
        main(["inventory", "--config", str(settings), "--sysfs", str(tmp_path / "sys"), "--output", "json"])
        == 0
    )
    (port,) = json.loads(capsys.readouterr().out)["ports"]
    assert (port["name"], port["rate_bps"], port["offers"]) == (
        "c0",
        1000,
        [{"driver": "fake", "supported": True, "reason": "", "dcb": None}],
    )


def test_default_settings_are_fit_to_run() -> None:
    table, problems = bind(default_config())
    assert problems == ()
    assert [b.driver.name for b in table.bound] == ["dcb", "tc"]


def test_the_fake_driver_is_told_how_to_misbehave() -> None:
    rows, problems = parse_control(
        'scopes:\n  - {match: "c*", refuse: ["class/*"], fail_after: 3, error: gone, hang: write}\n  - {absent: true}\n'
    )
    assert problems == ()
    assert rows == (
        ("c*", Behaviour(refuse=("class/*",), fail_after=3, error=Error.GONE, hang=Hang.WRITE)),
        ("*", Behaviour(absent=True)),
    )
    rows, problems = parse_control("scopes: [{refuse: [1], hang: maybe, hung: read}]\nmore: 1\n")
    assert (rows, len(problems)) == ((), 4)


def test_a_control_file_that_is_wrong_is_the_device_that_fails(tmp_path: Path) -> None:
    control = tmp_path / "control.yaml"
    config, _ = parse_config(
        f"ports: [{{match: '*', driver: fake, options: {{control: {control}, device: {tmp_path}/d.json}}}}]"
    )
    assert config is not None
    driver = bind(config)[0].find(ScopeId(ScopeKind.PORT, "c0"), "fake")
    assert isinstance(driver, FakeDriver)
    assert driver.probe("c0").supported
    control.write_text("scopes: 7")
    assert driver.probe("c0").reason == f"{control}: scopes: must be a list (found 7)"


def test_the_examples_of_the_manual_are_settings() -> None:
    text = (Path(__file__).parents[3] / "docs" / "agent.md").read_text()
    settings, trial, control = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    for example in (settings, trial):
        config, problems = parse_config(example)
        assert config is not None
        assert (problems, bind(config)[1]) == ((), ())
    assert parse_control(control)[1] == ()
