"""docs/marking.md says what the table says, and shows what the command prints."""

import os
import re
from pathlib import Path

from trafficd_topology.model import LinkLayer
from trafficd_topology.qos.applications import APPLICATIONS
from trafficd_topology.qos.applications.words import Application, Form, Setting, Takes

ROOT = Path(__file__).parents[3]
DOC = ROOT / "docs" / "marking.md"
TABLE = re.compile(r"\| library \| on InfiniBand \| on Ethernet \|\n\|---\|---\|---\|\n((?:\|.*\n)+)")
WORDS = {Takes.SL: "SL", Takes.TOS: "byte", Takes.TRUE: "true", Takes.POOLS: "a pool for each class"}


def said(s: Setting) -> str:
    if s.form is Form.UNSET:
        return f"`{s.name}` unset"
    where = f" in {s.place}" if s.form is Form.FILE else ""
    version = f", {s.place}" if s.place and s.form is not Form.FILE else ""
    return f"`{s.name}` = {WORDS[s.takes]}{where} (a {s.covers}{version})"


def row(app: Application) -> str:
    cells = ["<br>".join(said(s) for s in app.settings if layer in s.layers) for layer in reversed(LinkLayer)]
    return f"| {app.title} | {' | '.join(cells)} |\n"


def test_the_manuals_table_is_the_table() -> None:
    text = DOC.read_text()
    new = TABLE.sub(lambda m: m[0].replace(m[1], "".join(row(a) for a in APPLICATIONS)), text)
    if os.environ.get("REWRITE") == "1":
        DOC.write_text(new)
    assert text == new, "REWRITE=1 makes it anew"


def test_the_shown_lines_are_printed() -> None:
    (shown,) = re.findall(r"```text\n(.*?)```", DOC.read_text(), re.DOTALL)
    expected = (ROOT / "tests" / "cases" / "marking" / "infiniband" / "expected.txt").read_text()
    assert f"--class collectives --for nccl --node p1 --output env\n{shown}(exit 0)" in expected
