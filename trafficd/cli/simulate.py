"""``trafficd simulate``: strategies side by side on a scenario, in simulated time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import read
from trafficd.cli.output import add_output, complain, say
from trafficd.sim.compare import Comparison, compare
from trafficd.sim.parse import parse_scenario
from trafficd.sim.plan import Cases
from trafficd.sim.report import as_csv, as_json, as_table
from trafficd.sim.run import StuckError

BAR = 30


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "simulate",
        help="strategies side by side on a scenario, in simulated time",
        description="Runs a scenario with every strategy it names, over the same agents, loads and faults, and "
        "prints means and paired ratios with their 95 %% intervals. SCENARIO is a file, or the name of one that "
        f"ships: {', '.join(shipped())}. Format: docs/simulator.md.",
    )
    parser.add_argument(
        "scenario", metavar="SCENARIO", help="scenario file, - for standard input, or a shipped name"
    )
    parser.add_argument("--seeds", type=_positive, metavar="N", help="seeds 1 to N (default: the scenario's)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this strategy; may repeat"
    )
    parser.add_argument("--against", metavar="NAME", help="ratios to this strategy (default: the first)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write one line per strategy and seed")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="also draw (needs matplotlib)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_output(parser)
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def shipped() -> tuple[str, ...]:
    """Names of the scenarios that ship."""
    found = files("trafficd.sim").joinpath("scenarios").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in found if f.name.endswith(".yaml")))


def run(args: argparse.Namespace) -> int:
    """Exit 0; 1 when the scenario has problems."""
    cases = _scenario(args.scenario)
    if cases is None:
        return Exit.FINDINGS
    names = [c.name for c in cases.contenders]
    for name in (*args.only, *([args.against] if args.against else [])):
        if name not in names:
            raise CliError(Exit.USAGE, f"no strategy {name} in this scenario: there are {', '.join(names)}")
    bar = None if args.quiet or not sys.stderr.isatty() else _bar
    try:
        found = compare(cases, range(1, (args.seeds or cases.seeds) + 1), args.only, bar)
    except StuckError as e:
        raise CliError(Exit.FINDINGS, str(e)) from e
    if bar is not None:
        sys.stderr.write("\r" + " " * 79 + "\r")
    _answer(found, args)
    return Exit.OK


def _answer(found: Comparison, args: argparse.Namespace) -> None:
    against = args.against if args.against in {r.contender.name for r in found.rows} else None
    base = against or found.rows[0].contender.name
    if args.csv is not None:
        _write(args.csv, as_csv(found))
    if args.plots is not None:
        _plot(found, args.plots)
    say((as_json(found, base) if args.output == "json" else as_table(found, base)).rstrip("\n"))


def _scenario(name: str) -> Cases | None:
    inside = files("trafficd.sim").joinpath("scenarios", f"{name}.yaml")
    if name in shipped() and not Path(name).exists():
        data, folder = inside.read_bytes(), Path()
    else:
        data, folder = read(name), Path() if name == "-" else Path(name).parent
    cases, problems = parse_scenario(data, _reader(folder))
    for problem in problems:
        complain(f"{name}: {problem}")
    return cases


def _reader(folder: Path) -> Callable[[str], bytes]:
    """Files that a scenario names are looked for beside it."""
    return lambda path: (folder / path).read_bytes()


def _bar(what: str, part: float) -> None:
    filled = round(part * BAR)
    sys.stderr.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {part:4.0%} {what:<40.40}")
    sys.stderr.flush()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as e:
        raise CliError(Exit.USAGE, f"cannot write {path}: {e.strerror}") from e


def _plot(found: Comparison, folder: Path) -> None:
    try:
        from trafficd.sim.plots import draw  # noqa: PLC0415 - an extra of its own
    except ImportError as e:
        raise CliError(Exit.REFUSED, f"plots need {e.name}: pip install 'trafficd[plots]'") from e
    try:
        for path in draw(found, folder):
            complain(f"wrote {path}")
    except OSError as e:
        raise CliError(Exit.USAGE, f"cannot write to {folder}: {e.strerror}") from e
