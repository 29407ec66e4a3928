"""The Dockerfiles, as far as they can be judged without building them; make images builds and starts them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from trafficd import __version__

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "deploy" / "images"
FILES = sorted(IMAGES.glob("*.Dockerfile"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("controller", "agent", "kubernetes")


def locked() -> dict[str, Version]:
    lines = [
        line for line in (IMAGES / "requirements.txt").read_text().splitlines() if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9.a-z]+", line) for line in lines)
    return {name.lower().replace("_", "-"): Version(v) for name, _, v in (x.partition("==") for x in lines)}


def test_what_is_installed_is_what_the_product_asks_for() -> None:
    have = locked()
    wanted = [*PROJECT["dependencies"], *(r for e in EXTRAS for r in PROJECT["optional-dependencies"][e])]
    for text in wanted:
        need = Requirement(text)
        assert have[need.name.lower().replace("_", "-")] in need.specifier


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_dockerfile(path: Path) -> None:
    text = path.read_text()
    part = path.name.partition(".")[0]
    assert f"-t trafficd-{part}:{__version__} ." in text
    copied = [line.split()[1:-1] for line in text.splitlines() if re.match(r"COPY (?!--from)", line)]
    assert all((ROOT / source).exists() for sources in copied for source in sources)
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert users == (["65532:65532"] if part == "controller" else ["0:0"])
    program = "trafficd" if part == "controller" else "trafficd-agent"
    assert f'ENTRYPOINT ["{program}"]' in text
    assert program in PROJECT["scripts"]


def test_both_programs_have_an_image() -> None:
    assert [p.name for p in FILES] == ["agent.Dockerfile", "controller.Dockerfile"]
