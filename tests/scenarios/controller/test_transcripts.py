"""Every transcript beside this file, replayed. REWRITE=1 records what happens instead: read the diff, and keep a
change only when you can say why it is right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from controllerlab import Machine

HERE = Path(__file__).parent


def replay(text: str) -> str:
    """The transcript with what really happened after each command; comments stay."""
    m = Machine()
    out = []
    for block in text.strip("\n").split("\n\n"):
        said, _, _ = block.partition("\n----")
        lines = said.splitlines()
        commands = [line for line in lines if not line.startswith("#")]
        if not commands:
            out.append(block)
            continue
        results = [m.run(command) for command in commands]
        out.append("\n".join([*lines, "----", *(r for r in results if r != "nothing" or len(results) == 1)]))
    return "\n\n".join(out) + "\n"


@pytest.mark.parametrize("path", sorted(HERE.glob("*.txt")), ids=lambda p: p.stem)
def test_transcript(path: Path) -> None:
    text = path.read_text()
    happened = replay(text)
    if os.environ.get("REWRITE"):
        path.write_text(happened)
    assert happened == text
