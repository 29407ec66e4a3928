"""Machines as text: a tree of small files written in one file, and texts compared as a whole.

``path = value`` is a file with that line (``\\n`` for more lines, a directory where value is ``/``),
``path -> target`` a symbolic link, ``#`` begins a comment. ``prefix {`` ... ``}`` puts a prefix before the paths in it.
"""

import os
from pathlib import Path

DATA = Path(__file__).parent / "data"
CAPTURED = Path(__file__).parents[2] / "shared" / "data"
"""Captured files of real machines, beside the repository; tests that read them are marked ``data``."""


def plant(text: str, root: Path) -> Path:
    """Make the tree below root, and return root."""
    prefixes: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line == "}":
            prefixes.pop()
        elif line.endswith("{"):
            prefixes.append(line[:-1].strip() + "/")
        else:
            _plant_line("".join(prefixes) + line, root)
    assert not prefixes, "a { is not closed"
    return root


def _plant_line(line: str, root: Path) -> None:
    name, arrow, target = line.partition(" -> ")
    name, _, value = line.partition(" = ") if not arrow else (name, "", "")
    path = root / name.strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    if arrow:
        path.symlink_to(target.strip())
    elif value.strip() == "/":
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.write_text(value.replace("\\n", "\n") + "\n")


def machine(name: str, root: Path) -> Path:
    """The machine ``data/machines/<name>.tree`` below root."""
    return plant((DATA / "machines" / f"{name}.tree").read_text(), root)


def same(path: Path, text: str) -> None:
    """The file holds exactly this text. REWRITE=1 writes it instead: read the difference before committing it."""
    if os.environ.get("REWRITE") == "1":
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs; REWRITE=1 makes it anew"
