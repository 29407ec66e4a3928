"""Scenario files: all problems in one answer; what ships is good; the same seed gives the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trafficd.cli import main
from trafficd.cli.simulate import shipped
from trafficd.sim.parse import parse_scenario

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "trafficd" / "sim" / "scenarios"
SMALL = """\
version: 1
name: small
cluster: {prefill: 1, decode: 2, gpus: 2}
lanes: {preset: dualpath}
work: {trace: 64K, turns: 60, in_flight: 6}
compute: {decode: false, scale: 3}
telemetry: {interval: 0.2}
loads:
  - {on: compute, mean: 0.5, spread: 0.25, hold: 0.5}
faults:
  - {kind: nic-down, target: d1/s0, at: 0.3, until: 1.2}
  - {kind: telemetry-stops, target: p1, at: 0.5, until: 0.9}
conditions: {lost: 0.1, byte_error: 0.5, schedulers: 2, through: 0.9, setup: 0.001, read_cap: 20GB/s}
seeds: 2
strategies:
  - {name: paper, strategy: dualpath}
  - {strategy: balanced, caller: split}
"""
BAD = """\
version: 2
name: bad
cluster: {prefill: 0, memory: lots, leaves: 2}
lanes: {preset: dualpat}
work: {trace: 16K, agents: 3, turns: 4}
compute: {scale: fast, speed: 3}
telemetry: {interval: 0}
loads: [{on: gpus, mean: 2}]
faults: [{kind: meteor, target: p1/s0}, {kind: nic-down, target: p1/s0, at: 5, until: 1}]
conditions: {lost: 3}
strategies: [best, {strategy: weighted, caller: nobody}]
seeds: none
"""


def nothing(_: str) -> bytes:
    raise FileNotFoundError(2, "No such file or directory")


def test_every_problem_is_named_in_one_answer() -> None:
    cases, problems = parse_scenario(BAD, nothing)
    assert cases is None
    assert sorted({p.path for p in problems}) == [
        "cluster.memory",
        "cluster.prefill",
        "cluster.spines",
        "compute.scale",
        "compute.speed",
        "conditions.lost",
        "faults[0].kind",
        "faults[1].until",
        "lanes.preset",
        "loads[0].mean",
        "loads[0].on",
        "seeds",
        "strategies[0].strategy",
        "strategies[1].caller",
        "telemetry.interval",
        "version",
        "work",
        "work.trace",
    ]


def test_names_are_held_against_the_fabric() -> None:
    text = SMALL.replace("d1/s0", "d9/s0").replace("target: p1,", "target: p7,")
    text += "window: 0\n"
    assert [p.path for p in parse_scenario(text, nothing)[1]] == ["window"]
    problems = parse_scenario(text.replace("window: 0\n", ""), nothing)[1]
    assert [(p.path, p.value) for p in problems] == [
        ("faults[0].target", "d9/s0"),
        ("faults[1].target", "p7"),
    ]


def test_a_file_that_is_not_there_and_one_that_is_broken() -> None:
    text = "version: 1\nfabric: f.yaml\nwork: {requests: r.jsonl}\n"
    assert [p.path for p in parse_scenario(text, nothing)[1]] == ["fabric", "work.requests"]
    broken = parse_scenario(
        text, lambda path: b"version: 1\nname: f\nhosts: 3" if path == "f.yaml" else b"{}\nno\n"
    )[1]
    assert {p.path for p in broken} == {"f.yaml: hosts", "r.jsonl: line 1", "r.jsonl: line 2"}


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=60),
    st.integers(0, 20),
    st.sampled_from(["", "null", "[]", "{}", "-1", "x", "1e999", "[[1]]"]),
)
def test_nothing_that_is_written_breaks_the_reader(noise: str, line: int, value: str) -> None:
    lines = SMALL.splitlines()
    key = lines[line % len(lines)].partition(":")[0]
    lines[line % len(lines)] = f"{key}: {value}{noise}"
    cases, problems = parse_scenario("\n".join(lines), nothing)
    assert (cases is None) == bool(problems)


@pytest.mark.parametrize("name", shipped())
def test_what_ships_is_good(name: str) -> None:
    cases, problems = parse_scenario((SHIPPED / f"{name}.yaml").read_bytes(), nothing)
    assert problems == ()
    assert cases is not None
    assert cases.name == name


def answer(tmp_path: Path, number: int, hash_seed: str) -> str:
    (tmp_path / "small.yaml").write_text(SMALL)
    code = "import sys; from trafficd.cli import main; sys.exit(main(sys.argv[1:]))"
    csv = tmp_path / f"{number}.csv"
    command = [
        sys.executable,
        "-c",
        code,
        "simulate",
        str(tmp_path / "small.yaml"),
        "-o",
        "json",
        "--csv",
        str(csv),
    ]
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout + csv.read_text()


def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    first = answer(tmp_path, 1, "1")
    assert first == answer(tmp_path, 2, "2")
    found = json.loads(first[: first.index("strategy,caller")])
    assert [s["name"] for s in found["strategies"]] == ["paper", "balanced"]
    assert all(o["turns"] == 60 for s in found["strategies"] for o in s["seeds"])
    # Nobody beats the bound.
    for strategy in found["strategies"]:
        for outcome, bound in zip(strategy["seeds"], found["bounds"], strict=True):
            assert outcome["completion_s"] >= bound["seconds"]


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    assert main(["simulate", str(path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 18
    assert all(line.startswith(f"{path}: ") for line in printed.err.splitlines())
    assert main(["simulate", "no-such-file"]) == 2
    assert main(["simulate", "2p4d", "--only", "magic"]) == 2
    assert "no strategy magic in this scenario" in capsys.readouterr().err


def test_a_scenario_that_cannot_end_is_said_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SMALL.replace("target: d1/s0, at: 0.3, until: 1.2", "target: p1/s0, at: 0.3")
    text = text.replace("caller: split", "caller: prefill").replace(
        "strategy: dualpath}", "strategy: dualpath, caller: prefill}"
    )
    text = text.replace("interval: 0.2", "interval: 10")
    path = tmp_path / "stuck.yaml"
    path.write_text(text)
    assert main(["simulate", str(path), "--quiet"]) == 1
    assert "small: no turn got anywhere from" in capsys.readouterr().err


def test_plots_are_drawn_the_same_twice(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    for folder in ("a", "b"):
        assert (
            main(
                ["simulate", str(tmp_path / "small.yaml"), "--seeds", "2", "--plots", str(tmp_path / folder)]
            )
            == 0
        )
    drawn = [sorted((tmp_path / folder).iterdir()) for folder in ("a", "b")]
    assert [p.name for p in drawn[0]] == ["balance.svg", "ratios.svg"]
    assert [p.read_bytes() for p in drawn[0]] == [p.read_bytes() for p in drawn[1]]
