"""The figures of path choice: every row against its yardstick, for three callers, with paired 95 % intervals.

``python tests/bench/choice.py`` runs the rows that the state file does not hold yet and prints all; ``--rows BEGIN`` only
those whose name begins so, ``--seeds N`` and ``--turns N`` other sizes, ``--again`` anew. The **yardstick** of a figure
is the best of: the paper's rule as it is, the same with our ledger, static weights, and weights by bytes with engines in
rotation, each with one leg on either side; static weights with least-loaded engines are printed beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trafficd.sim.compare import Comparison, Estimate, compare, estimate
from trafficd.sim.parse import parse_scenario
from trafficd.sim.plan import Cases, Shape, Work, fabric_of
from trafficd.sim.run import Simulation
from trafficd.sim.scenario import (
    Caller,
    Conditions,
    Contender,
    Fault,
    FaultKind,
    Load,
    Pick,
    Telemetry,
    Where,
)

STATE = Path(__file__).parents[2] / ".figures.json"
SEEDS, TURNS = 5, 1500
YARDSTICK = (
    Contender("dualpath", "dualpath"),
    Contender("dualpath-ledger", "dualpath-ledger"),
    Contender("weighted", "weighted"),
    Contender("weighted-bytes", "weighted-bytes"),
)
BESIDE = (Contender("weighted, least-loaded", "weighted", engines="least-loaded"),)
OURS = (
    Contender("ours, prefill side", "balanced", Caller.PREFILL),
    Contender("ours, either side", "balanced", Caller.EITHER),
    Contender("ours, splits", "balanced", Caller.SPLIT),
)
FAST, USUAL, LATE = Telemetry(0.1), Telemetry(1.0), Telemetry(1.0, 5.0)
TELEMETRY = (("0.1 s", FAST), ("1 s", USUAL), ("1 s, 5 s late", LATE))
HALF, FULL = 8, 40
"""Turns under way at 2P4D: about half of what the storage NICs can, and all of it."""
COMPUTE = "compute: {decode: false, scale: 3}"


def base(turns: int, prefill: int = 2, decode: int = 4, in_flight: int = HALF) -> Cases:
    """A window of the 64K trace; compute three times the calibrated one, so that storage can bind."""
    text = f"""\
version: 1
name: figure
cluster: {{prefill: {prefill}, decode: {decode}, servers: {max(2, decode // 2)}}}
lanes: {{preset: dualpath}}
paths: {{through_compute_nics: true}}
work: {{trace: 64K, turns: {turns}, in_flight: {in_flight}}}
{COMPUTE}
"""
    cases, problems = parse_scenario(text, lambda path: Path(path).read_bytes())
    assert cases is not None, problems
    return replace(cases, contenders=(*YARDSTICK, *BESIDE, *OURS))


@dataclass(frozen=True, slots=True)
class Aim:
    """A metric and what is asked of the best of our three callers: a ratio to the yardstick, or a value itself."""

    metric: str
    most: float
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. ``callers`` are those that the aims are for; ``against`` other than the yardstick where given."""

    name: str
    cases: Callable[[int], Cases]
    aims: tuple[Aim, ...]
    against: tuple[str, ...] = tuple(c.name for c in YARDSTICK)
    callers: tuple[str, ...] = tuple(c.name for c in OURS)
    turns: float = 1.0
    seeds: int = SEEDS


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one aim."""

    figure: str
    aim: Aim
    yardstick: str
    base: float
    ours: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    """Caller -> (ratio or value, half width)."""
    use: float = 0.0
    seeds: int = 0
    seconds: float = 0.0
    beside: dict[str, float] = field(default_factory=dict)
    bound: float = 0.0

    @property
    def best(self) -> float:
        return min(value for value, _ in self.ours.values())

    @property
    def met(self) -> bool:
        return self.best <= self.aim.most


COMPLETION, P50, P99 = "completion_s", "ttft_p50_s", "ttft_p99_s"
BALANCE = "storage_balance"


def half_rate(*, known: bool) -> tuple[Fault, ...]:
    return tuple(Fault(FaultKind.NIC_RATE, nic, factor=0.5, known=known) for nic in ("p1/s0", "d1/s0"))


def changed(**changes: object) -> Callable[[int], Cases]:
    return lambda turns: replace(base(turns), **changes)  # type: ignore[arg-type]


def fixed(turns: int, load: float) -> Cases:
    """Engines in rotation, whoever chooses the path."""
    found = replace(base(turns), loads=(Load(Where.COMPUTE, load, 0.25),))
    return replace(found, contenders=tuple(replace(c, pick=Pick.ROTATION) for c in found.contenders))


def drill(turns: int) -> Cases:
    """A storage NIC, a compute NIC and a leaf's uplink, one after the other."""
    shape = Shape(prefill=2, decode=4, leaves=2, spines=2, servers=2)
    spec = fabric_of(shape)
    uplink = next(k for k in spec.links if k.a.node == "storage-leaf1" and k.a.port == "u1")
    name = "link:{}-{}".format(*sorted((uplink.a, uplink.b)))
    faults = (
        Fault(FaultKind.NIC_DOWN, "d1/s0", 1.0, 4.0),
        Fault(FaultKind.NIC_DOWN, "p1/c0", 3.0, 6.0),
        Fault(FaultKind.LINK_DOWN, name, 5.0, 8.0),
    )
    return replace(base(turns), fabric=spec, faults=faults)


def hard(name: str, cases: Callable[[int], Cases]) -> Figure:
    return Figure(
        f"hard: {name}", cases, (Aim(COMPLETION, 1.01),), ("weighted",), tuple(c.name for c in OURS[1:])
    )


def condition(name: str, **conditions: object) -> Figure:
    return hard(name, changed(conditions=Conditions(**conditions)))  # type: ignore[arg-type]


def compute(scale: float) -> Callable[[int], Cases]:
    def made(turns: int) -> Cases:
        found = base(turns)
        return replace(found, compute=replace(found.compute, scale=found.compute.scale * scale))

    return made


def figures() -> Iterator[Figure]:
    """Every row."""
    for word, telemetry in TELEMETRY:
        aims = (Aim(BALANCE, 1.08, absolute=True), Aim(P50, 0.80), Aim(COMPLETION, 0.98))
        yield Figure(f"half load, 2P4D, telemetry {word}", changed(telemetry=telemetry), aims)
    for word, telemetry in TELEMETRY:
        aims = (Aim(BALANCE, 1.12, absolute=True), Aim(P50, 0.80), Aim(COMPLETION, 0.99))
        large = lambda turns, t=telemetry: replace(base(turns, 12, 24, 6 * HALF), telemetry=t)  # noqa: E731
        yield Figure(f"half load, 12P24D, telemetry {word}", large, aims, turns=3.0)
    saturated = lambda turns: base(turns, in_flight=FULL)  # noqa: E731
    seer = Contender("oracle", "oracle")
    foreseen = lambda turns: replace(saturated(turns), contenders=(seer, *OURS))  # noqa: E731
    yield Figure("saturated, 2P4D, oracle", foreseen, (Aim(COMPLETION, 1.01),), ("oracle",), turns=2.0)
    yield Figure("saturated, 2P4D", saturated, (Aim(COMPLETION, 1.005),), turns=2.0)
    yield Figure(
        "two of six at half rate, known",
        changed(faults=half_rate(known=True)),
        (Aim(COMPLETION, 0.97), Aim(P50, 0.80)),
    )
    for word, telemetry in TELEMETRY:
        most = 0.98 if telemetry is USUAL else 1.0
        hidden = changed(faults=half_rate(known=False), telemetry=telemetry)
        yield Figure(f"half rate, claiming full, telemetry {word}", hidden, (Aim(COMPLETION, most),))
    for mean, completion, p99 in ((0.5, 0.97, 0.75), (0.7, 0.90, 0.60)):
        loads = (Load(Where.COMPUTE, mean, 0.25),)
        aims = (Aim(COMPLETION, completion), Aim(P99, p99))
        yield Figure(f"compute NICs {mean:.0%} +- 25 busy", changed(loads=loads), aims, seeds=10)
    yield Figure(
        "compute NICs 70% +- 25 busy, engines fixed",
        lambda turns: fixed(turns, 0.7),
        (Aim(COMPLETION, 0.98),),
    )
    foreign = (Load(Where.STORAGE, 0.4, 0.3),)
    for word, telemetry in TELEMETRY:
        aims = (Aim(COMPLETION, 0.97), Aim(P50, 0.80)) if telemetry is USUAL else (Aim(COMPLETION, 1.0),)
        yield Figure(
            f"storage NICs shared 40% +- 30, telemetry {word}",
            changed(loads=foreign, telemetry=telemetry),
            aims,
        )
    yield Figure("failures", drill, (Aim(COMPLETION, 0.98),))
    for caller, most in ((OURS[1], 1.0), (OURS[2], 0.98)):
        blind = changed(telemetry=Telemetry(None))
        yield Figure(
            f"no telemetry, {caller.caller}", blind, (Aim(COMPLETION, most),), callers=(caller.name,)
        )
    yield hard("two nodes", lambda turns: base(turns, 1, 1, HALF // 3))
    yield condition("bytes wrong by half", byte_error=0.5)
    yield condition("a cap of 20 GB/s and 2 ms set-up", read_cap_bytes_per_s=20e9, setup_s=0.002)
    slow = tuple((f"st{i}/s{k}", 150 * 10**9) for i in (1, 2) for k in range(4))
    yield hard("storage servers limit", changed(fabric=fabric_of(Shape(slow=slow))))
    yield condition("a fifth of progress and releases lost", lost=0.2)
    yield condition("30 % of the reads through us", through=0.3)
    yield condition("60 % of the reads through us", through=0.6)
    yield condition("two schedulers with ledgers of their own", schedulers=2)
    yield hard("compute at half", compute(0.5))
    yield hard("compute at twice", compute(2.0))


def seen(figure: Figure, seeds: int, turns: int) -> list[Seen]:
    """Run one row."""
    start = time.process_time()
    found = compare(figure.cases(round(turns * figure.turns)), range(1, seeds + 1))
    spent = time.process_time() - start
    return [_judge(figure, aim, found, spent) for aim in figure.aims]


def _judge(figure: Figure, aim: Aim, found: Comparison, spent: float) -> Seen:
    means = {name: found.row(name).mean(aim.metric) for name in figure.against}
    best = min((name for name in means if means[name] is not None), key=lambda name: means[name] or 0.0)
    ours: dict[str, tuple[float, float | None]] = {}
    for name in figure.callers:
        value = _value(found, name, best, aim)
        if value is not None:
            ours[name] = (value.mean, value.half)
    use = max(row.mean("storage_use") or 0.0 for row in found.rows)
    beside = {r.contender.name: r.mean(aim.metric) or 0.0 for r in found.rows if r.contender in BESIDE}
    bound = max((b.seconds for b in found.bounds), default=0.0)
    return Seen(figure.name, aim, best, means[best] or 0.0, ours, use, len(found.seeds), spent, beside, bound)


def _value(found: Comparison, name: str, best: str, aim: Aim) -> Estimate | None:
    if aim.absolute:
        return estimate([v for v in found.row(name).values(aim.metric) if v is not None])
    return found.ratio(name, best, aim.metric)


# The headline: how many agents a second keep the paper's service level.
SLO_TTFT_S, SLO_TPOT_S = 4.0, 0.050
TURNS_PER_AGENT = 157
CAPACITY_S = 40.0
PART = 8
"""Capacity is measured on so small a part of 2P4D, and given for all of it."""


def eighth() -> Shape:
    """2P4D with an eighth of its GPUs and of every other rate: as much of each per GPU."""
    rate = 400 * 10**9 // PART
    return Shape(gpus=8 // PART, storage_bps=rate, memory=500 * 10**9 // PART, server_bps=rate)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where capacity is measured."""

    name: str
    cases: Callable[[int], Cases]


def ground(name: str, **changes: object) -> Ground:
    return Ground(name, changed(fabric=fabric_of(eighth()), **changes))


GROUNDS = (
    ground("equal NICs"),
    ground("two of six at half rate, known", faults=half_rate(known=True)),
    ground("two of six at half rate, claiming full", faults=half_rate(known=False)),
    ground("compute NICs 70% +- 25 busy", loads=(Load(Where.COMPUTE, 0.7, 0.25),)),
    ground("storage NICs shared 40% +- 30", loads=(Load(Where.STORAGE, 0.4, 0.3),)),
)


def sustained(ground: Ground, contender: Contender, seed: int) -> tuple[float, float]:
    """(agents/s, p99 TTFT there): the most at which turns of a window still keep the service level, to 3 %."""
    low, high, p99 = 2.0, 320.0 / PART, 0.0
    while high / low > 1.03:
        rate = (low * high) ** 0.5
        found = ground.cases(1)
        work = Work(turns_per_s=rate, seconds=CAPACITY_S)
        cases = replace(found, work=work, compute=replace(found.compute, decode=True))
        run = Simulation(cases.world(seed), contender)
        outcome = run.run()
        good = (outcome.ttft_mean_s or 0.0) <= SLO_TTFT_S and (outcome.tpot_mean_s or 0.0) <= SLO_TPOT_S
        good = good and not _grows(run.gauge.ttft)
        low, high = (rate, high) if good else (low, rate)
        p99 = (outcome.ttft_p99_s or 0.0) if good else p99
    return PART * low / TURNS_PER_AGENT, p99


def _grows(ttft: Sequence[float]) -> bool:
    """Whether the last quarter waits more than twice as long as the second: what grows does not last."""
    n = len(ttft) // 4
    second, last = sum(ttft[n : 2 * n]), sum(ttft[-n:])
    return n > 0 and last / n > 2 * second / n + 0.25


def headline(ground: Ground, seeds: int) -> list[tuple[str, float, float | None, float]]:
    """(contender, agents/s, half width, p99)."""
    found = []
    for contender in (*YARDSTICK, *OURS):
        rates = [sustained(ground, contender, seed) for seed in range(1, seeds + 1)]
        value = estimate([r for r, _ in rates])
        assert value is not None
        found.append((contender.name, value.mean, value.half, sum(p for _, p in rates) / len(rates)))
    return found


def lines(rows: Sequence[Seen]) -> Iterator[str]:
    for row in rows:
        mark = "met" if row.met else f"NOT met, best {row.best:.3f}"
        what = f"{row.aim.metric.removesuffix('_s')} <= {row.aim.most:g}{'' if row.aim.absolute else 'x'}"
        callers = ", ".join(f"{n.removeprefix('ours, ')} {_pm(*v)}" for n, v in row.ours.items())
        yield (
            f"{row.figure}: {what}: {mark}; {callers}; yardstick {row.yardstick} {row.base:.3f}"
            f"{''.join(f', {n} {v:.3f}' for n, v in row.beside.items())}; "
            f"storage {row.use:.0%} used, {row.seeds} seeds"
        )


def _pm(value: float, half: float | None) -> str:
    return f"{value:.3f}" if half is None else f"{value:.3f}+-{half:.3f}"


def choice() -> Iterator[str]:
    """For ``make bench``: what the state file holds; ``tests/bench/choice.py`` makes it."""
    rows = _stored(STATE)
    for row in rows.values():
        yield from row["lines"]
    if not rows:
        yield "none yet: make figures"


def _stored(path: Path) -> dict[str, dict[str, list[str]]]:
    return json.loads(path.read_text()) if path.exists() else {}


def _keep(path: Path, name: str, made: Sequence[str]) -> None:
    state = _stored(path)
    state[name] = {"lines": list(made)}
    path.write_text(json.dumps(state, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--state", type=Path, default=STATE)
    args = parser.parse_args()
    jobs: list[tuple[str, Callable[[], list[str]]]] = [
        (f"agents/s within SLO, {g.name}", lambda g=g: _headline_lines(g, args.seeds or 2)) for g in GROUNDS
    ]
    jobs += [(f.name, lambda f=f: list(lines(seen(f, args.seeds or f.seeds, args.turns)))) for f in figures()]
    for name, job in jobs:
        if not name.startswith(args.rows):
            continue
        if args.again or name not in _stored(args.state):
            _keep(args.state, name, job())
        for line in _stored(args.state)[name]["lines"]:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0


def _headline_lines(ground: Ground, seeds: int) -> list[str]:
    rows = headline(ground, seeds)
    yardstick = max((r for r in rows[: len(YARDSTICK)]), key=lambda r: r[1])
    cells = ", ".join(
        f"{name.removeprefix('ours, ')} {_pm(rate, half)} (p99 {p99:.2f} s)" for name, rate, half, p99 in rows
    )
    best = max(r[1] for r in rows[len(YARDSTICK) :])
    mark = "met" if best >= yardstick[1] else "NOT met"
    return [
        f"agents/s within SLO, {ground.name}: {mark}, {best / yardstick[1]:.3f}x {yardstick[0]}; {cells}; {seeds} seeds"
    ]


if __name__ == "__main__":
    sys.exit(main())
