"""The manual's example runs, and its list of scenarios is what ships."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import paper

from trafficd.cli import main
from trafficd.cli.simulate import shipped

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()
EXAMPLE = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
COMMANDS = [
    line.split("#")[0].strip() for line in re.findall(r"^    (trafficd simulate .*)$", PAGE, re.MULTILINE)
]


def test_every_scenario_is_listed_and_no_other() -> None:
    _, _, table = PAGE.partition("## Scenarios that ship")
    assert sorted(set(re.findall(r"`([a-z0-9.-]+)`", table.split("`make figures`")[0]))) == sorted(shipped())


@pytest.mark.parametrize("command", [c for c in COMMANDS if "mine.yaml" in c])
def test_an_example_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(EXAMPLE)
    assert main(shlex.split(command)[1:]) == 0
    assert '"ours"' in capsys.readouterr().out or Path("plots").is_dir()


def test_the_page_beside_the_paper_has_the_rows_that_make_paper_writes() -> None:
    def rows(text: str) -> list[str]:
        return re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE)

    written = (Path(__file__).parents[3] / "docs" / "paper.md").read_text()
    assert rows(written) == rows(paper.page())
    assert written.endswith(paper.TAIL)
