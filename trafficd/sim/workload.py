"""What agents ask for: trajectories of turns, drawn after the paper's trace table or read from a request trace.

DualPath (arXiv 2602.21548, table 2) gives for each of three traces the mean number of turns, mean appended and
generated tokens of a turn, mean total of a trajectory and mean context of a turn. Several distributions would have
these means; ours is the simplest found that has all five:

- the mean total is less than mean turns times mean (append + generation), so short trajectories have the long
  turns: turns are log-normal, with the spread that makes the mean of 1/turns what the table needs;
- the mean context is more than half the mean total, so a trajectory begins with a prompt of twice the difference;
- totals end near the maximal length: the maximum less an exponential;
- tokens of a trajectory's turns are in exponential proportions, so that turns differ as much as they may.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from trafficd_topology.model import Problem
from trafficd_topology.parsers.tree import short

BLOCK_TOKENS = 512
"""Tokens of one hash id in the Mooncake request trace."""


@dataclass(frozen=True, slots=True)
class Turn:
    """``hit`` tokens are read from storage, ``append`` computed in prefill, ``generate`` in decode."""

    hit: int
    append: int
    generate: int


@dataclass(frozen=True, slots=True)
class Agent:
    """Turns one after the other; ``starts_s`` is when the first may begin (None: as soon as there is room)."""

    index: int
    starts_s: float | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class TraceTable:
    """Means of one trace of the paper's table 2."""

    longest: int
    turns: float
    append: float
    generate: float
    total: float
    context: float

    @property
    def prompt(self) -> float:
        """Tokens of a trajectory's first input, so that contexts have their mean."""
        return max(2 * self.context - self.total, self.append)

    @property
    def generated(self) -> float:
        """Tokens that a whole trajectory generates; what is appended counts the first prompt."""
        return self.total * self.generate / (self.append + self.generate)

    @property
    def spread(self) -> float:
        """Sigma of the log of the number of turns: exp(sigma^2) is mean turns over their harmonic mean."""
        harmonic = self.total / (self.append + self.generate)
        return math.sqrt(math.log(max(self.turns / harmonic, 1.0)))


TABLE = {
    "32K": TraceTable(32_768, 60, 608, 148, 28_639, 17_183),
    "48K": TraceTable(49_152, 106, 474, 172, 42_607, 25_120),
    "64K": TraceTable(65_536, 157, 429, 176, 55_958, 32_721),
}
LEAST_TURNS, MOST_TURNS = 4, 2_000
LEAST_PART = 0.2
"""No trajectory is shorter than this part of the longest."""


def trajectory(table: TraceTable, rng: random.Random) -> tuple[Turn, ...]:
    """One trajectory. Turn by turn: all that went before is read, the input is computed, the output generated."""
    sigma = table.spread
    turns = round(rng.lognormvariate(math.log(table.turns) - sigma * sigma / 2, sigma))
    turns = min(max(turns, LEAST_TURNS), MOST_TURNS)
    # A mean below the longest by ``gap``; cutting the few that are too short moves it by less than 1 %.
    gap = 1 - table.total / table.longest
    total = table.longest * max(1 - rng.expovariate(1 / gap), LEAST_PART)
    prompt = min(table.prompt * rng.uniform(0.5, 1.5), total / 2)
    parts = [(rng.expovariate(1.0), rng.expovariate(1.0)) for _ in range(turns)]
    share = 1 - table.generated / (table.total - table.prompt)
    appended = (total - prompt) * share / sum(a for a, _ in parts)
    generated = (total - prompt) * (1 - share) / sum(g for _, g in parts)
    return tuple(_turns(prompt, [(a * appended, g * generated) for a, g in parts]))


def _turns(prompt: float, sizes: Iterable[tuple[float, float]]) -> Iterator[Turn]:
    context, first = 0, prompt
    for append, generate in sizes:
        new = max(1, round(append + first))
        out = max(1, round(generate))
        yield Turn(context, new, out)
        context, first = context + new + out, 0.0


def agents_offline(table: TraceTable, count: int, seed: int) -> tuple[Agent, ...]:
    """All there from the beginning."""
    return tuple(Agent(i, None, trajectory(table, _rng(seed, i))) for i in range(count))


POOL = 256
"""Trajectories that a window's turns are drawn from."""


def agents_windowed(table: TraceTable, turns: int, seed: int) -> tuple[Agent, ...]:
    """Turns as a short window of a long run meets them: each is one of the turns of many trajectories, at random.

    Each stands for itself; who has finished one takes the next.
    """
    pool = [turn for i in range(POOL) for turn in trajectory(table, _rng(seed, i))[1:]]
    rng = _rng(seed, -2)
    return tuple(Agent(i, None, (rng.choice(pool),)) for i in range(turns))


def agents_arriving(table: TraceTable, per_s: float, seconds: float, seed: int) -> tuple[Agent, ...]:
    """Turns as above that arrive as a Poisson process: a short window of many agents that come and go."""
    rng = _rng(seed, -1)
    times = [rng.expovariate(per_s)]
    while times[-1] < seconds:
        times.append(times[-1] + rng.expovariate(per_s))
    drawn = agents_windowed(table, len(times) - 1, seed)
    return tuple(replace(a, starts_s=at) for a, at in zip(drawn, times, strict=False))


def agents_online(table: TraceTable, per_s: float, seconds: float, seed: int) -> tuple[Agent, ...]:
    """Agents that arrive as a Poisson process, each with a whole trajectory."""
    found: list[Agent] = []
    rng = _rng(seed, -1)
    time = rng.expovariate(per_s)
    while time < seconds:
        found.append(Agent(len(found), time, trajectory(table, _rng(seed, len(found)))))
        time += rng.expovariate(per_s)
    return tuple(found)


def _rng(seed: int, index: int) -> random.Random:
    """A stream of its own for each agent: what one draws never moves another."""
    return random.Random(f"{seed}/agent/{index}")


def agents_in_slots(slots: int, tokens: int, turns: int) -> tuple[Agent, ...]:
    """Reads of one size, ``slots`` of them always under way: what storage benchmarks and the demo do."""
    return tuple(Agent(i, None, (Turn(tokens, 1, 1),) * turns) for i in range(slots))


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One request of the Mooncake trace: milliseconds, tokens, and the ids of its prompt's blocks."""

    timestamp_ms: float
    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...]


def parse_trace(text: str) -> tuple[tuple[TraceRow, ...], tuple[Problem, ...]]:
    """JSON lines of timestamp, input_length, output_length, hash_ids; every problem at once."""
    rows: list[TraceRow] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        row = _row(line)
        if isinstance(row, str):
            problems.append(Problem(f"line {number}", short(line), row))
        else:
            rows.append(row)
    if not rows and not problems:
        problems.append(Problem("", "", "the trace has no request"))
    return (() if problems else tuple(rows)), tuple(problems)


def _row(line: str) -> TraceRow | str:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "is not JSON: one object a line"
    if not isinstance(found, dict):
        return "must be an object with timestamp, input_length, output_length and hash_ids"
    time, blocks = found.get("timestamp"), found.get("hash_ids")
    sizes = [found.get("input_length"), found.get("output_length")]
    if not isinstance(time, int | float) or isinstance(time, bool) or not 0 <= time < 1e15:
        return "timestamp must be milliseconds from 0"
    tokens = [s for s in sizes if isinstance(s, int) and not isinstance(s, bool) and 0 < s < 2**31]
    if len(tokens) < 2:
        return "input_length and output_length must be whole numbers above 0"
    if not isinstance(blocks, list) or not all(isinstance(b, int) for b in blocks):
        return "hash_ids must be a list of whole numbers"
    return TraceRow(float(time), tokens[0], tokens[1], tuple(blocks))


def agents_traced(rows: Sequence[TraceRow], scale: float = 1.0, most: int | None = None) -> tuple[Agent, ...]:
    """One agent of one turn per request; blocks seen before are read, up to the first that was not.

    ``scale`` multiplies the times between requests. At least one token is always computed.
    """
    seen: set[int] = set()
    found: list[Agent] = []
    ordered = sorted(rows, key=lambda r: r.timestamp_ms)[:most]
    for row in ordered:
        held = next((i for i, b in enumerate(row.blocks) if b not in seen), len(row.blocks))
        seen.update(row.blocks)
        hit = min(held * BLOCK_TOKENS, row.input_tokens - 1)
        turn = Turn(hit, row.input_tokens - hit, row.output_tokens)
        found.append(Agent(len(found), (row.timestamp_ms - ordered[0].timestamp_ms) / 1e3 * scale, (turn,)))
    return tuple(found)
