"""Writes dashboards/*.json from the Python beside this file.

Usage: python tools/dashboards [--check]

--check writes nothing and exits 1 when a file is not current.
"""

from __future__ import annotations

import sys
from pathlib import Path

import balance
import lanes
import node
import recommendations
import rollout
from grafana_foundation_sdk.cog.encoder import JSONEncoder

FOLDER = Path(__file__).parents[2] / "dashboards"
PAGES = (balance.PAGE, lanes.PAGE, rollout.PAGE, recommendations.PAGE, node.PAGE)


def wanted() -> dict[Path, str]:
    """Path -> text of every dashboard."""
    encoder = JSONEncoder(indent=2, sort_keys=True)
    return {FOLDER / f"{page.name}.json": encoder.encode(page.build()) + "\n" for page in PAGES}


def main(arguments: list[str]) -> int:
    """Write what is not current, or name it."""
    found = {p: p.read_text() for p in FOLDER.glob("*.json")}
    texts = wanted()
    stale = sorted({p for p, _ in {*found.items()} ^ {*texts.items()}})
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"dashboards/{path.name} is not current: run make dashboards\n")
        return 1 if stale else 0
    for path in stale:
        if path in texts:
            path.write_text(texts[path])
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
