"""Rules that pick the engines among candidates: the paper's, rotation, load as routers weigh it, and two at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trafficd.choice.compose import Pair
from trafficd.choice.roster import Known
from trafficd.choice.spread import fraction, near_ties
from trafficd.choice.view import Task
from trafficd.choice.ways import read_seconds

KV_BYTES_PER_TOKEN = 40_000
"""Used for reads assigned since an engine's last report when it never said; DeepSeek-V3.2 in FP8 has about this."""
HIGH_TOKENS = 1.05
"""The paper's factor of Z (6.1): a decode engine above this much of the mean has a high token count."""
_PREFILL_DRAW, _DECODE_DRAW = 4, 5
Rank = tuple[float, ...]


def tokens_of(known: Known) -> float:
    """Unfinished tokens as reported, and those of the reads given to it since."""
    since = (
        known.assigned_bytes / (known.bytes_per_token or KV_BYTES_PER_TOKEN) if known.assigned_bytes else 0.0
    )
    return (known.engine.unfinished_tokens or 0) + since


def length_of(task: Task, known: Known) -> float:
    """The request's length in tokens, as far as it can be told."""
    return task.request.tokens or task.size / (known.bytes_per_token or KV_BYTES_PER_TOKEN)


def hits_of(task: Task, i: int) -> int:
    """Tokens of the prompt that prefill candidate ``i`` holds already."""
    hits = task.hits
    return hits[i] if i < len(hits) else 0


def with_room(task: Task) -> tuple[Known, ...]:
    """Decode candidates whose HBM fits the read; all of them when none says that it does."""
    size = task.size
    fits = [k for k in task.decode if k.engine.free_hbm_bytes is None or k.engine.free_hbm_bytes >= size]
    return tuple(fits) or task.decode


def drawn(task: Task, candidates: Sequence[Known], ranks: Sequence[Rank], purpose: int) -> Known:
    """The candidate of least rank; equal ones by the hash of the request's id."""
    best = min(ranks)
    equal = [k for k, rank in zip(candidates, ranks, strict=True) if rank == best]
    return equal[int(fraction(task.key, purpose) * len(equal))]


def soonest(task: Task, candidates: tuple[Known, ...], purpose: int) -> Known:
    """The candidate whose node reads soonest; those of one node are alike."""
    by_node: dict[str, float] = {}
    for known in candidates:
        if known.ref.node not in by_node:
            seconds = read_seconds(task, known)
            by_node[known.ref.node] = float("inf") if seconds is None else seconds
    near = set(near_ties([by_node[k.ref.node] for k in candidates]))
    return drawn(task, candidates, [(i not in near,) for i in range(len(candidates))], purpose)


def _picked(
    task: Task,
    prefill: Callable[[Task, tuple[Known, ...]], Known],
    decode: Callable[[Task, tuple[Known, ...]], Known],
) -> Pair | None:
    """A rule for each role, asked only where there is a choice."""
    if not task.prefill:
        return None
    first = task.prefill[0] if len(task.prefill) == 1 else prefill(task, task.prefill)
    if len(task.decode) <= 1:
        return first, task.decode[0] if task.decode else None
    fits = with_room(task)
    return first, fits[0] if len(fits) == 1 else decode(task, fits)


@dataclass(frozen=True, slots=True)
class Paper:
    """DualPath, section 6.1. With ``ledger`` a node's read queue is what this service reckons, else what was reported.

    Prefill: of those that are not overloaded (more tokens than their GPU processes in ``beta_s``) the ones with a
    short read queue (done within ``alpha_s``) first, and the fewest tokens among these. All overloaded: the paper lets
    the request wait, an answer has to name one, so the fewest tokens decide. Decode: the node with the fewest tokens;
    there, engines that stay within Z by fewest sequences, else by fewest tokens. Candidates that do not report their
    tokens are compared by expected seconds.
    """

    name: str = "paper"
    ledger: bool = False

    def pick(self, task: Task) -> Pair | None:
        return _picked(task, self._prefill, _paper_decode)

    def _prefill(self, task: Task, candidates: tuple[Known, ...]) -> Known:
        if any(k.engine.unfinished_tokens is None for k in candidates):
            return soonest(task, candidates, _PREFILL_DRAW)
        queues: dict[str, int] = {}
        ranks: list[Rank] = [(self._category(task, k, queues), tokens_of(k)) for k in candidates]
        return drawn(task, candidates, ranks, _PREFILL_DRAW)

    def _category(self, task: Task, known: Known, queues: dict[str, int]) -> int:
        """0 short read queue, 1 long one, 2 overloaded, 3 cannot read at all (C2, C3, C1 of the paper)."""
        speed = known.engine.tokens_per_s
        if speed and tokens_of(known) > speed * task.view.settings.beta_s:
            return 2
        node = known.ref.node
        found = queues.get(node)
        if found is None:
            found = queues[node] = self._queue(task, known)
        return found

    def _queue(self, task: Task, known: Known) -> int:
        """A node's read queue: 0 short, 1 long, 3 none because no storage NIC is up."""
        view = task.view
        nics = [i for i in view.index.readers[view.index.node_ids[known.ref.node]] if view.states[i].up]
        if not nics:
            return 3
        reported = view.roster.queue_of(known.ref.node)
        if self.ledger or reported is None:
            accounts = [view.accounts[i] for i in nics]
            seconds = min(a.outstanding(task.now) / a.available for a in accounts)
        else:
            seconds = reported / (sum(view.states[i].rate_bps for i in nics) / 8)
        return 0 if seconds <= view.settings.alpha_s else 1


def _paper_decode(task: Task, candidates: tuple[Known, ...]) -> Known:
    if any(k.engine.unfinished_tokens is None for k in candidates):
        return soonest(task, candidates, _DECODE_DRAW)
    members = task.view.roster.by_node
    sums = {n: sum(map(tokens_of, members[n].values())) for n in {k.ref.node for k in candidates}}
    least = min(sums.values())
    node = drawn(task, candidates, [(sums[k.ref.node] > least,) for k in candidates], _DECODE_DRAW).ref.node
    group = [k for k in candidates if k.ref.node == node]
    limit = HIGH_TOKENS * (length_of(task, group[0]) + sum(map(tokens_of, group))) / len(group)
    ranks: list[Rank] = []
    for known in group:
        high = tokens_of(known) + length_of(task, known) > limit
        sequences = (known.engine.unfinished_sequences or 0) + known.assigned
        ranks.append((high, tokens_of(known) if high else sequences))
    return drawn(task, group, ranks, _DECODE_DRAW)


@dataclass(frozen=True, slots=True)
class Rotation:
    """The engine that was given the fewest bytes so far: needs no report and no telemetry."""

    name: str = "rotation"

    def pick(self, task: Task) -> Pair | None:
        return _picked(task, _least_given, _least_given)


def _least_given(_task: Task, candidates: tuple[Known, ...]) -> Known:
    return min(candidates, key=_given)


def _given(known: Known) -> float:
    return known.given


@dataclass(frozen=True, slots=True)
class LeastLoaded:
    """As routers do it: prefill by tokens to process, those a candidate's cache saves taken off; decode by what it
    runs. Network and storage do not enter.
    """

    name: str = "least-loaded"

    def pick(self, task: Task) -> Pair | None:
        return _picked(task, _least_work, _least_running)


def _least_work(task: Task, candidates: tuple[Known, ...]) -> Known:
    ranks: list[Rank] = [
        (tokens_of(k) + max(0.0, length_of(task, k) - hits_of(task, i)),) for i, k in enumerate(candidates)
    ]
    return drawn(task, candidates, ranks, _PREFILL_DRAW)


def _least_running(task: Task, candidates: tuple[Known, ...]) -> Known:
    ranks: list[Rank] = [
        ((k.engine.unfinished_sequences or 0) + k.assigned, tokens_of(k)) for k in candidates
    ]
    return drawn(task, candidates, ranks, _DECODE_DRAW)


@dataclass(frozen=True, slots=True)
class TwoAtRandom:
    """Two candidates of each role by the hash of the request's id, and of these the one whose node reads sooner
    (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996).
    """

    name: str = "two-choices"

    def pick(self, task: Task) -> Pair | None:
        return _picked(task, _sooner_of_two, _sooner_of_two)


def _sooner_of_two(task: Task, candidates: tuple[Known, ...]) -> Known:
    n = len(candidates)
    first = int(fraction(task.key, _PREFILL_DRAW) * n)
    second = (first + 1 + int(fraction(task.key, _DECODE_DRAW) * (n - 1))) % n
    pair = (candidates[first], candidates[second])
    seconds = [read_seconds(task, k) for k in pair]
    if seconds[1] is None:
        return pair[0]
    return pair[0] if seconds[0] is not None and seconds[0] <= seconds[1] else pair[1]
