"""Holds the code against the house rules on length (CONTRIBUTING.md); exits 1 and names what is over."""

import ast
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("trafficd", "agents", "topology")
MEDIAN, P95, LONGEST, FILE_LINES, PARAMETERS = 10, 30, 60, 400, 6
Def = ast.FunctionDef | ast.AsyncFunctionDef


def body_lines(node: Def) -> int:
    """Lines of a function without its docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is None:
        return total
    doc = node.body[0]
    return total - ((doc.end_lineno or doc.lineno) - doc.lineno + 1)


def parameters(node: Def) -> int:
    names = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(a.arg not in ("self", "cls") for a in names)


def main() -> int:
    """Print one line of figures, then every breach."""
    breaches: list[str] = []
    lengths: list[int] = []
    files = [p for f in FOLDERS for p in sorted((ROOT / f).rglob("*.py")) if "_pb2" not in p.name]
    for path in files:
        text, where = path.read_text(), path.relative_to(ROOT)
        if (n := len(text.splitlines())) > FILE_LINES:
            breaches.append(f"{where}: {n} lines, at most {FILE_LINES}")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, Def):
                continue
            lengths.append(body_lines(node))
            if lengths[-1] > LONGEST:
                breaches.append(f"{where}:{node.lineno} {node.name}: {lengths[-1]} lines, at most {LONGEST}")
            if (k := parameters(node)) > PARAMETERS:
                breaches.append(f"{where}:{node.lineno} {node.name}: {k} parameters, at most {PARAMETERS}")
    median, p95 = statistics.median(lengths), sorted(lengths)[int(0.95 * len(lengths))]
    sys.stdout.write(
        f"{len(files)} files, {len(lengths)} functions: median {median:.0f} lines, 95th percentile {p95}\n"
    )
    if median >= MEDIAN or p95 > P95:
        breaches.append(f"functions are too long: median below {MEDIAN}, 95th percentile at most {P95}")
    sys.stdout.write("".join(f"{b}\n" for b in breaches))
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
