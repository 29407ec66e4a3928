"""The DualPath rule (arXiv 2602.21548, sections 6.1 and A.4), on seconds instead of tokens, with our ledger.

Engines first. Among prefill candidates that all report their unfinished tokens: those with a short read queue
(done within ``alpha_s``) before those with a long one, overloaded ones (more tokens than their GPU processes in
``beta_s``) last, and the fewest tokens within a category. Among decode candidates: the node with the fewest
tokens, then the engine with the fewest sequences, among those whose HBM fits the read. (The paper's further split of
decode engines by Z needs a request's length in tokens, which a read does not have.) Candidates that do not report are
compared by expected seconds.

Then the side: read where the queue is shorter, reckoned as seconds to the last byte at the rate KV may use there,
so that NICs of unequal rate, busy lanes, compute NICs on the way and a slow source all count. Sides as good as
each other are taken in proportion to what they can carry, by a hash of the request id. Where telemetry is missing or
stale, sides are taken in proportion to their nominal rates instead, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, product
from operator import attrgetter

from trafficd.choice.request import Fallback, FallbackReason, Plan
from trafficd.choice.roster import Known
from trafficd.choice.spread import fraction, near_ties, weighted
from trafficd.choice.view import Ranked, Task
from trafficd.choice.ways import Way, decode_way, legs_of, prefill_way, read_seconds

KV_BYTES_PER_TOKEN = 40_000
"""Used for reads assigned since an engine's last report when it never said; DeepSeek-V3.2 in FP8 has about this."""
QUEUE_VALID_S = 30.0
"""A queue reported longer ago than this is no report."""
UNNAMED_ALTERNATIVES = 7
"""Further plans per role when the engines are left to us; named candidates are all ranked."""
MOST_PAIRS = 256
"""Pairs tried at most when the chosen engines cannot read at all."""
_SIDE_DRAW, _PREFILL_DRAW, _DECODE_DRAW = 3, 4, 5
_by_seconds: Callable[[Way], float] = attrgetter("seconds")


@dataclass(frozen=True, slots=True)
class DualPath:
    """Parameters of the rule: the paper's, in seconds."""

    name: str = "dualpath"
    alpha_s: float = 3.0
    beta_s: float = 5.0

    def rank(self, task: Task) -> Ranked:
        """Engines, then sides, then what else was asked about."""
        prefill = self._prefill(task)
        if prefill is None:
            return Ranked((), (), None)
        decode = _decode(task)
        ways = _ways(task, prefill, decode)
        if not ways:
            return self._elsewhere(task, prefill, decode)
        fallback = _missing(task, ways)
        ordered = _order(task, ways, fallback)
        best = ordered[0].seconds
        plans = [_plan(task, way, (prefill, decode), best) for way in ordered]
        if task.request.max_plans != 1 and len(task.prefill) + len(task.decode) > 2:
            plans += _alternatives(task, prefill, decode, best)
        return Ranked(tuple(plans), ordered[0].nics, fallback)

    def _elsewhere(self, task: Task, prefill: Known, decode: Known | None) -> Ranked:
        """The pair chosen by load cannot read: take the best that can."""
        pairs = list(islice(product(task.prefill, task.decode or (decode,)), MOST_PAIRS))
        pairs += [(prefill, d) for d in task.decode] + [(p, decode) for p in task.prefill]
        options = [(way, pair) for pair in dict.fromkeys(pairs) for way in _ways(task, *pair)]
        options.sort(key=lambda option: option[0].seconds)
        if not options:
            return Ranked((), (), None)
        best = options[0][0]
        plans = tuple(_plan(task, way, pair, best.seconds) for way, pair in options)
        return Ranked(plans, best.nics, _missing(task, [best]))

    def _prefill(self, task: Task) -> Known | None:
        candidates = task.prefill
        if len(candidates) <= 1:
            return candidates[0] if candidates else None
        if all(k.engine.unfinished_tokens is not None for k in candidates):
            queues: dict[str, int] = {}
            ranks = [(self._category(task, k, queues), _tokens(k)) for k in candidates]
            return _draw(task, candidates, _least(ranks), _PREFILL_DRAW)
        return _soonest(task, candidates, _PREFILL_DRAW)

    def _category(self, task: Task, known: Known, queues: dict[str, int]) -> int:
        """0 short read queue, 1 long one, 2 overloaded, 3 cannot read at all (C2, C3, C1 of the paper)."""
        speed = known.engine.tokens_per_s
        if speed and _tokens(known) > speed * self.beta_s:
            return 2
        node = known.ref.node
        found = queues.get(node)
        if found is None:
            found = queues[node] = self._queue(task, node)
        return found

    def _queue(self, task: Task, node: str) -> int:
        """A node's read queue: 0 short, 1 long, 3 none because no storage NIC is up."""
        accounts, index = task.view.accounts, task.view.index
        seconds = [
            accounts[i].outstanding(task.now) / accounts[i].available
            for i in index.readers[index.node_ids[node]]
            if task.view.states[i].up
        ]
        if not seconds:
            return 3
        return 0 if min(seconds) <= self.alpha_s else 1


def _tokens(known: Known) -> float:
    """Unfinished tokens as reported, and those of the reads given to it since."""
    since = (
        known.assigned_bytes / (known.bytes_per_token or KV_BYTES_PER_TOKEN) if known.assigned_bytes else 0.0
    )
    return (known.engine.unfinished_tokens or 0) + since


def _decode(task: Task) -> Known | None:
    candidates = task.decode
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    fits = [k for k in candidates if k.engine.free_hbm_bytes is None or k.engine.free_hbm_bytes >= task.size]
    candidates = tuple(fits) or candidates
    if not all(k.engine.unfinished_tokens is not None for k in candidates):
        return _soonest(task, candidates, _DECODE_DRAW)
    members = task.view.roster.by_node
    sums = {n: sum(map(_tokens, members[n].values())) for n in {k.ref.node for k in candidates}}
    ranks = [
        (sums[k.ref.node], (k.engine.unfinished_sequences or 0) + k.assigned, _tokens(k)) for k in candidates
    ]
    return _draw(task, candidates, _least(ranks), _DECODE_DRAW)


def _soonest(task: Task, candidates: tuple[Known, ...], purpose: int) -> Known:
    """The candidate whose node reads soonest; those of one node are alike."""
    by_node: dict[str, float] = {}
    for known in candidates:
        if known.ref.node not in by_node:
            seconds = read_seconds(task, known)
            by_node[known.ref.node] = float("inf") if seconds is None else seconds
    near = set(near_ties([by_node[k.ref.node] for k in candidates]))
    return _draw(task, candidates, [i in near for i in range(len(candidates))], purpose)


def _least(ranks: Sequence[tuple[float, ...]]) -> list[bool]:
    best = min(ranks)
    return [rank == best for rank in ranks]


def _draw(task: Task, candidates: tuple[Known, ...], wanted: Sequence[bool], purpose: int) -> Known:
    equal = [k for k, want in zip(candidates, wanted, strict=True) if want]
    return equal[int(fraction(task.key, purpose) * len(equal))]


def _ways(task: Task, prefill: Known, decode: Known | None) -> list[Way]:
    abilities = task.request.abilities
    found: list[Way | None] = []
    if not abilities.no_prefill_side:
        found.append(prefill_way(task, prefill))
    if abilities.read_on_decode_side and decode is not None:
        found.append(decode_way(task, prefill, decode))
    return [way for way in found if way is not None]


def _order(task: Task, ways: list[Way], fallback: Fallback | None) -> list[Way]:
    """Best first."""
    if len(ways) < 2:
        return ways
    ways.sort(key=_by_seconds)
    if fallback is not None and fallback.reason is not FallbackReason.NO_QUEUE:
        states = task.view.states
        weights = [float(min(states[i].rate_bps for i in way.nics)) for way in sorted(ways)]
        first = sorted(ways)[weighted(weights, fraction(task.key, _SIDE_DRAW))]
    else:
        near = sorted(ways[k] for k in near_ties([way.seconds for way in ways]))
        if len(near) == 1:
            return ways
        first = near[weighted([way.limit.rate for way in near], fraction(task.key, _SIDE_DRAW))]
    return [first, *(way for way in ways if way is not first)]


def _missing(task: Task, ways: list[Way]) -> Fallback | None:
    """What the choice between these ways would need and does not have."""
    view, now = task.view, task.now
    fresh = view.fresh_until
    old = [i for way in ways for i in way.nics if fresh[i] < now]
    if old:
        return _untold(task, old)
    for way in ways:
        reported = view.roster.queue_at.get(way.reader)
        if reported is None or now - reported > QUEUE_VALID_S:
            detail = f"no engine of {way.reader} reported its read queue; only reservations count there"
            return Fallback(FallbackReason.NO_QUEUE, detail)
    return None


def _untold(task: Task, old: list[int]) -> Fallback:
    view = task.view
    for i in old:
        if view.states[i].measured_unix_ns is None:
            detail = f"no telemetry of {view.index.nic_names[i]}; sides were weighted by their nominal rates"
            return Fallback(FallbackReason.NO_TELEMETRY, detail)
    valid_s = view.snapshot.valid_for_ms / 1000
    age = task.now - view.fresh_until[old[0]] + valid_s
    name = view.index.nic_names[old[0]]
    detail = f"telemetry of {name} is {age:.1f} s old, valid for {valid_s:g} s; sides were weighted by their nominal rates"
    return Fallback(FallbackReason.STALE_TELEMETRY, detail)


def _plan(task: Task, way: Way, pair: tuple[Known, Known | None], best: float) -> Plan:
    prefill, decode = pair
    score = best / way.seconds if way.seconds > best else 1.0
    ref = None if decode is None else decode.ref
    return Plan(prefill.ref, ref, legs_of(task, way), way.seconds, score)


def _alternatives(task: Task, prefill: Known, decode: Known | None, best: float) -> list[Plan]:
    """Every other candidate with the chosen partner, soonest first."""
    pairs = [(p, decode) for p in _others(task.prefill, prefill, named=bool(task.request.prefill))]
    pairs += [(prefill, d) for d in _others(task.decode, decode, named=bool(task.request.decode))]
    found: list[tuple[Way, tuple[Known, Known | None]]] = []
    for pair in pairs:
        ways = _ways(task, *pair)
        if ways:
            found.append((min(ways, key=_by_seconds), pair))
    found.sort(key=lambda item: item[0].seconds)
    return [_plan(task, way, pair, best) for way, pair in found]


def _others(candidates: tuple[Known, ...], chosen: Known | None, *, named: bool) -> list[Known]:
    rest = [k for k in candidates if k is not chosen]
    if named or len(rest) <= UNNAMED_ALTERNATIVES:
        return rest
    step = len(rest) // UNNAMED_ALTERNATIVES
    return rest[::step][:UNNAMED_ALTERNATIVES]
